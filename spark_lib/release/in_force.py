"""The runs of predictions that are in force, as the releases of their days say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from spark_lib.errors import LakeError, NotReleased
from spark_lib.lake import Lake, Manifest, Partition
from spark_lib.release import document
from spark_lib.release.document import RELEASE, Summary

_DATASET = "predictions"


def require(lake: Lake, dataset: str, first: date, last: date | None = None) -> list[Partition]:
    """The predictions in force of every day of ``[first, last]``, which may be of other runs than those that are
    published.

    Raises NotPublished where a day has no release, NotReleased where nothing is in force for a day, DamagedPartition
    where a release or a run in force is not whole, and LakeError for another dataset than predictions.
    """
    if dataset != _DATASET:
        raise LakeError(
            f"{dataset} of {first}", f"{_DATASET}, which alone are released", dataset, "read it without released=True"
        )
    return [_in_force(lake, release) for release in lake.require("release", first, last)]


@dataclass(frozen=True)
class Found:
    """The predictions in force by the days of their releases, and why each other day that has a release has none."""

    partitions: dict[date, Partition]
    held: dict[date, str]


def find(lake: Lake, first: date, last: date) -> Found:
    """The predictions in force of those days of ``[first, last]`` that have a release.

    A document is read only where another run than the published one is in force: a manifest says which it is. Raises
    DamagedPartition where a release or a run in force is not whole.
    """
    releases = lake.require_whole(lake.find("release", first, last))
    published = lake.find(_DATASET, first, last) if releases else {}
    partitions: dict[date, Partition] = {}
    held: dict[date, str] = {}
    for day, release in releases.items():
        summary = Summary.of(release.manifest.metrics)
        if summary.in_force is None:
            held[day] = str(summary)
        else:
            there = published.get(day)
            is_published = isinstance(there, Partition) and there.manifest.run == summary.in_force.run
            if not isinstance(there, Partition) or not is_published:
                there = _in_force(lake, release)
            partitions[day] = there
    return Found(partitions, held)


def newest(lake: Lake) -> Partition | None:
    """The release of the newest day that has predictions in force; None where no day has. Raises DamagedPartition where a
    release that is newer than that is not whole."""
    found = lake.find("release", date.min, date.max)
    for day in sorted(found, reverse=True):
        release = lake.require_whole({day: found[day]})[day]
        if Summary.of(release.manifest.metrics).in_force is not None:
            return release
    return None


def run_of(release: Partition) -> Manifest | None:
    """The manifest of the predictions that a release has in force; None where it has none. Whether their files are still
    there is not looked at."""
    return document.parse(release.document(RELEASE), f"{RELEASE} of {release.date}").in_force


def _in_force(lake: Lake, release: Partition) -> Partition:
    written = document.parse(release.document(RELEASE), f"{RELEASE} of {release.date}")
    found = written.in_force
    if found is None:
        day = release.date
        raise NotReleased(
            f"{_DATASET} of {day}",
            "a run of them that is in force",
            str(Summary.of(release.manifest.metrics)),
            f'repair the day and score it anew, or release it (daystone release --date {day} --why "TEXT")',
        )
    return lake.partition(written.dataset, release.date, found)
