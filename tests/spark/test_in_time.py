"""Point-in-time, as properties: of hundreds of drawn histories, what may not matter to a day changes nothing of it.

Features are of an entity alone, so that a history and its twins, the same but for what may not matter, go through one
build as entities of their own. A training set is of everybody: each twin has a lake of its own. A property that cannot
fail proves nothing: each has to fail once a defect is planted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib import balancing, features
from spark_lib.lake import Lake, Partition, RawDays, RawFeed
from spark_lib.use_case import UseCase
from spark_lib.use_cases import credit_risk
from spark_lib.use_cases.credit_risk import CreditRisk
from tests.spark.lakes import ANY_FILE_ROWS, CASE, DAY, SPLIT, Parcels, feed, history, land, noon, publish, table

#: Days are counted from ``DAY``, whose features are built; the training set is that of the day after, of two days.
WINDOW, TRAINING, LAST = (-1, 0), 1, 3
HISTORIES = 150
FILES = 3
LATER, NOT_EARLIER, REORDERED = "later", "not earlier", "reordered"


@dataclass(frozen=True)
class Row:
    """What lands on a day: an event at ``DAY``'s noon and ``at``, and the outcomes that land on other days (1: positive),
    or, in the twin, land in their place after the training date."""

    landed: int
    at: timedelta
    amount: float | None = None
    flag: bool | None = None
    outcomes: Mapping[int, bool] = field(default_factory=dict)
    outcomes_instead: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """The rows of an entity: one of ``DAY``, others that landed by then, and those that landed later; and what twins have
    in place of some: of those later, and of the others that are not earlier in time than the one."""

    one: Row
    others: Sequence[Row]
    later: Sequence[Row]
    later_instead: Sequence[Row]
    not_earlier_instead: Sequence[Row]

    def rows(self) -> dict[str, Row]:
        """By their key."""
        return self._of(self.others, self.later)

    def twin(self, name: str) -> dict[str, Row]:
        """The same, in the same order, with what may not matter changed."""
        if name == LATER:
            return self._of(self.others, self.later_instead)
        if name == NOT_EARLIER:
            earlier = [row for row in self.others if row.at < self.one.at]
            return self._of([*self.not_earlier_instead, *earlier], self.later)
        return self.rows()

    def _of(self, others: Sequence[Row], later: Sequence[Row]) -> dict[str, Row]:
        named = {"one": self.one} | {f"other {n}": row for n, row in enumerate(others)}
        return named | {f"later {n}": row for n, row in enumerate(later)}


# -- what is drawn: ties, events of long ago and events to come, nothing known, many of one entity, outcomes too early

HOURS = [0, 0, -1, 1, -24, 24, -12, 12, -30, 24 * 40, -24 * 40, -24 * 400]
MICROSECONDS = [0, -1, 1]
TIMES = [timedelta(hours=hours, microseconds=more) for hours, more in product(HOURS, MICROSECONDS)]
AMOUNTS = [None, float("nan"), 0.0, 0.1, 0.2, 0.3, 19.99, 100.0, 1e15, -1e15]
SINGLE = [{day: positive} for day, positive in product(range(-3, LAST + 1), [True, False])]
OUTCOMES: list[dict[int, bool]] = [{}, *SINGLE, *(one | other for one, other in combinations(SINGLE, 2))]
CORRECTIONS = [found for found in OUTCOMES if all(day > TRAINING for day in found)]


def a_row(first: int, last: int, times: Sequence[timedelta] = TIMES) -> st.SearchStrategy[Row]:
    days, flags = range(first, last + 1), [None, True, False]
    return st.builds(Row, *map(st.sampled_from, (days, times, AMOUNTS, flags, OUTCOMES, CORRECTIONS)))


@st.composite
def a_history(draw: st.DrawFn) -> History:
    one = draw(a_row(0, 0))

    def rows(first: int, last: int, most: int, times: Sequence[timedelta]) -> list[Row]:
        return draw(st.lists(a_row(first, last, times), max_size=most))

    around = [one.at + time for time in TIMES]
    not_earlier = [one.at + time for time in TIMES if time >= timedelta()]
    return History(
        one, rows(-3, 0, 5, around), rows(1, LAST, 2, around), rows(1, LAST, 2, around), rows(-3, 0, 3, not_earlier)
    )


@pytest.fixture(scope="module")
def histories() -> list[History]:
    drawn = []

    @settings(max_examples=HISTORIES, derandomize=True, database=None, deadline=None)
    @given(a_history())
    def collect(found: History) -> None:
        drawn.append(found)

    collect()
    return drawn


def test_the_histories_that_are_drawn_hold_what_may_go_wrong(histories: list[History]) -> None:
    """Otherwise the properties would prove little."""
    on_day = [(found.one, row) for found in histories for row in found.others]
    rows = [row for found in histories for row in found.rows().values()]
    nasty = {
        "a tie": [row for one, row in on_day if row.at == one.at],
        "a tie that landed before": [row for one, row in on_day if row.at == one.at and row.landed < 0],
        "a microsecond earlier": [row for one, row in on_day if one.at - row.at == timedelta(microseconds=1)],
        "an event after its landing": [row for row in rows if row.at > timedelta(days=row.landed, hours=12)],
        "an event of long before": [row for row in rows if row.at < timedelta(days=row.landed - 30)],
        "earlier, landed later": [row for found in histories for row in found.later_instead if row.at < found.one.at],
        "no amount": [row for row in rows if row.amount is None],
        "NaN": [row for row in rows if row.amount != row.amount],
        "many rows": [found for found in histories if len(found.rows()) > 5],
        "an outcome on T": [row for row in rows if TRAINING in row.outcomes],
        "an outcome on the next day": [row for row in rows if TRAINING + 1 in row.outcomes_instead],
        "an outcome before the row": [row for row in rows if min(row.outcomes, default=9) < row.landed],
        "two outcomes that differ": [row for row in rows if len(set(row.outcomes.values())) == 2],
        "no outcome": [row for row in rows if not row.outcomes],
    }
    assert {name: len(found) for name, found in nasty.items() if len(found) < 5} == {}


# -- how they land


def day_of(offset: int) -> date:
    return DAY + timedelta(days=offset)


def as_landed(case: UseCase, entity: str, key: str, row: Row) -> dict[str, Any]:
    at = noon() + row.at
    if isinstance(case, Parcels):
        return {"parcel": key, "sender": entity, "sent": at, "weight": row.amount, "fragile": row.flag}
    born, hired = (None if row.flag is None else date(year, 3, 10) for year in (1990, 2020))
    known = {"birth_date": born, "job_start_date": hired, "flag_own_car": row.flag, "loan_amount": row.amount}
    return {"loan_id": key, "customer_id": entity, "loan_time": at, **known}


def land_all(root: Path, case: UseCase, name: str, by_day: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Every day up to the last, row after row over several files."""
    for offset in range(-3, LAST + 1):
        rows = by_day.get(offset, [])
        size = -(-len(rows) // FILES) or 1
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        land(feed(root, name), day_of(offset), *(table(case, name, part) for part in parts))


def land_rows_of(
    root: Path, case: UseCase, entities: Mapping[str, Mapping[str, Row]], order: Callable[[list], None]
) -> None:
    by_day = defaultdict(list)
    for entity, rows in entities.items():
        for key, row in rows.items():
            by_day[row.landed].append(as_landed(case, entity, f"{entity}: {key}", row))
    for rows in by_day.values():
        order(rows)
    land_all(root, case, case.rows, by_day)


def features_of(spark: SparkSession, root: Path, case: UseCase, offset: int = 0) -> Partition:
    raw = {case.rows: history(root, day_of(-3), day_of(offset), case.rows)}
    lake = Lake(str(root), CASE)
    return publish(lake, "features", day_of(offset), lambda url: features.build(spark, case, raw, url, ANY_FILE_ROWS))


def as_it_came(rows: list[dict[str, Any]]) -> None:
    """The order of the histories."""


# -- features

Found = Mapping[str, Mapping[str, str]]


def features_of_twins(spark: SparkSession, root: Path, case: UseCase, histories: list[History]) -> Found:
    """The features of ``DAY`` in words, by entity and key: of each history, and of its twins."""
    entities = {f"{n:03}": found.rows() for n, found in enumerate(histories)}
    for name in (LATER, NOT_EARLIER, REORDERED):
        entities |= {f"{n:03} {name}": found.twin(name) for n, found in enumerate(histories)}

    def reorder(rows: list[dict[str, Any]]) -> None:
        """Those of the one twin, among themselves, and away from each other: the day's rows are in several files."""
        places = [n for n, row in enumerate(rows) if row[case.entity].endswith(REORDERED)]
        shuffled = [rows[n] for n in places]
        random.Random(0).shuffle(shuffled)
        for place, row in zip(places, shuffled, strict=True):
            rows[place] = row

    land_rows_of(root, case, entities, reorder)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file in features_of(spark, root, case).files():
        for row in pq.read_table(file, partitioning=None).to_pylist():
            key = row[case.key].partition(": ")[2]
            found[row[case.entity]][key] = str({name: row[name] for name in case.features})
    return found


def check_twins(histories: list[History], found: Found, name: str) -> None:
    """Raise AssertionError with the shortest of the histories whose twin has other features."""
    differing = []
    for n, drawn in enumerate(histories):
        own, other = found[f"{n:03}"], found[f"{n:03} {name}"]
        keys = ["one"] if name == NOT_EARLIER else sorted(own)
        pairs = {key: (own[key], other.get(key)) for key in keys if own[key] != other.get(key)}
        if pairs or (name != NOT_EARLIER and own.keys() != other.keys()):
            differing.append((len(drawn.rows()) + len(drawn.twin(name)), n, pairs))
    if differing:
        _, n, pairs = min(differing)
        raise AssertionError(
            "\n".join(
                [
                    f"{len(differing)} of {len(histories)} histories have other features once {name!r} rows change. Of",
                    *(f"    {key}: {row}" for key, row in histories[n].rows().items()),
                    "and of",
                    *(f"    {key}: {row}" for key, row in histories[n].twin(name).items()),
                    "there are",
                    *(f"    {key}: {own}\n    {' ' * len(key)}  {other}" for key, (own, other) in pairs.items()),
                ]
            )
        )


@pytest.fixture(scope="module", params=[CreditRisk, Parcels])
def found(
    request: pytest.FixtureRequest,
    spark: SparkSession,
    histories: list[History],
    tmp_path_factory: pytest.TempPathFactory,
) -> Found:
    return features_of_twins(spark, tmp_path_factory.mktemp("twins"), request.param(), histories)


def test_rows_that_land_after_a_day_change_no_feature_of_it(histories: list[History], found: Found) -> None:
    check_twins(histories, found, LATER)


def test_rows_that_are_not_earlier_in_time_change_no_feature_of_a_row(histories: list[History], found: Found) -> None:
    check_twins(histories, found, NOT_EARLIER)


def test_the_order_of_a_days_rows_changes_no_feature(histories: list[History], found: Found) -> None:
    check_twins(histories, found, REORDERED)


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


@pytest.mark.parametrize(
    ("plant", "name"), [(a_day_too_far, LATER), (ties_count, NOT_EARLIER), (the_first_one_counts, REORDERED)]
)
def test_each_property_of_features_fails_once_its_defect_is_planted(
    spark: SparkSession,
    tmp_path: Path,
    histories: list[History],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    name: str,
) -> None:
    plant(monkeypatch)
    planted = features_of_twins(spark, tmp_path, CreditRisk(), histories)

    with pytest.raises(AssertionError, match=rf"^\d+ of {HISTORIES} histories have other features"):
        check_twins(histories, planted, name)


# -- training sets


@dataclass(frozen=True)
class TrainingSet:
    """Of a lake: what a training set is made of."""

    case: UseCase
    window: Sequence[Partition]
    root: Path

    @property
    def outcomes(self) -> RawDays:
        return history(self.root, day_of(WINDOW[0]), day_of(TRAINING), self.case.label.feed)


def land_window(spark: SparkSession, root: Path, case: UseCase, histories: list[History], name: str) -> TrainingSet:
    """A lake of the histories, or of their twins, with the features of the window."""
    entities = {f"{n:03}": found.twin(name) for n, found in enumerate(histories)}
    order = random.Random(1).shuffle if name == REORDERED else as_it_came
    land_rows_of(root, case, entities, order)
    by_day = defaultdict(list)
    values = {True: case.label.positive, False: next(of for of in case.label.allowed if of != case.label.positive)}
    for entity, rows in entities.items():
        for key, row in rows.items():
            outcomes = row.outcomes
            if name == LATER:
                outcomes = {day: of for day, of in outcomes.items() if day <= TRAINING} | dict(row.outcomes_instead)
            for day, positive in outcomes.items():
                by_day[day].append({case.label.key: f"{entity}: {key}", case.label.column: values[positive]})
    for rows in by_day.values():
        order(rows)
    land_all(root, case, case.label.feed, by_day)
    return TrainingSet(case, [features_of(spark, root, case, offset) for offset in WINDOW], root)


def built(spark: SparkSession, lake: TrainingSet, url: Path, strategy: str) -> dict[str, Any]:
    """The sections of a training set, their rows sorted, and the figures."""
    wanted = dict(SPLIT) | {"balancing": strategy}
    written = balancing.build(spark, lake.case, CASE, lake.window, lake.outcomes, wanted, str(url), ANY_FILE_ROWS)
    found = {name: sorted(map(str, pq.read_table(url / name).to_pylist())) for name in written.observed}
    return found | {"figures": written.metrics}


def check_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise AssertionError with the figures and the first rows that only one of two training sets has."""
    figures = {name: (value, other["figures"][name]) for name, value in one["figures"].items()}
    differing = [f"{name}: {own} and {its}" for name, (own, its) in figures.items() if own != its]
    for section in balancing_sections(one):
        for name, rows in {"one": (one, other), "other": (other, one)}.items():
            lacking = sorted(set(rows[0][section]) - set(rows[1][section]))
            differing += [f"{section} of the {name} alone: {row}" for row in lacking[:3]]
    assert not differing, "\n".join(["two training sets differ:", *differing])
    assert one == other


def balancing_sections(found: Mapping[str, Any]) -> list[str]:
    return [name for name in found if name != "figures"]


@pytest.fixture(scope="module", params=[(CreditRisk, "undersample"), (Parcels, "smote")])
def lakes(
    request: pytest.FixtureRequest,
    spark: SparkSession,
    histories: list[History],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, dict[str, TrainingSet]]:
    case, strategy = request.param
    root = tmp_path_factory.mktemp("training sets")
    return strategy, {
        name: land_window(spark, root / name, case(), histories, name) for name in ("original", LATER, REORDERED)
    }


def test_neither_what_lands_after_the_training_date_nor_the_order_of_rows_changes_a_training_set(
    spark: SparkSession, lakes: tuple[str, dict[str, TrainingSet]], tmp_path: Path
) -> None:
    strategy, of = lakes
    found = {name: built(spark, lake, tmp_path / name, strategy) for name, lake in of.items()}

    assert all(found["original"][name] for name in balancing_sections(found["original"]))
    assert len(found["original"]["train"]) > 50
    check_equal(found["original"], found[LATER])
    check_equal(found["original"], found[REORDERED])
