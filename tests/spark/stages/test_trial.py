"""What ``check`` says of a use case: bad ones, each wrong in its own way, and good ones."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.neighbors import KNeighborsClassifier

from spark_lib.errors import BadData, HoleInHistory, UseCaseError
from spark_lib.stages import trial
from spark_lib.stages.trial import Tried, clock, driver, engineering, sample
from spark_lib.stages.trial.blame import of_their_code
from spark_lib.use_case import UseCase
from tests.spark.lakes import (
    BEFORE,
    DAY,
    Engineered,
    Estimated,
    Parcels,
    ReputedDelivered,
    arrival,
    feed,
    land,
    land_rows,
    noon,
    parcel,
    table,
)

SETTINGS = {"trees": 3, "depth": 3, "seed": 0, "balancing": "undersample"}
OF_DAY = [parcel("p3"), parcel("p4", sent=noon(hours=1)), parcel("p5", "S2")]


def land_parcels(root: Path, of_day: Any = OF_DAY) -> None:
    land_rows(root, "parcels", BEFORE, [parcel("p1", sent=noon(BEFORE)), parcel("p2", "S2", noon(BEFORE))])
    if isinstance(of_day, pa.Table):
        land(feed(root), DAY, of_day)
    else:
        land_rows(root, "parcels", DAY, of_day)


def land_arrivals(root: Path, *states: str) -> None:
    land_rows(root, "arrivals", BEFORE, [])
    land_rows(root, "arrivals", DAY, [arrival(f"p{number}", state) for number, state in enumerate(states, 1)])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    land_parcels(root)
    land_arrivals(root, "late", "in time")
    return root


def tried(spark: SparkSession, root: Path, case: UseCase) -> list[Tried]:
    feeds = {name: feed(root, name) for name in case.feeds}
    return list(trial.examine(lambda: spark, case, feeds, BEFORE, SETTINGS))


def faults(found: list[Tried]) -> list[str]:
    return [one.text for one in found if one.error]


class LookingAhead(Parcels):
    """``earlier`` counts all parcels of the sender, also those that are sent later."""

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        of_sender = history["parcels"].groupBy("sender").agg(F.count("parcel").alias("earlier"))
        return day.join(of_sender, "sender", "left").select("parcel", *self.features)


class Collecting(Parcels):
    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        senders = {row["sender"] for row in history["parcels"].where(F.col("weight") > 100).collect()}
        return super().engineer(day, history).where(~F.col("parcel").isin(senders))


class Misspelt(Parcels):
    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return day.select("parcel", "wieght")


class Raising(Parcels):
    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        raise KeyError("clients")


class Returning(Parcels):
    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return self.returned


def at(case: type[UseCase]) -> str:
    """The line below that of ``def engineer``."""
    return f"at {__file__}, line {inspect.getsourcelines(case.engineer)[1] + 1}"


def weight(value: Callable[[], Any]) -> UseCase:
    """Parcels whose ``weight`` is what ``value`` makes when features are engineered."""
    return Engineered(lambda rows: rows.withColumn("weight", value()))


def test_a_good_use_case_passes_every_check(spark: SparkSession, lake: Path) -> None:
    found = tried(spark, lake, Parcels())

    days = f"rows of {BEFORE} to {DAY} have the declared columns, each key once"
    assert [(one.what, one.text, one.error, one.skipped) for one in found] == [
        ("raw parcels", f"the first 5 {days}", None, False),
        ("raw arrivals", f"the first 2 {days}, declared outcomes", None, False),
        ("engineer", "one row for each of 3 keys, with the declared columns", None, False),
        ("engineer", "no row is brought to the driver", None, False),
        ("engineer", "the same features from run to run, at another time, and for the rows in another order", None, False),
        ("engineer", "no feature changes when rows of later events are added", None, False),
        ("estimator", "a RandomForestClassifier, which can be carried as ONNX", None, False),
    ]  # fmt: skip


def test_features_of_past_outcomes_are_tried_on_what_had_landed_before_the_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    case = ReputedDelivered()
    for day, state in ((BEFORE, "late"), (DAY, "in time")):
        land_rows(tmp_path, "parcels", day, [parcel(f"p {day}", sent=noon(day), state=state)], case)
    rows = sample.read(spark, case, feed(tmp_path).history(BEFORE, DAY))

    tables = engineering.tables_of(case, {"parcels": rows})

    assert tables.day.column_names == ["parcel", "sender", "sent", "weight", "fragile"]
    assert tables.history["parcels"].column_names == [*tables.day.column_names, "landed"]
    assert tables.history["parcels.state"].to_pylist() == [{"parcel": f"p {BEFORE}", "state": "late", "landed": BEFORE}]


def test_looking_ahead_is_found(spark: SparkSession, lake: Path) -> None:
    assert faults(tried(spark, lake, LookingAhead())) == [
        "engineer of LookingAhead: wanted features that stay as they are when rows of a later 'sent' are added; found "
        "'earlier' of 'p3' as 3 and then as 7, another in 3 of 3 rows. "
        "Next: look only at rows whose 'sent' is strictly earlier than the row's own"
    ]


def test_random_numbers_are_found(spark: SparkSession, lake: Path) -> None:
    (fault,) = faults(tried(spark, lake, weight(F.rand)))

    assert re.sub(r"\d\.\d+(E-\d+)?", "X", fault) == (
        "engineer of Engineered: wanted the same features for the same rows, run after run; found "
        "'weight' of 'p3' as X and then as X, another in 3 of 3 rows. "
        "Next: draw no random numbers and read no clock: hash the key, and count from 'sent'"
    )


def test_the_clock_of_python_is_found(spark: SparkSession, lake: Path) -> None:
    year = date.today().year  # noqa: DTZ011 - as the use case does

    found = tried(spark, lake, weight(lambda: F.lit(float(date.today().year))))  # noqa: DTZ011

    then = clock.moved_today().year
    assert faults(found) == [
        "engineer of Engineered: wanted features that do not depend on the time of the run; found "
        f"'weight' of 'p3' as {year}.0 and then as {then}.0, another in 3 of 3 rows, with Python's clock 1,000 days later. "
        "Next: count from 'sent'"
    ]


def test_rows_that_are_brought_to_the_driver_are_found_and_the_other_checks_go_on(
    spark: SparkSession, lake: Path
) -> None:
    found = tried(spark, lake, Collecting())

    assert faults(found) == [
        "engineer of Collecting: wanted rows that stay where Spark has them; found "
        f"collect() {at(Collecting)}, which brings rows to the driver. "
        "Next: say it by functions of DataFrames, as a join or an aggregate: a day may be larger than the driver"
    ]
    assert sum(one.what == "engineer" for one in found) == 4


def test_a_misspelt_column_and_an_estimator_that_cannot_be_carried_are_found_at_once(
    spark: SparkSession, lake: Path
) -> None:
    class Both(Misspelt):
        def estimator(self, settings: Mapping[str, Any]) -> Any:
            return KNeighborsClassifier()

    misspelt, estimator = faults(tried(spark, lake, Both()))

    assert misspelt == (
        "engineer of Both: wanted the columns that the rows have; found "
        f"'wieght' (did you mean 'weight'?), {at(Misspelt)}. Next: correct the name of the column in engineer"
    )
    assert re.sub(r"\([A-Z].*?\)", "(...)", estimator) == (
        "export to ONNX: wanted a classifier of scikit-learn that ONNX can carry (...), alone or as the last step of a "
        "Pipeline after transformers that it can carry (...); found KNeighborsClassifier. "
        "Next: let the use case's estimator be made of these"
    )


def test_a_key_that_is_not_unique_an_undeclared_outcome_and_a_missing_engineer_are_told(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_parcels(tmp_path, [parcel("p3"), parcel("p3"), parcel("p4")])
    land_arrivals(tmp_path, "late", "lost")

    found = tried(spark, tmp_path, Parcels())

    assert [one.text for one in found if one.what != "estimator"] == [
        f"raw feed parcels of {DAY}: {feed(tmp_path).directory(DAY)}: wanted each 'parcel' once; found 1 rows too many, "
        "as 'p3' 2 times. Next: land the day again, then run again",
        f"raw feed arrivals of {DAY}: wanted 'state' to be one of 'late', 'in time'; found 'lost'. "
        "Next: land the day again, or add the value to the label's `allowed`",
        "not tried, as it reads parcels",
    ]


def test_a_null_in_place_of_a_time_is_found(spark: SparkSession, tmp_path: Path) -> None:
    land_parcels(tmp_path, [parcel("p3") | {"sent": None}, parcel("p4")])
    days = feed(tmp_path).history(BEFORE, DAY)

    with pytest.raises(BadData) as caught:
        sample.checked(spark, Parcels(), sample.read(spark, Parcels(), days))

    assert str(caught.value) == (
        f"raw feed parcels of {DAY}: {feed(tmp_path).directory(DAY)}: wanted no null in 'sent'; found 1 of 2 rows. "
        "Next: land the day again, then run again"
    )


def test_a_column_of_another_type_and_a_feed_that_nobody_lands_are_found(spark: SparkSession, tmp_path: Path) -> None:
    rows = table(Parcels(), "parcels", OF_DAY)
    land_parcels(tmp_path, rows.set_column(3, "weight", rows["weight"].cast(pa.string())))

    nobody, other = faults(tried(spark, tmp_path, Parcels()))

    assert nobody == (
        f"raw feed arrivals: wanted a landed day from {BEFORE} on; "
        f"found no flag like {feed(tmp_path, 'arrivals').flag_url(BEFORE)}. "
        "Next: land a day, its flag last, or set [raw.arrivals] path to where days land"
    )
    assert other == (
        f"raw feed parcels: {feed(tmp_path).directory(DAY)}/part-0.parquet: wanted a column 'weight' of type double; "
        "found type string. Next: land the file again with the declared type"
    )


@pytest.fixture(scope="module")
def first_rows(spark: SparkSession, lake: Path) -> Mapping[str, sample.FirstRows]:
    return {"parcels": sample.read(spark, Parcels(), feed(lake).history(BEFORE, DAY))}


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (
            Raising(),
            f"engineer of Raising: wanted a DataFrame of features; found KeyError: 'clients', {at(Raising)}. "
            "Next: correct the use case",
        ),
        (
            Engineered(lambda rows: rows.where("parcel != 'p3'")),
            "engineer of Engineered: wanted exactly one row for each of the day's 3 keys; found 1 lost, 0 too many, 0 of "
            "keys that are not the day's. Next: correct engineer; nothing was published",
        ),
        (
            weight(lambda: F.monotonically_increasing_id().cast("double")),
            "engineer of Engineered: wanted features that do not depend on the order of rows and on their partitions; "
            "found 'weight' of 'p3' as X and then as X, another in X of 3 rows. "
            "Next: order windows by columns without ties, and use no function that numbers rows or draws them",
        ),
        (
            weight(lambda: F.unix_timestamp().cast("double")),
            "engineer of Engineered: wanted features that depend on what has landed alone; found a function of the moment "
            "of the run, as current_date() or now() is. Next: count from 'sent'; nothing was published",
        ),
        (
            Returning([]),
            "engineer of Returning: wanted a DataFrame of features; found a list. Next: return one",
        ),
    ],
    ids=["raises", "loses a row", "numbers the rows", "the clock of Spark", "returns no DataFrame"],
)
def test_an_engineer_that_breaks_its_side_is_told_so(
    spark: SparkSession, first_rows: Mapping[str, sample.FirstRows], case: UseCase, fault: str
) -> None:
    found = []
    for check in engineering.Trial(spark, case, first_rows).checks():
        try:
            check()
        except UseCaseError as error:
            found.append(str(error))

    assert [re.sub(r"(as|in) [\d.]+", r"\1 X", one) for one in found] == [fault]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows.where("parcel"), r"AnalysisException: \[DATATYPE_MISMATCH\.FILTER_NOT_BOOLEAN\] "),
        (lambda rows: rows.select(F.expr("no_such(weight)")), r"AnalysisException: \[UNRESOLVED_ROUTINE\] "),
    ],
    ids=["type", "function"],
)
def test_what_spark_refuses_besides_names_of_columns_is_told_in_its_words(
    spark: SparkSession,
    first_rows: Mapping[str, sample.FirstRows],
    change: Callable[[DataFrame], DataFrame],
    found: str,
) -> None:
    with pytest.raises(UseCaseError) as caught:
        engineering.Trial(spark, Engineered(change), first_rows).returns()

    assert re.fullmatch(
        rf"engineer of Engineered: wanted a DataFrame of features; found {found}.*, at {re.escape(__file__)}, line \d+\. "
        "Next: correct the use case",
        str(caught.value),
    )


def test_an_error_of_ours_is_no_fault_of_the_use_cases_code() -> None:
    ours = BadData("there", "this", "that", "do so")

    with pytest.raises(BadData) as caught, of_their_code(Parcels(), "engineer", "a DataFrame of features"):
        raise ours

    assert caught.value is ours


def test_a_method_that_calls_others_is_told_once_and_all_are_as_before_after_the_watch(spark: SparkSession) -> None:
    rows = spark.range(3)
    before = {name: getattr(type(rows), name) for name in driver.METHODS}

    with driver.watched(Parcels()) as calls:
        first, line = rows.first(), inspect.currentframe().f_lineno  # type: ignore[union-attr]  # there is a frame

    assert first == (0,)
    assert calls == [f"first() at {__file__}, line {line}"]
    assert {name: getattr(type(rows), name) for name in driver.METHODS} == before


@pytest.mark.parametrize(
    ("taken", "others"),
    [
        (pa.array(["p9", "p10", "p2"]), ["p10-0", "p10-1", "p10-2"]),
        (pa.array([7, -2], pa.int8()), [8, 9, 10]),
        (pa.array([123], pa.int8()), [124, 125, 126]),
        (pa.array([125], pa.int8()), None),
        (pa.array([date(2026, 1, 1)]), None),
    ],
    ids=["texts", "numbers", "up to the largest", "past the largest", "days"],
)
def test_other_keys_are_made_of_texts_and_of_whole_numbers_that_fit_their_type(taken: pa.Array, others: Any) -> None:
    assert engineering._other_keys(pa.chunked_array([taken]), 3) == others


def test_rows_of_later_events_are_not_tried_where_no_further_key_can_be_made(
    spark: SparkSession, first_rows: Mapping[str, sample.FirstRows]
) -> None:
    class ByTime(Parcels):
        feeds = dict(Parcels.feeds) | {"parcels": replace(Parcels.feeds["parcels"], key="sent")}

    assert engineering.Trial(spark, ByTime(), first_rows).looks_back_alone() == (
        "not tried with rows of later events, as no further values of the key 'sent' can be made"
    )


def test_days_without_rows_are_good_and_leave_engineer_untried(spark: SparkSession, tmp_path: Path) -> None:
    for day in (BEFORE, DAY):
        land(feed(tmp_path), day, table(Parcels(), "parcels", []))
        land(feed(tmp_path, "arrivals"), day, table(Parcels(), "arrivals", []))

    found = tried(spark, tmp_path, Parcels())

    assert [(one.what, one.text, one.error, one.skipped) for one in found if one.what != "estimator"] == [
        ("raw parcels", f"no rows of {BEFORE} to {DAY}", None, False),
        ("raw arrivals", f"no rows of {BEFORE} to {DAY}", None, False),
        ("engineer", "not tried, as the newest days of parcels have no rows", None, True),
    ]


def test_a_hole_in_a_feed_is_its_error_and_the_other_feeds_are_looked_at(tmp_path: Path) -> None:
    first = BEFORE - timedelta(days=1)
    for day in (first, DAY):
        land(feed(tmp_path), day)
    for day in (first, BEFORE, DAY):
        land(feed(tmp_path, "arrivals"), day)

    days, errors = sample.listed(Parcels(), {name: feed(tmp_path, name) for name in Parcels.feeds}, first)

    assert {name: [day.date for day in found.days] for name, found in days.items()} == {
        "arrivals": [first, BEFORE, DAY]
    }
    assert {name: (type(error), error.found) for name, error in errors.items()} == {
        "parcels": (HoleInHistory, f"no flag '_SUCCESS' on {BEFORE}, as in {feed(tmp_path).directory(BEFORE)}")
    }


def test_an_estimator_that_raises_is_named_with_its_line(spark: SparkSession) -> None:
    class Broken(Estimated):
        def estimator(self, settings: Mapping[str, Any]) -> Any:
            return settings["no such setting"]

    found = trial.tried_estimator(Broken(None), SETTINGS)

    line = inspect.getsourcelines(Broken.estimator)[1] + 1
    assert (found.what, found.text) == (
        "estimator",
        "estimator of Broken: wanted an estimator that is not fitted; found KeyError: 'no such setting', "
        f"at {__file__}, line {line}. Next: correct the use case",
    )


def test_a_moved_clock_is_as_the_clock_in_all_but_the_time() -> None:
    import datetime
    import time

    before = datetime.datetime.now(datetime.UTC), time.time()
    with clock.moved("tests"):
        now, today, seconds = datetime.datetime.now(datetime.UTC), date.today(), time.time()  # noqa: DTZ011
        whole = datetime.datetime(2026, 3, 10, tzinfo=datetime.UTC)
        naive = datetime.datetime.utcnow(), datetime.datetime.today()  # noqa: DTZ002, DTZ003  (as a use case might)
        kinds = isinstance(whole, datetime.datetime), isinstance(now.date(), date), issubclass(datetime.datetime, date)

    assert now - before[0] >= clock.BY
    assert seconds - before[1] >= clock.BY.total_seconds()
    assert today >= (before[0] + clock.BY).date() - datetime.timedelta(days=1)
    utc, local = before[0].replace(tzinfo=None), before[0].astimezone().replace(tzinfo=None)
    assert [moment - clock.BY >= then for moment, then in zip(naive, (utc, local), strict=True)] == [True, True]
    assert kinds == (True, True, True)
    assert datetime.datetime.now(datetime.UTC) - before[0] < clock.BY
    assert date is datetime.date
