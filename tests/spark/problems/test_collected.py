"""What the driver gets of many rows: counts of some groups, or a draw of rows, the same ones on any number of cores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_lib.problems import binary, outputs
from spark_lib.problems.binary import Binary
from spark_lib.problems.outputs import Outputs
from spark_lib.problems.problem import GROUP, SCORE

LATE = Binary("late", ("in time",))
ROWS = 400


@pytest.fixture(scope="module")
def scored(spark: SparkSession) -> DataFrame:
    """Two rows of each of 200 groups, each with a score of its own."""
    rows = [(f"p{number}", number % 2, number / ROWS, number // 2) for number in range(ROWS)]
    return spark.createDataFrame(rows, f"parcel STRING, label INT, {SCORE} DOUBLE, {GROUP} INT").coalesce(1).cache()


def scores_of(found: Any) -> list[int]:
    return np.round(found.scores * ROWS).astype(int).tolist()


@pytest.mark.parametrize(("most", "groups"), [(40, 20), (1, 10)])
def test_of_many_rows_some_groups_choose_a_calibration_at_least_one_a_fold(
    scored: DataFrame, monkeypatch: pytest.MonkeyPatch, most: int, groups: int
) -> None:
    monkeypatch.setattr(binary, "GROUPED_ROWS", most)

    found = LATE.to_calibrate_by({"calibration": "auto", "balancing": "undersample"}, scored, "parcel", ROWS)

    assert scores_of(found) == list(range(2 * groups))
    assert found.grouped is not None
    assert np.unique(found.grouped.groups).tolist() == list(range(groups))


@pytest.mark.parametrize(("calibration", "most"), [("platt", 40), ("auto", ROWS)])
def test_all_rows_fit_a_calibration_that_is_not_chosen_or_where_they_are_few(
    scored: DataFrame, monkeypatch: pytest.MonkeyPatch, calibration: str, most: int
) -> None:
    monkeypatch.setattr(binary, "GROUPED_ROWS", most)

    found = LATE.to_calibrate_by({"calibration": calibration, "balancing": "undersample"}, scored, "parcel", ROWS)

    assert scores_of(found) == list(range(ROWS))


def test_of_more_rows_than_the_driver_takes_the_same_ones_are_drawn_however_they_are_partitioned(
    scored: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = outputs.collected(scored, "parcel", ROWS)
    monkeypatch.setattr(outputs, "MOST_ROWS", 50)

    (one,), (other,) = (outputs.collected(rows, "parcel", ROWS) for rows in (scored, scored.repartition(3, "label")))

    assert (whole.rows, one.rows) == (ROWS, 50)
    assert rows_of(one) == rows_of(other) < rows_of(whole)
    assert max(rows_of(one)) > (0.5, 0.0)  # from all over, and not the first ones


def rows_of(found: Outputs) -> set[tuple[float, float]]:
    return set(zip(found.values.tolist(), found.labels.tolist(), strict=True))
