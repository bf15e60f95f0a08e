"""SuperLender: will the first instalment of a loan be paid late? A use case as an adopter writes it, one module.

    PYTHONPATH=examples luigi --module tasks BatchInference --date 2017-07-03 --pipeline-use-case superlender:SuperLender

``land.py`` lands its two feeds. Features come from ``applications`` alone: Daystone never shows outcomes to ``engineer``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_lib import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


class SuperLender(UseCase):
    """The probability that nothing has been repaid by the end of the first due date, known at the loan's approval."""

    feeds = {
        "applications": Feed(
            "loan_id STRING, customer_id STRING, birth_date DATE, loan_amount DOUBLE, term_days INT, approved_time TIMESTAMP",
            key="loan_id",
        ),
        "outcomes": Feed("loan_id STRING, status STRING", key="loan_id"),
    }
    rows = "applications"
    entity = "customer_id"
    event_time = "approved_time"
    label = Label(feed="outcomes", key="loan_id", column="status", positive="late", allowed=("late", "on_time"))
    features = {
        "nb_previous_loans": Feature("BIGINT"),
        "avg_amount_loans_previous": Feature("DOUBLE", fill=0.0),
        "days_since_previous_loan": Feature("INT", fill=-1.0),
        "age": Feature("INT", fill=-1.0),
        "loan_amount": Feature("DOUBLE"),
        "term_days": Feature("INT"),
    }
    settings = {
        "pipeline.first_date": "2016-01-15",
        # First instalments are due 35 days after the approval at the latest, and lateness is known a day later.
        "training.label_delay_days": 37,
        "training.window_days": 180,
        # These few columns say little about who pays late: an area of about 0.6 is what there is to be had, and half a year
        # of loans (1,900 of them to validate on) shows it to about 0.03 up or down.
        "training.min_area_under_roc": 0.55,
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """One row for each loan of ``day``: ``loan_id`` and the features.

        Previous loans are the customer's with an earlier ``approved_time``; average and days are null where there are
        none, age where the birth date is not known.
        """
        return features_of(day, previous_loans(day, history["applications"], ["loan_id"]), ["loan_id"])

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The same for loans of many days: previous loans have landed by the day on which the loan itself did."""
        from pyspark.sql import functions as F

        known = F.col("earlier_landed") <= F.col("landed")
        previous = previous_loans(days, history["applications"], ["landed", "loan_id"], known)
        return features_of(days, previous, ["landed", "loan_id"])


def features_of(loans: DataFrame, previous: DataFrame, key: list[str]) -> DataFrame:
    """The features of ``loans``, which have this ``key``."""
    from pyspark.sql import functions as F

    approved_on = F.to_date("approved_time")
    return loans.join(previous, on=key, how="left").select(
        *key,
        F.coalesce("nb_previous_loans", F.lit(0)).alias("nb_previous_loans"),
        "avg_amount_loans_previous",
        F.date_diff(approved_on, F.to_date("previous_time")).alias("days_since_previous_loan"),
        age(F.col("birth_date"), approved_on).alias("age"),
        "loan_amount",
        "term_days",
    )


def previous_loans(loans: DataFrame, applications: DataFrame, key: list[str], *more: Column) -> DataFrame:
    """Those of ``loans`` that have previous ones: how many, their average amount and the time of the latest. ``more``
    are conditions that a previous loan has to meet."""
    from pyspark.sql import functions as F

    # Renamed, since `loans` is a part of `applications`: a join must not mistake one for the other.
    earlier = applications.select(
        F.col("customer_id").alias("earlier_customer_id"),
        F.col("approved_time").alias("earlier_time"),
        F.col("loan_amount").alias("earlier_amount"),
        F.col("landed").alias("earlier_landed"),
    )
    same_customer = F.col("earlier_customer_id") == F.col("customer_id")
    strictly_earlier = F.col("earlier_time") < F.col("approved_time")
    return (
        loans.select(*key, "customer_id", "approved_time")
        .join(earlier, on=[same_customer, strictly_earlier, *more], how="inner")
        .groupBy(*key)
        .agg(
            F.count(F.lit(1)).alias("nb_previous_loans"),
            # Amounts are whole numbers: their sum is exact in any order.
            F.avg("earlier_amount").alias("avg_amount_loans_previous"),
            F.max("earlier_time").alias("previous_time"),
        )
    )


def age(birth_date: Column, on: Column) -> Column:
    """Completed years; null where the birth date is."""
    from pyspark.sql import functions as F

    birthday_to_come = F.date_format(on, "MMdd") < F.date_format(birth_date, "MMdd")
    return F.year(on) - F.year(birth_date) - birthday_to_come.cast("int")
