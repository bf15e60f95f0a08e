"""Looks at the first rows of a table, so that a use case can be drafted from it. It needs no Spark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.lake.tables import arrow_type, spark_name
from spark_lib.use_case.declarations import ON_RAW_ROWS
from spark_lib.use_case.draft import Seen

if TYPE_CHECKING:
    import pyarrow as pa

#: The end of a name by which the format of a table is known.
ENDS = (".csv", ".csv.gz", ".parquet")
_ROWS, _BLOCK = 100_000, 2**24
_FEW = 2


@dataclass(frozen=True)
class Table:
    """The columns of a table, and why others of it are left out."""

    columns: Sequence[Seen]
    left_out: dict[str, str]


def look(file: str) -> Table:
    """Look at the first rows of a CSV or a Parquet file.

    Raises ConfigurationError for a file whose name does not say its format, and BadData for one that is no table.
    """
    import pyarrow as pa

    if not file.lower().endswith(ENDS):
        wanted = f"a name that ends with {', '.join(ENDS)}, by which its format is known"
        raise ConfigurationError(f"table {file}", wanted, repr(os.path.basename(file)), "rename the file")
    is_csv = not file.lower().endswith(".parquet")
    try:
        rows = _of_csv(file) if is_csv else _of_parquet(file)
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0].rstrip(".")
        wanted = "a CSV file with a header" if is_csv else "a Parquet file"
        raise BadData(f"table {file}", wanted, found, "give another file", file) from error
    table = Table([], {})
    columns: list[Seen] = []
    for name, values in zip(rows.column_names, rows.columns, strict=True):
        kind = _kind(values.type, is_csv)
        why = _why_not(name, kind, [column.name.lower() for column in columns])
        if why:
            table.left_out[name] = why
        else:
            columns.append(_seen(name, kind, values))
    if not columns:
        raise BadData(f"table {file}", "a column that a feed can have", "none", "give another file", file)
    return Table(columns, table.left_out)


def _of_csv(file: str) -> pa.Table:
    """The first rows, of the types that Arrow finds. Whole numbers with a zero in front are texts."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    def first(types: dict[str, pa.DataType]) -> pa.Table:
        options = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
        with csv.open_csv(file, csv.ReadOptions(block_size=_BLOCK), convert_options=options) as reader:
            return pa.Table.from_batches([reader.read_next_batch()], reader.schema).slice(0, _ROWS)

    found = first({})
    whole = [field.name for field in found.schema if pa.types.is_integer(field.type)]
    texts = first(dict.fromkeys(whole, pa.string()))
    padded = [name for name in whole if pc.any(pc.match_substring_regex(texts[name], "^[+-]?0[0-9]")).as_py()]
    return first(dict.fromkeys(padded, pa.string())) if padded else found


def _of_parquet(file: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        batch = next(parquet.iter_batches(_ROWS), None)
        return pa.Table.from_batches([] if batch is None else [batch], parquet.schema_arrow)


def _kind(kind: pa.DataType, is_csv: bool) -> str:
    """What Spark calls a type; Arrow's name for one that no feed has."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_timestamp(kind):
        return "timestamp" if is_csv or kind.tz else "timestamp_ntz"
    return spark_name(kind)


def _why_not(name: str, kind: str, before: Sequence[str]) -> str:
    """Why a column cannot be one of a feed; empty where it can."""
    if not name.strip():
        return "as it has no name"
    if not name.isprintable() or set(name) & set("\\\"'"):
        return "as its name has a quote or a sign that is not seen"
    if name.lower() in before:
        return "as another column has this name"
    if name.lower() in ON_RAW_ROWS:
        return "as Daystone has a column of this name"
    return f"of the type {kind}" if arrow_type(kind) is None or kind == "array<double>" else ""


def _seen(name: str, kind: str, values: pa.ChunkedArray) -> Seen:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return Seen(name, kind, nulls=True)
    counts = sorted(pc.value_counts(values.drop_null()).to_pylist(), key=lambda one: -one["counts"])
    distinct = len(counts)
    first = None
    if kind in ("date", "timestamp", "timestamp_ntz") and distinct:
        first = pc.min(values).cast(pa.date32()).as_py()
    few = [one["values"] for one in counts] if distinct == _FEW else []
    return Seen(
        name,
        kind,
        nulls=values.null_count > 0 or not len(values),
        distinct=distinct,
        unique=distinct == len(values) > 0,
        values=tuple(str(value).lower() if isinstance(value, bool) else value for value in few)
        if kind in ("string", "boolean", "tinyint", "smallint", "int", "bigint")
        else (),
        first=first,
    )
