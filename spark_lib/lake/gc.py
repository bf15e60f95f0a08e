"""Finds and removes what lies in the lake but belongs to no partition: runs that were superseded or abandoned, what
crashed jobs left beside them, and unfinished uploads. Only what the store says counts: manifests, and times by its own
clock.

An attempt that is older than ``max_attempt_hours`` refuses to publish. So a file that has not changed for twice as long
is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from spark_lib.errors import LakeError
from spark_lib.lake import manifest as manifests
from spark_lib.lake.lake import Lake
from spark_lib.lake.manifest import Manifest
from spark_lib.lake.stores.store import Entry, Upload

#: A run that stays although no manifest of its day names it: dataset, day, run.
Kept = tuple[str, date, str]


class Why(Enum):
    SUPERSEDED = "superseded run"
    ABANDONED = "abandoned run"
    STRAY = "stray in a published run"
    LEFTOVER = "left by a crashed job"


@dataclass
class Garbage:
    """``entries`` and ``uploads`` that nobody needs, at or below ``key``. ``since`` (POSIX seconds of the store's
    clock) is when they stopped being needed, or were last written."""

    key: str
    entries: list[Entry] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    why: Why = Why.LEFTOVER
    since: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of the entries. Those of unfinished uploads are unknown, because no listing has them."""
        return sum(entry.size for entry in self.entries)

    @property
    def last_written(self) -> float:
        written = [entry.modified for entry in self.entries] + [upload.began for upload in self.uploads]
        return max(written, default=0.0)


def find(lake: Lake, dataset: str, older_than: float, keep: Collection[Kept] = ()) -> list[Garbage]:
    """The parts of a dataset that have been garbage for more than ``older_than`` seconds.

    Raises DamagedPartition for a manifest that cannot be read, because it is then not known which run is published.
    """
    now = lake.store.now()
    return [garbage for garbage in _all(lake, dataset, keep) if now - garbage.since > older_than]


def find_probes(lake: Lake, older_than: float) -> list[Garbage]:
    """What probes of the store have left at the root of the lake, where it is older than ``older_than`` seconds."""
    now = lake.store.now()
    entries = lake.store.list("", ".probe-", ".probe-~")
    return [Garbage(each.key, [each], since=each.modified) for each in entries if now - each.modified > older_than]


def remove(lake: Lake, garbage: Garbage) -> None:
    """Remove what ``find`` has found. Raises LakeError where it has become a published run meanwhile."""
    for upload in garbage.uploads:
        lake.store.abort(upload)
    if garbage.why in (Why.SUPERSEDED, Why.ABANDONED):
        directory, _, run = garbage.key.rpartition("/run=")
        content = lake.store.read(f"{directory}/{manifests.NAME}")
        where = lake.store.url(garbage.key)
        if content and manifests.parse(content[0], where).run == run:
            raise LakeError(where, "a run that nobody needs", "a published one, by now", "run gc again")
        lake.store.remove(garbage.key)
    else:
        lake.store.remove_objects([entry.key for entry in garbage.entries])


def _all(lake: Lake, dataset: str, keep: Collection[Kept]) -> Iterator[Garbage]:
    start = f"{lake.use_case}/{dataset}/"
    published: dict[str, Entry] = {}
    groups: dict[str, Garbage] = {}
    for entry in lake.store.list(start):
        directory, _, name = entry.key.rpartition("/")
        if name == manifests.NAME and _DAY.fullmatch(directory, len(start)):
            published[directory] = entry
        elif group := _GROUP.match(entry.key, len(start)):
            groups.setdefault(start + group[0], Garbage(start + group[0])).entries.append(entry)
    for upload in lake.store.uploads(start):
        if group := _GROUP.match(upload.key, len(start)):
            groups.setdefault(start + group[0], Garbage(start + group[0])).uploads.append(upload)
    kept = {f"{start}date={day}/run={run}" for name, day, run in keep if name == dataset}
    for key, garbage in groups.items():
        directory, _, run = key.rpartition("/run=")
        if key in kept:
            continue
        if not _DAY.fullmatch(directory, len(start)):
            garbage.since = garbage.last_written
        else:
            manifest = lake.manifest(published[directory]) if directory in published else None
            _judge(garbage, run, manifest, published.get(directory))
        if garbage.entries or garbage.uploads:
            yield garbage


def _judge(garbage: Garbage, run: str, manifest: Manifest | None, listed: Entry | None) -> None:
    """Say why a run is garbage, and take out of ``garbage`` the files that the day's manifest names."""
    if manifest is None or listed is None:
        garbage.why = Why.ABANDONED
    elif manifest.run == run:
        named = {file.path for file in manifest.files}
        garbage.why = Why.STRAY
        garbage.entries = [each for each in garbage.entries if f"run={run}{each.key[len(garbage.key) :]}" not in named]
    else:
        garbage.why = Why.SUPERSEDED
    garbage.since = max(garbage.last_written, listed.modified if listed else 0.0)


_DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)", re.ASCII)
#: The paths that are judged as one, relative to the dataset: a run; what a swap of a manifest left beside it; the
#: directory of a job of many days; what committers leave at a dataset's root. A lock is not among them, because another
#: process may be about to take it.
_GROUP = re.compile(
    rf"date=\d{{4}}-\d\d-\d\d/(run=[0-9a-f]{{16}}(?=/)|\.{manifests.NAME}-[0-9a-f]{{16}}$)"
    r"|\.staging/[^/]+(?=/)|__magic[^/]*(?=/)|_temporary(?=/)|\.spark-staging-[^/]*(?=/)",
    re.ASCII,
)
