"""Carries Daystone's errors from a Python worker through Spark to the driver, which raises them in their own words.

Of an error in a worker, Spark passes on only a traceback as text. Workers import this module, so it does not import
pyspark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from spark_lib import errors
from spark_lib.errors import DaystoneError

_MARK = "daystone-error"


class CarriedError(Exception):
    """An error of ours as one line of text."""


@contextmanager
def as_text() -> Iterator[None]:
    """Use this in a worker, around code that may raise an error of ours."""
    try:
        yield
    except DaystoneError as error:
        told = {"kind": type(error).__name__, "args": error.args, "state": error.__dict__}
        raise CarriedError(f"{_MARK} {json.dumps(told)}") from error


def of_text(text: str) -> DaystoneError | None:
    """Use this on the driver: the error of ours that the text of Spark's error carries, or None where there is none."""
    found = re.search(rf"{_MARK} (\{{.*\}})", text)
    if found is None:
        return None
    told = json.loads(found[1])
    error: DaystoneError = getattr(errors, told["kind"])(*told["args"])
    error.__dict__.update(told["state"])
    return error
