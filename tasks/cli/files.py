"""The files of a partition, for tools that read them themselves."""

from __future__ import annotations

from datetime import date

from spark_lib.lake import Partition
from tasks.graph.stage import Stage


def partition(stage: type[Stage], day: date) -> Partition:
    """The published day. Raises NotPublished, DamagedPartition."""
    found: Partition = stage(date=day).partitions.require(stage.dataset, day)[0]
    return found


def sections(found: Partition) -> list[str]:
    """The sections of a partition of rows, also those without a file."""
    return list(found.manifest.sections)


def files(found: Partition, section: str | None = None) -> list[str]:
    """The paths of a section's files, or of all files. Exactly these files are the partition."""
    return found.files(section)
