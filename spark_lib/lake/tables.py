"""Reads the lake without Spark: the rows that manifests name, as Arrow tables and batches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, BinaryIO

from spark_lib.errors import LakeError
from spark_lib.lake.lake import Lake, Partition, common_schema, unreadable
from spark_lib.lake.manifest import File, Schema

if TYPE_CHECKING:
    import pyarrow as pa


def read_arrow(lake: Lake, dataset: str, first: date, last: date | None = None, section: str = "") -> pa.Table:
    """Rows of every day of ``[first, last]`` with their ``date`` as the last column.

    Raises NotPublished where a day is missing, DamagedPartition where one is not whole, LakeError where the days'
    schemas differ.
    """
    return arrow_of(lake.require(dataset, first, last), section)


def arrow_of(partitions: Sequence[Partition], section: str = "") -> pa.Table:
    """The rows of partitions of one dataset, with their ``date`` as the last column. Raises DamagedPartition where a file
    cannot be read, LakeError where the days' schemas differ."""
    import pyarrow as pa

    schema = arrow_schema(common_schema(list(partitions), section))
    tables = [_with_date(_read_files(partition, section, schema), partition.date) for partition in partitions]
    return pa.concat_tables(tables)


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of a manifest's columns. Raises LakeError for a type that has no counterpart here."""
    import pyarrow as pa

    def field(name: str, kind: str) -> pa.Field:
        found = arrow_type(kind)
        if found is None:
            raise LakeError(
                f"column {name!r}", f"one of {', '.join(_plain_types())}, decimal(p,s)", kind, "read it with Spark"
            )
        return pa.field(name, found)

    return pa.schema([field(name, kind) for name, kind in schema])


def arrow_type(kind: str) -> pa.DataType | None:
    """The Arrow type of a column whose type Spark calls ``kind``; None for a type that has no counterpart here."""
    import pyarrow as pa

    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else _plain_types().get(kind)


def spark_name(kind: pa.DataType) -> str:
    """What Spark calls an Arrow type of ``arrow_type``; Arrow's own name for any other."""
    import pyarrow as pa

    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next((name for name, plain in _plain_types().items() if plain == kind), str(kind))


def _plain_types() -> dict[str, pa.DataType]:
    """The Arrow types of Spark's types without a number in brackets."""
    import pyarrow as pa

    return {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "timestamp_ntz": pa.timestamp("us"),
        "binary": pa.binary(),
        "array<double>": pa.list_(pa.float64()),
    }


def read_batches(partition: Partition, section: str = "", rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """The rows of a partition as Arrow batches of at most ``rows`` rows, of the manifest's columns and types. Few are
    in memory at a time. Raises DamagedPartition where a file cannot be read, LakeError where a type has no counterpart
    in Arrow."""
    import pyarrow.parquet as pq

    schema = arrow_schema(partition.manifest.schema_of(section))
    for file in partition.section(section):
        with _opened(partition, file) as opened:
            parquet = pq.ParquetFile(opened, page_checksum_verification=True)
            for batch in parquet.iter_batches(rows):
                yield batch.select(schema.names).cast(schema)


def _read_files(partition: Partition, section: str, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for file in partition.section(section):
        with _opened(partition, file) as opened:
            parquet = pq.ParquetFile(opened, page_checksum_verification=True)
            tables.append(parquet.read().select(schema.names).cast(schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


@contextmanager
def _opened(partition: Partition, file: File) -> Iterator[BinaryIO]:
    """A file of a partition. Whatever Arrow cannot read of it in the block raises DamagedPartition."""
    import pyarrow as pa

    key = f"{partition.prefix}/{file.path}"
    try:
        with partition.store.open(key) as opened:
            yield opened
    except (pa.ArrowException, OSError) as error:
        where = f"{partition.dataset} of {partition.date}: {partition.store.url(key)}"
        raise unreadable(where, error) from error


def _with_date(table: pa.Table, day: date) -> pa.Table:
    import pyarrow as pa

    return table.append_column("date", pa.array([day] * table.num_rows, pa.date32()))
