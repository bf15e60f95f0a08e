"""A pickled model is loaded by its digest, in a process of its own that has no secrets and ends with its model."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from spark_lib.errors import DaystoneError, ModelError
from spark_lib.models.card import PICKLE, Card, ModelFile
from spark_lib.models.model import digest
from spark_lib.models.training_set import TrainingSet
from spark_lib.rest import scorer
from spark_lib.rest.server import TOKEN
from spark_lib.stages.selection import Pinned
from tests.support.patience import until
from tests.unit.rest.served import BINARY_OUTCOME, DAY, WORDS

pytestmark = pytest.mark.processes

ROW = {"name": "red shoe", "months": 3}


class Telling:
    """A model whose scores say something about the process that it is in."""

    def __init__(self, what: str) -> None:
        self.what = what

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        if self.what == "fails":
            raise LookupError("no scores")
        told = os.getpid() / 2**32 if self.what == "process" else float(self.what in os.environ)
        return np.array([[1 - told, told]] * len(rows))


def pinned(model: Any) -> Pinned:
    file = io.BytesIO()
    joblib.dump(model, file)
    body = file.getvalue()
    card = Card(
        features=WORDS,
        outcome=BINARY_OUTCOME,
        entity="id",
        calibration={"kind": "none"},
        rows=TrainingSet(),
        settings={},
        versions={},
        model=ModelFile(PICKLE, digest(body), len(body)),
    )
    return Pinned(DAY, body, digest(body), card)


def said(made: scorer.Scorer) -> float:
    found: float = made.score([ROW]).predictions[0]["score"]
    return found


def pid_of(made: scorer.Scorer) -> int:
    return round(said(made) * 2**32)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "name", [TOKEN, "PGPASSWORD", "REDISCLI_AUTH", "AWS_SECRET_ACCESS_KEY", "KEY_OF_OUR_OWN_TARGET"]
)
def test_the_process_of_a_model_has_no_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a-secret-of-some-length")

    assert said(scorer.of(pinned(Telling(name)))) == 0


def test_the_process_of_a_model_has_what_libraries_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    assert said(scorer.of(pinned(Telling("OMP_NUM_THREADS")))) == 1


def test_a_model_is_never_loaded_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "load", lambda *arguments: pytest.fail("loaded here"))

    assert pid_of(scorer.of(pinned(Telling("process")))) != os.getpid()


def test_bytes_of_another_digest_are_not_handed_to_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_lib.scoring.processes.started", lambda *arguments, **more: pytest.fail("started"))
    model = pinned(Telling("process"))

    with pytest.raises(ModelError, match=r"model\.joblib: wanted the SHA-256 of its card"):
        scorer.of(replace(model, model=pickle.dumps(print)))


def test_a_model_that_gives_no_probabilities_is_refused_before_it_answers() -> None:
    with pytest.raises(
        ModelError, match=r"model\.joblib: wanted a fitted pipeline with predict_proba; found an object of dict"
    ):
        scorer.of(pinned({"no": "model"}))


def test_a_process_that_was_killed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scorer.of(pinned(Telling("process")))
    first = pid_of(made)

    os.kill(first, signal.SIGKILL)

    assert pid_of(made) != first


def test_the_process_ends_when_nobody_has_its_model_any_more() -> None:
    made = scorer.of(pinned(Telling("process")))
    pid = pid_of(made)
    assert is_there(pid)

    del made
    gc.collect()

    until(lambda: not is_there(pid))


def test_what_a_model_raises_is_an_error_that_names_it_and_the_process_goes_on() -> None:
    made = scorer.of(pinned(Telling("fails")))

    for _ in range(2):
        with pytest.raises(DaystoneError, match="LookupError: no scores"):
            said(made)
