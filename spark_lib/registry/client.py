"""The client of MLflow, as patient as the configuration says, and what a refusal of the server means.

No password is ever part of a message: a URL has none, and MLflow's client takes credentials from MLFLOW_TRACKING_USERNAME
and MLFLOW_TRACKING_PASSWORD, or from MLFLOW_TRACKING_TOKEN.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from spark_lib.errors import ConfigurationError, TrackingUnavailable

#: The longest part of an answer of the server that a message repeats.
_MOST_WORDS = 200
_CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


@contextmanager
def connected(uri: str, answer_seconds: int) -> Iterator[Any]:
    """An MlflowClient, for the block. Whatever the server refuses in the block, and no answer within ``answer_seconds``,
    raises TrackingUnavailable. Raises ConfigurationError where the client is not installed.

    Nothing is asked for twice: a creation whose answer was lost may have been executed, and would be a second one.
    """
    waits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(answer_seconds), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    with _environment(waits | quiet):
        where = f"MLflow at {uri}"
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
            from requests import RequestException
        except ImportError as error:
            step = 'install it: pip install "daystone[mlflow]"'
            raise ConfigurationError(where, "the client of MLflow", str(error), step) from error
        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except (MlflowException, RequestException) as error:
            raise _unavailable(where, error, answer_seconds) from error


def code_of(error: Exception) -> str:
    """The code of a refusal by the server, such as RESOURCE_DOES_NOT_EXIST; empty where the server has not answered."""
    from mlflow.exceptions import RestException

    return str(error.error_code) if isinstance(error, RestException) else ""


def _unavailable(where: str, error: Exception, answer_seconds: int) -> TrackingUnavailable:
    words = " ".join(str(error).split())
    if any(
        status in words
        for status in ("error code 401", "error code 403", "401 Client", "403 Client", "PERMISSION_DENIED")
    ):
        return TrackingUnavailable(where, "a server that lets us in", "a refusal", f"check {_CREDENTIALS}")
    if "timed out" in words:
        step = "look at the server, or raise [mlflow] answer_seconds"
        return TrackingUnavailable(where, f"an answer within {answer_seconds} s", "none", step)
    if "exceeded with url" in words:
        return TrackingUnavailable(
            where, "an answer", "nobody who answers", "start the server, or correct [mlflow] uri"
        )
    found = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}..."
    return TrackingUnavailable(where, "an answer that is no refusal", found, "look at the server, then track again")


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process, for the block: MLflow's client is told how long to wait in no other way."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
