"""Says what a run over a range of days would build, before anything runs: what certainly will be built, what may be, and
what it takes.

What is published stays as it is, also where it is stale, unless ``[lake] on_stale = rebuild``. Then an input that comes
out equal may leave nothing to build, and an input that was removed and comes out otherwise makes stale what was built from
it. A new model may be rejected; then what waits for it is not built, or an older training is asked for, too. So what is
built is all that ``will`` says, and nothing but what ``will`` or ``may`` says.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spark_lib.errors import ConfigurationError
from spark_lib.lake import Manifest, days
from tasks.config.on_stale import OnStale
from tasks.config.sections import NO_SNAPSHOTS
from tasks.config.settings import Settings
from tasks.graph.staleness import (
    PROMOTION,
    PUBLISHED,
    RAW,
    Candidates,
    Cell,
    Day,
    InputChanged,
    Need,
    State,
    States,
    is_of_feed,
)


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
    #: What the estimates do not show; empty where there is nothing to say.
    note: str = ""


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
    will, may = (_estimate(states, builds, kind) for kind in (Build.WILL, Build.MAY))
    return Plan(first, last, cells, builds, will, may)


def of_history(settings: Settings) -> str:
    """What a plan says of a use case for which the configuration asks for snapshots, and which has none."""
    if settings.features.snapshot == NO_SNAPSHOTS or settings.case.has_state:
        return ""
    return (
        f"each day of features reads all raw days: [features] snapshot = {settings.features.snapshot} needs update_state, "
        f"which {type(settings.case).__name__} does not declare"
    )


def check_range(verb: str, first: date, last: date) -> None:
    """Raise ConfigurationError where ``first`` is after ``last``."""
    if first > last:
        raise ConfigurationError(
            verb, "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )


class Builds:
    """What is built where ``roots`` are asked for, as Luigi and the stages ask for it: what a partition needs first,
    and also where the partition itself is then blocked. ``forced`` ones are built although they are there."""

    def __init__(self, states: States, roots: Iterable[Day], forced: Iterable[Day] = ()) -> None:
        self._states = states
        self._forced = frozenset(forced)
        self._reached: dict[Day, bool] = {}  # whether it is certainly asked for
        self._certain: dict[Day, bool] = {}
        self._complete: set[Day] = set()  # what is asked for and complete
        self._turning: set[Day] = set()  # those of them that may be stale in the end
        roots, before = list(roots), -1
        # What turns stale asks for more, which may turn others stale.
        while before < len(self._turning):
            before = len(self._turning)
            self._reached.clear()
            self._certain.clear()
            for root in roots:
                self._reach(root, certain=True)
            self._turning |= self._found_turning()

    def found(self) -> Iterator[tuple[Day, Build]]:
        """Each partition that will or may be built, in the order of days."""
        for day, certain in sorted(self._reached.items(), key=lambda item: (item[0].date, item[0].name)):
            if self._is_pending(day):
                will = certain and self._is_certain(day) and self._stays_stale(day)
                yield day, Build.WILL if will else Build.MAY

    def asked(self) -> list[Day]:
        """The partitions that are to be built and are certainly asked for. One that waits for a model may not be built in
        the end, nor one that is stale by an input which comes out equal."""
        return sorted(day for day, certain in self._reached.items() if certain and self._is_pending(day))

    def _found_turning(self) -> set[Day]:
        """The complete partitions that may be stale in the end: something that they were built from is built again, and may
        come out otherwise."""
        found: dict[Day, bool] = {}

        def may_turn(partition: Day) -> bool:
            if partition not in found:
                stage = self._states.stages[partition.name]
                found[partition] = stage.on_stale.acts and any(
                    (given in self._reached and self._is_pending(given))
                    # A snapshot that nobody asks for stays as it is.
                    or ((given.name not in stage.stands_for_raw or given in self._complete) and may_turn(given))
                    for given in self._states.recorded(partition)
                )
            return found[partition]

        # The oldest come first, so that a long line of snapshots is no recursion.
        return {partition for partition in sorted(self._complete, key=lambda day: day.date) if may_turn(partition)}

    def _reach(self, partition: Day, certain: bool) -> None:
        if self._is_done(partition):
            if self._states.unfit(partition) is None:
                self._complete.add(partition)
            return
        certain = certain and partition not in self._turning
        if partition in self._reached and self._reached[partition] >= certain:
            return
        self._reached[partition] = certain
        is_there = self._states.of(partition).state in PUBLISHED
        is_chosen = self._is_pending(partition)
        in_place_of_raw = self._states.stages[partition.name].stands_for_raw
        for need in self._states.stages[partition.name].needs(partition.date):
            if isinstance(need, Candidates):
                self._walk(need, certain and self._stays_stale(partition), is_chosen)
            elif not need.name.startswith(RAW):
                # A training asks for no features from a day on that has not landed, and so for no snapshot and no clean days
                # of theirs. A day that is there asks for these only once it is sure to be built again.
                is_sure = (is_chosen and self._stays_stale(partition)) or not (
                    need.name in in_place_of_raw or is_of_feed(need.name)
                )
                for day in days(need.first, need.last):
                    self._reach(Day(need.name, day), certain and not need.may and is_sure)
        for given in self._states.built_from(partition) if is_there else ():
            if given.name not in in_place_of_raw:  # such a one is needed only to build what is asked for
                self._reach(given, certain=False)

    def _is_done(self, partition: Day) -> bool:
        """Whether a partition is complete, or an error before anything is asked of it."""
        state = self._states.of(partition).state
        if partition in self._forced:
            return False
        if state is State.DAMAGED:
            return True
        if state not in PUBLISHED:
            return False
        unfit = self._states.unfit(partition) or (partition if partition in self._turning else None)
        return unfit is None or self._states.stages[unfit.name].on_stale is OnStale.FAIL

    def _walk(self, need: Candidates, certain: bool, is_chosen: bool) -> None:
        """Ask for candidates as a selection does, newest first, up to one that stops the walk."""
        pending = False
        for day in need.days:
            candidate = Day(need.name, day)
            self._reach(candidate, certain and (need.every or not pending))
            if self._is_blocked(candidate):
                if need.every or not pending:
                    return
                break
            if self._serves(candidate) and not need.every:
                break
            pending = pending or self._is_pending(candidate)
            certain = certain and self._will_be_there(candidate)  # one that is not there stops the walk
        if need.rows and need.every and is_chosen:
            self._compare(need, certain)

    def _compare(self, need: Candidates, certain: bool) -> None:
        """Ask for the rows that candidates which are there are compared on; those to be built bring theirs."""
        are_known = not any(self._is_rebuilt(Day(need.name, day)) for day in need.days)
        compared = self._states.compared_on(need) if are_known else []
        for place, day in enumerate(need.days):
            rows = Day(need.rows, day)
            if rows in compared:
                self._reach(rows, certain)
            elif not are_known or (
                self._states.serves(Day(need.name, day))
                and any(self._is_pending(Day(need.name, older)) for older in need.days[place + 1 :])
            ):
                self._reach(rows, certain=False)

    def _is_pending(self, partition: Day) -> bool:
        """Whether a partition is to be built: it is missing, or there and asked for again."""
        return self._states.of(partition).state is State.MISSING or self._is_rebuilt(partition)

    def _is_rebuilt(self, partition: Day) -> bool:
        """Whether a partition that is there is not complete, and can be built."""
        if self._states.of(partition).state not in PUBLISHED or self._is_done(partition):
            return False
        return self._states.if_absent(partition).state is State.MISSING

    def _is_blocked(self, partition: Day) -> bool:
        """Whether a partition is neither complete nor can be built."""
        if self._states.of(partition).state not in PUBLISHED:
            return self._states.is_blocked(partition)
        return self._states.unfit(partition) is not None and not self._is_rebuilt(partition)

    def _serves(self, candidate: Day) -> bool:
        is_fit = self._states.unfit(candidate) is None and candidate not in self._turning
        return is_fit and self._states.serves(candidate)

    def _stays_stale(self, partition: Day) -> bool:
        """Whether a partition is built whatever comes of its inputs. One that is stale by an input alone, which is itself
        built again, is left where the input comes out as it once was; one that is not stale is built only where an
        input comes out otherwise."""
        if partition in self._forced or self._states.of(partition).state not in PUBLISHED:
            return True
        return any(
            not isinstance(reason, InputChanged) or self._stays_changed(partition, reason.day)
            for reason in self._states.of(partition).reasons
        )

    def _stays_changed(self, partition: Day, given: Day) -> bool:
        """Whether an input of a partition that has changed will be what it is now."""
        if is_of_feed(given.name) and self._may_be_stood_for(partition, given.date):
            return False
        return given.name.startswith((RAW, PROMOTION)) or self._is_done(given)

    def _may_be_stood_for(self, partition: Day, raw_day: date) -> bool:
        """Whether a day of a feed was read for a partition by way of a snapshot, which is itself built again."""
        stage = self._states.stages[partition.name]
        manifest = self._states.standing.manifest(partition.name, partition.date)
        return any(
            given.name in stage.stands_for_raw
            and raw_day <= given.last
            and not self._is_done(Day(given.name, given.last))
            for given in (manifest.inputs if manifest else ())
        )

    def _is_certain(self, partition: Day) -> bool:
        """Whether a partition is built, whatever comes of the models that it waits for."""
        if partition not in self._certain:
            needs = self._states.stages[partition.name].needs(partition.date)
            self._certain[partition] = all(map(self._is_met, needs))
        return self._certain[partition]

    def _is_met(self, need: Need | Candidates) -> bool:
        if isinstance(need, Candidates):
            return self._is_chosen_from(need)
        if need.may or need.name.startswith(RAW):
            return True
        return all(map(self._will_be_there, (Day(need.name, day) for day in days(need.first, need.last))))

    def _is_chosen_from(self, need: Candidates) -> bool:
        """Whether a choice is made, whatever comes of the candidates that are built first. One that is not there stops the
        walk, although an older one serves, and so do rows that are not there."""
        serving = []
        for day in need.days:
            candidate = Day(need.name, day)
            if not self._will_be_there(candidate):
                return False
            if self._serves(candidate) and not need.every:
                return True
            if self._serves(candidate) or self._is_pending(candidate):
                serving.append(day)
        # The oldest one that serves is compared with none before it.
        compared = [Day(need.rows, day) for day in serving[:-1]] if need.rows else []
        return any(self._serves(Day(need.name, day)) for day in serving) and all(map(self._will_be_there, compared))

    def _will_be_there(self, partition: Day) -> bool:
        """Whether a partition is complete in the end, whatever comes of the models that it waits for."""
        if self._is_blocked(partition):
            return False
        return self._is_certain(partition) if self._is_pending(partition) else partition not in self._turning


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
