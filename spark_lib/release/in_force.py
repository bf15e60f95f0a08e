"""The runs of predictions that are in force, as the releases of their days say."""

from __future__ import annotations

from datetime import date

from spark_lib.errors import LakeError, NotReleased
from spark_lib.lake import Lake, Partition
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


def _in_force(lake: Lake, release: Partition) -> Partition:
    found = document.parse(release.document(RELEASE), f"{RELEASE} of {release.date}").in_force
    if found is None:
        day = release.date
        raise NotReleased(
            f"{_DATASET} of {day}",
            "a run of them that is in force",
            str(Summary.of(release.manifest.metrics)),
            f'repair the day and score it anew, or release it (daystone release --date {day} --why "TEXT")',
        )
    return lake.partition(_DATASET, release.date, found)
