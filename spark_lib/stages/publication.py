"""Which run of a day a target is to hold, and the day as a target is given it. Spark is not needed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from spark_lib.lake import Lake, Partition
from spark_lib.release import in_force
from spark_lib.release.document import Summary
from spark_lib.targets import Day, day_of
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    from spark_lib.targets import Series
    from spark_lib.use_case import UseCase

#: What can be published, by the names that targets know.
PREDICTIONS, SERVING_FEATURES = "predictions", "serving_features"
#: The dataset of the lake that the rows of each are read from.
ROWS_OF = {PREDICTIONS: "predictions", SERVING_FEATURES: "serving"}


def runs(lake: Lake, dataset: str, first: date, last: date) -> dict[date, str]:
    """The run of each day of ``[first, last]`` that a target is to hold, by one listing: of predictions the run in force,
    of serving features the published one. Days that have none are left out."""
    found = lake.find("release" if dataset == PREDICTIONS else ROWS_OF[dataset], first, last)
    there = {day: each.manifest for day, each in found.items() if isinstance(each, Partition)}
    if dataset != PREDICTIONS:
        return {day: manifest.run for day, manifest in there.items()}
    figures = {day: Summary.of(manifest.metrics).in_force for day, manifest in there.items()}
    return {day: each.run for day, each in figures.items() if each is not None}


def partition(lake: Lake, dataset: str, day: date) -> Partition:
    """The run of a day that a target is to hold. Raises NotPublished where the lake does not have the day, NotReleased
    where nothing is in force, and DamagedPartition where the run is not whole."""
    if dataset == PREDICTIONS:
        (found,) = in_force.require(lake, PREDICTIONS, day)
    else:
        (found,) = lake.require(ROWS_OF[dataset], day)
    return found


def day(case: UseCase, series: Series, found: Partition) -> Day:
    """A run of a day as a target is given it: exactly the rows of its manifest."""
    return day_of(series, found, names(case.entity_or_key), names(case.key), case.event_time or "")
