"""Says what a run over a range of days would build, before anything runs: what certainly will be built, what may be, and
what it takes.

What is published stays as it is, also where it is stale. A new model may be rejected; then what waits for it is not
built, or an older training is asked for, too. So what is built is all that ``will`` says, and nothing but what ``will``
or ``may`` says.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spark_lib.errors import ConfigurationError
from spark_lib.lake import Manifest, days
from tasks.graph.staleness import PUBLISHED, RAW, Candidates, Cell, Day, Need, State, States


class Build(enum.Enum):
    """Whether a partition will be built."""

    WILL = "will"
    MAY = "may"


@dataclass(frozen=True)
class Estimate:
    """What some partitions take, each as long and as large as the median day of its dataset that is published.

    ``unknown`` are datasets of which no day is published: they are not in ``seconds`` and ``bytes``. Each partition is
    a job of its own.
    """

    partitions: int
    seconds: float
    bytes: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """``cells`` are by dataset, in the order of the chain, and by day: what is there or is due. ``builds`` has what will
    or may be built, of earlier days, too."""

    first: date
    last: date
    cells: Mapping[str, Mapping[date, Cell]]
    builds: Mapping[Day, Build]
    will: Estimate
    may: Estimate


def make(states: States, asked: Sequence[str], first: date, last: date) -> Plan:
    """The plan for all due days of the ``asked`` datasets on ``[first, last]``. ``states`` has looked at them."""
    cells = {
        dataset: {day: cell for day in days(first, last) if (cell := states.cell(dataset, day)) is not None}
        for dataset in asked
    }
    roots = [
        Day(dataset, day) for dataset, found in cells.items() for day in found if states.stages[dataset].is_due(day)
    ]
    builds = dict(Builds(states, roots).found())
    return Plan(first, last, cells, builds, *(_estimate(states, builds, kind) for kind in Build))


def check_range(verb: str, first: date, last: date) -> None:
    """Raise ConfigurationError where ``first`` is after ``last``."""
    if first > last:
        raise ConfigurationError(
            verb, "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )


class Builds:
    """What is built where ``roots`` are asked for, as Luigi and the stages ask for it: what a partition needs first,
    and also where the partition itself is then blocked."""

    def __init__(self, states: States, roots: Iterable[Day]) -> None:
        self._states = states
        self._reached: dict[Day, bool] = {}  # whether it is certainly asked for
        self._certain: dict[Day, bool] = {}
        for root in roots:
            self._reach(root, certain=True)

    def found(self) -> Iterator[tuple[Day, Build]]:
        """Each partition that will or may be built, in the order of days."""
        for day, certain in sorted(self._reached.items(), key=lambda item: (item[0].date, item[0].name)):
            if self._states.of(day).state is State.MISSING:
                yield day, Build.WILL if certain and self._is_certain(day) else Build.MAY

    def asked(self) -> list[Day]:
        """The missing partitions that are certainly asked for. One that waits for a model may not be built in the end."""
        return sorted(
            day for day, certain in self._reached.items() if certain and self._states.of(day).state is State.MISSING
        )

    def _reach(self, partition: Day, certain: bool) -> None:
        cell = self._states.of(partition)
        if cell.state in PUBLISHED or cell.state is State.DAMAGED:
            return
        if partition in self._reached and self._reached[partition] >= certain:
            return
        self._reached[partition] = certain
        for need in self._states.stages[partition.name].needs(partition.date):
            if isinstance(need, Candidates):
                self._walk(need, certain, cell.state is State.MISSING)
            elif not need.name.startswith(RAW):
                for day in days(need.first, need.last):
                    self._reach(Day(need.name, day), certain and not need.may)

    def _walk(self, need: Candidates, certain: bool, is_chosen: bool) -> None:
        """Ask for candidates as a selection does, newest first, up to one that stops the walk."""
        pending = False
        for day in need.days:
            candidate = Day(need.name, day)
            self._reach(candidate, certain and (need.every or not pending))
            if self._states.is_blocked(candidate):
                if need.every or not pending:
                    return
                break
            if self._states.serves(candidate) and not need.every:
                break
            pending = pending or self._is_pending(candidate)
        if need.rows and need.every and is_chosen:
            self._compare(need, certain)

    def _compare(self, need: Candidates, certain: bool) -> None:
        """Ask for the rows that candidates which are there are compared on; those to be built bring theirs."""
        compared = self._states.compared_on(need)
        for place, day in enumerate(need.days):
            rows = Day(need.rows, day)
            if rows in compared:
                self._reach(rows, certain)
            elif self._states.serves(Day(need.name, day)) and any(
                self._is_pending(Day(need.name, older)) for older in need.days[place + 1 :]
            ):
                self._reach(rows, certain=False)

    def _is_pending(self, candidate: Day) -> bool:
        return self._states.of(candidate).state is State.MISSING

    def _is_certain(self, partition: Day) -> bool:
        """Whether a missing partition is built, whatever comes of the models that it waits for."""
        if partition not in self._certain:
            needs = self._states.stages[partition.name].needs(partition.date)
            self._certain[partition] = all(map(self._is_met, needs))
        return self._certain[partition]

    def _is_met(self, need: Need | Candidates) -> bool:
        if isinstance(need, Candidates):
            return any(self._states.serves(Day(need.name, day)) for day in need.days)
        if need.may or need.name.startswith(RAW):
            return True
        needed = (Day(need.name, day) for day in days(need.first, need.last))
        return all(self._states.of(day).state in PUBLISHED or self._is_certain(day) for day in needed)


def _estimate(states: States, builds: Mapping[Day, Build], kind: Build) -> Estimate:
    wanted = [day.name for day, build in builds.items() if build is kind]
    seconds, size, unknown = 0.0, 0, []
    for dataset in dict.fromkeys(wanted):
        known = [manifest for manifest in states.standing.published.get(dataset, {}).values() if manifest is not None]
        if known:
            count = wanted.count(dataset)
            seconds += count * statistics.median(manifest.seconds for manifest in known)
            size += count * round(statistics.median(map(bytes_of, known)))
        else:
            unknown.append(dataset)
    return Estimate(len(wanted), seconds, size, tuple(unknown))


def bytes_of(manifest: Manifest) -> int:
    """Bytes of all files of a run."""
    return sum(file.size for file in manifest.files)
