"""A reader that polls manifests all along: whatever it sees of a day is either nothing or the whole of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from spark_lib.lake import Lake, Partition, is_s3

#: (use case's directory, dataset, day) of a partition.
Key = tuple[str, str, date]
Contents = Any


def contents(partition: Partition) -> Contents:
    """What a partition says, without the layout of its files: sorted rows, or documents by name."""
    import pyarrow.parquet as pq

    if not partition.manifest.sections:
        paths = [file.path for file in partition.manifest.files]
        return {path.partition("/")[2]: partition.document(path.partition("/")[2]) for path in paths}
    rows: list[str] = []
    for file in partition.manifest.files:
        with partition.store.open(f"{partition.prefix}/{file.path}") as opened:
            rows += map(repr, pq.ParquetFile(opened).read().to_pylist())
    return sorted(rows)


class Reader(threading.Thread):
    """Polls the days that ``wanted`` names, and compares the rows of each that it finds. ``broken`` is what it saw that
    must not be."""

    def __init__(self, root: str, wanted: Mapping[Key, Contents]) -> None:
        super().__init__(daemon=True)
        self.broken: list[str] = []
        self.polls = 0
        self._root = root
        self.wanted = wanted
        self._runs: dict[Key | None, set[str]] = {}
        self._damaged: set[Key | None] = set()
        self._paused = threading.Lock()
        self._over = threading.Event()
        self._pause = 0.15 if is_s3(root) else 0.04

    def run(self) -> None:
        while not self._over.wait(self._pause):
            with self._paused:
                self.poll()

    def end(self) -> None:
        self._over.set()
        self.join()

    @contextmanager
    def paused(self, damaged: Key | None = None, removed: Key | None = None) -> Iterator[None]:
        """Not while somebody damages a partition on purpose, or removes a manifest, after which a new run may stand."""
        with self._paused:
            yield
            self._damaged |= {damaged} - {None}
            self._damaged -= {removed}
            self._runs.pop(removed, None)

    def poll(self) -> None:
        """One look at every day that is wanted, and at those between."""
        for use_case, dataset in sorted({key[:2] for key in self.wanted}):
            days = [day for *place, day in self.wanted if place == [use_case, dataset]]
            lake = Lake(self._root, use_case)
            try:
                for day, found in lake.find(dataset, min(days), max(days)).items():
                    if isinstance(found, Partition):
                        self._compare((use_case, dataset, day), found)
                    elif (use_case, dataset, day) not in self._damaged:
                        self._note(f"a reader found damage that nobody did: {found}")
            except Exception as error:
                self._note(f"a reader of {dataset} met {type(error).__name__}: {error}")
        self.polls += 1

    def _compare(self, key: Key, found: Partition) -> None:
        known = self._runs.setdefault(key, set())
        # On S3 the listing proves by etags that nothing changed since it was read.
        if found.manifest.run in known and is_s3(self._root):
            return
        known.add(found.manifest.run)
        if len(known) > 1:
            self._note(f"{key[1]} of {key[2]} was published by the runs {sorted(known)}")
        if key not in self.wanted:
            self._note(f"{key[1]} of {key[2]} was published, and nobody asked for it")
        elif contents(found) != self.wanted[key]:
            self._note(f"a reader saw other rows in {key[1]} of {key[2]}, run {found.manifest.run}")

    def _note(self, said: str) -> None:
        if said not in self.broken:
            self.broken.append(said)
