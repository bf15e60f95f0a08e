"""Outcomes that land with the rows, in a feed for what becomes known later, and those that features look back on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_lib.errors import BadData
from spark_lib.frames import raw
from spark_lib.lake import Lake, Rows
from spark_lib.stages import balancing, outcomes
from spark_lib.use_case import NumberLabel, UseCase
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SPLIT,
    Corrected,
    Delivered,
    featured,
    feed,
    history,
    land,
    land_rows,
    parcel,
    publish_features,
)

FIRST = DAY - timedelta(days=2)  # the window of these tests is FIRST and BEFORE

#: Parcels, each of a sender of its own, and how they arrived, by the day on which they landed.
Arrived = Mapping[date, Mapping[str, str | None]]


def land_window(root: Path, arrived: Arrived, features: Mapping[date, Iterable[str]] | None = None) -> None:
    """Two days of parcels with how they arrived, and of their features, which are of the same parcels by default."""
    for day in (FIRST, BEFORE):
        rows = [parcel(name, f"S{name}", state=state) for name, state in arrived.get(day, {}).items()]
        land_rows(root, "parcels", day, rows, Delivered())
        names = (features or arrived).get(day, [])
        publish_features(Lake(str(root), CASE), day, [featured(name, f"S{name}") for name in names])


def land_corrections(root: Path, corrected: Mapping[date, Sequence[tuple[str, str, str | None]]]) -> None:
    for day in (FIRST, BEFORE, DAY):
        rows = [dict(zip(("number", "parcel", "state"), one, strict=True)) for one in corrected.get(day, [])]
        land_rows(root, "corrections", day, rows, Corrected())


def labels(spark: SparkSession, root: Path, case: UseCase) -> tuple[dict[str, int], Rows]:
    """The labels of all rows that have one, and what was written, of the training set of ``DAY`` with a delay of 0
    days."""
    later = history(root, FIRST, DAY, "corrections") if case.label.later else None
    url = root / "set"
    window, landed = Lake(str(root), CASE).require("features", FIRST, BEFORE), history(root, FIRST, BEFORE)
    wanted = dict(SPLIT) | {"balancing": "none"}
    written = balancing.build(spark, case, CASE, window, landed, wanted, str(url), ANY_FILE_ROWS, later)
    sections = [str(url / name) for name in ("train", "calibration", "validation/unbalanced")]
    found = [row for section in sections for row in spark.read.parquet(section).collect()]
    return {row["parcel"]: row["label"] for row in found}, written


def test_an_outcome_that_landed_with_its_row_is_its_label_and_a_null_is_excluded(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_window(tmp_path, {FIRST: {"p1": "late", "p2": None}, BEFORE: {"p3": "in time", "p4": None, "p5": "late"}})

    found, written = labels(spark, tmp_path, Delivered())

    assert found == {"p1": 1, "p3": 0, "p5": 1}
    assert (written.metrics["labelled"], written.metrics["unlabelled"], written.metrics["excluded"]) == (3, 0, 2)
    assert written.metrics["by_day"] == {str(FIRST): [1, 0], str(BEFORE): [2, 0]}
    assert [name for name, _ in written.schema][-3:] == ["landed", "label", "copy"]


def test_a_number_that_landed_with_its_row_is_its_label_and_a_null_is_excluded(
    spark: SparkSession, tmp_path: Path
) -> None:
    class Weighed(Delivered):
        label = NumberLabel("parcels", "parcel", "weight", least=0)

    land_window(tmp_path, {FIRST: {"p1": "late", "p2": "late"}})
    raws = [parcel("p1", "Sp1", weight=7.5, state=None), parcel("p2", "Sp2", weight=None, state=None)]
    land_rows(tmp_path, "parcels", FIRST, raws, Delivered())

    found, written = labels(spark, tmp_path, Weighed())

    assert found == {"p1": 7.5}
    assert (written.metrics["labelled"], written.metrics["excluded"]) == (1, 1)


def test_a_row_that_is_no_longer_in_its_raw_day_is_unlabelled_and_not_excluded(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_window(tmp_path, {FIRST: {"p1": "late"}, BEFORE: {"p2": "late"}}, {FIRST: ["p1", "p2"], BEFORE: ["p3"]})

    found, written = labels(spark, tmp_path, Delivered())

    assert found == {"p1": 1}
    assert written.metrics["unlabelled"] == 2
    assert "excluded" not in written.metrics


def test_the_outcome_that_landed_last_counts_and_a_null_is_unknown_until_it_lands(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_window(tmp_path, {FIRST: {"p1": "late", "p2": None, "p3": None, "p4": "late"}, BEFORE: {"p5": "late"}})
    land_corrections(
        tmp_path,
        {
            FIRST: [("c1", "p4", "in time"), ("c2", "p5", "in time")],  # of p4 on its own day, of p5 before it
            BEFORE: [("c3", "p1", "late"), ("c4", "p2", "in time")],
            DAY: [("c6", "p1", "in time"), ("c5", "p1", "late"), ("c7", "p9", "late")],
        },
    )
    land_rows(tmp_path, "corrections", AFTER, [{"number": "c8", "parcel": "p3", "state": "late"}], Corrected())

    found, written = labels(spark, tmp_path, Corrected())

    assert found == {"p1": 0, "p2": 0, "p4": 0, "p5": 1}
    assert (written.metrics["labelled"], written.metrics["unlabelled"]) == (4, 1)
    assert "excluded" not in written.metrics


def test_an_outcome_in_the_row_that_is_outside_of_its_set_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: {"p1": "late"}, BEFORE: {"p2": "lost"}})

    with pytest.raises(BadData) as caught:
        labels(spark, tmp_path, Delivered())

    assert str(caught.value) == (
        "raw feed parcels of 2026-03-09: wanted 'state' to be one of 'late', 'in time'; found 'lost'. "
        "Next: land the day again, or add the value to the label's `allowed`"
    )


def test_what_becomes_known_later_is_never_null(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: {"p1": None}})
    land_corrections(tmp_path, {DAY: [("c1", "p1", None)]})

    with pytest.raises(BadData) as caught:
        labels(spark, tmp_path, Corrected())

    assert str(caught.value) == (
        f"raw feed corrections of 2026-03-10: {feed(tmp_path, 'corrections').directory(DAY)}: "
        "wanted no null in 'state'; found 1 of 1 rows. Next: land the day again, then run again"
    )


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_column_that_is_not_read_is_nowhere_in_the_frame(spark: SparkSession, tmp_path: Path, format: str) -> None:
    landed = feed(tmp_path, format=format)
    if format == "csv":
        land(landed, DAY, "state,sent,parcel,sender,fragile,weight\nlate,2026-03-10 12:00:00Z,p1,S1,true,2.5\n")
    else:
        land_rows(tmp_path, "parcels", DAY, [parcel("p1", state="late")], Delivered())
    days = landed.history(DAY, DAY)

    frame = raw.read(spark, days, Delivered.feeds["parcels"], without="state")

    assert frame.columns == ["parcel", "sender", "sent", "weight", "fragile", "landed"]
    assert [row["parcel"] for row in frame.collect()] == ["p1"]


def test_outcomes_before_a_day_are_those_of_earlier_days_alone(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: {"p1": "late", "p2": None}, BEFORE: {"p3": "in time"}})
    land_rows(tmp_path, "parcels", DAY, [parcel("p4", state="lost")], Delivered())
    days = history(tmp_path, FIRST, DAY)

    def found(before: date) -> list[Any]:
        return sorted(map(tuple, outcomes.past(spark, Delivered(), days, before).collect()))

    assert found(DAY) == [("p1", "late", FIRST), ("p3", "in time", BEFORE)]
    assert found(BEFORE) == [("p1", "late", FIRST)]
    assert found(FIRST) == []
    with pytest.raises(BadData, match=r"^raw feed parcels of 2026-03-10: wanted 'state' to be one of"):
        found(AFTER)
