"""An attempt is one process's try to build one day of a dataset, or many. Each day is published by one conditional put.

    with lake_attempt as attempt:
        written = write_files_below(attempt.destination)
        attempt.commit(written)

What an attempt writes lies in a ``run=`` directory that no other attempt ever writes to. It is invisible until its
manifest names it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, Protocol

from spark_lib.errors import BadData, LakeError, PublishError, passing
from spark_lib.lake import footers
from spark_lib.lake import manifest as manifests
from spark_lib.lake.lake import Lake, Partition, days
from spark_lib.lake.manifest import File, Input, Manifest, Schema
from spark_lib.lake.stores.store import Conflict, Entry, Unanswered, is_hidden

logger = logging.getLogger("daystone.lake")

_SETTLE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 5.0
#: What many days have in common is verified again where this time has passed since the last look.
_SOURCES_SECONDS = 5.0
#: Files whose footers are read together. On S3 a footer costs one request, or two where it is longer than 64 KB.
_FILES_AT_ONCE = 8
_PROBED: set[str] = set()
#: A job of many days writes a section into directories that are named by a column of this name.
SECTION = "section"


@dataclass(frozen=True)
class Rows:
    """Parquet files that a job wrote: the rows that it ``observed`` by section, their ``schema``, and ``metrics``
    about them. ``files`` are the files of the run that the job wrote, where it names them; any other file there is
    ignored. ``digest`` is the same for the same rows, in whatever order they are; empty where the job took none.
    ``schemas`` are those of sections that have other columns."""

    observed: Mapping[str, int]
    schema: Schema
    metrics: Mapping[str, Any] = field(default_factory=dict)
    files: frozenset[str] | None = None
    digest: str = ""
    schemas: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True)
class Documents:
    """Small files, by name and content. ``Attempt.commit`` writes them itself."""

    files: Mapping[str, bytes]
    metrics: Mapping[str, Any] = field(default_factory=dict)


Written = Rows | Documents


class Resolved(Protocol):
    """An input whose identity was taken when the attempt began: a partition, or raw days."""

    @property
    def input(self) -> Input: ...

    def verify(self) -> None:
        """Raise BadData where the input has changed since then."""


class Attempt:
    """One attempt at ``days`` of ``dataset``. It has the run id, and finds out whose run was published.

    ``inputs`` are those of every day, or of each day its own. What ``sources`` says is verified besides, right before
    the puts of a commit: an attempt at many days names there what its days have in common, which is then verified for
    all of them together, and not once for each.

    With ``rebuild`` the new manifest takes the place of the one that is there now. Without it the first publisher wins.
    Raises LakeError when opened on a place that cannot hold a lake.
    """

    def __init__(
        self,
        lake: Lake,
        dataset: str,
        days: Sequence[date],
        *,
        stage: str,
        inputs: Sequence[Input | Resolved] | Mapping[date, Sequence[Input | Resolved]] = (),
        sources: Sequence[Resolved] = (),
        settings: Mapping[str, Any] | None = None,
        code: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
        rebuild: bool = False,
        max_hours: float = 24.0,
    ) -> None:
        self.lake = lake
        self.dataset = dataset
        self.days = tuple(days)
        self.run = secrets.token_hex(8)
        self._stage = stage
        of_day = inputs if isinstance(inputs, Mapping) else dict.fromkeys(self.days, inputs)
        self._inputs = {day: tuple(of_day[day]) for day in self.days}
        self._sources = tuple(sources)
        self._sources_verified = -_SOURCES_SECONDS  # when they were
        self._settings = dict(settings or {})
        self._code = dict(code or {})
        self._versions = dict(versions or {})
        self._max_seconds = max_hours * 3600
        self._began = time.monotonic()
        self._sent: set[date] = set()  # days whose put was sent: read the manifest before you delete their run
        self._store = lake.store
        self._probe()
        self._expected = {day: self._etag_now(day) if rebuild else None for day in self.days}
        self._staging = self._store.stage(f"{lake.use_case}/{dataset}", self.run) if len(self.days) > 1 else None

    @property
    def destination(self) -> str:
        """The url below which the job writes. It is the run's directory, or for many days a place partitioned by
        ``partition_by``."""
        return self._staging.url if self._staging else self._store.url(self.prefix(self.days[0]))

    @property
    def partition_by(self) -> tuple[str, ...]:
        """The columns by which a job of many days has to partition its files; none for one day."""
        return self._staging.partition_by if self._staging else ()

    def prefix(self, day: date) -> str:
        """The key of the run's directory of a day."""
        return f"{self.lake.prefix(self.dataset, day)}/run={self.run}"

    def commit(self, written: Written | Mapping[date, Written]) -> dict[date, Manifest]:
        """Publish what was written, a day at a time, and return the manifest that now stands for each day. Of many days
        a part may be given, and others later, or never: what was written for those is removed in the end.

        Where another attempt was faster, that is its manifest, and what this one wrote is discarded. Raises BadData
        where files and observed rows differ, or where a raw input has changed meanwhile. Raises PublishError where a
        put stayed unsettled.
        """
        by_day = written if isinstance(written, Mapping) else {self.days[0]: written}
        if not by_day.keys() <= set(self.days):
            raise ValueError(f"attempt at {self.days} got results for {sorted(by_day)}")
        return {day: self._commit_day(day, by_day[day]) for day in self.days if day in by_day}

    def written(self, day: date) -> str:
        """The url of the directory into which a job of many days writes the rows of a day."""
        if self._staging and self._staging.leftovers:  # the files are moved to where they stay when they are published
            return f"{self._staging.url}/date={day}"
        return self._store.url(self.prefix(day))

    def _commit_day(self, day: date, written: Written) -> Manifest:
        if self._staging:
            self._store.adopt(self._staging, f"date={day}", self.prefix(day))
        if isinstance(written, Documents):
            for name, body in written.files.items():
                self._put(f"{self.prefix(day)}/{name}", body, None)
        listed = self._listed(day, written)
        with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            files = tuple(threads.map(lambda entry: self._file(day, entry, written), listed))
        if isinstance(written, Rows):
            self._check_rows(day, files, written)
        self._store.persist(entry.key for entry in listed)
        manifest = Manifest(
            run=self.run,
            stage=self._stage,
            files=files,
            sections=tuple(sorted(written.observed)) if isinstance(written, Rows) else (),
            schema=written.schema if isinstance(written, Rows) else (),
            schemas=dict(written.schemas) if isinstance(written, Rows) else {},
            settings=self._settings,
            code=self._code,
            inputs=tuple(i if isinstance(i, Input) else i.input for i in self._inputs[day]),
            versions=self._versions,
            # Each of many days has its share, so that the seconds of several days add up.
            seconds=round((time.monotonic() - self._began) / len(self.days), 3),
            metrics=dict(written.metrics),
            digest=_digest(written),
        )
        self._check_still_valid(day, written, listed)
        return self._publish(day, manifest)

    def _listed(self, day: date, written: Written) -> list[Entry]:
        """The run's files of a day: those that the writer named. Where it named none, they are all files except hidden
        ones, which hold no rows (Hadoop's checksums, and what an abandoned task left in ``_temporary``)."""
        start = len(self.prefix(day)) + 1
        found = self._store.list(self.prefix(day))
        if written.files is not None:
            return [entry for entry in found if entry.key[start:] in written.files]
        return [entry for entry in found if not is_hidden(entry.key[start:])]

    def _file(self, day: date, entry: Entry, written: Written) -> File:
        path = entry.key.removeprefix(f"{self.lake.prefix(self.dataset, day)}/")
        if isinstance(written, Documents):
            body = written.files[path.partition("/")[2]]
            kind, _, value = self._store.checksum(entry).partition(":")
            etag = value if kind == "etag" else ""  # so a listing shows an altered document, as it does for rows
            return File(path, len(body), f"sha256:{hashlib.sha256(body).hexdigest()}", etag=etag)
        section = path.partition("/")[2].rpartition("/")[0].removeprefix(f"{SECTION}=")
        rows, footer = self._footer(entry)
        return File(path, entry.size, self._store.checksum(entry), rows, section, footer=footer)

    def _footer(self, entry: Entry) -> tuple[int, str]:
        """The rows of a file, and the checksum of its footer."""
        import pyarrow as pa

        try:
            with self._store.open(entry.key) as file:
                footer = footers.read(file)
            return footers.parsed(footer).num_rows, footers.checksum(footer)
        except pa.ArrowException as error:
            raise BadData(
                self._store.url(entry.key),
                "a Parquet file",
                str(error).splitlines()[0],
                "run the stage again; nothing was published",
            ) from error

    def _check_rows(self, day: date, files: tuple[File, ...], written: Rows) -> None:
        counted = dict.fromkeys(written.observed, 0)
        for file in files:
            counted[file.section] = counted.get(file.section, 0) + (file.rows or 0)
        if counted != dict(written.observed):
            raise BadData(
                f"{self.dataset} of {day}: the files of run {self.run}",
                f"the rows that the job observed, {dict(written.observed)}",
                f"{counted} in the files' footers",
                "run the stage again; nothing was published",
            )

    def _check_still_valid(self, day: date, written: Written, listed: list[Entry]) -> None:
        """Check, right before the put, that the time is not up, and that inputs and files have not changed."""
        if time.monotonic() - self._began > self._max_seconds:
            raise PublishError(
                f"{self.dataset} of {day}",
                f"a publish within {self._max_seconds / 3600:g} hours of the attempt's start",
                f"{(time.monotonic() - self._began) / 3600:.1f} hours",
                "run the stage again, or raise [lake] max_attempt_hours",
            )
        if time.monotonic() - self._sources_verified >= _SOURCES_SECONDS:
            for source in self._sources:
                source.verify()
            self._sources_verified = time.monotonic()
        for given in self._inputs[day]:
            if not isinstance(given, Input):
                given.verify()
        if self._expected[day] is not None:
            self._check_inputs_stand(day)
        complete = written.files is None or len(listed) == len(written.files)
        if self._listed(day, written) != listed or not complete:
            raise PublishError(
                f"{self.dataset} of {day}: run {self.run}",
                "the files that were counted",
                "others, a moment later",
                "find out what writes there, then run the stage again",
            )

    def _check_inputs_stand(self, day: date) -> None:
        """Check that newer runs of the inputs were not published meanwhile. A rebuild must not replace what may have
        been built from newer inputs than its own."""
        for given in self._inputs[day]:
            if not isinstance(given, Input) or given.name.startswith("raw/"):  # raw days are verified by themselves
                continue
            there = self.lake.find(given.name, given.first, given.last)
            for input_day, run in zip(days(given.first, given.last), given.ids, strict=False):
                stands = there.get(input_day)
                if isinstance(stands, Partition) and stands.manifest.run != run:
                    raise PublishError(
                        f"{self.dataset} of {day}: run {self.run}",
                        f"{given.name} of {input_day} to be run {run}, which this was built from",
                        f"run {stands.manifest.run}, published meanwhile",
                        "rebuild again, from what stands now",
                    )

    def _publish(self, day: date, manifest: Manifest) -> Manifest:
        """Put the manifest, and return the one that stands for the day from now on.

        That is another run's manifest where that run was published first. A rebuild from other inputs, settings or code
        then tries once more, to replace that manifest.
        """
        key = f"{self.lake.prefix(self.dataset, day)}/{manifests.NAME}"
        body = manifest.to_json()
        expected = self._expected[day]
        self._sent.add(day)
        for _ in range(2):
            there, etag = self._put(key, body, expected)
            stands = manifests.parse(there, self._store.url(key))
            if stands.run == self.run:
                return stands
            if expected is None or stands.same_work(manifest):
                logger.info("%s of %s was published by run %s meanwhile", self.dataset, day, stands.run)
                self._discard(self.prefix(day))
                return stands
            self._check_inputs_stand(day)
            expected = etag
        raise PublishError(
            f"{self.dataset} of {day}",
            f"to swap the manifest for run {self.run}",
            f"run {stands.run}, built from other inputs, settings or code",
            "stop one of the two rebuilds and run the other again",
        )

    def _put(self, key: str, body: bytes, expected: str | None) -> tuple[bytes, str]:
        """Put ``body`` in place of the object with the etag ``expected`` (None: where there is no object). Return what
        is there with its etag: that body, or what another put there before.

        Only a plain success is believed. Any other answer, even a refusal, may come from a client that repeated a put
        after its own success. So the object is read back. Where it has not changed, the same put is sent again.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        pause = 0.01
        while True:
            try:
                if expected is None:
                    self._store.create(key, body)
                else:
                    self._store.replace(key, body, expected)
                return body, ""
            except (Conflict, Unanswered) as answer:
                logger.info("%s: %s; reading it back", self._store.url(key), type(answer).__name__)
            there = self._store.read(key)
            if there is None:
                expected = None  # for a rebuild: the manifest was removed, so this is a first publish now
            elif there[1] != expected:
                return there
            if time.monotonic() > deadline:
                raise passing(
                    PublishError(
                        self._store.url(key),
                        f"an answer to the put of run {self.run}",
                        f"none in {_SETTLE_SECONDS:g} s",
                        "run the stage again once the store answers; the run's files stay for gc",
                    )
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _discard(self, prefix: str) -> None:
        try:
            self._store.remove(prefix)
        except LakeError as error:
            logger.warning("left to gc: %s", error)

    def _etag_now(self, day: date) -> str | None:
        content = self._store.read(f"{self.lake.prefix(self.dataset, day)}/{manifests.NAME}")
        return content[1] if content else None

    def _probe(self) -> None:
        if self.lake.root not in _PROBED:
            self._store.probe()
            _PROBED.add(self.lake.root)

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._staging and self._staging.leftovers:
            self._discard(self._staging.leftovers)
        for day in self.days:
            if day not in self._sent:
                self._discard(self.prefix(day))


def _digest(written: Written) -> str:
    """What two runs have in common that wrote the same rows, of the same columns, or the same documents. Empty where
    that is not known."""
    if isinstance(written, Documents):
        parts = [[name, hashlib.sha256(body).hexdigest()] for name, body in sorted(written.files.items())]
    elif written.digest:
        parts = [[name, kind] for name, kind in written.schema] + [["", written.digest]]
    else:
        return ""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def resolved(partitions: Sequence[Partition]) -> tuple[Input, ...]:
    """Partitions of one dataset as one input over their days."""
    if not partitions:
        return ()
    ids = tuple(partition.manifest.run for partition in partitions)
    digests = tuple(partition.manifest.digest for partition in partitions)
    return (
        Input(partitions[0].dataset, partitions[0].date, partitions[-1].date, ids, digests if any(digests) else ()),
    )
