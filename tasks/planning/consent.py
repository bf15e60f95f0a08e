"""Asks before a run rebuilds many stale partitions, and refuses where there is nobody to ask."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import luigi
from luigi.tools.range import RangeDailyBase

from spark_lib.errors import DaystoneError, NotConfirmed
from tasks.config.on_stale import OnStale
from tasks.graph.stage import Stage
from tasks.graph.staleness import Day, State, States
from tasks.planning.chain import CHAIN, rank
from tasks.planning.commands import options

_SETTLED: list[None] = []  # one for each block that has asked already


def ask(wanted: Iterable[luigi.Task]) -> None:
    """Look at what a run of these tasks would rebuild because it is stale. Where that is more than ``[lake] ask_above``
    partitions, ask on a terminal; raise NotConfirmed where the answer is not yes, or where there is no terminal.

    Nothing is asked in a block of ``settled``, nor of a lake that cannot be looked at: the run itself will say why.
    """
    if _SETTLED:
        return
    for stages in _by_place(_stages(wanted)):
        rebuilt = _rebuilt(stages)
        if len(rebuilt) > stages[0].settings.lake.ask_above:
            _ask(stages[0], rebuilt)


@contextmanager
def settled() -> Iterator[None]:
    """A block in which nothing is asked any more."""
    _SETTLED.append(None)
    try:
        yield
    finally:
        _SETTLED.pop()


def _stages(wanted: Iterable[luigi.Task]) -> Iterator[Stage]:
    """The stages of the chain among some tasks, and those that other tasks require, as a range does."""
    for task in wanted:
        if isinstance(task, Stage):
            if isinstance(task, CHAIN):
                yield task
        elif hasattr(task, "stages_asked"):  # a backfill, whose stages are no tasks of its own
            yield from task.stages_asked()
        elif not isinstance(task, RangeDailyBase) or (task.start and task.stop and task.start < task.stop):
            yield from _stages(luigi.task.flatten(task.requires()))


def _by_place(stages: Iterable[Stage]) -> list[list[Stage]]:
    """Stages of one use case in one lake together."""
    places: dict[tuple[str, str], list[Stage]] = {}
    for stage in stages:
        places.setdefault((stage.use_case, stage.lake), []).append(stage)
    return list(places.values())


def _rebuilt(stages: Sequence[Stage]) -> dict[Day, States]:
    """The stale partitions that are rebuilt where these stages are asked for, with the states that they were found in."""
    first = stages[0]
    if all(first.settings.on_stale.of(stage.dataset) is not OnStale.REBUILD for stage in CHAIN):
        return {}
    # These are imported here, because most runs rebuild nothing.
    from tasks.planning import standing
    from tasks.planning.plan import Builds

    spans: dict[str, tuple[date, date]] = {}
    for stage in stages:
        begin, end = spans.get(stage.dataset, (stage.date, stage.date))
        spans[stage.dataset] = min(begin, stage.date), max(end, stage.date)
    todays = standing.todays(first.date, {type(stage) for stage in stages}, use_case=first.use_case, lake=first.lake)
    try:
        states = standing.look(first.partitions, first.feeds, todays, spans)
        asked = [Day(stage.dataset, stage.date) for stage in stages]
        forced = [Day(stage.dataset, stage.date) for stage in stages if stage.force]
        builds = dict(Builds(states, asked, forced).found())
    except DaystoneError:
        return {}
    return {day: states for day in builds if day not in forced and states.of(day).state is State.STALE}


def _ask(stage: Stage, rebuilt: dict[Day, States]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for day, states in sorted(rebuilt.items()):
        kinds = ", ".join(dict.fromkeys(reason.kind for reason in states.of(day).reasons))
        counts[day.name, kinds] = counts.get((day.name, kinds), 0) + 1
    said = "; ".join(
        f"{count:,} of {dataset} ({kinds})"
        for (dataset, kinds), count in sorted(counts.items(), key=lambda item: (rank(item[0][0]), item[0][0]))
    )
    number, limit = len(rebuilt), stage.settings.lake.ask_above
    partitions = f"{number:,} stale partition{'' if number == 1 else 's'}"
    wanted = f"at most {limit:,} ([lake] ask_above), or a yes on a terminal"
    if at_a_terminal():
        sys.stderr.write(f"{said}\n")
        if confirmed(f"Rebuild {partitions}?"):
            return
        wanted = "a yes"
    days = [day.date for day in rebuilt]
    raise NotConfirmed(
        f"a run that would rebuild {partitions}",
        wanted,
        said,
        f"look at them (daystone plan --from {min(days)} --to {max(days)}{options(stage)}), then run again with [lake] "
        f"ask_above = {number} to rebuild them, or with [lake] on_stale = warn to keep them",
    )


def at_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Whether the answer on the terminal to a question is yes."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
