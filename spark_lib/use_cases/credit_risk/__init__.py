"""Credit risk: how likely is it that a loan ends in default? A loan is scored on the day of its application.

Two feeds land: ``applications``, which are scored, and ``outcomes``, days or weeks later. Importing this module does
not import pyspark, because planning needs only the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_lib.use_case import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SECONDS_A_DAY = 86_400
_EXACT_AMOUNT = "DECIMAL(28, 6)"  # a sum of these is DECIMAL(38, 6): room for 10^10 loans of any amount
_EXACT_SUM = "DECIMAL(38, 6)"
#: The sums over loans that the average and the number of previous loans are made of.
_SUMS = {"loans": "bigint", "amounts": "bigint", "total": _EXACT_SUM}


class CreditRisk(UseCase):
    """The probability that a loan ends in ``default``, from five features known when it is applied for."""

    feeds = {
        "applications": Feed(
            "loan_id STRING, customer_id STRING, birth_date DATE, job_start_date DATE, flag_own_car BOOLEAN, "
            "loan_amount DOUBLE, loan_time TIMESTAMP",
            key="loan_id",
        ),
        "outcomes": Feed("loan_id STRING, status STRING", key="loan_id"),
    }
    rows = "applications"
    entity = "customer_id"
    event_time = "loan_time"
    label = Label(feed="outcomes", key="loan_id", column="status", positive="default", allowed=("default", "repaid"))
    features = {
        "nb_previous_loans": Feature("BIGINT"),
        "avg_amount_loans_previous": Feature("DOUBLE", fill=0.0),
        "age": Feature("INT", fill=-1.0),
        "years_on_the_job": Feature("INT", fill=-1.0),
        "flag_own_car": Feature("BOOLEAN", fill=0.0),
    }
    settings = {"pipeline.first_date": "2026-01-01"}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """One row for each loan of ``day``: ``loan_id`` and the five features, in order.

        Previous loans are those of the same customer with an earlier ``loan_time`` that have landed by that day. Loans
        of the same instant do not count for each other. The average is null where there are no previous loans. Age and
        years on the job are null where the date is null or later than the loan.
        """
        return self.engineer_from_state(day, None, history)

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        """Of each customer the number of loans, the number and the sum of those amounts that are known, and the time of
        the newest loan."""
        from pyspark.sql import functions as F

        amount = exact_amount(F.col("loan_amount"))
        loans = recent["applications"].where("loan_time is not null")
        found = loans.select(
            "customer_id",
            F.lit(1).cast("bigint").alias("loans"),
            F.when(amount.isNotNull(), 1).otherwise(0).cast("bigint").alias("amounts"),
            amount.cast(_EXACT_SUM).alias("total"),
            F.col("loan_time").alias("newest"),
        )
        counted = found if state is None else state.select(*found.columns).union(found)
        return counted.groupBy("customer_id").agg(
            F.sum("loans").alias("loans"),
            F.sum("amounts").alias("amounts"),
            exact_sum(F.col("total")).alias("total"),
            F.max("newest").alias("newest"),
        )

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        """The features of ``day``: previous loans are those of the ``state`` and the earlier ones among ``recent``."""
        previous = previous_loans(day, recent["applications"], ["loan_id"])
        return features_of(day, previous if state is None else with_state(day, previous, state), ["loan_id"])

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The same for loans of many days: previous loans have landed by the day on which the loan itself did."""
        from pyspark.sql import functions as F

        known = F.col("earlier_landed") <= F.col("landed")
        previous = previous_loans(days, history["applications"], ["landed", "loan_id"], known)
        return features_of(days, previous, ["landed", "loan_id"])


def features_of(loans: DataFrame, previous: DataFrame, key: list[str]) -> DataFrame:
    """The features of ``loans``, which have this ``key``, with those of them that have ``previous`` loans."""
    from pyspark.sql import functions as F

    loan_date = utc_date(F.col("loan_time"))
    return loans.join(previous, on=key, how="left").select(
        *key,
        F.coalesce(F.col("loans"), F.lit(0)).cast("bigint").alias("nb_previous_loans"),
        exact_average(F.col("total"), F.col("amounts")).alias("avg_amount_loans_previous"),
        completed_years(F.col("birth_date"), loan_date).alias("age"),
        completed_years(F.col("job_start_date"), loan_date).alias("years_on_the_job"),
        F.col("flag_own_car"),
    )


def previous_loans(loans: DataFrame, applications: DataFrame, key: list[str], *more: Column) -> DataFrame:
    """Of those ``loans`` that have previous ones, for which ``more`` conditions hold: the ``key``, the number of previous
    ``loans``, and the number and the ``total`` of those ``amounts`` that are known."""
    from pyspark.sql import functions as F

    # Every column is renamed: `loans` may be a part of `applications`, and a join must not mistake one for the other.
    earlier = applications.select(
        F.col("customer_id").alias("earlier_customer_id"),
        F.col("loan_time").alias("earlier_loan_time"),
        exact_amount(F.col("loan_amount")).alias("earlier_amount"),
        F.col("landed").alias("earlier_landed"),
    )
    same_customer = F.col("earlier_customer_id") == F.col("customer_id")
    strictly_earlier = F.col("earlier_loan_time") < F.col("loan_time")
    return (
        loans.select(*key, "customer_id", "loan_time")
        .join(earlier, on=[same_customer, strictly_earlier, *more], how="inner")
        .groupBy(*key)
        .agg(
            F.count(F.lit(1)).alias("loans"),
            F.count("earlier_amount").alias("amounts"),
            exact_sum(F.col("earlier_amount")).alias("total"),
        )
    )


def with_state(loans: DataFrame, previous: DataFrame, state: DataFrame) -> DataFrame:
    """What ``previous_loans`` returns, with the loans that count in the ``state`` of each customer."""
    from pyspark.sql import functions as F

    known = state.select("customer_id", *(F.col(name).alias(f"state_{name}") for name in _SUMS))
    # A sum is null where nothing was added up, and so is what was not joined.
    zero = F.lit(0).cast(_EXACT_SUM)
    both = {name: F.coalesce(F.col(name), zero) + F.coalesce(F.col(f"state_{name}"), zero) for name in _SUMS}
    joined = loans.select("loan_id", "customer_id").join(previous, "loan_id", "left").join(known, "customer_id", "left")
    return joined.select("loan_id", *(both[name].cast(_SUMS[name]).alias(name) for name in _SUMS))


def exact_amount(amount: Column) -> Column:
    """``amount`` to a millionth as a decimal; null where it is not a finite number below 10^22."""
    return amount.try_cast(_EXACT_AMOUNT)


def exact_sum(amount: Column) -> Column:
    """The sum of decimals. A sum of doubles would depend on the order of the rows."""
    from pyspark.sql import functions as F

    return F.sum(amount).cast(_EXACT_SUM)


def exact_average(total: Column, amounts: Column) -> Column:
    """The average of so many decimals as a double."""
    from pyspark.sql import functions as F

    return F.try_divide(total.cast("double"), amounts)


def utc_date(instant: Column) -> Column:
    """The date of a timestamp in UTC, whatever the time zone of the session."""
    from pyspark.sql import functions as F

    return F.date_from_unix_date(F.floor(F.unix_seconds(instant) / _SECONDS_A_DAY).cast("int"))


def completed_years(since: Column, at: Column) -> Column:
    """Calendar years completed between two dates; null where either is null or ``since`` is later than ``at``.

    A person born on 29 February completes a year on 1 March of a common year.
    """
    from pyspark.sql import functions as F

    anniversary_to_come = month_and_day(at) < month_and_day(since)
    years = F.year(at) - F.year(since) - anniversary_to_come.cast("int")
    return F.when(since <= at, years)


def month_and_day(date: Column) -> Column:
    """A number that orders the days of a year alike in leap and common years: 229 is 29 February."""
    from pyspark.sql import functions as F

    return F.month(date) * 100 + F.dayofmonth(date)
