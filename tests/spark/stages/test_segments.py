"""Segments of the validation rows: which values are judged apart, and why one is not."""

from __future__ import annotations

from pyspark.sql import SparkSession

from spark_lib.models.calibration import NONE
from spark_lib.problems.binary import Binary
from spark_lib.problems.problem import GROUP, SCORE
from spark_lib.stages import segments
from tests.spark.lakes import SETTINGS


def test_a_value_whose_rows_cannot_be_judged_has_its_reason_and_outcomes_and_no_metrics(spark: SparkSession) -> None:
    rows = [(f"p{number}", "north", number % 2, number / 100, number) for number in range(60)]
    rows += [(f"q{number}", "south", 1, 0.5, number) for number in range(30)]
    frame = spark.createDataFrame(rows, f"parcel STRING, region STRING, label INT, {SCORE} DOUBLE, {GROUP} INT")
    scored = frame.coalesce(1).select("*", *segments.columns(["region"]))

    north, south = segments.judged(Binary("late", ("in time",)), scored, "parcel", ["region"], NONE, SETTINGS)

    assert (north.value, north.rows, north.outcomes, north.reason) == ("north", 60, {"prevalence": 0.5}, "")
    assert north.metrics["area_under_roc"] > 0.5
    assert (south.value, south.rows, south.outcomes) == ("south", 30, {"prevalence": 1.0})
    assert (south.reason, south.metrics) == ("one class: no negative row", {})
