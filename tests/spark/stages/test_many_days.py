"""Features of many days by one job are those of each day alone: rows, schema, digest and inputs; and a look ahead is
found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import BadData, DaystoneError, UseCaseError
from spark_lib.lake import Attempt, Lake, Manifest, Partition, days
from spark_lib.stages import features, trial
from spark_lib.use_case import UseCase
from spark_lib.use_cases.credit_risk import CreditRisk
from spark_lib.use_cases.product_category import ProductCategory
from tests.spark.histories import LAST, day_of, drawn, land_rows_of
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    Delivered,
    Parcels,
    Reputed,
    arrival,
    feed,
    land,
    land_rows,
    noon,
    parcel,
    rows_of,
    table,
)
from tests.spark.leaks import what_lands_later_is_seen

SETTINGS = {"trees": 3, "depth": 3, "seed": 0, "balancing": "undersample"}
THREE = [BEFORE, DAY, AFTER]


def engineered(days: DataFrame, sent: DataFrame, *conditions: Any) -> DataFrame:
    """``earlier`` of parcels of many days."""
    before = sent.select(F.col("sender").alias("by"), F.col("sent").alias("at"), F.col("landed").alias("there"))
    earlier = [F.col("by") == F.col("sender"), F.col("at") < F.col("sent"), *conditions]
    joined = days.join(before, on=earlier, how="left")
    return joined.groupBy("landed", "parcel", "weight", "fragile").agg(F.count("at").alias("earlier"))


class Together(Parcels):
    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return engineered(days, history["parcels"], F.col("there") <= F.col("landed"))


class LookingAhead(Parcels):
    """``landed`` is not compared."""

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return engineered(days, history["parcels"])


class ReputedTogether(Reputed):
    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        past = history["arrivals"] if "arrivals" in history else history[self.rows_outcomes]
        sent = history["parcels"].select("parcel", F.col("sender").alias("by"))
        told = past.select("parcel", "state", F.col("landed").alias("there"))
        by_sender = told.join(sent.distinct(), "parcel", "inner").select("by", "state", "there")
        known = [F.col("by") == F.col("sender"), F.col("there") < F.col("landed")]
        joined = days.join(by_sender, known, "left").groupBy("landed", "parcel")
        return joined.agg(F.count("state").alias("known"), F.count_if(F.col("state") == "late").alias("late"))


class AsItLands(Parcels):
    """Features as they land: there is nothing to write for many days."""

    features = {name: Parcels.features[name] for name in ("weight", "fragile")}
    engineer = UseCase.engineer
    engineer_days = UseCase.engineer_days


def raw_of(root: Path, case: UseCase, first: date, last: date) -> dict[str, Any]:
    return {name: feed(root, name).history(first, last) for name in case.history_feeds}


def alone(spark: SparkSession, root: Path, case: UseCase, wanted: Sequence[date]) -> dict[date, Partition]:
    """Each day by a job of its own, on a lake of its own."""
    lake = Lake(str(root / "alone"), CASE)
    for day in wanted:
        with Attempt(lake, "features", [day], stage="Test") as attempt:
            raw = raw_of(root, case, wanted[0], day)
            attempt.commit(features.build(spark, case, raw, attempt.destination, ANY_FILE_ROWS))
    return {day: lake.require("features", day)[0] for day in wanted}


def together(spark: SparkSession, root: Path, case: UseCase, wanted: Sequence[date]) -> dict[date, Partition]:
    lake = Lake(str(root / "together"), CASE)
    with Attempt(lake, "features", wanted, stage="Test") as attempt:
        attempt.commit(
            features.build_days(spark, case, raw_of(root, case, wanted[0], wanted[-1]), attempt, ANY_FILE_ROWS)
        )
    return {day: lake.require("features", day)[0] for day in wanted}


def told(manifest: Manifest) -> tuple[Any, ...]:
    return manifest.schema, manifest.digest, manifest.rows(), manifest.sections


def check_alike(one: Mapping[date, Partition], other: Mapping[date, Partition]) -> None:
    assert {day: rows_of(found) for day, found in other.items()} == {day: rows_of(found) for day, found in one.items()}
    assert [told(found.manifest) for found in other.values()] == [told(found.manifest) for found in one.values()]


def test_two_hundred_drawn_histories_have_the_same_features_together_and_a_planted_look_ahead_is_found(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, wanted = CreditRisk(), days(day_of(-3), day_of(LAST))
    entities = {f"entity {number}": found.rows() for number, found in enumerate(drawn())}
    land_rows_of(tmp_path, case, entities, lambda rows: None)
    each = alone(spark, tmp_path, case, wanted)

    check_alike(each, together(spark, tmp_path / ".", case, wanted))

    what_lands_later_is_seen(monkeypatch)
    (tmp_path / "together").rename(tmp_path / "honest")
    with pytest.raises(AssertionError):
        check_alike(each, together(spark, tmp_path, case, wanted))


def land_parcels(root: Path, case: UseCase) -> None:
    """Three days: parcels that land late, one without any, and one key that lands again."""
    of_day = {
        BEFORE: [parcel("p1"), parcel("p2", "S2", noon(BEFORE))],
        DAY: [],
        AFTER: [parcel("p1", sent=noon(AFTER)), parcel("late", sent=noon(BEFORE, hours=-1)), parcel("p3", "S2")],
    }
    for day, rows in of_day.items():
        extra = {"state": "late"} if case.label_lands_with_rows else {}
        land_rows(root, "parcels", day, [row | extra for row in rows], case)
        if not case.label_lands_with_rows:
            land_rows(root, "arrivals", day, [arrival("p2", "late")] if day == DAY else [], case)


@pytest.mark.parametrize("case", [Together(), ReputedTogether(), AsItLands()], ids=lambda case: type(case).__name__)
def test_late_rows_days_without_rows_and_keys_that_land_again_make_no_difference(
    spark: SparkSession, tmp_path: Path, case: UseCase
) -> None:
    land_parcels(tmp_path, case)

    built = together(spark, tmp_path, case, THREE)

    check_alike(alone(spark, tmp_path, case, THREE), built)
    assert built[DAY].files() == []
    assert len({found.manifest.run for found in built.values()}) == 1
    shown = spark.sparkContext.getLocalProperty("spark.job.description")
    assert shown == f"features of {BEFORE} to {AFTER} (3 days)"


def test_a_label_that_lands_with_the_rows_is_not_read_for_many_days(spark: SparkSession, tmp_path: Path) -> None:
    class Peeking(Delivered):
        def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            return days.where("state = 'late'")

    land_parcels(tmp_path, Peeking())

    with pytest.raises(UseCaseError, match="found 'state' among the columns that it asks for"):
        together(spark, tmp_path, Peeking(), THREE)


def test_csv_feeds_are_read_once_for_all_days(spark: SparkSession, tmp_path: Path) -> None:
    case, header = ProductCategory(), "id_produto;nome;descricao;categoria;cadastro\n"
    raw = {}
    for day in (BEFORE, DAY):
        csv = feed(tmp_path, "products", format="csv", dialect=replace(feed(tmp_path).dialect, separator=";"))
        land(csv, day, f"{header}{day};um livro;;livro;{day}\n")
        raw["products"] = csv.history(BEFORE, day)
    lake = Lake(str(tmp_path / "lake"), CASE)

    with Attempt(lake, "features", [BEFORE, DAY], stage="Test") as attempt:
        attempt.commit(features.build_days(spark, case, raw, attempt, ANY_FILE_ROWS))

    assert [rows_of(found)[0]["id_produto"] for found in lake.require("features", BEFORE, DAY)] == [
        str(BEFORE),
        str(DAY),
    ]


def refused(spark: SparkSession, root: Path, case: UseCase) -> DaystoneError:
    with pytest.raises(DaystoneError) as caught:
        together(spark, root, case, THREE)
    assert not list((root / "together").rglob("*.parquet"))
    return caught.value


def test_a_key_that_lands_twice_on_a_day_is_refused_in_the_words_of_that_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_parcels(tmp_path, Together())
    land(feed(tmp_path), DAY, table(Together(), "parcels", [parcel("p7"), parcel("p7")]))

    error = refused(spark, tmp_path, Together())

    assert (type(error), error.where) == (BadData, f"raw feed parcels of {DAY}: {feed(tmp_path).directory(DAY)}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows.where("parcel != 'late'"),
            "engineer_days of Changed: wanted exactly one row for each of the day's 5 keys; found 1 lost, 0 too many, 0 of "
            "keys that are not the day's. Next: correct engineer; nothing was published",
        ),
        (
            lambda rows: rows.drop("landed"),
            "engineer_days of Changed: wanted the columns earlier bigint, fragile boolean, landed date, parcel string, weight "
            "double; found earlier bigint, fragile boolean, parcel string, weight double. Next: correct engineer_days or "
            "`features`",
        ),
        (
            lambda rows: rows.withColumn("weight", F.unix_timestamp().cast("double")),
            "engineer_days of Changed: wanted features that depend on what has landed alone; found a function of the moment of "
            "the run, as current_date() or now() is. Next: count from 'sent'; nothing was published",
        ),
    ],
    ids=["a row is lost", "landed is missing", "a clock"],
)
def test_what_engineer_days_returns_is_checked_as_that_of_engineer(
    spark: SparkSession, tmp_path: Path, change: Any, message: str
) -> None:
    class Changed(Together):
        def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            found: DataFrame = change(super().engineer_days(days, history))
            return found

    land_parcels(tmp_path, Changed())

    assert str(refused(spark, tmp_path, Changed())) == message


def faults(spark: SparkSession, root: Path, case: UseCase) -> list[str]:
    feeds = {name: feed(root, name) for name in case.feeds}
    found = [one for one in trial.examine(lambda: spark, case, feeds, BEFORE, SETTINGS) if one.what == "engineer"]
    return [one.text for one in found if one.error] or [found[-1].text]


def test_check_holds_both_forms_against_each_other_with_rows_that_land_late(
    spark: SparkSession, tmp_path: Path
) -> None:
    for day in (BEFORE, DAY):  # as they mostly land: every parcel on its day
        land_rows(tmp_path, "parcels", day, [parcel(f"{day}", sent=noon(day)), parcel(f"2 {day}", "S2", noon(day))])
        land_rows(tmp_path, "arrivals", day, [])

    assert faults(spark, tmp_path, Together()) == [
        "engineer_days gives for each of 2 days what engineer gives for it alone"
    ]
    (fault,) = faults(spark, tmp_path, LookingAhead())
    assert fault == (
        "engineer_days of LookingAhead: wanted for each day what engineer gives for that day alone; found 'earlier' of "
        f"'{BEFORE}' of {BEFORE} as 0 and then as 1, another in 2 of 6 rows. Next: compare 'landed' in every join: a row may "
        "see rows that landed up to its day, and outcomes that landed before it"
    )
