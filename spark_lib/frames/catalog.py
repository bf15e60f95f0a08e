"""What SQL views of a lake are made of: for each view the partitions whose files hold its rows, and its columns.

Only listings and manifests are read, and no file of rows, so that a year of days costs what one listing of each dataset
costs. Nothing here imports Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from spark_lib.errors import LakeError, did_you_mean
from spark_lib.lake import Lake, Partition, Schema
from spark_lib.release import in_force

#: The predictions in force, which are no dataset of their own.
RELEASED = "released"
#: The dataset that each view shows.
DATASETS: Mapping[str, str] = {
    "predictions": "predictions",
    RELEASED: "predictions",
    "shadow": "shadow",
    "features": "features",
    "serving_features": "serving",
    "snapshots": "snapshots",
    "balanced": "balanced",
}
#: The views of datasets whose rows are in sections, and have a column that names theirs.
SECTIONED = frozenset({"balanced"})
#: The names and types of the columns that a view adds to those of its dataset.
DATE, SECTION = ("date", "date"), ("section", "string")


@dataclass(frozen=True)
class View:
    """``columns`` are those of its rows, without what the view adds. A column that a partition does not have is null in
    its rows. ``partitions`` are in the order of their days."""

    name: str
    columns: Schema
    partitions: tuple[Partition, ...] = ()

    @property
    def added(self) -> Schema:
        """The columns that stand behind the others."""
        return (SECTION, DATE) if self.name in SECTIONED else (DATE,)

    @property
    def days(self) -> list[date]:
        return [partition.date for partition in self.partitions]

    @property
    def files(self) -> list[str]:
        """Exactly the files that hold the view's rows."""
        return [file for partition in self.partitions for file in partition.files()]


@dataclass(frozen=True)
class Catalog:
    """The views by name. ``left_out`` says why a view is not there, and ``held`` why days with a release have no row in
    ``released``."""

    views: Mapping[str, View]
    left_out: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[date, str] = field(default_factory=dict)


def of(lake: Lake, first: date = date.min, last: date = date.max, only: Iterable[str] | None = None) -> Catalog:
    """The views of all days of ``[first, last]`` that are published, those of ``only`` if it is given.

    Without such a day a view has no rows, and the columns of the newest published day; where no day at all is published
    it is left out. Raises DamagedPartition where a day is not whole, and LakeError for a view that there is not, for
    days in the wrong order, and where two days have different types for one column.
    """
    wanted = list(DATASETS) if only is None else list(dict.fromkeys(only))
    for name in wanted:
        if name not in DATASETS:
            raise LakeError(
                "views", f"one of {', '.join(DATASETS)}", f"{name!r}{did_you_mean(name, DATASETS)}", "correct the name"
            )
    if last < first:
        raise LakeError(f"views of {first} to {last}", "days in order", "a last day before the first", "swap them")
    views: dict[str, View] = {}
    left_out: dict[str, str] = {}
    held: dict[date, str] = {}
    for name in wanted:
        if name == RELEASED:
            found = in_force.find(lake, first, last)
            there, held = found.partitions, dict(found.held)
        else:
            there = lake.require_whole(lake.find(DATASETS[name], first, last))
        partitions = tuple(there[day] for day in sorted(there))
        schemas = partitions or tuple(_newest(lake, DATASETS[name]))
        if schemas:
            views[name] = View(name, columns_of(schemas), partitions)
        else:
            left_out[name] = f"no day of {DATASETS[name]} is published"
    return Catalog(views, left_out, held)


def _newest(lake: Lake, dataset: str) -> list[Partition]:
    day = lake.newest(dataset)
    return [] if day is None else lake.require(dataset, day)


def columns_of(partitions: Iterable[Partition]) -> Schema:
    """The columns of all partitions: those of the last one in its order, then those that only earlier ones have. Raises
    LakeError, naming two days, where a column has two types."""
    columns: dict[str, tuple[str, Partition]] = {}
    for partition in reversed(list(partitions)):
        for name, kind in partition.manifest.schema:
            known, newer = columns.setdefault(name, (kind, partition))
            if known != kind:
                raise LakeError(
                    f"{partition.dataset} of {partition.date} and {newer.date}",
                    f"one type of the column {name!r} on all days of a view",
                    f"{kind} and {known}",
                    "make views of days on one side of the change (--from, --to), or build the older days again",
                )
    return tuple((name, kind) for name, (kind, _) in columns.items())
