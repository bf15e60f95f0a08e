"""Drills of the classic leaks. Each has a check, which the product passes; and the product with the leak planted does not,
so that a check that could not fail would be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib import use_case
from spark_lib.errors import BadData, ConfigurationError, UseCaseError
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Lake, Partition
from spark_lib.stages import balancing, features, serving
from spark_lib.use_case import UseCase
from spark_lib.use_cases.credit_risk import CreditRisk
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SPLIT,
    Delivered,
    Parcels,
    Reputed,
    ReputedDelivered,
    arrival,
    feed,
    history,
    land,
    land_rows,
    many_featured,
    noon,
    outcomes_of,
    parcel,
    publish_features,
    table,
)
from tests.spark.leaks import (
    a_day_too_far,
    age_of_sparks_today,
    age_of_today,
    names_are_not_compared,
    outcomes_are_shown,
    outcomes_of_the_day_are_past,
    oversampled_before_the_split,
    split_by_day_alone,
    split_by_row,
    synthesised_before_the_split,
    the_label_is_only_dropped,
    ties_count,
    undersampled_before_the_split,
)
from tests.support.splitting import by_hand

FIRST = DAY - timedelta(days=2)
NOON = noon()
NATURAL = {"calibration": "calibration", "validation/unbalanced": "validation"}
BY_TIME = {"split": "time", "train_validation_split_proportion": 0.5, "calibration_proportion": 0}

Rows = Sequence[Mapping[str, Any]]
Plant = Callable[[pytest.MonkeyPatch], None]


# -- training sets: resample before split, label from the future, a customer on two sides


@dataclass(frozen=True)
class Window:
    """Features of two days, and how their parcels arrived, landed on ``DAY``; on the next day all is told otherwise."""

    root: Path
    features: Sequence[Partition]
    outcomes: Mapping[str, str]

    def side(self, row: Mapping[str, Any]) -> str:
        """As DESIGN has it, by our own computation."""
        u = by_hand(CASE, row["sender"])
        return "validation" if u >= 0.7 else "calibration" if u >= 0.7 - 0.1 else "train"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Window:
    root = tmp_path_factory.mktemp("window")
    rows = {day: many_featured(day, 200) for day in (FIRST, BEFORE)}
    outcomes = {row["parcel"]: row["state"] for row in outcomes_of(rows[FIRST] + rows[BEFORE])}
    other = {"late": "in time", "in time": "late"}
    told = {DAY: outcomes, AFTER: {name: other[state] for name, state in outcomes.items()}}
    for day in (FIRST, BEFORE, DAY, AFTER):
        land_rows(root, "arrivals", day, [arrival(*one) for one in told.get(day, {}).items()])
    return Window(root, [publish_features(Lake(str(root), CASE), day, rows[day]) for day in rows], outcomes)


def sections(spark: SparkSession, window: Window, url: Path, **settings: Any) -> dict[str, Rows]:
    """The training set of ``DAY``."""
    landed, wanted = history(window.root, FIRST, DAY, "arrivals"), dict(SPLIT) | settings
    written = balancing.build(spark, Parcels(), CASE, window.features, landed, wanted, str(url), ANY_FILE_ROWS)
    return {name: pq.read_table(url / name).to_pylist() for name in written.observed}


def check_only_training_rows_are_balanced(window: Window, found: Mapping[str, Rows]) -> None:
    rows = [row for day in window.features for row in many_featured(day.date, 200)]
    for section, side in NATURAL.items():
        expected = sorted(row["parcel"] for row in rows if window.side(row) == side)
        assert sorted(row["parcel"] for row in found[section]) == expected, section
    for section in ("train", "validation/balanced"):
        assert {row["parcel"] for row in found[section]} <= window.outcomes.keys(), section


def check_labels_are_what_was_known(window: Window, found: Mapping[str, Rows]) -> None:
    for section, rows in found.items():
        wrong = [row for row in rows if row["label"] != (window.outcomes[row["parcel"]] == "late")]
        assert not wrong, section


def check_nobody_is_on_two_sides(window: Window, found: Mapping[str, Rows]) -> None:
    train, calibration, validation = ({row["sender"] for row in found[section]} for section in ("train", *NATURAL))
    assert train.isdisjoint(calibration | validation)
    assert calibration.isdisjoint(validation)


Check = Callable[[Window, Mapping[str, Rows]], None]


@pytest.fixture(scope="module")
def honest(spark: SparkSession, window: Window, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    found = sections(spark, window, tmp_path_factory.mktemp("honest") / "set", balancing="oversample")
    assert min(map(len, found.values())) > 20
    return found


@pytest.mark.parametrize(
    "check",
    [check_only_training_rows_are_balanced, check_labels_are_what_was_known, check_nobody_is_on_two_sides],
)
def test_a_training_set_has_no_leak(window: Window, honest: Mapping[str, Rows], check: Check) -> None:
    check(window, honest)


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (undersampled_before_the_split, check_only_training_rows_are_balanced),
        (synthesised_before_the_split, check_only_training_rows_are_balanced),
        (a_day_too_far, check_labels_are_what_was_known),
        (split_by_row, check_nobody_is_on_two_sides),
    ],
)
def test_a_leak_planted_into_a_training_set_is_found(
    spark: SparkSession, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, check: Check
) -> None:
    plant(monkeypatch)
    leaking = sections(spark, window, tmp_path / "set")

    with pytest.raises(AssertionError):
        check(window, leaking)


def test_rows_that_are_repeated_before_the_split_are_refused_by_the_product_itself(
    spark: SparkSession, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oversampled_before_the_split(monkeypatch)

    with pytest.raises(
        BadData, match=r"wanted each 'parcel' on one day of the window; found .* on 2026-03-08, 2026-03-08"
    ):
        sections(spark, window, tmp_path / "set")


def sides_by_time(spark: SparkSession, window: Window) -> dict[str, Rows]:
    rows = read_partitions(spark, window.features).withColumnRenamed("date", "landed")
    found: dict[str, list[Mapping[str, Any]]] = {section: [] for section in ("train", *NATURAL)}
    section_of = {side: section for section, side in NATURAL.items()} | {"train": "train"}
    for row in balancing.split(rows, CASE, "sender", BY_TIME, FIRST, 2).where("side IS NOT NULL").collect():
        found[section_of[row["side"]]].append(row.asDict())
    return found


def test_nobody_is_on_two_sides_of_a_split_by_time_either(
    spark: SparkSession, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sides_by_time(spark, window)
    check_nobody_is_on_two_sides(window, honest)
    assert min(len(honest["train"]), len(honest["validation/unbalanced"])) > 20

    split_by_day_alone(monkeypatch)
    leaking = sides_by_time(spark, window)

    with pytest.raises(AssertionError):
        check_nobody_is_on_two_sides(window, leaking)


# -- features: the current loan inside its own average, age from today's date


def loan(name: str, customer: str, amount: float, at: datetime = NOON) -> dict[str, Any]:
    born = datetime(1990, 6, 1, tzinfo=UTC).date()
    known = {"birth_date": born, "job_start_date": born.replace(year=2010), "flag_own_car": True}
    return {"loan_id": name, "customer_id": customer, "loan_amount": amount, "loan_time": at, **known}


def features_of_loans(spark: SparkSession, root: Path) -> dict[str, dict[str, Any]]:
    """Of a third and of a first loan, and of one of long ago that landed late."""
    before = [loan("L1", "C1", 10.0, noon(BEFORE)), loan("L2", "C1", 30.0, noon(BEFORE))]
    long_ago = datetime(2019, 1, 1, tzinfo=UTC)
    landed = {BEFORE: before, DAY: [loan("L3", "C1", 1e3), loan("L4", "C2", 1e3), loan("L5", "C3", 1e3, long_ago)]}
    case = CreditRisk()
    for day, loans in landed.items():
        land(feed(root, "applications"), day, table(case, "applications", loans))
    raw = {"applications": history(root, BEFORE, DAY, "applications")}
    features.build(spark, case, raw, str(root / "features"), ANY_FILE_ROWS)
    return {row["loan_id"]: row for row in pq.read_table(root / "features").to_pylist()}


def check_a_loan_is_not_in_its_own_average(found: Mapping[str, Mapping[str, Any]]) -> None:
    previous = {name: (row["nb_previous_loans"], row["avg_amount_loans_previous"]) for name, row in found.items()}
    assert previous == {"L3": (2, 20.0), "L4": (0, None), "L5": (0, None)}


def check_age_is_that_on_the_day_of_the_loan(found: Mapping[str, Mapping[str, Any]]) -> None:
    ages = {name: (row["age"], row["years_on_the_job"]) for name, row in found.items()}
    assert ages == {"L3": (35, 15), "L4": (35, 15), "L5": (28, 8)}


def test_features_have_no_leak_and_one_that_is_planted_is_found(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = features_of_loans(spark, tmp_path / "honest")
    check_a_loan_is_not_in_its_own_average(honest)
    check_age_is_that_on_the_day_of_the_loan(honest)

    ties_count(monkeypatch)
    age_of_today(monkeypatch)
    leaking = features_of_loans(spark, tmp_path / "leaking")

    with pytest.raises(AssertionError):
        check_a_loan_is_not_in_its_own_average(leaking)
    with pytest.raises(AssertionError):
        check_age_is_that_on_the_day_of_the_loan(leaking)


def test_features_of_the_moment_of_the_run_are_refused_by_the_product_itself(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age_of_sparks_today(monkeypatch)

    with pytest.raises(UseCaseError) as caught:
        features_of_loans(spark, tmp_path)

    assert str(caught.value) == (
        "engineer of CreditRisk: wanted features that depend on what has landed alone; "
        "found a function of the moment of the run, as current_date() or now() is. "
        "Next: count from 'loan_time'; nothing was published"
    )
    assert not (tmp_path / "features").exists()


# -- the target among the columns


def check_engineer_is_shown_no_outcome(spark: SparkSession, root: Path) -> None:
    case = Parcels()
    land_rows(root, "parcels", DAY, [parcel("p1")])
    land_rows(root, "arrivals", DAY, [arrival("p1")])
    shown, day, _ = features.read_landed(
        spark, case, {name: history(root, DAY, DAY, name) for name in case.feature_feeds}
    )
    columns = [*day.columns, *(column for frame in shown.values() for column in frame.columns)]
    assert case.label.column not in columns


def frames_that_engineer_is_given(spark: SparkSession, root: Path) -> list[DataFrame]:
    """The day and its history, of parcels that land with how they arrived."""
    land_rows(root, "parcels", DAY, [parcel("p1", state="late"), parcel("p2", state=None)], Delivered())
    shown, day, _ = features.read_landed(spark, Delivered(), {"parcels": history(root, DAY, DAY)})
    return [day, *shown.values()]


def check_the_label_is_not_found(frames: list[DataFrame]) -> None:
    asked: list[Callable[[DataFrame], DataFrame]] = [
        lambda frame: frame.select("state"),
        lambda frame: frame.where("state = 'late'"),
        lambda frame: frame.orderBy(F.col("STATE")),
    ]
    for frame in frames:
        assert "state" not in frame.select("*").columns
        for ask in asked:
            with pytest.raises(AnalysisException, match="UNRESOLVED_COLUMN"):
                ask(frame)


def test_engineer_does_not_find_a_label_that_lands_with_the_rows_in_the_day_or_in_history(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_that_engineer_is_given(spark, tmp_path)
    assert len(frames) == 2
    check_the_label_is_not_found(frames)

    the_label_is_only_dropped(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_the_label_is_not_found(frames_that_engineer_is_given(spark, tmp_path))


@pytest.mark.parametrize(
    "ask",
    [
        lambda day, history: history["parcels"].where("state = 'late'"),
        lambda day, history: day.select("parcel", "state"),
        lambda day, history: day.where(day["state"] == "late"),
        lambda day, history: day.alias("d").join(history["parcels"].alias("h"), F.expr("h.state = 'late'")),
    ],
    ids=["a filter of history", "a name", "a column of the day", "a condition of a join"],
)
def test_an_engineer_that_asks_for_the_label_of_its_rows_is_refused_and_nothing_is_written(
    spark: SparkSession, tmp_path: Path, ask: Callable[[DataFrame, Mapping[str, DataFrame]], DataFrame]
) -> None:
    class Peeking(Delivered):
        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            return ask(day, history)

    land_rows(tmp_path, "parcels", DAY, [parcel("p1", state="late")], Peeking())

    with pytest.raises(UseCaseError) as caught:
        features.build(spark, Peeking(), {"parcels": history(tmp_path, DAY, DAY)}, str(tmp_path / "out"), ANY_FILE_ROWS)

    assert str(caught.value) == (
        "engineer of Peeking: wanted features of what is known before the outcome, which is the column 'state' of feed "
        "'parcels'; found 'state' among the columns that it asks for. Next: correct engineer; declare the feed with "
        "history=True to look back on outcomes of earlier days"
    )
    assert not (tmp_path / "out").exists()


def check_the_outcome_is_no_feature() -> None:
    try:
        case = use_case.load("tests.spark.leaks:Told")
    except ConfigurationError:
        return
    assert case.label.column not in case.features


def test_engineer_is_shown_no_outcome(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_engineer_is_shown_no_outcome(spark, tmp_path / "honest")

    outcomes_are_shown(monkeypatch)
    with pytest.raises(AssertionError):
        check_engineer_is_shown_no_outcome(spark, tmp_path / "leaking")


def test_a_use_case_with_the_outcome_among_its_features_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    check_the_outcome_is_no_feature()

    names_are_not_compared(monkeypatch)
    with pytest.raises(AssertionError):
        check_the_outcome_is_no_feature()


# -- outcomes that features look back on: only those that landed before the day

Reputation = Mapping[str, tuple[int, int]]


def land_parcels(root: Path, case: UseCase, on_the_day: str, after_it: str) -> None:
    """A parcel of each of two senders on each of three days. How that of ``S1`` arrived lands on the same day."""
    for day, state in {BEFORE: "late", DAY: on_the_day, AFTER: after_it}.items():
        rows = [parcel(f"{sender} {day}", sender, noon(day)) for sender in ("S1", "S2")]
        if case.label_lands_with_rows:
            rows = [row | {"state": state if row["sender"] == "S1" else None} for row in rows]
        else:
            land_rows(root, "arrivals", day, [arrival(f"S1 {day}", state)], case)
        land_rows(root, "parcels", day, rows, case)


def reputation(spark: SparkSession, root: Path, case: UseCase, day: date, stage: Any = features) -> Reputation:
    """How many parcels of each sender are known to have arrived, and to have been late, as the stage has it on a day. The
    stage is given the outcomes of that day, too."""
    url = root / f"{stage.__name__} of {day}"
    stage.build(spark, case, {feed: history(root, BEFORE, day, feed) for feed in case.feeds}, str(url), ANY_FILE_ROWS)
    return {row["sender"]: (row["known"], row["late"]) for row in pq.read_table(url).to_pylist()}


def check_outcomes_of_the_day_are_not_seen(found: Reputation) -> None:
    assert found == {"S1": (1, 1), "S2": (0, 0)}


@pytest.mark.parametrize("case", [Reputed(), ReputedDelivered()], ids=["of their own feed", "of the rows"])
def test_features_look_back_on_outcomes_of_earlier_days_alone_and_serving_sees_what_the_next_day_does(
    spark: SparkSession, tmp_path: Path, case: UseCase
) -> None:
    land_parcels(tmp_path / "one", case, "late", "in time")
    land_parcels(tmp_path / "other", case, "in time", "late")

    for root in (tmp_path / "one", tmp_path / "other"):
        check_outcomes_of_the_day_are_not_seen(reputation(spark, root, case, DAY))
    next_day = reputation(spark, tmp_path / "one", case, AFTER)
    assert next_day == {"S1": (2, 2), "S2": (0, 0)}
    assert reputation(spark, tmp_path / "one", case, DAY, serving) == next_day


def test_features_that_look_on_outcomes_of_their_own_day_are_found(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_parcels(tmp_path, Reputed(), "late", "late")

    outcomes_of_the_day_are_past(monkeypatch)
    with pytest.raises(AssertionError):
        check_outcomes_of_the_day_are_not_seen(reputation(spark, tmp_path, Reputed(), DAY))
