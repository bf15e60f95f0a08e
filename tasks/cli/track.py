"""Tracks published trainings at the MLflow server of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError, DamagedPartition, DaystoneError, NothingToDecide
from tasks.cli.place import configured
from tasks.training import Training

if TYPE_CHECKING:
    from spark_lib.registry.mlflow import Production


@dataclass(frozen=True)
class Tracked:
    """A training in MLflow: the address of its run, and the number of its version, which is empty for a rejected one."""

    date: date
    url: str
    version: str
    was_there: bool


@dataclass
class Report:
    """What was tracked, oldest first. ``errors`` say which trainings cannot be read."""

    tracked: list[Tracked] = field(default_factory=list)
    errors: list[DaystoneError] = field(default_factory=list)


def followed() -> Production:
    """The training that the alias of ``[mlflow] alias`` names, which may be promoted.

    Raises NothingToDecide where no version has the alias, AliasRefused where it leads to no approved training of this lake,
    and TrackingUnavailable.
    """
    place = configured()
    registry = place.settings.registry(place.partitions.root)
    found = registry.production(place.partitions)
    if found is None:
        raise NothingToDecide(
            f"registered model {registry.model} at {registry.uri}",
            f"a version with the alias {registry.alias}",
            "none",
            "give one the alias in MLflow (daystone track brings the lake's), or promote by --model",
        )
    return found


def track(first: date, last: date, say: Callable[[Tracked], None]) -> Report:
    """Track the published trainings of ``[first, last]`` that are not there yet, oldest first, and ``say`` each one.

    Raises ConfigurationError where no server is set, and TrackingUnavailable where it does not do what it is asked. A
    damaged training is among the errors of the report, and does not keep the others from being tracked.
    """
    if last < first:
        raise ConfigurationError(
            "track", "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )
    place, report = configured(), Report()
    registry = place.settings.registry(place.partitions.root)
    found = place.partitions.find(Training.dataset, first, last)
    if not found:
        return report
    with registry.tracker() as tracker:
        for day, partition in sorted(found.items()):
            if isinstance(partition, DamagedPartition):
                report.errors.append(partition)
                continue
            try:
                training = registry.training(partition)
                done = tracker.track(training)
            except DamagedPartition as error:
                report.errors.append(error)
                continue
            report.tracked.append(Tracked(day, tracker.url(done), done.version, done.was_there))
            say(report.tracked[-1])
    return report
