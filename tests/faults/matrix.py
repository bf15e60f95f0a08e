"""Cases, what came of them, and the table: nothing here knows what a fault is."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

#: How often a case may try until its fault strikes, each time with other random numbers.
TRIES = 3


class NotFired(Exception):
    """The fault did not strike: a process ended before, a request was never sent."""


class Scene(Protocol):
    """Where one try of a case happens. ``violations`` is what it found broken."""

    violations: list[str]

    def settle(self) -> None:
        """Run again, undisturbed, and check every invariant."""


@dataclass(frozen=True)
class Case:
    """``strike`` lets the fault happen on a scene; it raises NotFired where it did not. ``seeds`` is how often the case
    counts: so many seeds of it are run for each one that is asked for. ``together`` names cases that share a lane."""

    name: str
    family: str
    store: str
    strike: Callable[..., None]
    seeds: int = 1
    together: str = ""


@dataclass
class Outcome:
    """One case with one seed. ``tries`` is how many it took for the fault to strike."""

    case: Case
    seed: int
    fired: bool = False
    tries: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "; ".join(self.violations) or ("fired" if self.fired else "")
        return f"{self.case.name} --seed {self.seed} ({self.seconds:.1f} s): {said}"


#: Opens a scene for a case and the number of its try.
Stage = Callable[[Case, int, int], AbstractContextManager[Scene]]


def run_case(case: Case, seed: int, stage: Stage) -> Outcome:
    """Try until the fault strikes, then check. A case whose fault never struck is a violation of its own."""
    outcome = Outcome(case, seed)
    began = time.monotonic()
    while not outcome.fired and not outcome.violations and outcome.tries < TRIES:
        draw = random.Random(f"{case.name} {seed} {outcome.tries}")
        outcome.tries += 1
        try:
            with stage(case, seed, outcome.tries) as scene:
                try:
                    case.strike(scene, draw)
                    outcome.fired = True
                except NotFired:
                    pass
                scene.settle()
                outcome.violations += scene.violations
        except Exception:  # whatever it is, it is this case's violation, and the others go on
            outcome.violations.append(traceback.format_exc())
    if not outcome.fired and not outcome.violations:
        outcome.violations.append(f"the fault did not strike in {TRIES} tries")
    outcome.seconds = time.monotonic() - began
    return outcome


def run_all(
    lanes: Sequence[Sequence[tuple[Case, int]]], stage: Stage, at_once: int, say: Callable[[Outcome], None]
) -> list[Outcome]:
    """Every case; those of a lane one after another, ``at_once`` lanes at a time, in the order given."""
    done: list[Outcome] = []
    lock = threading.Lock()

    def run(lane: Sequence[tuple[Case, int]]) -> None:
        for case, seed in lane:
            outcome = run_case(case, seed, stage)
            with lock:
                done.append(outcome)
                say(outcome)

    with ThreadPoolExecutor(at_once) as pool:
        for future in [pool.submit(run, lane) for lane in lanes]:
            future.result()
    return done


def every_seed(cases: Iterable[Case], seeds: int) -> list[tuple[Case, int]]:
    """Cases with each of their seeds, ``seeds`` times the usual number."""
    return [(case, seed) for case in cases for seed in range(seeds * case.seeds)]


def drawn(runs: Iterable[tuple[Case, int]], more: int, seed: int) -> list[tuple[Case, int]]:
    """One run of each fault and store, and ``more`` others, in the order given. The same ``seed`` draws the same."""
    draw = random.Random(seed)
    left = list(enumerate(runs))
    draw.shuffle(left)
    first_of: dict[tuple[str, str], int] = {}
    for place, (case, _) in left:
        first_of.setdefault((case.family, case.store), place)
    always = set(first_of.values())
    others = [place for place, _ in left if place not in always]
    chosen = always | set(others[:more])
    return [run for place, run in sorted(left, key=lambda each: each[0]) if place in chosen]


def lanes_of(runs: Iterable[tuple[Case, int]]) -> list[list[tuple[Case, int]]]:
    """Cases with their seeds: those that go together in one lane each, which come first, every other in its own."""
    shared: dict[str, list[tuple[Case, int]]] = {}
    single = []
    for case, seed in runs:
        if case.together:
            shared.setdefault(case.together, []).append((case, seed))
        else:
            single.append([(case, seed)])
    return [*shared.values(), *single]


def table(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, ...]]:
    """Rows by family and store, a head first and the sum last."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.case.family, outcome.case.store), []).append(outcome)
    yield ("fault", "store", "cases", "fired", "violations", "seconds")
    for (family, store), group in sorted(groups.items()):
        yield (family, store, *_figures(group))
    yield ("all", "", *_figures([outcome for group in groups.values() for outcome in group]))


def _figures(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    fired = sum(outcome.fired for outcome in outcomes)
    violations = sum(len(outcome.violations) for outcome in outcomes)
    return str(len(outcomes)), str(fired), str(violations), f"{sum(outcome.seconds for outcome in outcomes):.0f}"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 only where there were cases, every fault struck and nothing was violated."""
    good = all(outcome.fired and not outcome.violations for outcome in outcomes)
    return 0 if outcomes and good else 1


def report(outcomes: Sequence[Outcome], out: Callable[[str], None] = print) -> int:
    """The table, violations in full, and the two last lines. Returns the exit code.

    Violations come late, because of a long log often the end alone is kept.
    """
    rows = list(table(outcomes))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    out("")
    for outcome in outcomes:
        for violation in outcome.violations:
            out(f"VIOLATION {outcome.case.name} --seed {outcome.seed}\n{violation}\n")
    out(f"faults fired: {sum(outcome.fired for outcome in outcomes)}")
    out(f"violations: {sum(len(outcome.violations) for outcome in outcomes)}")
    return exit_code(outcomes)


_PAGE = """# The fault matrix

This page shows what `make faults` found when it was last run for it. `make faults` repeats the same cases with the
same seeds, and `make faults-full` takes more seeds. `make faults-drawn`, which CI runs, takes one case of each fault
and store and 33 more that are drawn, and prints the seed of the draw. `python -m tests.faults --only NAME --seed N`
runs one case again, and `python -m tests.faults --list` names them.

A case starts real processes on a lake of its own and lets its fault strike. Then the same is run again undisturbed,
and every invariant is checked:

- each day has exactly one published run;
- the rows are those of an undisturbed run;
- a reader that polled the manifests all along saw nothing half-written;
- an exit code of 0 means that the work was done, and any other is the documented one.

A case counts as a violation, too, where its fault did not strike in three tries with other random numbers.

{table}
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The same table as a page of docs/."""
    head, *rows = table(outcomes)
    lines = [head, tuple("---" for _ in head), *rows]
    return _PAGE.format(table="\n".join(f"| {' | '.join(line)} |" for line in lines))
