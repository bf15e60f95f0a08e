"""Publishes days to targets, takes them back, and says what targets hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import luigi

from spark_lib.errors import ConfigurationError, DaystoneError, NotPublished
from spark_lib.lake import Partition, days
from spark_lib.lake.lake import some
from spark_lib.release.document import Summary
from tasks.cli import release as releasing
from tasks.cli import run as runner
from tasks.cli.place import configured
from tasks.cli.release import Decided
from tasks.config import targets
from tasks.config.settings import Settings
from tasks.graph.stage import REFUSED, Stage
from tasks.inference import BatchInference
from tasks.notification import runs as notification
from tasks.publication import Publication
from tasks.release import Release
from tasks.serving import ServingFeatures

#: What is published where a stage was built.
DATASETS: dict[type[Stage], str] = {
    BatchInference: "predictions",
    Release: "predictions",
    ServingFeatures: "serving_features",
}


@dataclass(frozen=True)
class Published:
    """What was published at a target: the number of rows of each day, and the days that it held already."""

    target: str
    dataset: str
    rows: Mapping[date, int]
    there: Sequence[date] = ()


@dataclass
class Report:
    """What became of a publication. ``errors`` say what could not be published, the gravest first."""

    published: list[Published] = field(default_factory=list)
    errors: list[DaystoneError] = field(default_factory=list)


def named(given: Sequence[str], settings: Settings | None = None) -> list[str]:
    """The targets that a command is about: the given ones, or those of ``[publication] targets``. Raises
    ConfigurationError where there are none, or where one is not configured."""
    names = list(dict.fromkeys(given)) or list((settings or configured().settings).targets)
    if not names:
        known = targets.names()
        raise ConfigurationError(
            "[publication] targets",
            "the names of targets to publish to",
            "none",
            f"set it to some of {', '.join(known)}" if known else "add a section [target.NAME], and name it there",
        )
    for name in names:
        targets.kind_of(name)
    return names


def publish(first: date, last: date, names: Sequence[str], dataset: str, watcher: runner.Watcher) -> Report:
    """Publish the days of ``[first, last]`` that are in force and not at their targets yet, oldest first, over one
    connection to each target. Days that were not judged yet are judged before.

    Raises NotPublished where the lake has none of the days, and what judging raises. What cannot be published is among
    the errors of the report: a target that fails does not keep the others from being published, nor does a held day.
    """
    if last < first:
        raise ConfigurationError(
            "publish", "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )
    tasks = [Publication(date=first, target=name, dataset=dataset) for name in names]
    there, missing = _there(tasks[0], first, last)
    with notification.told():
        return _report(tasks, there, missing, first, last, watcher)


def _report(
    tasks: Sequence[Publication],
    there: Sequence[date],
    missing: NotPublished | None,
    first: date,
    last: date,
    watcher: runner.Watcher,
) -> Report:
    """Judge the days that are ``there``, and publish those that are in force."""
    _judge(tasks[0], there, watcher)
    wanted = {day: run for day, run in tasks[0].runs(first, last).items() if day in there}
    report = Report()
    for task in tasks:
        try:
            report.published.append(_published(task, wanted))
            _tell_listeners(task, wanted, luigi.Event.SUCCESS)
        except DaystoneError as error:
            report.errors.append(error)
            _tell_listeners(task, wanted, REFUSED, error)
    if missing is not None:
        report.errors.append(missing)
    held = [_held(tasks[0], day) for day in there if day not in wanted]
    report.errors += [error for error in held if error is not None]
    return report


def _tell_listeners(task: Publication, days: Iterable[date], event: str, *more: object) -> None:
    """Trigger the event that a run of Luigi's would trigger for each of the days."""
    for day in days:
        task.trigger_event(event, task.clone(date=day), *more)


@dataclass
class Withdrawn:
    """``decided`` is the hold, None where the day was held already and nothing was in force. ``taken`` are the targets
    that the day was taken back at, and ``errors`` say why it was not at the others."""

    decided: Decided | None
    taken: list[str] = field(default_factory=list)
    errors: list[DaystoneError] = field(default_factory=list)


def withdraw(day: date, why: str, names: Sequence[str], watcher: runner.Watcher) -> Withdrawn:
    """Hold a day, so that nothing is in force for it, and take it back at targets."""
    tasks = [Publication(date=day, target=name) for name in names]
    done = Withdrawn(releasing.withdraw(day, why, watcher))
    for task in tasks:
        try:
            task.at_target.withdraw(task.series, day)
            done.taken.append(task.target)
        except DaystoneError as error:
            done.errors.append(error)
    return done


@dataclass(frozen=True)
class Held:
    """What a target says of a day: the run that it holds, which is empty where it holds none, or why it cannot be
    asked."""

    target: str
    run: str
    error: DaystoneError | None = None


@dataclass(frozen=True)
class Story:
    """Why a day is published or not. ``release`` is None where the predictions were not judged yet, and ``is_judged``
    says whether that verdict is on what stands now. ``in_force`` is empty where nothing is."""

    date: date
    release: Summary | None
    is_judged: bool
    in_force: str
    held: Sequence[Held]


def tell(day: date, names: Sequence[str]) -> Story:
    """Why the predictions of a day are published at targets or not."""
    tasks = [Publication(date=day, target=name) for name in names]
    source = tasks[0].requires()
    found = source.partitions.find(source.dataset, day, day).get(day)
    summary = Summary.of(found.manifest.metrics) if isinstance(found, Partition) else None
    in_force = tasks[0].runs(day, day).get(day, "")
    return Story(day, summary, source.complete(), in_force, [_asked(task, day) for task in tasks])


@dataclass(frozen=True)
class Standing:
    """What a target holds of the predictions of some days: the days on which it holds the run in force, those on which
    it holds another run or one that is not in force, and those that are in force and not there."""

    target: str
    there: Sequence[date]
    other: Sequence[date]
    missing: Sequence[date]
    error: DaystoneError | None = None


def standing(first: date, last: date, names: Sequence[str]) -> list[Standing]:
    """What each target holds of the predictions of ``[first, last]``."""
    return [_standing(Publication(date=first, target=name), first, last) for name in names]


def _standing(task: Publication, first: date, last: date) -> Standing:
    in_force = task.runs(first, last)
    try:
        held = task.published(first, last)
    except DaystoneError as error:
        return Standing(task.target, (), (), (), error)
    there = [day for day, run in sorted(held.items()) if in_force.get(day) == run]
    other = [day for day in sorted(held) if day not in there]
    return Standing(task.target, there, other, [day for day in sorted(in_force) if day not in held])


def _asked(task: Publication, day: date) -> Held:
    try:
        return Held(task.target, task.published(day, day).get(day, ""))
    except DaystoneError as error:
        return Held(task.target, "", error)


def _there(task: Publication, first: date, last: date) -> tuple[list[date], NotPublished | None]:
    """The days of ``[first, last]`` that the lake has rows of, and the error for those that should be there and are not.
    Raises NotPublished where there is none, and DamagedPartition."""
    source = task.requires()
    stage: type[Stage] = BatchInference if isinstance(source, Release) else type(source)
    found = source.partitions.require_whole(source.partitions.find(stage.dataset, first, last))
    if not found:
        source.partitions.require(stage.dataset, first, last)
    missing = [day for day in days(first, last) if day not in found and stage.is_due(day, task.settings)]
    error = (
        NotPublished(
            f"{stage.dataset} of {some(missing)}",
            "a published partition",
            "none",
            f"build {'it' if len(missing) == 1 else 'each'} (daystone run {stage.dataset} --date {missing[0]})",
        )
        if missing
        else None
    )
    return sorted(found), error


def _judge(task: Publication, there: Sequence[date], watcher: runner.Watcher) -> None:
    """Judge the days that were not judged yet, or not as they stand, in order: a day is compared with those before."""
    source = task.requires()
    if not isinstance(source, Release):
        return
    released = source.partitions.find(source.dataset, there[0], there[-1])
    complete = source.complete_among(released, there)
    for day in there:
        if day not in complete:
            outcome = runner.run(source.clone(Release, date=day), watcher)
            if outcome.error is not None:
                raise outcome.error


def _published(task: Publication, wanted: Mapping[date, str]) -> Published:
    """Publish what a target does not hold yet."""
    if not wanted:
        return Published(task.target, task.dataset, {})
    held = task.published(min(wanted), max(wanted))
    due = [day for day, run in sorted(wanted.items()) if held.get(day) != run]
    rows = task.publish(due) if due else {}
    return Published(task.target, task.dataset, rows, [day for day in sorted(wanted) if day not in rows])


def _held(task: Publication, day: date) -> DaystoneError | None:
    """Why nothing is in force for a day; None where something is by now."""
    from spark_lib.stages import publication

    try:
        publication.partition(task.requires().partitions, task.dataset, day)
    except DaystoneError as error:
        return error
    return None
