"""Leaks of the future to plant into the product: what has to be found once it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.frames import raw
from spark_lib.lake import RawDays
from spark_lib.learning import resampling, splitting
from spark_lib.stages import balancing, outcomes
from spark_lib.use_case import Feature, Feed, UseCase, declarations
from spark_lib.use_cases import credit_risk
from tests.spark.lakes import Parcels


def a_day_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read of several days, history or outcomes, goes on for a day."""
    read = raw.read

    def further(spark: SparkSession, days: RawDays, feed: Feed, without: str | None = None) -> DataFrame:
        next_day = days.feed.day(days.last.date + timedelta(days=1))
        assert next_day is not None
        return read(spark, days if len(days.days) == 1 else replace(days, days=(*days.days, next_day)), feed, without)

    monkeypatch.setattr(raw, "read", further)


def ties_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """``<=`` for ``<``: what happens a microsecond before the next instant is at this one."""
    strict = credit_risk.previous_loans

    def loose(loans: DataFrame, *more: Any) -> DataFrame:
        return strict(loans.withColumn("loan_time", F.col("loan_time") + F.expr("INTERVAL 1 MICROSECOND")), *more)

    monkeypatch.setattr(credit_risk, "previous_loans", loose)


def what_lands_later_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loans of many days are engineered as if all of them had landed on one."""
    strict = credit_risk.previous_loans

    def loose(loans: DataFrame, applications: DataFrame, key: list[str], *conditions: Column) -> DataFrame:
        return strict(loans, applications, key)

    monkeypatch.setattr(credit_risk, "previous_loans", loose)


def the_first_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the sum of amounts, that of whichever loan comes first."""

    def first(amount: Column) -> Column:
        return F.first(amount, ignorenulls=True).cast("decimal(38, 6)")

    monkeypatch.setattr(credit_risk, "exact_sum", first)


def age_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Years are counted to the day of the run, by Python's clock, not to that of the loan."""
    today = datetime.now(UTC).date()
    monkeypatch.setattr(credit_risk, "utc_date", lambda instant: F.lit(today))


def age_of_sparks_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by Spark's clock."""
    monkeypatch.setattr(credit_risk, "utc_date", lambda instant: F.to_date(F.now()))


def undersampled_before_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    def balanced(rows: DataFrame) -> DataFrame:
        few = rows.where("label = 1")
        return few.unionByName(resampling.drawn(rows.where("label = 0"), "parcel", few.count(), 0))

    before_the_split(monkeypatch, balanced)


def oversampled_before_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    before_the_split(monkeypatch, lambda rows: rows.unionByName(rows.where("label = 1")))


def synthesised_before_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made rows with keys of their own, and of nobody: they are on any side."""

    def balanced(rows: DataFrame) -> DataFrame:
        return rows.unionByName(
            rows.where("label = 1").withColumns({name: made_up(name) for name in ("parcel", "sender")})
        )

    before_the_split(monkeypatch, balanced)


def made_up(name: str) -> Column:
    return F.concat(F.lit("made of "), F.col(name))


def before_the_split(monkeypatch: pytest.MonkeyPatch, change: Callable[[DataFrame], DataFrame]) -> None:
    split = balancing.split
    monkeypatch.setattr(balancing, "split", lambda rows, *more: split(change(rows), *more))


def split_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is drawn for itself, whoever it is of."""
    split = balancing.split
    monkeypatch.setattr(balancing, "split", lambda rows, salt, entity, *more: split(rows, salt, "parcel", *more))


def split_by_day_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entity that came before is on the side of each of its days."""

    def leaking(
        rows: DataFrame, salt: str, entity: str, settings: Mapping[str, Any], first: date, days: int
    ) -> DataFrame:
        place = F.date_diff("landed", F.lit(first)) / F.lit(days)
        return rows.withColumn("side", splitting.side(place, settings))

    monkeypatch.setattr(balancing, "split", leaking)


def outcomes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """``engineer`` is given every feed."""
    monkeypatch.setattr(UseCase, "feature_feeds", property(lambda case: list(case.feeds)))


def the_label_is_only_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The label's column is read, and taken out of the frame, where Spark still finds it for a filter or a sort."""
    read = raw.read

    def dropped(spark: SparkSession, days: RawDays, feed: Feed, without: str | None = None) -> DataFrame:
        frame = read(spark, days, feed)
        return frame.drop(without) if without else frame

    monkeypatch.setattr(raw, "read", dropped)


def outcomes_of_the_day_are_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """What landed on the day counts as landed before it."""
    past = outcomes.past

    def further(spark: SparkSession, case: UseCase, days: RawDays, before: date, **more: Any) -> DataFrame:
        return past(spark, case, days, before + timedelta(days=1), **more)

    monkeypatch.setattr(outcomes, "past", further)


def names_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "_columns_of_label", lambda case: {})


class Told(Parcels):
    """A use case whose feed of rows was made in hindsight: it brings how each parcel arrived."""

    feeds = dict(Parcels.feeds) | {"parcels": Feed(f"{Parcels.feeds['parcels'].schema}, state STRING", key="parcel")}
    features = dict(Parcels.features) | {"state": Feature("BOOLEAN")}
