"""What the tests of the lake share: an attempt that writes small files through the store, and stores that misbehave.

Nothing here knows which store it is: files are written by key, as a job would write them below an attempt's destination.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_lib.lake import Attempt, Documents, Lake, Manifest, Partition, Rows
from spark_lib.lake.stores.store import Conflict, Store, Unanswered

DAY, NEXT_DAY, THIRD_DAY = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)
SCHEMA = (("id", "bigint"),)


def parquet(ids: Iterable[int]) -> bytes:
    """A Parquet file of one column."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(list(ids), pa.int64())}), sink)
    return sink.getvalue()


def write(attempt: Attempt, ids: Sequence[int], day: date | None = None, name: str = "part-0.parquet") -> Rows:
    """Do what a job does for one day: a file below the attempt's destination, and the rows that it saw."""
    put(attempt, name, parquet(ids), day)
    return Rows({name.rpartition("/")[0]: len(ids)}, SCHEMA)


def put(attempt: Attempt, name: str, body: bytes, day: date | None = None) -> None:
    """Write a file of the attempt, in the directories that its destination is partitioned by."""
    store = attempt.lake.store
    columns = {"date": day or attempt.days[0], "run": attempt.run}
    parts = [f"{column}={columns[column]}" for column in attempt.partition_by]
    store.create("/".join([attempt.destination.removeprefix(f"{store.url('')}/"), *parts, name]), body)


def open_attempt(lake: Lake, days: date | Sequence[date] = DAY, dataset: str = "features", **more: Any) -> Attempt:
    return Attempt(lake, dataset, [days] if isinstance(days, date) else days, stage="Test", **more)


def publish(
    lake: Lake, ids: Sequence[int] = (1, 2), day: date = DAY, dataset: str = "features", **more: Any
) -> Manifest:
    """A day of rows in one file, published."""
    with open_attempt(lake, day, dataset, **more) as attempt:
        return attempt.commit(write(attempt, ids))[day]


def publish_documents(lake: Lake, files: Mapping[str, bytes], day: date = DAY, dataset: str = "model") -> Manifest:
    with open_attempt(lake, day, dataset) as attempt:
        return attempt.commit(Documents(files))[day]


def partition(lake: Lake, day: date = DAY, dataset: str = "features") -> Partition:
    """The whole partition of a day."""
    return lake.require(dataset, day)[0]


def rows_of(lake: Lake, day: date = DAY, dataset: str = "features") -> list[int]:
    """The rows that a reader of the manifest sees."""
    found = partition(lake, day, dataset)
    ids: list[int] = []
    for file in found.manifest.files:
        with found.store.open(f"{found.prefix}/{file.path}") as opened:
            ids += pq.read_table(opened).column("id").to_pylist()
    return sorted(ids)


def runs_there(lake: Lake, day: date = DAY, dataset: str = "features") -> set[str]:
    """The runs that have files in a day's directory, published or not."""
    keys = [entry.key for entry in lake.store.list(lake.prefix(dataset, day))]
    return {part.removeprefix("run=") for key in keys for part in key.split("/") if part.startswith("run=")}


class Wrapped:
    """A store that passes everything on; subclasses misbehave in one thing."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class Unreliable(Wrapped):
    """Answers the first puts of manifests as ``script`` says, one word a put, and the others as they are.

    ``dropped``: not executed, no answer. ``executed``: executed, no answer. ``refused``: executed, and the client's own
    retry refused. ``late``: no answer, executed just before the next put, or when ``land`` is called. ``rival``: another
    attempt publishes first. ``overtaken``: late, and another attempt publishes meanwhile.
    """

    def __init__(self, store: Store, script: Iterable[str], rival: Callable[[], object] = lambda: None) -> None:
        super().__init__(store)
        self.script = list(script)
        self.rival = rival
        self.pending: list[Callable[[], None]] = []
        self.puts = 0

    def create(self, key: str, body: bytes) -> None:
        self._put(key, lambda: self.store.create(key, body))

    def replace(self, key: str, body: bytes, etag: str) -> None:
        self._put(key, lambda: self.store.replace(key, body, etag))

    def _put(self, key: str, execute: Callable[[], None]) -> None:
        if not key.endswith("/_SUCCESS"):
            return execute()
        self.puts += 1
        self.land()
        word = self.script.pop(0) if self.script else ""
        if word in ("rival", "overtaken"):
            self.rival()
        if word in ("late", "overtaken"):
            self.pending.append(execute)
        if word in ("", "rival", "executed", "refused"):
            execute()
        if word == "refused":
            raise Conflict(key)
        if word in ("dropped", "executed", "late", "overtaken"):
            raise Unanswered(key)
        return None

    def land(self) -> None:
        """Execute what is still under way."""
        while self.pending:
            with suppress(Conflict):
                self.pending.pop(0)()


class Meddled(Wrapped):
    """Calls ``meddle`` once, after an attempt has counted its files and before it sends its put."""

    def __init__(self, store: Store, meddle: Callable[[], object]) -> None:
        super().__init__(store)
        self.meddle = meddle

    def persist(self, keys: Iterable[str]) -> None:
        self.store.persist(keys)
        self.meddle()
