"""Reads the tables that are to land: CSV by the strict rules of a feed's dialect, Parquet by its declared types."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.frames import delimited
from spark_lib.frames.landing import texts
from spark_lib.lake.tables import arrow_schema, arrow_type
from spark_lib.use_case import ddl

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.lake import RawFeed
    from spark_lib.use_case import Feed

#: The ends of names by which a table's format is known.
ENDS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
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


def read(feed: RawFeed, file: str, columns: Mapping[str, str]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Read a table as pairs of batches: its rows as they land (of a CSV feed, as texts), and their values.

    ``file`` is an absolute path. Raises BadData for a file that is not exactly a table of these ``columns``,
    ConfigurationError for one whose name does not say its format.
    """
    kind = next((kind for end, kind in ENDS.items() if file.lower().endswith(end)), "")
    where = f"raw feed {feed.name}: {file}"
    if not kind:
        raise ConfigurationError(
            where, f"a name that ends with {', '.join(ENDS)}", f"{os.path.basename(file)!r}", "rename the file"
        )
    _check_there(where, file)
    if kind == "parquet":
        for values in _read_parquet(feed, file, columns):
            yield (texts.of_values(feed, file, values, columns) if feed.format == "csv" else values), values
        return
    delimited.kinds(feed, columns)
    _check_no_more(where, file, delimited.names(feed, file, columns), columns)
    for written, values in delimited.read_with_texts(feed, file, columns):
        yield (written if feed.format == "csv" else values), values


def _read_parquet(feed: RawFeed, file: str, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = f"raw feed {feed.name}: {file}"
    schema = arrow_schema(tuple(columns.items()))
    try:
        with feed.open(file) as opened, pq.ParquetFile(opened, page_checksum_verification=True) as parquet:
            found = parquet.schema_arrow
            delimited.check_names(where, file, found.names, columns)
            _check_no_more(where, file, found.names, columns)
            for name, declared in columns.items():
                if not _fits(found.field(name).type, declared):
                    raise BadData(
                        where,
                        f"a column {name!r} of type {declared}",
                        f"type {found.field(name).type}",
                        "write the file with the declared type",
                        file,
                    )
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(columns)):
                yield pa.RecordBatch.from_arrays(
                    [batch[name].cast(schema.field(name).type) for name in columns], names=list(columns)
                )
    except (pa.ArrowException, OSError) as error:
        raise BadData(where, "a Parquet file", str(error).splitlines()[0], "write the file again", file) from error


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


def _check_there(where: str, file: str) -> None:
    try:
        size = os.stat(file).st_size
    except OSError as error:
        raise BadData(
            where, "a file that can be read", error.strerror or str(error), "correct the path", file
        ) from error
    if not size:
        raise BadData(where, "a table", "an empty file", "give a file with its columns, and with rows", file)


def _check_no_more(where: str, file: str, found: list[str], columns: Mapping[str, str]) -> None:
    """Raise BadData for a column that the feed does not declare: it would be lost without a word."""
    more = [name for name in found if name not in columns]
    if more:
        others = f" and {len(more) - _SHOWN:,} more" if more[_SHOWN:] else ""
        raise BadData(
            where,
            "the declared columns alone",
            f"{', '.join(map(repr, more[:_SHOWN]))}{others} besides",
            "take them out of the file, or declare them in the feed's schema",
            file,
        )
