"""Features from a snapshot are those from all raw days, row by row; and a state that cannot work is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import UseCaseError
from spark_lib.lake import ROWS_FROM_RAW, Attempt, Lake, Partition
from spark_lib.stages import features, snapshot, trial
from spark_lib.use_case import Feature, Feed, UseCase
from spark_lib.use_cases.credit_risk import CreditRisk
from tests.spark.histories import LAST, day_of, drawn, land_rows_of
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    Delivered,
    Parcels,
    feed,
    land_rows,
    noon,
    parcel,
    rows_of,
)

SETTINGS = {"trees": 3, "depth": 3, "seed": 0, "balancing": "undersample"}
FIRST = day_of(-3)


class Counted(Parcels):
    """``earlier`` and nothing else, from a state."""

    features = {"earlier": Feature("BIGINT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return self.engineer_from_state(day, None, history)

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        sent = recent["parcels"].select(
            "sender", F.lit(1).cast("bigint").alias("parcels"), F.col("sent").alias("newest")
        )
        known = sent if state is None else state.unionByName(sent)
        return known.groupBy("sender").agg(F.sum("parcels").alias("parcels"), F.max("newest").alias("newest"))

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        sent = recent["parcels"].select(F.col("sender").alias("by"), F.col("sent").alias("at"))
        joined = day.join(sent, (F.col("by") == F.col("sender")) & (F.col("at") < F.col("sent")), "left")
        counted = joined.groupBy("parcel", "sender").agg(F.count("at").alias("earlier"))
        if state is None:
            return counted.select("parcel", "earlier")
        known = counted.join(state.select("sender", "parcels"), "sender", "left")
        return known.select("parcel", (F.col("earlier") + F.coalesce("parcels", F.lit(0))).alias("earlier"))


class Rated(Parcels):
    """Senders are known by how their parcels arrived, which says who the sender was."""

    feeds = dict(Parcels.feeds) | {
        "arrivals": Feed("parcel STRING, sender STRING, state STRING", key="parcel", history=True)
    }
    features = {"known": Feature("BIGINT"), "late": Feature("BIGINT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return self.engineer_from_state(day, None, history)

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        found = recent["arrivals"].select(
            "sender", F.lit(1).alias("known"), F.when(F.col("state") == "late", 1).otherwise(0).alias("late")
        )
        known = found if state is None else state.drop("newest").unionByName(found)
        return known.groupBy("sender").agg(
            *(F.sum(name).cast("bigint").alias(name) for name in self.features),
            F.lit(None).cast("timestamp").alias("newest"),
        )

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        known = self.update_state(state, recent)
        zeroes = [F.coalesce(name, F.lit(0)).cast("bigint").alias(name) for name in self.features]
        return day.join(known.drop("newest"), "sender", "left").select("parcel", *zeroes)


class SeenBefore(Delivered):
    """Every parcel is its own entity, lands again and again, and has no time: how it did before is known."""

    feeds = {"parcels": replace(Delivered.feeds["parcels"], history=True)}
    entity = None
    event_time = None
    features = {"landed_before": Feature("BIGINT"), "late": Feature("BIGINT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return self.engineer_from_state(day, None, history)

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        landed = recent["parcels"].select("parcel", F.lit(1).alias("landed_before"), F.lit(0).alias("late"))
        is_late = F.when(F.col("state") == "late", 1).otherwise(0)
        told = recent[self.rows_outcomes].select("parcel", F.lit(0).alias("landed_before"), is_late.alias("late"))
        known = landed.unionByName(told)
        known = known if state is None else known.unionByName(state)
        return known.groupBy("parcel").agg(*(F.sum(name).cast("bigint").alias(name) for name in self.features))

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        today = day.select("landed").distinct()
        earlier = recent["parcels"].join(today, "landed", "left_anti")
        known = self.update_state(state, dict(recent) | {"parcels": earlier})
        zeroes = [F.coalesce(name, F.lit(0)).cast("bigint").alias(name) for name in self.features]
        return day.select("parcel").join(known, "parcel", "left").select("parcel", *zeroes)


class Lakes:
    """Features and snapshots of a use case, over the raw days of a root."""

    def __init__(self, spark: SparkSession, root: Path, case: UseCase, first: date) -> None:
        self._spark, self._root, self._case, self._first = spark, root, case, first
        self._lake = Lake(str(root), CASE)

    def raw(self, last: date, last_outcomes: date) -> dict[str, Any]:
        ends = dict.fromkeys(self._case.past_outcome_feeds, last_outcomes)
        names = [*self._case.feature_feeds, *ends]
        return {name: feed(self._root, name).history(self._first, ends.get(name, last)) for name in names}

    def published(self, dataset: str, day: date, build: Callable[[str], Any]) -> Partition:
        with Attempt(self._lake, dataset, [day], stage="Test") as attempt:
            attempt.commit(build(attempt.destination))
        return self._lake.require(dataset, day)[0]

    def from_all(self, day: date) -> Partition:
        raw = self.raw(day, day - timedelta(days=1))
        return self.published(
            "features", day, lambda url: features.build(self._spark, self._case, raw, url, ANY_FILE_ROWS)
        )

    def snapshot(self, day: date, before: Partition | None) -> Partition:
        raw = self.raw(day, day)
        return self.published(
            f"snapshots_{before.date if before else 'all'}",
            day,
            lambda url: snapshot.build(self._spark, self._case, raw, before, url, ANY_FILE_ROWS),
        )

    def from_snapshot(self, day: date, kept: Partition) -> Partition:
        raw = self.raw(day, day - timedelta(days=1))
        return self.published(
            f"features_of_{kept.dataset}_{kept.date}",
            day,
            lambda url: snapshot.build_features(self._spark, self._case, raw, kept, url, ANY_FILE_ROWS),
        )

    def line(self, wanted: Sequence[date]) -> list[Partition]:
        """A snapshot of each day, each built from the one before it."""
        found: list[Partition] = []
        for day in wanted:
            found.append(self.snapshot(day, found[-1] if found else None))
        return found


def check_equal(one: Partition, other: Partition) -> None:
    assert rows_of(one) == rows_of(other)
    assert (one.manifest.schema, one.manifest.digest) == (other.manifest.schema, other.manifest.digest)


def test_of_two_hundred_drawn_histories_features_from_any_snapshot_are_those_from_all_raw_days(
    spark: SparkSession, tmp_path: Path
) -> None:
    entities = {f"entity {number}": found.rows() for number, found in enumerate(drawn())}
    land_rows_of(tmp_path, CreditRisk(), entities, lambda rows: None)
    lakes = Lakes(spark, tmp_path, CreditRisk(), FIRST)
    line = lakes.line([day_of(-2), day_of(0), day_of(LAST - 1)])

    built = [lakes.from_snapshot(kept.date + timedelta(days=1), kept) for kept in line]
    built.append(lakes.from_snapshot(day_of(LAST), line[0]))

    each = {day: lakes.from_all(day) for day in {found.date for found in built}}
    for found in built:
        check_equal(each[found.date], found)
        assert 0 < found.manifest.metrics[ROWS_FROM_RAW] < found.manifest.rows()
    check_equal(lakes.snapshot(line[-1].date, None), line[-1])


def land_parcels(root: Path, case: UseCase) -> None:
    """Five days: senders that come back, late rows, a day without any, keys that land again, and outcomes."""
    late = {"state": "late"} if case.label_lands_with_rows else {}
    of_day = {
        -3: [parcel("p1", **late), parcel("p2", "S2", noon(FIRST), **late)],
        -2: [parcel("p3", sent=noon(FIRST), **late), parcel("p1", sent=noon(AFTER), **late)],
        -1: [],
        0: [parcel("late", sent=noon(FIRST, hours=-1), **late), parcel("p4", "S2", noon(), **late)],
        1: [parcel("p1", sent=noon(AFTER, hours=1)), parcel("p5", "S2", noon(AFTER)), parcel("p6", "S3")],
    }
    told = {-3: [("p0", "S1", "late")], -1: [("p1", "S1", "late"), ("p2", "S2", "in time")], 0: [("p3", "S1", "late")]}
    for offset, rows in of_day.items():
        extra = {"state": None} if case.label_lands_with_rows else {}
        land_rows(root, "parcels", day_of(offset), [extra | row for row in rows], case)
        if not case.label_lands_with_rows:
            arrived = [dict(zip(("parcel", "sender", "state"), each, strict=True)) for each in told.get(offset, [])]
            columns = case.feeds["arrivals"].schema
            rows = [{name: value for name, value in row.items() if name in columns} for row in arrived]
            land_rows(root, "arrivals", day_of(offset), rows, case)


@pytest.mark.parametrize("case", [Counted(), Rated(), SeenBefore()], ids=lambda case: type(case).__name__)
def test_past_outcomes_days_without_rows_and_rows_without_a_time_make_no_difference(
    spark: SparkSession, tmp_path: Path, case: UseCase
) -> None:
    land_parcels(tmp_path, case)
    lakes = Lakes(spark, tmp_path, case, FIRST)
    line = lakes.line([FIRST, BEFORE, DAY])
    each = {day: lakes.from_all(day) for day in (DAY, AFTER)}

    for day, kept in [(DAY, line[0]), (DAY, line[1]), (AFTER, line[2])]:
        check_equal(each[day], lakes.from_snapshot(day, kept))


class Changed(Counted):
    """Its state goes through ``change`` at the end."""

    def __init__(self, change: Callable[[DataFrame], DataFrame]) -> None:
        self._change = change

    engineer = Counted.engineer
    engineer_from_state = Counted.engineer_from_state

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        return self._change(super().update_state(state, recent))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.drop("newest"),
            "the columns newest timestamp, sender string, and what features need; found parcels bigint, sender string",
        ),
        (
            lambda state: state.withColumns({"parcels": F.lit(1.5), "all": F.array(F.lit(1.5).cast("float"))}),
            "sums of integers or decimals, which no order of the rows changes; found all array<float>, parcels double",
        ),
        (
            lambda state: state.union(state),
            "one row for each sender; found 2 of 'S1'",
        ),
    ],
    ids=["no newest", "floats", "two rows"],
)
def test_a_state_that_cannot_work_is_refused(spark: SparkSession, tmp_path: Path, change: Any, message: str) -> None:
    land_parcels(tmp_path, Counted())

    with pytest.raises(UseCaseError) as refused:
        Lakes(spark, tmp_path, Changed(change), FIRST).snapshot(FIRST, None)

    assert str(refused.value) == (
        f"update_state of Changed: wanted {message}. Next: correct update_state; nothing was published"
    )


def test_a_state_whose_columns_change_from_snapshot_to_snapshot_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_parcels(tmp_path, Counted())
    widened = Changed(lambda state: state.withColumn("parcels", F.col("parcels").cast("decimal(20, 0)")))
    kept = Lakes(spark, tmp_path, Counted(), FIRST).snapshot(FIRST, None)

    with pytest.raises(UseCaseError) as refused:
        Lakes(spark, tmp_path, widened, FIRST).snapshot(day_of(-2), kept)

    assert str(refused.value) == (
        "update_state of Changed: wanted the columns of the state before, newest timestamp, parcels bigint, sender string; "
        "found newest timestamp, parcels decimal(20,0), sender string. Next: correct update_state; nothing was published"
    )


class Forgetful(Counted):
    """Each snapshot knows the rows since the last one alone."""

    engineer = Counted.engineer
    engineer_from_state = Counted.engineer_from_state

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        return super().update_state(None, recent)


def checks(spark: SparkSession, root: Path, case: UseCase) -> list[trial.Tried]:
    feeds = {name: feed(root, name) for name in case.feeds}
    return [one for one in trial.examine(lambda: spark, case, feeds, BEFORE, SETTINGS) if one.what == "engineer"]


def test_check_finds_a_state_that_forgets(spark: SparkSession, tmp_path: Path) -> None:
    for day in (BEFORE, DAY):  # every sender once
        land_rows(
            tmp_path, "parcels", day, [parcel(f"{day}", f"S{day}", noon(day)), parcel(f"2 {day}", "S2", noon(day))]
        )
        land_rows(tmp_path, "arrivals", day, [])

    honest, forgetful = (checks(spark, tmp_path, case) for case in (Counted(), Forgetful()))

    assert [one.text for one in honest if one.error] == []
    assert honest[-1].text == "engineer_from_state gives for 3 drawn days what engineer gives from all rows"
    (fault,) = [one.text for one in forgetful if one.error]
    assert fault.startswith(
        "engineer_from_state of Forgetful: wanted from the state and the rows since what engineer gives from all rows; found "
        "'earlier' of "
    )
    assert fault.endswith(
        "Next: let update_state keep all that engineer looks at, and engineer_from_state add what is recent"
    )


def test_a_subclass_with_another_engineer_has_no_state_and_one_form_alone_is_none() -> None:
    class Other(Counted):
        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            return day.select("parcel", F.lit(0).cast("bigint").alias("earlier"))

    assert [case.has_state for case in (Counted(), Forgetful(), CreditRisk())] == [True, True, True]
    assert [case.has_state for case in (Parcels(), Other())] == [False, False]
