"""Files of CSV as a target: one file a day, in a directory or on S3.

    {root}/{lake}/{use_case}/{dataset}/2026-11-20.csv
    {root}/{lake}/{use_case}/{dataset}/_ledger/2026-11-20.json

A file is renamed or put in place as a whole. The ledger of a day names the run and the version of the file, so that a file
that was replaced since does not count as published. A file replaces the one before at once: no superseded rows stay.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from spark_lib.errors import ConfigurationError, PublishError, later_format
from spark_lib.lake import Schema, normalise_root
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.store import Conflict, Entry, Store, Unanswered, is_hidden
from spark_lib.lake.tables import arrow_schema
from spark_lib.targets.target import MODEL_DATE, Columns, Day, Score, Series, asked

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
SEPARATORS = (";", ",")
_READ_BYTES = 4 * 1024 * 1024
#: After this time nobody writes a file any more whose process was killed.
_ABANDONED = timedelta(days=1)


@dataclass(frozen=True)
class _Record:
    """What the ledger says of a day. ``etag`` is that of the file."""

    run: str
    rows: int
    etag: str
    separator: str
    columns: Columns
    format: int = FORMAT

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


class CsvTarget:
    """A directory or ``s3://bucket/prefix``. ``separator`` is ``;`` or ``,``. Texts are UTF-8; a null is empty, and an
    empty text is ``""``; an array is JSON and a value of bytes hexadecimal. ``connection`` reaches another S3 server than
    that of the process. Where the place cannot be read or written, every method raises LakeError."""

    def __init__(self, root: str, *, separator: str = ";", connection: Connection | None = None) -> None:
        if separator not in SEPARATORS:
            raise ConfigurationError(
                "separator of CSV", "one of " + " ".join(SEPARATORS), repr(separator), "correct the target"
            )
        self._root = normalise_root(root)
        self._separator = separator
        self._connection = connection

    @property
    def _store(self) -> Store:
        return open_store(self._root, self._connection)

    def publish(self, days: Iterable[Day]) -> None:
        given = list(days)
        for series in dict.fromkeys(day.series for day in given):
            dates = [day.date for day in given if day.series == series]
            # The ledger as it is now. Where that changes before a day's turn, another process was there.
            before = self._listed(_ledgers(series), min(dates), max(dates))
            for day in (each for each in given if each.series == series):
                before[day.date] = self._publish(day, before.get(day.date))
            self._remove_abandoned(series)

    def published(self, series: Series, first: date, last: date) -> dict[date, str]:
        return {day: record.run for day, record in self._held(series, first, last)}

    def withdraw(self, series: Series, day: date) -> None:
        self._store.remove_objects([_file(series, day), _ledger(series, day)])

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        for day, record in reversed(list(self._held(series, date.min, date.max))):
            found = self._newest(series, day, record, asked(record.columns.entity, entity))
            if found is not None:
                return Score(found, record.run, found.get(MODEL_DATE), day)
        return None

    def check(self) -> None:
        self._store.probe()

    def _publish(self, day: Day, before: Entry | None) -> Entry:
        """Write a day, and return its ledger as it is then."""
        held = dict(self._held(day.series, day.date, day.date)).get(day.date)
        if before is not None and held is not None and held.run == day.run:
            return before
        now = self._listed(_ledgers(day.series), day.date, day.date).get(day.date)
        if now != before:
            raise self._lost(day)
        key = _file(day.series, day.date)
        digest = self._write(day, key)
        etag = self._etag(key)
        # Only the content tells whether the version that was just listed is ours.
        if self._digest(key) != digest or self._etag(key) != etag:
            raise self._lost(day)
        self._store.persist([key])
        record = _Record(day.run, day.rows, etag, self._separator, day.columns)
        return self._record(day, record.to_json(), before)

    def _record(self, day: Day, body: bytes, before: Entry | None) -> Entry:
        key = _ledger(day.series, day.date)
        try:
            if before is None:
                self._store.create(key, body)
            else:
                self._store.replace(key, body, before.etag)
        except (Conflict, Unanswered):
            there = self._store.read(key)  # a put may be refused after its own success
            if there is None or there[0] != body:
                raise self._lost(day) from None
        entry = self._listed(_ledgers(day.series), day.date, day.date).get(day.date)
        if entry is None:
            raise self._lost(day)
        return entry

    def _lost(self, day: Day) -> PublishError:
        return PublishError(
            f"{self._store.url(_file(day.series, day.date))}",
            f"to publish run {day.run} alone",
            "another process that wrote the same day meanwhile",
            "run again: then the run that is in force is published",
        )

    def _write(self, day: Day, key: str) -> str:
        """Put the rows in place as one file, and return the SHA-256 of its content."""
        from pyarrow import csv

        schema = _text_schema(arrow_schema(day.columns.schema))
        options = csv.WriteOptions(delimiter=self._separator)
        with self._store.writing(key) as file:
            sink, rows = _Hashed(file), 0
            with csv.CSVWriter(sink, schema, write_options=options) as writer:
                for batch in day.batches():
                    writer.write_batch(_as_text(batch))
                    rows += batch.num_rows
            day.check_rows(rows)
            return sink.digest.hexdigest()

    def _digest(self, key: str) -> str:
        digest = hashlib.sha256()
        with self._store.open(key) as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def _etag(self, key: str) -> str:
        directory, _, name = key.rpartition("/")
        return next((entry.etag for entry in self._store.list(directory, name, name)), "")

    def _listed(self, directory: str, first: date, last: date) -> dict[date, Entry]:
        """The objects of a directory that are named by a day of ``[first, last]``."""
        found = {}
        for entry in self._store.list(directory, str(first), f"{last}.~"):
            name = entry.key[len(directory) + 1 :]
            if not is_hidden(name) and "/" not in name:
                found[date.fromisoformat(name.partition(".")[0])] = entry
        return found

    def _held(self, series: Series, first: date, last: date) -> Iterator[tuple[date, _Record]]:
        """The days whose ledger names the version of the file that is there, in order."""
        files = self._listed(_directory(series), first, last)
        for day, entry in sorted(self._listed(_ledgers(series), first, last).items()):
            record = self._read(entry)
            if record is not None and day in files and files[day].etag == record.etag:
                yield day, record

    def _read(self, entry: Entry) -> _Record | None:
        body = self._store.recall(entry)
        if body is None:
            content = self._store.read(entry.key)
            if content is None:
                return None
            body = content[0]
            self._store.remember(entry.key, content[1], body)
        return _parsed(body, self._store.url(entry.key))

    def _newest(self, series: Series, day: date, record: _Record, entity: Mapping[str, Any]) -> dict[str, Any] | None:
        """The newest row of an entity in a file."""
        rows = list(self._rows(series, day, record, entity))
        order = (*filter(None, [record.columns.event_time]), *record.columns.key)
        return max(rows, key=lambda row: [(row[name] is not None, row[name]) for name in order], default=None)

    def _rows(self, series: Series, day: date, record: _Record, entity: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv

        schema = arrow_schema(record.columns.schema)
        try:
            wanted = {name: pa.scalar(str(value)).cast(schema.field(name).type) for name, value in entity.items()}
        except pa.ArrowException as error:
            raise ConfigurationError(
                "look-up of an entity", "values of the columns' types", str(error), "correct the values"
            ) from error
        texts = _text_schema(schema)
        with self._store.open(_file(series, day)) as file:
            reader = csv.open_csv(
                file,
                parse_options=csv.ParseOptions(delimiter=record.separator, newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    column_types=texts,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                for name, value in wanted.items():
                    batch = batch.filter(pc.equal(batch.column(name), value))  # narrowed step by step
                for row in batch.to_pylist():
                    yield {name: _from_text(row[name], schema.field(name).type) for name in schema.names}

    def _remove_abandoned(self, series: Series) -> None:
        """Remove what processes that were killed long ago have left of files."""
        since = self._store.now() - _ABANDONED.total_seconds()
        directory = _directory(series)
        self._store.remove_objects(
            [entry.key for entry in self._store.list(directory, ".", ".~") if entry.modified < since]
        )


class _Hashed(io.RawIOBase):
    """A file to write to, with the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return self._file.write(content)


def _directory(series: Series) -> str:
    return "/".join(map(_segment, (series.lake, series.use_case, series.dataset)))


def _segment(name: str) -> str:
    """A name as one segment of a path, which is neither hidden nor a directory above."""
    quoted = quote(name, safe="")
    return f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted[:1] in (".", "_") else quoted


def _file(series: Series, day: date) -> str:
    return f"{_directory(series)}/{day}.csv"


def _ledgers(series: Series) -> str:
    return f"{_directory(series)}/_ledger"


def _ledger(series: Series, day: date) -> str:
    return f"{_ledgers(series)}/{day}.json"


def _parsed(body: bytes, where: str) -> _Record:
    """Raises PublishError for a ledger that cannot be read."""
    try:
        document = json.loads(body)
        if document["format"] > FORMAT:
            raise later_format(where, "a ledger", FORMAT, document["format"])
        columns = document["columns"]
        schema: Schema = tuple((name, kind) for name, kind in columns["schema"])
        parsed = Columns(schema, tuple(columns["entity"]), tuple(columns["key"]), columns["event_time"])
        return _Record(document["run"], document["rows"], document["etag"], document["separator"], parsed)
    except (ValueError, KeyError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise PublishError(where, "a ledger", found, "remove the file, then publish the day again") from error


def _is_plain(kind: pa.DataType) -> bool:
    """Whether CSV has a form for values of a type."""
    import pyarrow as pa

    return not (pa.types.is_list(kind) or pa.types.is_binary(kind))


def _text_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(field.name, field.type if _is_plain(field.type) else pa.string()) for field in schema])


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [
        column if _is_plain(column.type) else pa.array([_text(value) for value in column.to_pylist()], pa.string())
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_text_schema(batch.schema))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else json.dumps(value)


def _from_text(value: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa

    if value is None or _is_plain(kind):
        return value
    return bytes.fromhex(value) if pa.types.is_binary(kind) else json.loads(value)
