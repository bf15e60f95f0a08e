"""The side of a split is a pure function of salt and entity."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_lib.learning.splitting import side, split, unit_interval
from tests.support.splitting import by_hand


def in_spark(spark: SparkSession, salt: str, entities: list[str]) -> list[float]:
    frame = spark.createDataFrame([(entity,) for entity in entities], "who STRING").coalesce(1)
    return [row.u for row in frame.select(unit_interval(salt, "who").alias("u")).collect()]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(salt=TEXT, entities=st.lists(TEXT, min_size=50, max_size=200))
def test_u_is_what_hashlib_computes(spark: SparkSession, salt: str, entities: list[str]) -> None:
    assert in_spark(spark, salt, entities) == [by_hand(salt, entity) for entity in entities]


def test_u_of_an_entity_that_is_a_number_is_that_of_its_digits(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(-17,)], "who BIGINT")
    assert frame.select(unit_interval("s", "who").alias("u")).collect()[0].u == by_hand("s", "-17")


def test_u_is_spread_over_the_unit_interval(spark: SparkSession) -> None:
    found = in_spark(spark, "credit_risk", [f"C{number}" for number in range(10_000)])
    assert all(0 <= u < 1 for u in found)
    tenths = [sum(int(u * 10) == tenth for u in found) for tenth in range(10)]
    assert all(850 <= count <= 1_150 for count in tenths)


def test_another_salt_is_another_split(spark: SparkSession) -> None:
    entities = [f"C{number}" for number in range(1_000)]
    one, other = ([u >= 0.8 for u in in_spark(spark, salt, entities)] for salt in ("credit_risk", "churn"))
    both = sum(a and b for a, b in zip(one, other, strict=True))
    assert 20 <= both <= 65  # 40 of 1,000 where the two are independent


def test_u_equal_to_p_validates_and_the_next_smaller_trains(spark: SparkSession) -> None:
    u = by_hand("s", "C1")
    frame = spark.createDataFrame([("C1",)], "who STRING")
    edges = [proportions(p, 0) for p in (u, u + 2**-52, u - 2**-52)]
    found = frame.select(*(side(unit_interval("s", "who"), edge) for edge in edges)).collect()[0]
    assert list(found) == ["validation", "train", "validation"]


def proportions(p: float, c: float, by: str = "entity") -> dict[str, Any]:
    return {"split": by, "train_validation_split_proportion": p, "calibration_proportion": c}


@pytest.mark.parametrize("p", [0.01, 0.5, 0.8, 0.99])
def test_a_smaller_p_only_moves_entities_from_training_to_validation(spark: SparkSession, p: float) -> None:
    frame = spark.range(500).select(F.concat(F.lit("C"), "id").alias("who"))
    larger, smaller = (side(unit_interval("s", "who"), proportions(of, 0)) for of in (p, p / 2))
    assert frame.where((larger == "validation") & (smaller != "validation")).count() == 0


def test_the_calibration_side_is_the_last_part_of_what_does_not_validate(spark: SparkSession) -> None:
    places = spark.range(100).select((F.col("id") / 100).alias("place"))
    found = places.select("place", side(F.col("place"), proportions(0.75, 0.25)).alias("side")).collect()
    expected = {
        row.place: "validation" if row.place >= 0.75 else "calibration" if row.place >= 0.5 else "train"
        for row in found
    }
    assert {row.place: row.side for row in found} == expected
    assert {row.side for row in found} == {"train", "calibration", "validation"}


def test_a_split_by_time_keeps_an_entity_on_its_latest_side_only(spark: SparkSession) -> None:
    first = date(2026, 3, 1)
    rows = [("A", 0), ("A", 3), ("B", 1), ("B", 9), ("C", 7), ("C", 9), ("D", 2), ("D", 7), ("D", 7)]
    landed = spark.createDataFrame([(who, first + timedelta(days=day)) for who, day in rows], "who STRING, landed DATE")
    found = split(landed, "s", "who", proportions(0.8, 0.1, "time"), first, 10).collect()
    sides = sorted((row.who, (row.landed - first).days, row.side) for row in found)
    assert sides == [
        ("A", 0, "train"),
        ("A", 3, "train"),
        ("B", 1, None),
        ("B", 9, "validation"),
        ("C", 7, None),
        ("C", 9, "validation"),
        ("D", 2, None),
        ("D", 7, "calibration"),
        ("D", 7, "calibration"),
    ]
