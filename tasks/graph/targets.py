"""The targets of Luigi for partitions and raw days."""

from __future__ import annotations

from datetime import date

import luigi

from spark_lib.lake import Lake, RawFeed


class PartitionTarget(luigi.Target):
    """A partition. It exists when its manifest does, and every file is there as the manifest says."""

    def __init__(self, lake: Lake, dataset: str, day: date) -> None:
        self._lake = lake
        self._dataset = dataset
        self._day = day

    def exists(self) -> bool:
        """Raises DamagedPartition, never answers "missing", for a manifest whose files differ from it."""
        return self._lake.is_published(self._dataset, self._day)

    def __str__(self) -> str:
        return f"{self._dataset} of {self._day}"


class RawTarget(luigi.Target):
    """A raw day. It exists when its flag does, which is looked for again every time."""

    def __init__(self, feed: RawFeed, day: date) -> None:
        self._feed = feed
        self._day = day

    def exists(self) -> bool:
        return self._feed.has_landed(self._day)

    def __str__(self) -> str:
        return f"raw feed {self._feed.name} of {self._day}"
