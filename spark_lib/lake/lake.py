"""The lake of one use case: which partitions are published, whole or damaged, and what they hold.

    {root}/{use_case}/{dataset}/date=2026-11-20/run=<64 random bits>/part-*.parquet
    {root}/{use_case}/{dataset}/date=2026-11-20/_SUCCESS

Readers believe only manifests. Whatever else lies in a directory does not exist for them.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from spark_lib.errors import DamagedPartition, LakeError, NotPublished
from spark_lib.lake import manifest as manifests
from spark_lib.lake.manifest import File, Input, Manifest, Schema
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.store import Entry, Store, normalise_root

_PARSED: dict[tuple[str, str], Manifest] = {}  # (url, etag) of manifests that this process has read


@dataclass(frozen=True)
class Partition:
    """One published day of a dataset."""

    store: Store
    dataset: str
    date: date
    prefix: str
    manifest: Manifest

    def files(self, section: str | None = None) -> list[str]:
        """The urls of the partition's files, or of one section's files. Exactly these hold its rows.

        Raises LakeError for a section that the partition does not have.
        """
        found = self.manifest.files if section is None else self.section(section)
        return [self.store.url(f"{self.prefix}/{file.path}") for file in found]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.manifest.files)

    def section(self, name: str) -> list[File]:
        """The files of a section. Raises LakeError for a section that the partition does not have."""
        if name not in self.manifest.sections:
            there = ", ".join(repr(section) for section in self.manifest.sections)
            raise LakeError(
                f"{self.dataset} of {self.date}",
                f"one of the sections {there}" if there else "a dataset of rows",
                f"the section {name!r}" if there else "documents",
                "name a section that is there" if there else "list them with `daystone files`",
            )
        return [file for file in self.manifest.files if file.section == name]

    def verify(self) -> tuple[list[DamagedPartition], int]:
        """Read every file and compare its content with its checksum. Returns the damaged files, and how many files
        cannot be checked because the store has no checksum of their content."""
        found, unverifiable = [], 0
        for file in self.manifest.files:
            key = f"{self.prefix}/{file.path}"
            try:
                there = self.store.content_checksum(key, file.checksum)
            except DamagedPartition as error:
                there = error.found  # the store has checksums of its own, and found the damage
            unverifiable += not there
            if there and there != file.checksum:
                where = f"{self.dataset} of {self.date}: {self.store.url(key)}"
                found.append(damaged(where, f"the content of {file.checksum}", there))
        return found, unverifiable

    def document(self, name: str) -> bytes:
        """A document of the run, its checksum verified. Raises DamagedPartition where the checksum differs, and
        LakeError where the run has no document of that name."""
        path = f"run={self.manifest.run}/{name}"
        for file in self.manifest.files:
            if file.path == path:
                return read_document(self.store, f"{self.prefix}/{path}", file.checksum)
        there = ", ".join(file.path.partition("/")[2] for file in self.manifest.files)
        raise LakeError(
            f"{self.dataset} of {self.date}", f"a document {name!r}", there or "none", "ask for one that is there"
        )

    @property
    def input(self) -> Input:
        digests = (self.manifest.digest,) if self.manifest.digest else ()
        return Input(self.dataset, self.date, self.date, (self.manifest.run,), digests)


class Lake:
    """The datasets of ``use_case`` (the directory name) below ``root``, which is reached over ``connection`` where it
    is on S3; without one as the process was configured."""

    def __init__(self, root: str, use_case: str, connection: Connection | None = None) -> None:
        self.root = normalise_root(root)
        self.use_case = use_case
        self.connection = connection

    @cached_property
    def store(self) -> Store:
        return open_store(self.root, self.connection)

    def prefix(self, dataset: str, day: date) -> str:
        """The key of a partition's directory."""
        return f"{self.use_case}/{dataset}/date={day}"

    def is_published(self, dataset: str, day: date) -> bool:
        """Whether the day is there and whole. Raises DamagedPartition where it is there but not whole."""
        return day in self.require_whole(self.find(dataset, day, day))

    def find(self, dataset: str, first: date, last: date) -> dict[date, Partition | DamagedPartition]:
        """The published days of ``[first, last]``, by one listing bounded to them. A damaged day has its error in place
        of the partition."""
        found: dict[date, Partition | DamagedPartition] = {}
        entries = self.store.list(f"{self.use_case}/{dataset}", f"date={first}", f"date={last}")
        for day, listed in entries_by_day(entries, f"{self.use_case}/{dataset}/"):
            partition = self._partition(dataset, day, listed)
            if partition is not None:
                found[day] = partition
        return found

    def published_run(self, dataset: str, day: date) -> str:
        """The run that the day's manifest names, whether it is whole or damaged. Empty where there is no manifest that
        can be read."""
        content = self.store.read(f"{self.prefix(dataset, day)}/{manifests.NAME}")
        try:
            return manifests.parse(content[0], "").run if content else ""
        except DamagedPartition:
            return ""

    def newest(self, dataset: str) -> date | None:
        """The last day of a dataset that has a manifest."""
        listed = entries_by_day(self.store.list(f"{self.use_case}/{dataset}"), f"{self.use_case}/{dataset}/")
        published = (day for day, keys in listed if f"{self.prefix(dataset, day)}/{manifests.NAME}" in keys)
        return max(published, default=None)

    def require(self, dataset: str, first: date, last: date | None = None) -> list[Partition]:
        """Every day of ``[first, last]``. Raises NotPublished for a missing day, and DamagedPartition for a damaged
        one."""
        last = last or first
        if last < first:
            raise LakeError(
                f"{dataset} of {first} to {last}", "days in order", "a last day before the first", "swap them"
            )
        found = self.require_whole(self.find(dataset, first, last))
        missing = [day for day in days(first, last) if day not in found]
        if missing:
            raise NotPublished(
                f"{dataset} of {some(missing)}",
                "a published partition",
                f"none in {self.store.url(f'{self.use_case}/{dataset}')}",
                f"build {'it' if len(missing) == 1 else 'each'} (daystone run {dataset} --date {missing[0]})",
            )
        return [found[day] for day in days(first, last)]

    def partition(self, dataset: str, day: date, manifest: Manifest) -> Partition:
        """The run of a day that ``manifest`` describes, whichever run is published. Raises DamagedPartition where one of
        its files is not there as the manifest says."""
        prefix = self.prefix(dataset, day)
        damage = self._damage(dataset, day, manifest, {entry.key: entry for entry in self.store.list(prefix)})
        if damage is not None:
            raise damage
        return Partition(self.store, dataset, day, prefix, manifest)

    @staticmethod
    def require_whole(found: dict[date, Partition | DamagedPartition]) -> dict[date, Partition]:
        for partition in found.values():
            if isinstance(partition, DamagedPartition):
                raise partition
        return {day: partition for day, partition in found.items() if isinstance(partition, Partition)}

    def _partition(self, dataset: str, day: date, listed: dict[str, Entry]) -> Partition | DamagedPartition | None:
        prefix = self.prefix(dataset, day)
        judged = ""  # the etag of the manifest by which an earlier listing looked damaged
        while entry := listed.get(f"{prefix}/{manifests.NAME}"):
            try:
                manifest, etag = self._read_manifest(entry)
            except DamagedPartition as error:
                return error
            if manifest is None:
                return None
            damage = self._damage(dataset, day, manifest, listed)
            if damage is None:
                return Partition(self.store, dataset, day, prefix, manifest)
            if etag == judged:
                return damage
            # A rebuild that swapped the manifest after the listing looks like damage. A second listing tells the two
            # apart.
            judged, listed = etag, {entry.key: entry for entry in self.store.list(prefix)}
        return None

    def _damage(self, dataset: str, day: date, manifest: Manifest, listed: dict[str, Entry]) -> DamagedPartition | None:
        for file in manifest.files:
            key = f"{self.prefix(dataset, day)}/{file.path}"
            if difference := _difference(file, listed.get(key)):
                return damaged(f"{dataset} of {day}: {self.store.url(key)}", *difference)
        return None

    def manifest(self, entry: Entry) -> Manifest | None:
        """The manifest that was listed as ``entry``, or the one in its place now; None where it is gone. Raises
        DamagedPartition where the object is not a manifest."""
        return self._read_manifest(entry)[0]

    def _read_manifest(self, entry: Entry) -> tuple[Manifest | None, str]:
        """The manifest that is there now, or was when it was listed, with its etag."""
        url = self.store.url(entry.key)
        parsed = _PARSED.get((url, entry.etag))
        if parsed:
            return parsed, entry.etag
        body, etag = self.store.recall(entry), entry.etag
        if body is None:
            content = self.store.read(entry.key)
            if content is None:
                return None, ""
            body, etag = content
            self.store.remember(entry.key, etag, body)
        parsed = _PARSED[url, etag] = manifests.parse(body, url)
        return parsed, etag


def read_document(store: Store, key: str, checksum: str) -> bytes:
    """A small file, verified. Raises DamagedPartition where it is missing or its SHA-256 is not ``checksum``."""
    content = store.read(key)
    found = f"sha256:{hashlib.sha256(content[0]).hexdigest()}" if content else "no file"
    if content is None or found != checksum:
        raise damaged(store.url(key), checksum, found)
    return content[0]


def damaged(where: str, wanted: str, found: str) -> DamagedPartition:
    step = f"restore the file, or build the day anew ({manifests.to_rebuild(where)})"
    return DamagedPartition(where, wanted, found, step)


def unreadable(where: str, error: Exception) -> DamagedPartition:
    """The error for a file of rows that Arrow cannot read. The last line of Arrow's message says what is wrong, the
    lines before it say where."""
    lines = str(error).splitlines() or [type(error).__name__]
    return damaged(where, "a Parquet file that can be read", lines[-1].rstrip("."))


def days(first: date, last: date) -> list[date]:
    """Every calendar day of ``[first, last]``."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def some(found: Iterable[date], at_most: int = 5) -> str:
    """``2026-01-03, 2026-01-05 and 12 more``."""
    ordered = sorted(found)
    shown = ", ".join(str(day) for day in ordered[:at_most])
    return f"{shown} and {len(ordered) - at_most} more" if len(ordered) > at_most else shown


def common_schema(partitions: list[Partition], section: str = "") -> Schema:
    """The schema of a section that all partitions share. Raises LakeError that names two days that differ."""
    first, schema = partitions[0], partitions[0].manifest.schema_of(section)
    for other in partitions[1:]:
        if (found := other.manifest.schema_of(section)) != schema:
            raise LakeError(
                f"{first.dataset} of {first.date} and {other.date}",
                f"one schema ({_ddl(schema)})",
                _ddl(found),
                "read them apart, or build the older one again",
            )
    return schema


def _ddl(schema: Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema)


def _difference(file: File, there: Entry | None) -> tuple[str, str] | None:
    if there is None:
        return f"{file.size} bytes", "no file"
    if there.size != file.size:
        return f"{file.size} bytes", f"{there.size} bytes"
    kind, _, value = file.checksum.partition(":")
    etag = value if kind == "etag" else file.etag
    if etag and etag != there.etag:
        return f"the etag {etag}", there.etag
    return None


_DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)/", re.ASCII)


def entries_by_day(entries: Iterable[Entry], prefix: str) -> Iterator[tuple[date, dict[str, Entry]]]:
    """Listed objects by the day of the directory below ``prefix`` that they lie in, and by their keys."""
    dated = ((match, entry) for entry in entries if (match := _DAY.match(entry.key, len(prefix))))
    for day, group in itertools.groupby(dated, key=lambda pair: pair[0].group(1)):
        with suppress(ValueError):  # date=2026-99-99 is not ours
            yield date.fromisoformat(day), {entry.key: entry for _, entry in group}
