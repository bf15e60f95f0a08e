"""Reads the tables that are to land: CSV by the strict rules of a feed's dialect, Parquet by its declared types."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.frames import delimited
from spark_lib.frames.landing import texts
from spark_lib.lake.tables import arrow_type, spark_name
from spark_lib.use_case import ddl

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from spark_lib.lake import RawFeed
    from spark_lib.use_case import Feed

#: The ends of names by which a table's format is known.
ENDS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
#: The types of columns that say on which day a row lands.
DATED = ("date", "timestamp", "timestamp_ntz")
_BATCH_ROWS = 2**17
_SHOWN = 5


def columns_of(feed: RawFeed, declared: Feed) -> dict[str, str]:
    """The declared columns and their types. Raises ConfigurationError for a type that cannot land from a table."""
    columns = {column.name: column.kind for column in ddl.columns(declared.schema)}
    for name, kind in columns.items():
        if arrow_type(kind) is None:
            raise ConfigurationError(
                f"column {name!r} of raw feed {feed.name}",
                "a type that a table can land: string, boolean, whole numbers, float, double, decimal, date, timestamp or "
                "binary",
                kind,
                "land the feed with the program that makes it",
            )
    if feed.format == "csv":
        delimited.kinds(feed, columns)
    return columns


def kind_of_days(feed: RawFeed, file: str, column: str) -> str:
    """The type of a column that the feed does not declare, and by whose dates rows are to land: that of the file; of
    CSV, which has no types, DATE. Raises BadData for a column without dates."""
    if _format(feed, file) == "csv":
        if not feed.dialect.header:
            raise ConfigurationError(
                f"--by {column}",
                f"a column that the feed {feed.name} declares, as its CSV files have no header",
                "no such column",
                "declare it in the feed's schema, or draw the days with --spread FROM..TO --seed N",
            )
        return "date"
    with _parquet(feed, file) as parquet:
        found = parquet.schema_arrow
        delimited.check_names(_where(feed, file), file, found.names, {column: "date or timestamp"})
        for kind in DATED:
            if _fits(found.field(column).type, kind):
                return kind
        raise BadData(
            _where(feed, file),
            f"a column {column!r} of type date or timestamp, which --by takes days from",
            f"type {spark_name(found.field(column).type)}",
            "write the file with that type, or name another column",
            file,
        )


def read(feed: RawFeed, file: str, columns: Mapping[str, str]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Read a table as pairs of batches: its rows as they land (of a CSV feed, as texts), and their values.

    ``file`` is an absolute path. Raises BadData for a file that is not exactly a table of these ``columns``,
    ConfigurationError for one whose name does not say its format.
    """
    if _format(feed, file) == "csv":
        _check_no_more(feed, file, delimited.names(feed, file, columns), columns)
        for texts_of_file, values in delimited.read_with_texts(feed, file, columns):
            yield (texts_of_file if feed.format == "csv" else values), values
        return
    before = 0
    for values in _read_parquet(feed, file, columns):
        yield (_as_texts(feed, file, columns, values, before) if feed.format == "csv" else values), values
        before += values.num_rows


def _format(feed: RawFeed, file: str) -> str:
    """The format of a file that has content. Raises ConfigurationError, BadData."""
    kind = next((kind for end, kind in ENDS.items() if file.lower().endswith(end)), "")
    if not kind:
        wanted = f"a name that ends with {', '.join(ENDS)}, by which its format is known"
        raise ConfigurationError(_where(feed, file), wanted, repr(os.path.basename(file)), "rename the file")
    try:
        size = os.stat(file).st_size
    except OSError as error:
        wanted, found = "a file that can be read", error.strerror or str(error)
        raise BadData(_where(feed, file), wanted, found, "correct the path, or its rights", file) from error
    if not size:
        raise BadData(_where(feed, file), "a table", "an empty file", "give a file with columns", file)
    return kind


@contextmanager
def _parquet(feed: RawFeed, file: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file that is open. Raises BadData where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with feed.open(file) as opened, pq.ParquetFile(opened, page_checksum_verification=True) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0].rstrip(".")
        raise BadData(_where(feed, file), "a Parquet file", found, "write the file again", file) from error


def _read_parquet(feed: RawFeed, file: str, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with _parquet(feed, file) as parquet:
        found = parquet.schema_arrow
        delimited.check_names(_where(feed, file), file, found.names, columns)
        _check_no_more(feed, file, found.names, columns)
        for name, declared in columns.items():
            if not _fits(found.field(name).type, declared):
                raise _of_another_type(feed, file, name, declared, f"type {spark_name(found.field(name).type)}")
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(columns)):
            values = [_cast(feed, file, batch[name], name, declared) for name, declared in columns.items()]
            yield pa.RecordBatch.from_arrays(values, names=list(columns))


def _cast(feed: RawFeed, file: str, values: pa.Array, name: str, declared: str) -> pa.Array:
    """Values of a column that fits, in the declared type. Raises BadData for a time with a part of a microsecond."""
    import pyarrow as pa

    try:
        return values.cast(arrow_type(declared))
    except pa.ArrowInvalid as error:
        raise _of_another_type(feed, file, name, declared, str(error).splitlines()[0]) from error


def _of_another_type(feed: RawFeed, file: str, name: str, declared: str, found: str) -> BadData:
    wanted = f"a column {name!r} of type {declared}"
    return BadData(_where(feed, file), wanted, found, "write the file with the declared type", file)


def _as_texts(
    feed: RawFeed, file: str, columns: Mapping[str, str], values: pa.RecordBatch, before: int
) -> pa.RecordBatch:
    """Values as the feed's CSV has them. Raises BadData for one that its dialect cannot say."""
    try:
        return texts.of_values(values, delimited.kinds(feed, columns), feed.dialect)
    except texts.NotWritten as lost:
        raise BadData(
            f"{_where(feed, file)}, row {before + lost.place + 1:,}, column {lost.column!r}",
            f"a value that can be written as the feed's CSV and read again ({columns[lost.column]})",
            str(lost.value),
            f"correct the value, declare another dialect in [{feed.section}], or land Parquet ([{feed.section}] format)",
            file,
        ) from lost


def _fits(kind: pa.DataType, declared: str) -> bool:
    """Whether a Parquet column's values are all values of the declared type. A timestamp in nanoseconds is one where
    it is whole microseconds, which the cast checks."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return declared == ("timestamp" if kind.tz else "timestamp_ntz")
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return kind in [arrow_type(readable) for readable in ddl.readable_as(declared)]


def _check_no_more(feed: RawFeed, file: str, found: list[str], columns: Mapping[str, str]) -> None:
    """Raise BadData for a column that the feed does not declare: it would be lost without a word."""
    more = [name for name in found if name not in columns]
    if more:
        others = f" and {len(more) - _SHOWN:,} more" if more[_SHOWN:] else ""
        raise BadData(
            _where(feed, file),
            "the declared columns alone",
            f"{', '.join(map(repr, more[:_SHOWN]))}{others} besides",
            "take them out of the file, or declare them in the feed's schema",
            file,
        )


def _where(feed: RawFeed, file: str) -> str:
    return f"raw feed {feed.name}: {file}"
