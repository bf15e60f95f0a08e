"""Drawn histories: rows of entities over a few days, with all that may go wrong in time, and twins of them in which something
that may not matter is changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import combinations, product
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib.use_case import UseCase
from tests.spark.lakes import DAY, Parcels, feed, land, noon, table

#: Days are counted from ``DAY``, whose features are built; the training set is that of the day after, of two days.
WINDOW, TRAINING, LAST = (-1, 0), 1, 3
HISTORIES = 200
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

    def with_other_outcomes_later(self) -> Row:
        by_then = {day: positive for day, positive in self.outcomes.items() if day <= TRAINING}
        return replace(self, outcomes=by_then | dict(self.outcomes_instead))


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
            changed = self._of(self.others, self.later_instead)
            return {key: row.with_other_outcomes_later() for key, row in changed.items()}
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
SINGLE = [{day: positive} for day, positive in product(range(-3, LAST + 1), [False, False, True])]
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


def drawn() -> list[History]:
    """Many histories, always the same."""
    found = []

    @settings(max_examples=HISTORIES, derandomize=True, database=None, deadline=None)
    @given(a_history())
    def collect(history: History) -> None:
        found.append(history)

    collect()
    return found


# -- how they land


Order = Callable[[list[dict[str, Any]]], None]


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


def land_rows_of(root: Path, case: UseCase, entities: Mapping[str, Mapping[str, Row]], order: Order) -> None:
    """``order`` brings the rows of a day in the order in which they land."""
    by_day = defaultdict(list)
    for entity, rows in entities.items():
        for key, row in rows.items():
            by_day[row.landed].append(as_landed(case, entity, f"{entity}: {key}", row))
    for rows in by_day.values():
        order(rows)
    land_all(root, case, case.rows, by_day)


def land_outcomes_of(root: Path, case: UseCase, entities: Mapping[str, Mapping[str, Row]], order: Order) -> None:
    negative = next(value for value in case.label.allowed if value != case.label.positive)
    by_day = defaultdict(list)
    for entity, rows in entities.items():
        for key, row in rows.items():
            for day, positive in row.outcomes.items():
                value = case.label.positive if positive else negative
                by_day[day].append({case.label.key: f"{entity}: {key}", case.label.column: value})
    for rows in by_day.values():
        order(rows)
    land_all(root, case, case.label.feed, by_day)
