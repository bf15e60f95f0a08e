"""The files of a partition, for tools that read them themselves."""

from __future__ import annotations

from datetime import date

from spark_lib.lake import Partition
from tasks.stage import Stage


def partition(stage: type[Stage], day: date) -> Partition:
    """The published day. Raises NotPublished, DamagedPartition."""
    found: Partition = stage(date=day).partitions.require(stage.dataset, day)[0]
    return found


def sections(found: Partition) -> list[str]:
    """The sections that have files, in the manifest's order."""
    return list(dict.fromkeys(file.section for file in found.manifest.files))


def files(found: Partition, section: str | None = None) -> list[str]:
    """The paths of a section's files, of all sections without one: exactly these are the rows of the partition."""
    wanted = sections(found) if section is None else [section]
    return [file for name in wanted for file in found.files(name)]
