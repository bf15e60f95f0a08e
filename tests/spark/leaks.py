"""Leaks of the future to plant into the product: what has to be found once it is there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_lib.lake import RawFeed
from spark_lib.use_cases import credit_risk


def a_day_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """History is not cut."""
    cut = RawFeed.history
    monkeypatch.setattr(RawFeed, "history", lambda self, first, last: cut(self, first, last + timedelta(days=1)))


def ties_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """``<=`` for ``<``: what happens a microsecond before the next instant is at this one."""
    strict = credit_risk.previous_loans

    def loose(day: DataFrame, applications: DataFrame) -> DataFrame:
        return strict(day.withColumn("loan_time", F.col("loan_time") + F.expr("INTERVAL 1 MICROSECOND")), applications)

    monkeypatch.setattr(credit_risk, "previous_loans", loose)


def the_first_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the average, that of whichever loan comes first."""

    def first(amount: Column) -> Column:
        return F.first(amount, ignorenulls=True).cast("double")

    monkeypatch.setattr(credit_risk, "exact_average", first)
