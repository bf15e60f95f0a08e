"""Pipelines of scikit-learn that score as they are: once for rows that are alike, on one thread, and never before their digest."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spark_lib.errors import ModelError
from spark_lib.models import python_model
from spark_lib.models.model import digest
from spark_lib.models.python_model import PythonModel
from spark_lib.use_case import Feature

TEXTS = ["red shoe", "blue shoe", "green apple", "red apple", "blue plum", "small red plum"]
TEXT = {"text": Feature("STRING")}


def pickled(model: Any) -> PythonModel:
    file = io.BytesIO()
    joblib.dump(model, file)
    return PythonModel(file.getvalue(), digest(file.getvalue()))


def of_texts() -> Any:
    rows = pd.DataFrame({"text": TEXTS})
    return make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression()).fit(
        rows, [0, 0, 1, 1, 1, 1]
    )


def texts(values: list[str | None]) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(values, pa.string()), "unused": [1] * len(values)})


class Asked:
    """A classifier that remembers the tables that it was given, and the threads that it could have used."""

    tables: list[pd.DataFrame] = []
    threads: set[int] = set()

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        self.tables.append(rows)
        self.threads.update(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
        score = sum(rows[name].astype(float) * weight for name, weight in zip(rows, (0.5, 0.25), strict=False))
        return np.stack([1 - score, score], axis=1)


@pytest.fixture(autouse=True)
def forget() -> None:
    Asked.tables.clear()
    Asked.threads.clear()


def test_a_score_that_rounding_put_above_1_is_brought_back_and_one_that_is_senseless_is_not() -> None:
    model = pickled(Asked())
    rows = pa.record_batch({"x": pa.array([2 + 2.0**-40, 3.0, -0.4, 1.0])})

    found = model.of_rows(rows, {"x": Feature("DOUBLE")})

    assert found.scores.tolist() == [1.0, 1.5, -0.2, 0.5]


def test_scores_are_the_pipelines_of_every_row_in_its_place() -> None:
    model = of_texts()
    asked = ["red shoe", "plum", "red shoe", "never seen", "", "plum", "red shoe"]

    found = pickled(model).of_rows(texts(asked), TEXT)

    assert np.array_equal(found.scores, model.predict_proba(pd.DataFrame({"text": asked}))[:, 1])
    assert (found.missing, found.unseen, found.repeated) == ({}, {}, 3)


def test_rows_that_are_alike_are_scored_once() -> None:
    rows = pa.record_batch({"a": [1.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]})

    found = pickled(Asked()).of_rows(rows, {"a": Feature("DOUBLE"), "b": Feature("DOUBLE")})

    assert found.scores.tolist() == [0.5, 0.25, 0.5, 0.75]
    assert (sum(len(table) for table in Asked.tables), found.repeated) == (3, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "b"]), st.booleans()), min_size=1, max_size=40))
def test_rows_are_alike_where_all_their_features_are(rows: list[tuple[int, str, bool]]) -> None:
    first, same = python_model._distinct([pa.array(column) for column in zip(*rows, strict=True)])

    assert [rows[first[one]] for one in same] == rows
    assert len(first) == len(set(rows))


def test_a_pipeline_is_given_blocks_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_model, "_BLOCK_ROWS", 3)

    found = pickled(Asked()).of_rows(pa.record_batch({"a": [n / 8 for n in range(8)]}), {"a": Feature("DOUBLE")})

    assert found.scores.tolist() == [n / 16 for n in range(8)]
    assert [len(table) for table in Asked.tables] == [3, 3, 2]
    assert Asked.threads == {1}


def test_a_null_is_filled_where_the_card_says_and_counted_where_it_does_not() -> None:
    model, rows = pickled(Asked()), pa.record_batch({"a": pa.array([None, 1, None], pa.int64())})

    assert model.of_rows(rows, {"a": Feature("BIGINT", fill=1)}).scores.tolist() == [0.5, 0.5, 0.5]
    assert model.of_rows(rows, {"a": Feature("BIGINT")}).missing == {"a": 2}


def test_a_category_that_training_did_not_see_is_counted_and_scored_as_the_pipeline_does() -> None:
    model, rows = of_texts(), pa.record_batch({"text": ["red shoe", "plum", "pear", "pear", None]})

    found = pickled(model).of_rows(rows, {"text": Feature("STRING", fill="plum", categories=("plum", "red shoe"))})

    assert found.unseen == {"text": 2}
    asked = ["red shoe", "plum", "pear", "pear", "plum"]
    assert np.array_equal(found.scores, model.predict_proba(pd.DataFrame({"text": asked}))[:, 1])


def test_no_rows_have_no_scores_and_load_nothing() -> None:
    assert PythonModel(b"", "no digest").of_rows(texts([]), TEXT).scores.tolist() == []


class Harm:
    """What a pickle may do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (self.marker,)


def test_bytes_of_another_digest_are_not_unpickled(tmp_path: Path) -> None:
    harmful = pickle.dumps(Harm(tmp_path / "marker"))

    with pytest.raises(ModelError) as caught:
        PythonModel(harmful, "0" * 64).of_rows(texts(["a"]), TEXT)

    assert not (tmp_path / "marker").exists()
    assert str(caught.value) == (
        f"model.joblib: wanted the SHA-256 of its card, {'0' * 64}; found {digest(harmful)}. "
        "Next: restore the file that was trained, or train again; do not score with this one"
    )


def test_a_model_of_another_scikit_learn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandardScaler().fit([[0.0], [1.0]])
    with monkeypatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.4.2")
        old = pickled(model)

    with pytest.raises(ModelError) as caught:
        python_model.load(old.model, old.digest)

    assert str(caught.value) == (
        f"model.joblib: wanted a model of scikit-learn {sklearn.__version__}, which is installed here; found one of 1.4.2. "
        "Next: score with the version that the model was trained with, or train again"
    )


def test_a_model_whose_module_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("their_features")
    exec("class Cleaned: pass", module.__dict__)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "their_features", module)
        module.Cleaned.__module__ = "their_features"
        there = pickled(module.Cleaned())

    with pytest.raises(ModelError) as caught:
        python_model.load(there.model, there.digest)

    assert str(caught.value) == (
        "model.joblib: wanted a model whose parts can be imported where it scores; found No module named 'their_features'. "
        "Next: install there what the model was trained with, or train again"
    )


def test_a_model_without_probabilities_is_refused() -> None:
    scaler = pickled(StandardScaler().fit([[0.0], [1.0]]))

    with pytest.raises(ModelError) as caught:
        python_model.check_gives(python_model.load(scaler.model, scaler.digest), classes=2)

    assert str(caught.value) == (
        "model.joblib: wanted a fitted pipeline with predict_proba; found an object of StandardScaler. "
        "Next: end the pipeline with a classifier that gives probabilities, and train again"
    )
