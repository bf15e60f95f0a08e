"""Scored rows are counted in the bins of their model's reference, which validation rows make in the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spark_lib.models.model import Given
from spark_lib.problems.binary import Probability
from spark_lib.release.sketch import Sketch
from spark_lib.scoring import counted
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.counted import Counted
from spark_lib.scoring.engine import Engine
from spark_lib.use_case import Feature
from tests.unit.scoring.test_scoring import job, written

FEATURES = {
    "amount": Feature("double", fill=-1.0),
    "purpose": Feature("string", nominal=True, categories=("car", "house")),
    "name": Feature("string", text=True),
}
AMOUNTS = [1.0, 2.0, None, float("nan"), 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
PURPOSES = ["car", "house", "boat", None, "car", "car", "car", "car", "car", "house"]
#: Two rows of each of five days.
LANDED = pa.array([date(2026, 1, 1) + timedelta(days=row // 2) for row in range(10)])
IN_MATRIX = {name: feature for name, feature in FEATURES.items() if not feature.text}


def rows(**columns: list[Any]) -> pa.RecordBatch:
    names = [f"n{number}" for number in range(10)]
    return pa.record_batch({"amount": AMOUNTS, "purpose": PURPOSES, "name": names} | columns)


class Tenths(Engine):
    """Scores that are tenths of the first feature, and of 1 at least."""

    def scores(self, columns: np.ndarray) -> np.ndarray:
        return np.maximum(columns[0], 1).astype(np.float64) / 10


def given(batch: pa.RecordBatch) -> Given:
    return Tenths(b"").of_rows(batch, IN_MATRIX)


PREDICTIONS = Probability({"kind": "none"})


def test_a_reference_has_bins_of_numbers_and_of_categories() -> None:
    reference = counted.reference(rows(), IN_MATRIX, given(rows()), PREDICTIONS, LANDED)

    assert list(reference.scores) == ["score"]
    assert list(reference.features) == ["amount", "purpose"]
    assert sum(reference.features["amount"].sketch.counts) == 10
    assert reference.features["amount"].sketch.nulls == 2
    assert reference.features["purpose"].sketch == Sketch((6, 2, 1), 1, 10)
    assert reference.middle == date(2026, 1, 3)
    assert reference.scores["score"].mean == pytest.approx((0.1 + 0.2 + 0.1 + 0.1 + 4.5) / 10)


def test_the_rows_of_the_reference_are_counted_as_it_has_them() -> None:
    reference = counted.reference(rows(), IN_MATRIX, given(rows()), PREDICTIONS, LANDED)
    again = Counted(reference, 1)

    again.add(rows(), IN_MATRIX, given(rows()), PREDICTIONS.columns(given(rows()).scores))

    found = again.sketches()
    assert found.scores == {name: column.sketch for name, column in reference.scores.items()}
    assert found.features == {name: column.sketch for name, column in reference.features.items()}


def test_features_that_move_from_day_to_day_have_a_trend_and_others_have_none() -> None:
    size = 2_000
    days = np.arange(size) // 100
    batch = pa.record_batch(
        {
            "amount": np.where(np.arange(size) % 20 > days, 1.0, 2.0),
            "purpose": [("car" if row % 20 > day else "home") for row, day in enumerate(days)],
        }
    )
    landed = pa.array([date(2026, 1, 1) + timedelta(days=int(day)) for day in days])

    found = counted.reference(batch, IN_MATRIX, given(batch), PREDICTIONS, landed).features
    elsewhen = landed.take(np.random.default_rng(0).permutation(size))
    still = counted.reference(batch, IN_MATRIX, given(batch), PREDICTIONS, elsewhen)

    assert found["amount"].trend and found["purpose"].trend
    assert not still.features["amount"].trend and not still.features["purpose"].trend


def test_the_scores_of_a_segment_are_counted_apart_and_null_is_a_value() -> None:
    segments = [("purpose", PURPOSES[0]), ("purpose", None)]
    found = counted.reference(rows(), IN_MATRIX, given(rows()), PREDICTIONS, LANDED, segments)
    day = Counted(found, 1)

    day.add(rows(), IN_MATRIX, given(rows()), PREDICTIONS.columns(given(rows()).scores))

    assert [each.name for each in found.segments] == [f"purpose {PURPOSES[0]}", "purpose null"]
    assert [sum(each.scores.sketch.counts) for each in found.segments] == [
        PURPOSES.count(PURPOSES[0]),
        PURPOSES.count(None),
    ]
    assert day.sketches().segments == {each.name: each.scores.sketch for each in found.segments}


def test_a_model_without_a_matrix_has_its_numbers_and_categories_counted_and_its_texts_not() -> None:
    scores = given(rows()).scores
    as_they_are = Given(scores)
    reference = counted.reference(rows(), FEATURES, as_they_are, PREDICTIONS, LANDED)

    assert reference == counted.reference(rows(), IN_MATRIX, given(rows()), PREDICTIONS, LANDED)


def test_a_decision_and_a_class_are_counted_by_their_names() -> None:
    decided = replace(PREDICTIONS, threshold=0.5)
    reference = counted.reference(rows(), IN_MATRIX, given(rows()), decided, LANDED)
    day = Counted(reference, 1)

    day.add(rows(), IN_MATRIX, given(rows()), {"prediction": pa.array(["true", "maybe"])})

    assert reference.scores["prediction"].cut.values == ("false", "true")
    assert reference.scores["prediction"].sketch.counts == (4, 6, 0)
    assert day.sketches().scores["prediction"].counts == (0, 1, 1)


def test_features_of_many_rows_are_counted_on_a_part_of_them() -> None:
    reference = counted.reference(rows(), IN_MATRIX, given(rows()), PREDICTIONS, LANDED)
    day = Counted(reference, 3)

    day.add(rows(), IN_MATRIX, given(rows()), PREDICTIONS.columns(given(rows()).scores))

    assert sum(day.sketches().features["amount"].counts) == 4
    assert day.sketches().features["amount"].nulls == 2  # these are counted in all rows
    assert sum(day.sketches().scores["score"].counts) == 10
    assert (counted.stride(0), counted.stride(200_000), counted.stride(200_001)) == (1, 1, 2)


def test_scoring_counts_all_shares_of_a_day_together(tmp_path: Path) -> None:
    shares = [written(tmp_path, "a.parquet", [0.25, 0.5]), written(tmp_path, "b.parquet", [1.0])]
    features = {"x": Feature("double"), "y": Feature("int", fill=0)}
    batch = pa.record_batch({"x": [0.25, 0.5, 1.0], "y": pa.array([None] * 3, pa.int32())})
    of = job(tmp_path)
    reference = counted.reference(batch, features, of.engine.of_rows(batch, features), of.predictions, LANDED[:3])
    counting = replace(of, reference=reference)

    done = scoring.together(counting, [scoring.scored(counting, share, task) for task, share in enumerate(shares)])

    assert done.sketches.scores["score"] == reference.scores["score"].sketch
    assert done.sketches.features == {name: column.sketch for name, column in reference.features.items()}
    assert done.sketches.features["y"].nulls == 3


def test_a_model_of_an_older_daystone_has_nothing_counted(tmp_path: Path) -> None:
    done = scoring.scored(job(tmp_path), written(tmp_path, "a.parquet", [0.25, 0.5]), 0)

    assert not done.sketches.scores and not done.sketches.features
