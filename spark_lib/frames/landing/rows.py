"""Lands the rows of tables as days of a raw feed. Everything is read and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_lib.errors import BadData
from spark_lib.frames.landing import tables, texts
from spark_lib.frames.landing.days import FIRST_DAY, LAST_DAY, ByColumn, Spread
from spark_lib.lake.feeds import landing
from spark_lib.lake.tables import arrow_schema, arrow_type
from spark_lib.use_case.keys import Key, names, value

if TYPE_CHECKING:
    from spark_lib.lake import RawFeed
    from spark_lib.use_case import Feed

State = Literal["new", "same", "other"]
_CORRECT = "correct the file; nothing was landed"


@dataclass(frozen=True)
class Landed:
    """A day, and the number of rows of the tables that belong to it.

    ``state`` is ``new`` where this landing wrote the day. Where the day's flag was there already, it is ``same`` if the
    day has these rows, and ``other`` if it has not, or was written by others than a landing.
    """

    date: date
    rows: int
    state: State


def land(
    feed: RawFeed,
    declared: Feed,
    files: Sequence[str],
    days: ByColumn | Spread,
) -> list[Landed]:
    """Land the rows of all ``files`` (absolute paths) on their ``days``: a file a day, its rows in the order of their
    keys, then the day's flag. Days without rows between the first and the last land too.

    A day whose flag is there is left alone. The same rows give the same bytes, in whatever order of files and rows they
    come. The rows of all files are held in memory.

    Raises BadData for a file that is not exactly a table of the declared columns, for a null key or day, and for a key
    that is there twice on one day; ConfigurationError where the arguments cannot work, or a day has files of others;
    LakeError where nothing can be written.
    """
    columns = tables.columns_of(feed, declared)
    days.check(columns)
    read = _read(feed, declared.key, files, columns, days)
    span = days.span(read.days)
    if span is None:
        raise BadData(
            f"raw feed {feed.name}: {', '.join(files)}",
            f"rows, whose {getattr(days, 'column', '')!r} says on which days they land",
            "none",
            "give a table with rows, or land days without rows with --spread FROM..TO --seed N",
        )
    _check_keys(read, feed, declared.key)
    numbers = read.days.cast(pa.int32()).to_numpy()
    landed = []
    for place in landing.places(feed, *span):
        day = (place.date - date(1970, 1, 1)).days
        begin, end = (int(np.searchsorted(numbers, day, side)) for side in ("left", "right"))
        of_day = read.rows.slice(begin, end - begin)
        if not place.has_landed and landing.land(feed, place, _writer(feed, of_day, columns)):
            state: State = "new"
        else:
            state = "same" if _has_rows(feed, place.date, of_day, columns) else "other"
        landed.append(Landed(place.date, of_day.num_rows, state))
    return landed


@dataclass(frozen=True)
class _Read:
    """The rows of all files as they land, in the order of their days and keys. Beside each are its day (date32), the
    columns of its key, and where it was: the place of its file among the files, and its row there, counted from 1."""

    rows: pa.Table
    days: pa.Array
    keys: Sequence[pa.Array]
    file: pa.Array
    row: pa.Array
    files: Sequence[str]

    def where(self, place: int) -> str:
        """Where a row was read."""
        return f"{self.files[self.file[place].as_py()]}, row {self.row[place].as_py():,}"


def _read(feed: RawFeed, key: Key, files: Sequence[str], columns: dict[str, str], days: ByColumn | Spread) -> _Read:
    """All rows. Raises BadData for a null key, and for a day that is null or not from ``FIRST_DAY`` to ``LAST_DAY``."""
    written = arrow_schema(tuple((name, "string" if feed.format == "csv" else kind) for name, kind in columns.items()))
    beside = pa.schema(
        [
            ("day", pa.date32()),
            *((f"key {place}", arrow_type(columns[name])) for place, name in enumerate(names(key))),
            ("file", pa.int32()),
            ("row", pa.int64()),
        ]
    )
    found = [(_large(written).empty_table(), _large(beside).empty_table())]
    for number, file in enumerate(files):
        before = 0
        for batch, values in tables.read(feed, file, columns | _beside(feed, file, columns, days)):
            check = _Checks(f"raw feed {feed.name}: {file}", file, before)
            for name in names(key):
                check.no_null(values[name], name)
            of_rows = days.of(values, key)
            if isinstance(days, ByColumn):
                check.no_null(of_rows, days.column)
                check.days(of_rows, days.column)
            row = pa.array(np.arange(before + 1, before + 1 + len(of_rows)))
            of_key = [values[name] for name in names(key)]
            places = [of_rows, *of_key, pa.repeat(pa.scalar(number, pa.int32()), len(of_rows)), row]
            found.append((_as_table(batch.columns[: len(columns)], written), _as_table(places, beside)))
            before += batch.num_rows
    rows, places = (pa.concat_tables(parts).combine_chunks() for parts in zip(*found, strict=True))
    order = pc.sort_indices(places, [(name, "ascending") for name in places.column_names])
    places = places.take(order).combine_chunks()
    on_day, *keys, in_file, in_row = (_whole(places[name]) for name in beside.names)
    return _Read(rows.take(order), on_day, keys, in_file, in_row, files)


def _beside(feed: RawFeed, file: str, columns: dict[str, str], days: ByColumn | Spread) -> dict[str, str]:
    """The column that says the days, where the feed does not declare it."""
    if isinstance(days, Spread) or days.column in columns:
        return {}
    return {days.column: tables.kind_of_days(feed, file, days.column)}


def _as_table(columns: Sequence[pa.Array], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays(list(columns), schema=schema).cast(_large(schema))


def _large(schema: pa.Schema) -> pa.Schema:
    """The same columns, whose texts may be of more than 2 GB together."""
    large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    return pa.schema([field.with_type(large.get(field.type, field.type)) for field in schema])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return pa.concat_arrays(column.chunks) if column.chunks else pa.array([], column.type)


@dataclass(frozen=True)
class _Checks:
    """What has to hold for each row of a batch that ``before`` rows of its file come before. Each raises BadData."""

    where: str
    file: str
    before: int

    def no_null(self, values: pa.Array, column: str) -> None:
        if values.null_count:
            self._refuse(pc.is_null(values), column, "a value in every row", "null")

    def days(self, days: pa.Array, column: str) -> None:
        first, last = (pa.scalar(day, pa.date32()) for day in (FIRST_DAY, LAST_DAY))
        outside = pc.or_(pc.less(days, first), pc.greater(days, last))
        if pc.any(outside).as_py():
            found = str(days[pc.index(outside, True).as_py()].as_py())
            self._refuse(outside, column, f"a day from {FIRST_DAY} to {LAST_DAY}", found)

    def _refuse(self, wrong: pa.Array, column: str, wanted: str, found: str) -> None:
        place, many = pc.index(wrong, True).as_py(), pc.sum(wrong).as_py()
        more = (
            f", and {many - 1:,} more in rows {self.before + 1:,} to {self.before + len(wrong):,}" if many > 1 else ""
        )
        raise BadData(
            f"{self.where}, row {self.before + place + 1:,}, column {column!r}",
            wanted,
            found + more,
            _CORRECT,
            self.file,
        )


def _check_keys(read: _Read, feed: RawFeed, key: Key) -> None:
    """Raise BadData for a key that is there twice on one day."""
    if len(read.days) < 2:
        return
    again = reduce(pc.and_, (pc.equal(column[1:], column[:-1]) for column in (read.days, *read.keys)))
    many = pc.sum(again).as_py()
    if many:
        place = pc.index(again, True).as_py()
        more = f", and {many - 1:,} more" if many > 1 else ""
        row = {name: column[place].as_py() for name, column in zip(names(key), read.keys, strict=True)}
        raise BadData(
            f"raw feed {feed.name}: {read.where(place + 1)}",
            f"each {key!r} once a day",
            f"{value(row, key)!r} on {read.days[place]}, which is in {read.where(place)} too{more}",
            _CORRECT,
            read.files[read.file[place + 1].as_py()],
        )


def _writer(feed: RawFeed, rows: pa.Table, columns: dict[str, str]) -> Callable[[BinaryIO], None]:
    """What writes a day's rows in the feed's format."""

    def as_csv(file: BinaryIO) -> None:
        file.write(texts.document(rows, feed.dialect))

    def as_parquet(file: BinaryIO) -> None:
        pq.write_table(_declared(rows, columns), file)

    return as_csv if feed.format == "csv" else as_parquet


def _has_rows(feed: RawFeed, day: date, rows: pa.Table, columns: dict[str, str]) -> bool:
    """Whether a day that is there has exactly these rows: of an earlier landing, or none."""
    there = landing.content(feed, day)
    if not there:
        return there is not None and not rows.num_rows
    if feed.format == "csv":
        return there == texts.document(rows, feed.dialect)
    try:
        return bool(pq.read_table(pa.BufferReader(there)).equals(_declared(rows, columns)))
    except pa.ArrowException:
        return False


def _declared(rows: pa.Table, columns: dict[str, str]) -> pa.Table:
    """Rows in the declared types."""
    return rows.cast(arrow_schema(tuple(columns.items())))
