"""The features of credit_risk: point-in-time, by the calendar, whatever the order of the rows."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from spark_lib.use_case import load
from spark_lib.use_cases.credit_risk import CreditRisk, completed_years, sample, utc_date

SCHEMA = CreditRisk.feeds["applications"].schema
COLUMNS = ["loan_id", *CreditRisk.features]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def loan(loan_id: str, at: datetime | None = NOON, customer: str = "C1", amount: float | None = 100.0, **more) -> dict:
    known = {"birth_date": date(1990, 1, 1), "job_start_date": date(2020, 1, 1), "flag_own_car": True}
    return {"loan_id": loan_id, "customer_id": customer, "loan_amount": amount, "loan_time": at, **known, **more}


def applications(spark: SparkSession, loans: list[dict]) -> DataFrame:
    """Loans as they land: on the UTC day of their time."""
    rows = spark.createDataFrame(pa.Table.from_pylist(loans, sample.APPLICATIONS), SCHEMA)
    return rows.withColumn("landed", F.to_date("loan_time"))


def engineer(spark: SparkSession, day: list[dict], earlier: list[dict] | None = None) -> dict[str, Row]:
    """The features of ``day`` by loan, with ``earlier`` and the day itself as the history."""
    history = applications(spark, (earlier or []) + day)
    return {row.loan_id: row for row in features(applications(spark, day).drop("landed"), history).collect()}


def features(day: DataFrame, history: DataFrame) -> DataFrame:
    return CreditRisk().engineer(day, {"applications": history})


def test_the_columns_are_the_key_and_the_declared_features_with_their_types(spark):
    made = features(applications(spark, [loan("L1")]).drop("landed"), applications(spark, [loan("L1")]))
    types = {field.name: field.dataType.simpleString().upper() for field in made.schema}
    assert list(types) == COLUMNS
    assert list(types.values()) == ["STRING", *(feature.type for feature in CreditRisk.features.values())]


def test_a_first_loan_has_no_previous_loans_and_no_average(spark):
    row = engineer(spark, [loan("L1")])["L1"]
    assert (row.nb_previous_loans, row.avg_amount_loans_previous) == (0, None)


def test_previous_loans_are_those_of_the_same_customer_with_an_earlier_time(spark):
    earlier = [loan("L1", NOON - timedelta(days=9), amount=10.0), loan("L2", NOON - timedelta(days=1), amount=30.0)]
    others = [loan("L3", NOON - timedelta(days=1), customer="C2", amount=999.0)]
    row = engineer(spark, [loan("L4")], earlier + others)["L4"]
    assert (row.nb_previous_loans, row.avg_amount_loans_previous) == (2, 20.0)


def test_a_loan_earlier_on_the_same_day_counts_and_a_later_one_does_not(spark):
    rows = engineer(spark, [loan("L1"), loan("L2", NOON + timedelta(microseconds=1))])
    assert [rows[key].nb_previous_loans for key in ("L1", "L2")] == [0, 1]


def test_loans_of_one_instant_do_not_see_each_other(spark):
    rows = engineer(spark, [loan("L1"), loan("L2")], [loan("L3", NOON - timedelta(days=1))])
    assert [rows[key].nb_previous_loans for key in ("L1", "L2")] == [1, 1]


def test_a_previous_loan_without_an_amount_counts_but_has_no_part_in_the_average(spark):
    earlier = [
        loan("L1", NOON - timedelta(days=3), amount=None),
        loan("L2", NOON - timedelta(days=2), amount=float("nan")),
        loan("L3", NOON - timedelta(days=1), amount=40.0),
    ]
    earlier += [loan("L4", NOON - timedelta(days=1), customer="C2", amount=None)]
    rows = engineer(spark, [loan("L5"), loan("L6", customer="C2")], earlier)
    assert (rows["L5"].nb_previous_loans, rows["L5"].avg_amount_loans_previous) == (3, 40.0)
    assert (rows["L6"].nb_previous_loans, rows["L6"].avg_amount_loans_previous) == (1, None)


def test_the_average_does_not_depend_on_the_order_of_the_rows(spark):
    amounts = [1e15, 0.01, -1e15, 0.02, 3e7, 0.1, 0.2, 0.3]
    earlier = [loan(f"L{n}", NOON - timedelta(days=n + 1), amount=amount) for n, amount in enumerate(amounts)]
    averages = set()
    for seed in range(3):
        random.Random(seed).shuffle(earlier)
        averages.add(engineer(spark, [loan("new")], earlier)["new"].avg_amount_loans_previous)
    assert averages == {30000000.63 / 8}


def test_a_day_that_is_a_part_of_its_history_is_not_taken_for_it(spark):
    history = applications(spark, [loan("L1", NOON - timedelta(days=1)), loan("L2")])
    rows = features(history.where(F.col("landed") == NOON.date()), history).collect()
    assert [(row.loan_id, row.nb_previous_loans) for row in rows] == [("L2", 1)]


def test_an_empty_day_has_no_features(spark):
    assert engineer(spark, [], [loan("L1")]) == {}


def test_unknown_dates_and_cars_stay_null(spark):
    row = engineer(spark, [loan("L1", birth_date=None, job_start_date=None, flag_own_car=None)])["L1"]
    assert (row.age, row.years_on_the_job, row.flag_own_car) == (None, None, None)


def test_years_are_completed_on_the_anniversary(spark):
    cases = [
        ("1990-03-10", "2026-03-09", 35),
        ("1990-03-10", "2026-03-10", 36),
        ("2026-03-10", "2026-03-10", 0),
        ("2026-03-11", "2026-03-10", None),
        ("2000-02-29", "2025-02-28", 24),
        ("2000-02-29", "2025-03-01", 25),
        ("2000-02-29", "2024-02-28", 23),
        ("2000-02-29", "2024-02-29", 24),
        ("1999-12-31", "2000-01-01", 0),
        (None, "2026-03-10", None),
    ]
    dates = spark.createDataFrame([case[:2] for case in cases], "since STRING, at STRING")
    years = completed_years(F.to_date("since"), F.to_date("at"))
    assert [tuple(row) for row in dates.select("since", "at", years).collect()] == cases


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_loan_is_dated_in_utc_in_any_time_zone_of_the_session(spark, zone):
    before = spark.conf.get("spark.sql.session.timeZone")
    micros = [-1, 0, 86_399_999_999, 86_400_000_000, 1_772_323_199_999_999, 1_772_323_200_000_000]
    try:
        spark.conf.set("spark.sql.session.timeZone", zone)
        instants = spark.createDataFrame([(n,) for n in micros], "n BIGINT").select(
            "n", F.timestamp_micros("n").alias("t")
        )
        found = {row.n: row.d for row in instants.select("n", utc_date(F.col("t")).alias("d")).collect()}
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    days = ["1969-12-31", "1970-01-01", "1970-01-01", "1970-01-02", "2026-02-28", "2026-03-01"]
    assert [str(found[n]) for n in micros] == days


CALENDAR = st.dates(date(1960, 1, 1), date(2025, 12, 31)) | st.sampled_from([date(2000, 2, 29), date(1996, 2, 28)])
LOANS = st.lists(
    st.fixed_dictionaries(
        {
            "customer": st.sampled_from(["C1", "C2", "C3"]),
            "at": st.sampled_from([NOON + timedelta(hours=n) for n in range(-72, 12, 6)]),
            "amount": st.none() | st.integers(0, 10**7).map(lambda cents: cents / 100),
            "birth_date": st.none() | CALENDAR,
            "job_start_date": st.none() | CALENDAR | st.dates(date(2026, 3, 1), date(2026, 4, 1)),
            "flag_own_car": st.none() | st.booleans(),
        }
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loans=LOANS)
def test_features_equal_an_independent_computation_in_pandas(spark, loans):
    loans = [loan(f"L{n:02}", **drawn) for n, drawn in enumerate(loans)]
    today = NOON.date()
    found = engineer(
        spark,
        [row for row in loans if row["loan_time"].date() == today],
        [row for row in loans if row["loan_time"].date() < today],
    )
    known = [row for row in loans if row["loan_time"].date() <= today]
    assert {key: tuple(row) for key, row in found.items()} == in_pandas(known, today)


def in_pandas(known: list[dict], today: date) -> dict[str, tuple]:
    frame = pd.DataFrame(known, columns=list(loan("L")))
    made = {}
    for row in known:
        if row["loan_time"].date() == today:
            before = frame[(frame["customer_id"] == row["customer_id"]) & (frame["loan_time"] < row["loan_time"])]
            cents = [round(amount * 100) for amount in before["loan_amount"].dropna()]
            average = sum(cents) / 100 / len(cents) if cents else None
            years = (anniversaries(row["birth_date"], today), anniversaries(row["job_start_date"], today))
            made[row["loan_id"]] = (row["loan_id"], len(before), average, *years, row["flag_own_car"])
    return made


def anniversaries(since: date | None, today: date) -> int | None:
    """Counted one by one; that of a 29 February is the day after the 28th."""
    if since is None or since > today:
        return None
    day_before = since - timedelta(days=1) if (since.month, since.day) == (2, 29) else since
    after = timedelta(days=day_before != since)
    return sum(day_before.replace(year=year) + after <= today for year in range(since.year + 1, today.year + 1))


def test_on_sample_data_the_features_give_the_true_probability(spark, tmp_path: Path):
    first, day = date(2026, 1, 1), date(2026, 1, 20)
    sample.write(lambda feed, on: tmp_path / feed / f"date={on}", tmp_path / "truth", first, 20, 200, 0)
    history = spark.read.parquet(*(str(path) for path in (tmp_path / "applications").iterdir()))
    history = history.withColumn("landed", F.to_date("loan_time"))
    made = features(history.where(F.col("landed") == day), history).toPandas().set_index("loan_id")
    made = made.fillna(
        {name: feature.fill for name, feature in CreditRisk.features.items() if feature.fill is not None}
    )
    truth = pd.read_parquet(tmp_path / "truth" / f"date={day}" / "part-0.parquet").set_index("loan_id")
    expected = sample.true_probability(*(made[name].to_numpy() for name in CreditRisk.features))
    assert made["nb_previous_loans"].max() > 3
    np.testing.assert_allclose(expected, truth["probability"].reindex(made.index), rtol=1e-12)


def test_its_declarations_fit_together():
    assert isinstance(load("credit_risk"), CreditRisk)


def test_importing_it_imports_no_pyspark_numpy_or_pandas():
    code = (
        "import sys; from spark_lib.use_case import load; load('credit_risk');"
        "sys.exit(any(name in sys.modules for name in ('pyspark', 'numpy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
