"""Runs ``engineer`` on the first rows several times, and compares the features.

Each run is on one machine and on few rows, so rows are compared here and not by Spark.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_lib.errors import UseCaseError
from spark_lib.frames.files import unreadable_files_named
from spark_lib.stages import features, snapshot
from spark_lib.stages.trial import clock, driver
from spark_lib.stages.trial.blame import of_their_code, package_of
from spark_lib.stages.trial.sample import FirstRows, frame_of
from spark_lib.use_case import keys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

Features = Mapping[Any, tuple[Any, ...]]

#: Numbers that differ by less, as a proportion, are taken for one: a sum of doubles depends on their order.
CLOSE = 1e-9
_PARTS = 3  # of the rows in another order
_NEXT = (timedelta(days=1), timedelta(days=2))
_LATER = (timedelta(seconds=1), timedelta(days=1))


@dataclass(frozen=True)
class Tables:
    """What ``engineer`` is given: the rows of a day, and those of its history, each in so many partitions."""

    day: pa.Table
    history: Mapping[str, pa.Table]
    parts: int = 1


class Trial:
    """The runs of a use case's ``engineer`` on the first rows of a day."""

    def __init__(self, spark: SparkSession, case: UseCase, first_rows: Mapping[str, FirstRows]) -> None:
        self._spark = spark
        self._case = case
        self._first_rows = first_rows
        self._tables = tables_of(case, first_rows)
        self._found: Features = {}
        self._collected: list[str] = []
        self._repeats = False

    def checks(self) -> Iterator[Callable[[], str]]:
        """Yield each check that makes sense after those before it. A check returns in words what was found, and raises
        UseCaseError for what is wrong."""
        yield self.returns
        if self._found or self._collected:
            yield self.leaves_rows_where_they_are
        if self._found:
            yield self.repeats
        if self._repeats:
            yield self.looks_back_alone
            if self._case.has_engineer_days:
                yield self.gives_many_days_what_each_has
            if self._case.has_state:
                yield self.gives_from_a_state_what_all_rows_give

    def returns(self) -> str:
        """One row for each key, with the declared columns, and without Spark's functions of the time."""
        with driver.watched(self._case) as self._collected:
            returned = self._planned(self._tables)
        self._found = self._computed(returned, self._tables)
        return f"one row for each of {len(self._found):,} keys, with the declared columns"

    def leaves_rows_where_they_are(self) -> str:
        """No row is brought to the driver."""
        if self._collected:
            raise self._fault(
                "rows that stay where Spark has them",
                f"{', '.join(self._collected)}, which brings rows to the driver",
                "say it by functions of DataFrames, as a join or an aggregate: a day may be larger than the driver",
            )
        return "no row is brought to the driver"

    def repeats(self) -> str:
        """The same features for the same rows, in any order and at any time."""
        reordered = Tables(
            self._tables.day[::-1], {name: rows[::-1] for name, rows in self._tables.history.items()}, _PARTS
        )
        at_another_time = clock.moved(package_of(self._case))
        if not self._difference(self._engineered(reordered, at_another_time)):
            self._repeats = True
            return "the same features from run to run, at another time, and for the rows in another order"
        if found := self._difference(self._engineered(self._tables)):
            raise self._fault(
                "the same features for the same rows, run after run",
                found,
                f"draw no random numbers and read no clock: hash the key, and count from {self._moment!r}",
            )
        if found := self._difference(self._engineered(self._tables, clock.moved(package_of(self._case)))):
            raise self._fault(
                "features that do not depend on the time of the run",
                f"{found}, with Python's clock {clock.BY.days:,} days later",
                f"count from {self._moment!r}",
            )
        raise self._fault(
            "features that do not depend on the order of rows and on their partitions",
            self._difference(self._engineered(reordered)),
            "order windows by columns without ties, and use no function that numbers rows or draws them",
        )

    def looks_back_alone(self) -> str:
        """No feature changes when rows of later events are there, too."""
        if self._case.event_time is None:
            return "not tried with rows of later events, as the use case declares no event time"
        later = with_later_events(self._case, self._case.event_time, self._tables)
        if later is None:
            return (
                f"not tried with rows of later events, as no further values of the key {self._case.key!r} can be made"
            )
        if found := self._difference(self._engineered(later)):
            raise self._fault(
                f"features that stay as they are when rows of a later {self._case.event_time!r} are added",
                found,
                f"look only at rows whose {self._case.event_time!r} is strictly earlier than the row's own",
            )
        return "no feature changes when rows of later events are added"

    def gives_many_days_what_each_has(self) -> str:
        """``engineer_days`` gives for each day what ``engineer`` gives for it alone, also where rows land late."""
        first_rows = with_late_rows(self._case, self._first_rows)
        days = sorted(set(first_rows[self._case.rows].table["landed"].to_pylist()))
        alone = {
            (day, key): row
            for day in days
            for key, row in self._engineered(tables_of(self._case, first_rows, day)).items()
        }
        together = self._engineered_together(tables_of(self._case, first_rows))
        if found := difference(self._case, alone, together, lambda of: f"{of[1]!r} of {of[0]}"):
            raise UseCaseError(
                f"engineer_days of {type(self._case).__name__}",
                "for each day what engineer gives for that day alone",
                found,
                "compare 'landed' in every join: a row may see rows that landed up to its day, and outcomes that landed "
                "before it",
            )
        return f"engineer_days gives for each of {len(days)} days what engineer gives for it alone"

    def gives_from_a_state_what_all_rows_give(self) -> str:
        """``engineer_from_state`` gives for each day what ``engineer`` gives from all rows, also where entities come back
        and rows land late."""
        case = self._case
        first_rows = with_returning_rows(case, self._first_rows)
        days = sorted(set(first_rows[case.rows].table["landed"].to_pylist()))
        state, after = None, None
        for before, day in itertools.pairwise(days):
            with of_their_code(case, "update_state", "a state that can be computed"):
                known = self._frames(_since(tables_of(case, first_rows, before + timedelta(days=1)), after, before))
                state = frame_of(self._spark, snapshot.updated(case, state, known).toArrow())
            of_day, after = tables_of(case, first_rows, day), before
            with of_their_code(case, "engineer_from_state", "a DataFrame of features"):
                recent, of_all = (
                    self._frames(_since(of_day, after, day)),
                    functools.partial(self._frames, of_day.history),
                )
                returned, _ = snapshot.engineered(case, self._frame(of_day.day, 1), state, recent, of_all)
            if found := difference(case, self._engineered(of_day), self._computed(returned, of_day)):
                raise UseCaseError(
                    f"engineer_from_state of {type(case).__name__}",
                    "from the state and the rows since what engineer gives from all rows",
                    f"{found}, of the rows of {day} and the state after {before}",
                    "let update_state keep all that engineer looks at, and engineer_from_state add what is recent",
                )
        return f"engineer_from_state gives for {len(days) - 1} drawn days what engineer gives from all rows"

    def _engineered_together(self, tables: Tables) -> Features:
        """The features of all days by ``engineer_days``, by day and key."""
        case = self._case
        days = self._frame(tables.history[case.rows], tables.parts)
        history = {name: self._frame(rows, tables.parts) for name, rows in tables.history.items()}
        with of_their_code(case, "engineer_days", "a DataFrame of features"):
            returned = features.engineered(case, days, history, together=True)
            features.check_columns(case, returned, "engineer_days")
            features.check_asks_no_clock(case, returned, "engineer_days")
            rows = returned.toArrow().to_pylist()
        found = {
            (row[features.LANDED], keys.value(row, case.key)): tuple(row[feature] for feature in case.features)
            for row in rows
        }
        of_days = tables.history[case.rows].select([features.LANDED, *keys.names(case.key)]).to_pylist()
        asked = {(row[features.LANDED], keys.value(row, case.key)) for row in of_days}
        lost, foreign = len(asked - found.keys()), len(found.keys() - asked)
        features.check_one_row_each(case, len(asked), lost, len(rows) - len(found), foreign, "engineer_days")
        return found

    @property
    def _moment(self) -> str:
        """The column that says when a row's features are known."""
        return self._case.event_time or "landed"

    def _engineered(self, tables: Tables, around: AbstractContextManager[Any] | None = None) -> Features:
        with around or nullcontext():
            returned = self._planned(tables)
        return self._computed(returned, tables)

    def _planned(self, tables: Tables) -> DataFrame:
        """What ``engineer`` returns; nothing is computed yet."""
        day = self._frame(tables.day, tables.parts)
        history = {name: self._frame(rows, tables.parts) for name, rows in tables.history.items()}
        with of_their_code(self._case, "engineer", "a DataFrame of features"):
            return features.engineered(self._case, day, history)

    @unreadable_files_named()
    def _computed(self, returned: DataFrame, tables: Tables) -> Features:
        case = self._case
        if not hasattr(returned, "toArrow"):
            raise self._fault("a DataFrame of features", f"a {type(returned).__name__}", "return one")
        features.check_columns(case, returned)
        features.check_asks_no_clock(case, returned)
        with of_their_code(case, "engineer", "features that can be computed"):
            rows = returned.select(*keys.names(case.key), *case.features).toArrow().to_pylist()
        found = {keys.value(row, case.key): tuple(row[feature] for feature in case.features) for row in rows}
        of_the_day = tables.day.select(keys.names(case.key)).to_pylist()
        asked = {keys.value(row, case.key) for row in of_the_day}
        foreign = sum(keys.value(row, case.key) not in asked for row in rows)
        lost = len(asked - found.keys())
        features.check_one_row_each(case, len(asked), lost, len(rows) - foreign - (len(asked) - lost), foreign)
        return found

    def _frames(self, tables: Mapping[str, pa.Table]) -> dict[str, DataFrame]:
        return {name: self._frame(rows, 1) for name, rows in tables.items()}

    def _frame(self, rows: pa.Table, parts: int) -> DataFrame:
        """A DataFrame of the rows in their order, in so many partitions."""
        size = max(1, -(-rows.num_rows // parts))
        starts = range(0, max(1, rows.num_rows), size)
        frames = [frame_of(self._spark, rows.slice(start, size)).coalesce(1) for start in starts]
        return functools.reduce(lambda one, other: one.union(other), frames)

    def _difference(self, other: Features) -> str:
        """In words the first feature in which the found rows differ from others; empty where none does."""
        return difference(self._case, self._found, other)

    def _fault(self, wanted: str, found: str, next_step: str) -> UseCaseError:
        return UseCaseError(f"engineer of {type(self._case).__name__}", wanted, found, next_step)


def difference(case: UseCase, one: Features, other: Features, name: Callable[[Any], str] = repr) -> str:
    """In words the first feature in which rows differ from others of the same keys; empty where none does."""
    for place, feature in enumerate(case.features):
        differ = [key for key, row in one.items() if not _alike(row[place], other[key][place])]
        if differ:
            first, then = one[differ[0]][place], other[differ[0]][place]
            of_rows = f"{len(differ):,} of {len(one):,} rows"
            return f"{feature!r} of {name(differ[0])} as {first!r} and then as {then!r}, another in {of_rows}"
    return ""


def tables_of(case: UseCase, first_rows: Mapping[str, FirstRows], of: date | None = None) -> Tables:
    """A day, by default the newest that has rows, and its history, as the stage of features would have them."""
    day = pa.scalar(of) if of else pc.max(first_rows[case.rows].table["landed"])
    rows = _until(first_rows[case.rows].table, day)
    hidden = [case.label.column] if case.label_lands_with_rows else []
    shown = rows.drop_columns(hidden)
    history = {feed: _until(first_rows[feed].table, day) for feed in case.feature_feeds if feed != case.rows}
    before = pa.scalar(day.as_py() - timedelta(days=1))
    for feed in case.past_outcome_feeds:
        history[feed] = _until(first_rows[feed].table, before)
    if case.label_lands_with_rows and case.feeds[case.rows].history:
        told = _until(rows, before).select([*keys.names(case.key), case.label.column, "landed"])
        history[case.rows_outcomes] = told.filter(pc.is_valid(told[case.label.column]))
    history[case.rows] = shown
    of_day = shown.filter(pc.equal(rows["landed"], day))
    return Tables(of_day if case.event_time is None else of_day.drop_columns(["landed"]), history)


def with_later_events(case: UseCase, event_time: str, tables: Tables) -> Tables | None:
    """Add to the day two copies of each of its rows under other keys, whose events are later than those of all rows: by
    a second, and by a day. They landed on the day. None where the key has a type of which no values can be made; of a
    key of several columns the first gets other values.
    """
    day, rows = tables.day, tables.history[case.rows]
    later = [moment for by in _LATER if (moment := _after(rows[event_time], by)) is not None]
    key = keys.names(case.key)[0]
    others = _other_keys(rows[key], day.num_rows * len(later))
    if others is None:
        return None
    landed = pc.max(rows["landed"]).as_py()
    copies = [row | {event_time: moment} for moment in later for row in day.to_pylist()]
    copies = [row | {key: other, "landed": landed} for row, other in zip(copies, others, strict=True)]
    of_day = pa.Table.from_pylist(copies, schema=day.schema)
    of_history = pa.Table.from_pylist(copies, schema=rows.schema)
    history = dict(tables.history) | {case.rows: pa.concat_tables([rows, of_history])}
    return Tables(pa.concat_tables([day, of_day]), history)


def with_late_rows(case: UseCase, first_rows: Mapping[str, FirstRows]) -> Mapping[str, FirstRows]:
    """Add to the newest day a copy of each row of the days before it, under another key, whose event is earlier than
    those of all rows: it lands late. Without an event time, or another key that can be made, the rows are left as they
    are."""
    rows = first_rows[case.rows].table
    newest = pc.max(rows["landed"])
    before = rows.filter(pc.less(rows["landed"], newest))
    key = keys.names(case.key)[0]
    others = _other_keys(rows[key], before.num_rows) if before.num_rows else None
    if case.event_time is None or others is None:
        return first_rows
    early = pc.min(rows[case.event_time]).as_py() - timedelta(days=1)
    late = [
        row | {key: other, case.event_time: early, "landed": newest.as_py()}
        for row, other in zip(before.to_pylist(), others, strict=True)
    ]
    table = pa.concat_tables([rows, pa.Table.from_pylist(late, schema=rows.schema)])
    return dict(first_rows) | {case.rows: replace(first_rows[case.rows], table=table)}


def with_returning_rows(case: UseCase, first_rows: Mapping[str, FirstRows]) -> Mapping[str, FirstRows]:
    """Let entities come back, up to two days after the newest: add of each row a copy under another key, which lands on
    one of the later days. Its event is at the time of the row's, earlier than all or later than all. Where the key is the
    entity, or no other key can be made, the copies have the keys of the rows, and land on the last day."""
    rows = first_rows[case.rows].table
    newest, key = pc.max(rows["landed"]).as_py(), keys.names(case.key)[0]
    days = [*sorted(set(rows["landed"].to_pylist())), *(newest + by for by in _NEXT)]
    others = None if case.entity is None else _other_keys(rows[key], rows.num_rows)
    copies = {}
    for number, row in enumerate(rows.to_pylist()):
        later = [day for day in days if day > row["landed"]] if others else days[-1:]
        copy = row | {"landed": later[number % len(later)]} | ({key: others[number]} if others else {})
        if case.event_time is not None:
            moments = _moments(rows[case.event_time], row[case.event_time])
            copy[case.event_time] = moments[number // len(later) % len(moments)]
        copies[copy["landed"], keys.value(copy, case.key)] = copy
    table = pa.concat_tables([rows, pa.Table.from_pylist([*copies.values()], schema=rows.schema)])
    return dict(first_rows) | {case.rows: replace(first_rows[case.rows], table=table)}


def _moments(of_rows: pa.ChunkedArray, own: Any) -> list[Any]:
    """The moment of a row, one before those of all rows, and some after them."""
    later = [moment for by in _LATER if (moment := _after(of_rows, by)) is not None]
    return [*later, own, pc.min(of_rows).as_py() - timedelta(days=1)]


def _since(tables: Tables, after: date | None, until: date) -> dict[str, pa.Table]:
    """The rows of history that have landed later than a day, or all, up to another one."""
    shown = {name: _until(rows, pa.scalar(until)) for name, rows in tables.history.items()}
    if after is None:
        return shown
    return {name: rows.filter(pc.greater(rows["landed"], pa.scalar(after))) for name, rows in shown.items()}


def _until(rows: pa.Table, day: pa.Scalar) -> pa.Table:
    return rows.filter(pc.less_equal(rows["landed"], day))


def _after(moments: pa.ChunkedArray, by: timedelta) -> Any:
    """The last of the moments and so much more; None where their type is too coarse for it."""
    last = pc.max(moments).as_py()
    return last + by if last + by > last else None


def _other_keys(keys: pa.ChunkedArray, count: int) -> list[Any] | None:
    """So many values that are none of the keys."""
    if pa.types.is_string(keys.type):
        longest = max(keys.to_pylist(), key=len)
        return [f"{longest}-{number}" for number in range(count)]
    if pa.types.is_integer(keys.type):
        first = max(keys.to_pylist()) + 1
        return [*range(first, first + count)] if first + count < 2 ** (keys.type.bit_width - 1) else None
    return None


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)
