"""``[mlflow]``: what it is by default, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.registry.mlflow import Registry
from tasks.config.settings import Settings
from tests.unit.stubs.cases import Loans
from tests.unit.stubs.stublake import LOANS, configure

URI = "https://mlflow.example:5000"
HERE = "tests.unit.stubs.cases.Loans"


def settings(monkeypatch: pytest.MonkeyPatch, text: str) -> Settings:
    configure(monkeypatch, text)
    return Settings(LOANS, Loans())


def refusal(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings(monkeypatch, text).check()
    return str(caught.value)


def test_experiment_and_model_are_named_as_the_use_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = settings(monkeypatch, f"[mlflow]\nuri = {URI}").registry(str(tmp_path))

    assert found == Registry(URI, HERE, HERE, "production", str(tmp_path), HERE, 10)


def test_every_name_may_be_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = "experiment = risk of loans\nmodel = risk\nalias = live\nanswer_seconds = 3"
    text = f"[lake]\nroot = {tmp_path}\nname = main\n[mlflow]\nuri = {URI}\n{named}"

    found = settings(monkeypatch, text).registry(str(tmp_path))

    assert found == Registry(URI, "risk of loans", "risk", "live", "main", HERE, 3)


def test_without_a_server_nothing_is_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(monkeypatch, "").registry("/data/lake")

    assert str(caught.value) == (
        "[mlflow] uri: wanted the URL of an MLflow server, as in https://mlflow.example:5000; found none. Next: set it, or "
        "leave out what needs MLflow"
    )


@pytest.mark.parametrize("uri", ["https://ada:hush@mlflow.example", "https://hush@mlflow.example:5000"])
def test_a_server_with_a_password_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    assert refusal(monkeypatch, f"[mlflow]\nuri = {uri}") == (
        "[mlflow] uri: wanted a URL without a password; found one that is not shown: it may hold a secret. Next: put it into "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or into MLFLOW_TRACKING_TOKEN"
    )


@pytest.mark.parametrize("uri", ["mlflow.example", "sqlite:///mlflow.db", "databricks", "http://"])
def test_what_is_no_server_is_refused(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    assert refusal(monkeypatch, f"[mlflow]\nuri = {uri}") == (
        f"[mlflow] uri: wanted the URL of a server, as in https://mlflow.example:5000; found {uri!r}. Next: correct it"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("experiment", "a'b"), ("model", "a/b"), ("model", "a:b"), ("alias", ""), ("alias", "x@y")]
)
def test_a_name_that_mlflow_cannot_have_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert refusal(monkeypatch, f"[mlflow]\nuri = {URI}\n{name} = {value}") == (
        f"[mlflow] {name}: wanted a name of letters, digits, spaces and _ - .; found {value!r}. Next: correct it"
    )


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("answer_seconds", "0", "of at least 1"),
        ("max_seconds", "0.0", "above 0, at most 86400"),
        ("max_seconds", "86401.0", "above 0, at most 86400"),
    ],
)
def test_a_time_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str) -> None:
    assert refusal(monkeypatch, f"[mlflow]\nuri = {URI}\n{name} = {value}") == (
        f"[mlflow] {name}: wanted a value {wanted}; found {value}. Next: correct it"
    )
