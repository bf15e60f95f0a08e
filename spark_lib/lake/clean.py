"""Removes whole days of a dataset, the manifest first: from then on the day is not there, however many files are left."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from spark_lib.lake import manifest as manifests
from spark_lib.lake.lake import Lake, entries_by_day
from spark_lib.lake.stores.store import Entry

_RUN = re.compile(r"run=([0-9a-f]{16})/", re.ASCII)


@dataclass(frozen=True)
class Directory:
    """All that lies in the directory of one day: the manifest, runs, and what attempts have left."""

    dataset: str
    date: date
    prefix: str
    entries: tuple[Entry, ...]

    @property
    def runs(self) -> set[str]:
        """The runs that have a file here."""
        return {run for entry in self.entries if (run := self._run(entry))}

    def without(self, runs: Collection[str]) -> list[Entry]:
        """What is not of one of these runs."""
        return [entry for entry in self.entries if self._run(entry) not in runs]

    def _run(self, entry: Entry) -> str:
        found = _RUN.match(entry.key, len(self.prefix) + 1)
        return found[1] if found else ""


def find(lake: Lake, dataset: str, first: date, last: date) -> dict[date, Directory]:
    """The days of ``[first, last]`` that have anything, whether it is published or not, by one listing."""
    listed = lake.store.list(f"{lake.use_case}/{dataset}", f"date={first}", f"date={last}")
    return {
        day: Directory(dataset, day, lake.prefix(dataset, day), tuple(entries.values()))
        for day, entries in entries_by_day(listed, f"{lake.use_case}/{dataset}/")
    }


def remove(lake: Lake, directory: Directory, keep: Collection[str] = ()) -> None:
    """Remove a day, except for the runs to ``keep``. What is interrupted goes on when it is called again.

    An attempt that is at work on the day finds its files gone, and does not publish.
    """
    lake.store.remove_objects([f"{directory.prefix}/{manifests.NAME}"])
    if not directory.runs & set(keep):
        lake.store.remove(directory.prefix)
        return
    for run in directory.runs - set(keep):
        lake.store.remove(f"{directory.prefix}/run={run}")
    lake.store.remove_objects([entry.key for entry in directory.without(directory.runs)])
