"""The runner of the fault matrix fails where it has to: a fault that did not strike, an invariant that does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random

import pytest

from spark_lib.lake import Documents, Lake
from tests.faults import matrix
from tests.faults.matrix import Case, NotFired, Outcome
from tests.faults.reader import Reader, contents
from tests.support.checkout import ROOT
from tests.unit.lakes import DAY, open_attempt, publish

KEY = ("credit_risk", "features", DAY)


@dataclass
class Quiet:
    """A scene on which nothing is broken but what it is told."""

    broken: str = ""
    violations: list[str] = field(default_factory=list)
    settled: int = 0

    def settle(self) -> None:
        self.settled += 1
        if self.broken:
            self.violations.append(self.broken)


def run(strike: Callable[..., None], scene: Quiet) -> Outcome:
    @contextmanager
    def stage(case: Case, seed: int, attempt: int) -> Iterator[Quiet]:
        yield scene

    return matrix.run_case(Case("a-case", "a family", "local", strike), 7, stage)


def reported(*outcomes: Outcome) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = matrix.report(outcomes, lines.append)
    return code, lines


def strikes(scene: Quiet, draw: Random) -> None:
    """A fault that happens."""


def never_strikes(scene: Quiet, draw: Random) -> None:
    raise NotFired


def test_a_fault_that_struck_and_broke_nothing_passes() -> None:
    code, lines = reported(run(strikes, Quiet()))
    assert code == 0
    assert lines[-2:] == ["faults fired: 1", "violations: 0"]


def test_a_fault_that_never_struck_fails_after_three_tries_each_checked() -> None:
    scene = Quiet()
    code, lines = reported(run(never_strikes, scene), run(strikes, Quiet()))
    assert (code, scene.settled) == (1, 3)
    assert lines[-2:] == ["faults fired: 1", "violations: 1"]
    assert lines[-3] == "VIOLATION a-case --seed 7\nthe fault did not strike in 3 tries\n"


def test_a_fault_that_strikes_at_the_second_try_passes_with_other_random_numbers() -> None:
    drawn: list[float] = []

    def strike(scene: Quiet, draw: Random) -> None:
        drawn.append(draw.random())
        if len(drawn) == 1:
            raise NotFired

    assert reported(run(strike, Quiet()))[0] == 0
    assert len(set(drawn)) == 2


def test_a_broken_invariant_fails() -> None:
    code, lines = reported(run(strikes, Quiet(broken="rows are gone")))
    assert code == 1
    assert lines[-2:] == ["faults fired: 1", "violations: 1"]
    assert "rows are gone" in lines[-3]


def test_an_exception_in_a_case_is_a_violation() -> None:
    def strike(scene: Quiet, draw: Random) -> None:
        raise ZeroDivisionError("of the case itself")

    code, lines = reported(run(strike, Quiet()))
    assert code == 1
    assert "of the case itself" in lines[-3]


def test_no_case_at_all_fails() -> None:
    assert reported()[0] == 1


def test_cases_that_go_together_share_a_lane_and_every_seed_is_run() -> None:
    shared = [Case(name, "f", "s3", strikes, together="driver") for name in "ab"]
    lanes = matrix.lanes_of(matrix.every_seed([Case("c", "f", "s3", strikes, seeds=2), *shared], seeds=2))
    assert [[(case.name, seed) for case, seed in lane] for lane in lanes] == [
        [("a", 0), ("a", 1), ("b", 0), ("b", 1)],
        *([("c", seed)] for seed in range(4)),
    ]


def test_a_draw_has_each_fault_on_each_store_and_as_many_more_as_asked_for_in_their_order() -> None:
    cases = [Case(f"{name}-{store}", name, store, strikes, seeds=5) for name in "abc" for store in ("local", "s3")]
    every = matrix.every_seed(cases, seeds=1)

    draws = [matrix.drawn(every, more=4, seed=seed) for seed in range(50)]

    for found in draws:
        assert {(case.family, case.store) for case, _ in found} == {(case.family, case.store) for case in cases}
        assert len(found) == len(set(found)) == 6 + 4
        assert found == [run for run in every if run in found]
    assert matrix.drawn(every, more=4, seed=7) == draws[7]
    assert {run for found in draws for run in found} == set(every), "a case is never drawn"


def test_a_draw_of_more_than_there_are_is_all_of_them() -> None:
    every = matrix.every_seed([Case("a", "f", "s3", strikes, seeds=3)], seeds=1)

    assert matrix.drawn(every, more=99, seed=0) == every
    assert len(matrix.drawn(every, more=0, seed=0)) == 1


def test_the_table_counts_by_family_and_store() -> None:
    outcomes = [run(strikes, Quiet()), run(strikes, Quiet(broken="x"))]
    head, family, everything = matrix.table(outcomes)
    assert head[:5] == ("fault", "store", "cases", "fired", "violations")
    assert family[:5] == ("a family", "local", "2", "2", "1")
    assert everything[:5] == ("all", "", "2", "2", "1")


def test_the_page_of_the_faults_begins_with_the_words_that_a_run_writes() -> None:
    made = matrix.page([run(strikes, Quiet())])
    kept = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")

    words, head, _ = made.partition("| fault | store | cases | fired | violations | seconds |\n| --- |")
    assert head
    assert kept.startswith(words + head)


@pytest.fixture
def reading(tmp_path: Path) -> tuple[Lake, Reader]:
    """A lake with a day of rows, and a reader that expects just those."""
    lake = Lake(str(tmp_path), "credit_risk")
    publish(lake, [1, 2])
    (there,) = lake.require("features", DAY)
    return lake, Reader(lake.root, {KEY: contents(there)})


def test_a_reader_accepts_the_same_rows_in_other_files_and_nothing(reading: tuple[Lake, Reader]) -> None:
    lake, reader = reading
    reader.poll()
    with reader.paused(removed=KEY):
        lake.store.remove(lake.prefix("features", DAY))
    reader.poll()
    publish(lake, [2, 1])
    reader.poll()
    assert reader.broken == []


def test_a_reader_notices_other_rows(reading: tuple[Lake, Reader]) -> None:
    lake, reader = reading
    lake.store.remove(lake.prefix("features", DAY))
    publish(lake, [1, 2, 2])
    reader.poll()
    assert [said.partition(", run")[0] for said in reader.broken] == [f"a reader saw other rows in features of {DAY}"]


def test_a_reader_notices_damage_but_where_it_was_done_on_purpose(reading: tuple[Lake, Reader]) -> None:
    lake, reader = reading
    (there,) = lake.require("features", DAY)
    with reader.paused(damaged=KEY):
        Path(there.files()[0]).unlink()
    reader.poll()
    assert reader.broken == []
    with reader.paused(removed=KEY):
        pass
    reader.poll()
    assert "damage that nobody did" in reader.broken[0]


def test_a_reader_notices_a_second_run_of_a_day(reading: tuple[Lake, Reader]) -> None:
    lake, reader = reading
    reader.poll()
    with open_attempt(lake, DAY, rebuild=True) as attempt:
        lake.store.create(f"{attempt.prefix(DAY)}/x", b"")
        attempt.commit(Documents({"x": b""}))
    reader.poll()
    assert any("was published by the runs" in said for said in reader.broken)


def test_a_reader_notices_a_day_that_nobody_asked_for(reading: tuple[Lake, Reader]) -> None:
    lake, reader = reading
    reader.wanted = {**reader.wanted, ("credit_risk", "features", date(2026, 1, 9)): []}
    publish(lake, [1, 2], date(2026, 1, 5))
    reader.poll()
    assert reader.broken == ["features of 2026-01-05 was published, and nobody asked for it"]
