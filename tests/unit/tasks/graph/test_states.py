"""The states of partitions, on lakes that are planted as manifests and landed days, and against a function that looks at
every day one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random
from typing import Any

import pytest

from spark_lib.lake import Input, days
from tasks.graph.staleness import (
    RAW,
    Candidates,
    Cell,
    Day,
    InputChanged,
    Landed,
    Need,
    Standing,
    State,
    States,
    Today,
)
from tasks.planning import standing
from tests.unit.stubs import planted
from tests.unit.stubs.stublake import CONTESTED, LOANS, configure

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 22)
MONDAYS = (date(2026, 1, 12), date(2026, 1, 19))
REMEMBERED = "tests.unit.stubs.cases:Remembered"
DATASETS = ("features", "serving", "balanced", "model", "selection", "predictions")


def todays(monkeypatch: pytest.MonkeyPatch, use_case: str = LOANS) -> list[Today]:
    configure(monkeypatch, f"[lake]\nroot = /nowhere\n[pipeline]\nuse_case = {use_case}\n")
    return standing.todays(LAST)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[Today]:
    return todays(monkeypatch)


def of(stages: Sequence[Today], events: Landed, outcomes: Landed, **published: dict[date, Any]) -> States:
    """The states of a lake where feeds have landed and days are published."""
    there: dict[str, Any] = {dataset: published.get(dataset, {}) for dataset in DATASETS}
    return States(stages, Standing(there, {f"{RAW}events": events, f"{RAW}outcomes": outcomes}))


WHOLE = planted.landed(FIRST, LAST)


@pytest.mark.parametrize(
    ("first", "last", "absent"),
    [
        (date(2025, 12, 31), FIRST, date(2025, 12, 31)),  # nobody has looked there
        (FIRST, date(2026, 1, 4), None),
        (FIRST, date(2026, 1, 9), date(2026, 1, 5)),
        (date(2026, 1, 6), date(2026, 1, 9), date(2026, 1, 8)),
        (date(2026, 1, 9), LAST, None),
        (date(2026, 1, 9), date(2026, 1, 30), date(2026, 1, 23)),
    ],
)
def test_the_first_day_that_has_not_landed_may_be_before_or_after_those_that_were_looked_at(
    first: date, last: date, absent: date | None
) -> None:
    found = planted.landed(FIRST, LAST, without=[date(2026, 1, 5), date(2026, 1, 8)])

    assert found.first_absent(first, last) == absent


def test_nothing_is_built_and_everything_has_landed(stages: list[Today]) -> None:
    states = of(stages, WHOLE, WHOLE)

    assert {states.of(Day("predictions", day)).state for day in days(MONDAYS[0], LAST)} == {State.MISSING}
    assert states.cell("model", MONDAYS[0]) == Cell(State.MISSING)
    assert states.cell("predictions", date(2026, 1, 11)) is None
    assert states.cell("model", date(2026, 1, 13)) is None
    assert states.cell("serving", LAST) is None


def test_features_wait_for_a_day_after_the_newest_and_predictions_are_blocked_by_them(stages: list[Today]) -> None:
    states = of(stages, planted.landed(FIRST, LAST, [LAST]), WHOLE)

    assert states.cell("features", LAST) == Cell(State.WAITING, because=Day("raw/events", LAST))
    assert states.cell("predictions", LAST) == Cell(State.BLOCKED, because=Day("features", LAST))


def test_a_hole_stops_every_later_day_and_nothing_before_it(stages: list[Today]) -> None:
    hole = date(2026, 1, 14)
    states = of(stages, planted.landed(FIRST, LAST, [hole, LAST]), WHOLE)

    assert states.cell("features", date(2026, 1, 13)) == Cell(State.MISSING)
    found = {states.cell("features", day) for day in days(hole, LAST)}
    assert found == {Cell(State.HOLE, because=Day("raw/events", hole))}


def test_a_model_is_blocked_by_a_training_set_that_waits_for_outcomes_and_a_selection_by_the_model(
    stages: list[Today],
) -> None:
    states = of(stages, WHOLE, planted.landed(FIRST, date(2026, 1, 18)))

    assert states.cell("balanced", MONDAYS[1]) == Cell(State.WAITING, because=Day("raw/outcomes", MONDAYS[1]))
    assert states.cell("model", MONDAYS[1]) == Cell(State.BLOCKED, because=Day("balanced", MONDAYS[1]))
    assert states.cell("selection", LAST) == Cell(State.BLOCKED, because=Day("model", MONDAYS[1]))
    assert states.cell("selection", date(2026, 1, 18)) == Cell(State.MISSING)


def test_a_damaged_input_blocks_what_is_missing_and_leaves_what_is_built(stages: list[Today]) -> None:
    built = planted.manifest(inputs=[Input("features", LAST, LAST, ("r1",))])
    damaged = {LAST: None, date(2026, 1, 21): None}
    states = of(stages, WHOLE, WHOLE, features=damaged, predictions={LAST: built})

    assert states.cell("features", LAST) == Cell(State.DAMAGED)
    assert states.cell("predictions", LAST) == Cell(State.DONE)
    assert states.cell("predictions", date(2026, 1, 21)) == Cell(
        State.BLOCKED, because=Day("features", date(2026, 1, 21))
    )


def test_a_selection_is_blocked_where_every_candidate_was_rejected(stages: list[Today]) -> None:
    rejected = dict.fromkeys(MONDAYS, planted.manifest(approved=False))
    states = of(stages, WHOLE, WHOLE, model=rejected)

    assert states.cell("model", MONDAYS[0]) == Cell(State.REJECTED)
    assert states.cell("selection", LAST) == Cell(State.BLOCKED, because=Day("model", MONDAYS[1]))


def test_an_older_model_that_cannot_be_built_blocks_only_where_models_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = {MONDAYS[0]: None, MONDAYS[1]: planted.manifest()}

    alone = of(todays(monkeypatch), WHOLE, WHOLE, model=models).cell("selection", LAST)
    compared = of(todays(monkeypatch, CONTESTED), WHOLE, WHOLE, model=models).cell("selection", LAST)

    assert alone == Cell(State.MISSING)
    assert compared == Cell(State.BLOCKED, because=Day("model", MONDAYS[0]))


def test_a_stage_that_nobody_asks_for_is_due_where_a_person_does(monkeypatch: pytest.MonkeyPatch) -> None:
    todays(monkeypatch)
    from tasks.serving import ServingFeatures

    states = of(standing.todays(LAST, [ServingFeatures]), WHOLE, WHOLE)

    assert states.cell("serving", FIRST) == Cell(State.MISSING)
    assert states.cell("serving", date(2025, 12, 31)) is None


@pytest.mark.slow
@pytest.mark.parametrize("use_case", [LOANS, CONTESTED, REMEMBERED])
def test_a_hundred_drawn_lakes_are_judged_as_by_a_look_at_each_day(
    monkeypatch: pytest.MonkeyPatch, use_case: str
) -> None:
    stages = todays(monkeypatch, use_case)
    seen: set[State] = set()
    for seed in range(100):
        there = planted.drawn(Random(seed), stages, FIRST, LAST)
        states, looked = States(stages, there), Looked(stages, there)
        for dataset, day in itertools.product(DATASETS, days(FIRST, LAST)):
            found = states.cell(dataset, day)
            assert found == looked.cell(dataset, day), (seed, dataset, day)
            seen |= {found.state} if found else set()
    assert seen == set(State) - {State.HELD}  # releases, which alone are held, are not among them


class Looked:
    """The same states, by looking at every day one by one, with nothing remembered."""

    def __init__(self, stages: Sequence[Today], there: Standing) -> None:
        self.stages = {stage.dataset: stage for stage in stages}
        self.there = there
        self.raw = {
            (name, feed.first + (day - feed.first)): identity
            for name, feed in there.landed.items()
            for day, identity in zip(days(feed.first, LAST), feed.ids, strict=True)
        }

    def cell(self, dataset: str, day: date) -> Cell | None:
        if day in self.there.published[dataset]:
            manifest = self.there.published[dataset][day]
            if manifest is None:
                return Cell(State.DAMAGED)
            reasons = tuple(self.reasons(dataset, day))
            rejected = dataset == "model" and not manifest.metrics["verdict"]["approved"]
            return Cell(State.STALE, reasons) if reasons else Cell(State.REJECTED if rejected else State.DONE)
        return self.absent(dataset, day) if self.stages[dataset].is_due(day) else None

    def absent(self, dataset: str, day: date) -> Cell:
        needs = list(self.stages[dataset].needs(day))
        absent = [
            Day(need.name, each)
            for need in needs
            if isinstance(need, Need) and need.name in self.there.landed
            for each in days(need.first, need.last)
            if not self.raw.get((need.name, each))
        ]
        holes = [
            raw for raw in absent if any(self.raw[key] for key in self.raw if key[0] == raw.name and key[1] > raw.date)
        ]
        for state, found in ((State.HOLE, holes), (State.WAITING, absent)):
            if found:
                oldest = min(raw.date for raw in found)
                return Cell(state, because=next(raw for raw in found if raw.date == oldest))
        for need in needs:
            if isinstance(need, Candidates):
                blocking = self.blocking_choice(need)
            elif need.may or need.name in self.there.landed:
                blocking = None
            else:
                blocking = next(
                    (Day(need.name, each) for each in days(need.first, need.last) if self.stuck(need.name, each)), None
                )
            if blocking:
                return Cell(State.BLOCKED, because=blocking)
        return Cell(State.MISSING)

    def blocking_choice(self, need: Candidates) -> Day | None:
        walked = []
        for day in need.days:
            walked.append(day)
            if self.verdict(day) is True and not need.every:
                break
        pending = [day for day in walked if self.verdict(day) is None]
        for place, day in enumerate(walked):
            if self.stuck("model", day):
                # Where models are not compared, the walk may end at a newer one that is still to be built.
                if need.every or not [other for other in pending if other in walked[:place]]:
                    return Day("model", day)
                break
        if all(self.verdict(day) is False for day in walked):
            return Day("model", walked[0])
        approved = [day for day in walked if self.verdict(day) is True]
        return next((Day("balanced", day) for day in approved[:-1] if self.stuck("balanced", day)), None)

    def verdict(self, day: date) -> bool | None:
        manifest = self.there.published["model"].get(day)
        return manifest.metrics["verdict"]["approved"] if manifest else None

    def stuck(self, dataset: str, day: date) -> bool:
        if day in self.there.published[dataset]:
            return self.there.published[dataset][day] is None
        return self.absent(dataset, day).state is not State.MISSING

    def reasons(self, dataset: str, day: date) -> Iterator[InputChanged]:
        manifest = self.there.published[dataset][day]
        assert manifest is not None
        for given in manifest.inputs if dataset != "selection" else ():
            for place, each in enumerate(days(given.first, given.last)):
                then = given.ids[place]
                if given.name in self.there.landed:
                    now = self.raw.get((given.name, each), "")
                    if now and now != then and ("content" in now) == ("content" in then):
                        yield InputChanged(Day(given.name, each), then, now)
                elif stands := self.there.published[given.name].get(each):
                    was = given.digests[place] if given.digests else ""
                    if stands.run != then and not (was and was == stands.digest):
                        yield InputChanged(
                            Day(given.name, each), then, stands.run, True if was and stands.digest else None
                        )
        for need in self.stages[dataset].needs(day):
            read = {
                each for given in manifest.inputs if given.name == need.name for each in days(given.first, given.last)
            }
            if read and isinstance(need, Need) and need.name in self.there.landed:
                for each in days(need.first, need.last):
                    if each not in read and self.raw.get((need.name, each)):
                        yield InputChanged(Day(need.name, each), "", self.raw[need.name, each])
