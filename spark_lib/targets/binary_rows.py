"""Lays out Arrow batches as rows of bytes in the form of PostgreSQL's binary COPY, without a loop over rows. Other targets
use the same form of a row, and read it with ``values``.

The format is that of https://www.postgresql.org/docs/current/sql-copy.html ("Binary Format"): a header, then each row as
the number of its fields (2 bytes) and each field as its length (4 bytes, -1 for null) and its bytes, then a trailer. All
numbers are big-endian. The types of the columns must be exactly those of ``sql_type``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: Rows that are laid out at once: their bytes fit into a processor's cache for a table of few columns.
ROWS_AT_ONCE = 20_000

_SQL_TYPES = {
    "string": "text",
    "boolean": "boolean",
    "tinyint": "smallint",
    "smallint": "smallint",
    "int": "integer",
    "bigint": "bigint",
    "float": "real",
    "double": "double precision",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp without time zone",
    "binary": "bytea",
    "array<double>": "double precision[]",
}
#: How numbers are laid out. PostgreSQL has no integer of one byte.
_NUMBERS = {
    "int8": ">i2",
    "int16": ">i2",
    "int32": ">i4",
    "int64": ">i8",
    "float": ">f4",
    "double": ">f8",
    "bool": "u1",
}
_STRUCT = {">i2": ">h", ">i4": ">i", ">i8": ">q", ">f4": ">f", ">f8": ">d", "u1": ">B"}
#: PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400 * 1_000_000
_FLOAT8_OID = 701


def sql_type(kind: str) -> str | None:
    """PostgreSQL's type for a column whose type Spark calls ``kind``, in PostgreSQL's own spelling; None where there is
    none."""
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return f"numeric({decimal[1]},{decimal[2]})" if decimal else _SQL_TYPES.get(kind)


@dataclass(frozen=True)
class _Fixed:
    """A field that takes the same bytes in every row: a matrix of bytes, a row each, with the length in front."""

    bytes: np.ndarray


@dataclass(frozen=True)
class _Variable:
    """A field by its lengths, where -1 is null, and the bytes of all rows one after the other."""

    lengths: np.ndarray
    content: np.ndarray


def rows_of(batch: pa.RecordBatch, constants: Sequence[bytes] = ()) -> bytes:
    """The rows of a batch, without header and trailer. Each row begins with the ``constants``, fields as they are sent.
    Raises ValueError for a type that has no layout here."""
    fields = _fields(batch, constants)
    return _joined(fields, _sizes(fields, batch.num_rows)).tobytes()


def each_row_of(batch: pa.RecordBatch) -> list[bytes]:
    """The rows of a batch one by one, without the number of fields in front."""
    import numpy as np

    fields = _fields(batch, ())
    sizes = _sizes(fields, batch.num_rows)
    content = _joined(fields, sizes).tobytes()
    ends = np.cumsum(np.sum(sizes, axis=0)).tolist()
    return [content[start + 2 : end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def values(row: bytes, schema: pa.Schema) -> list[Any]:
    """The values of a row of ``each_row_of`` as Python has them."""
    found: list[Any] = []
    at = 0
    for field in schema:
        (length,) = struct.unpack_from(">i", row, at)
        at += 4
        found.append(None if length < 0 else _value(row[at : at + length], field.type))
        at += max(length, 0)
    return found


def _fields(batch: pa.RecordBatch, constants: Sequence[bytes]) -> list[_Fixed | _Variable]:
    import numpy as np

    start = (batch.num_columns + len(constants)).to_bytes(2, "big")
    start += b"".join(len(value).to_bytes(4, "big") + value for value in constants)
    fields: list[_Fixed | _Variable] = [_Fixed(np.tile(np.frombuffer(start, np.uint8), (batch.num_rows, 1)))]
    return _merged(fields + [_field(column) for column in batch.columns])


def _sizes(fields: list[_Fixed | _Variable], count: int) -> list[np.ndarray]:
    """The bytes of each field in each row."""
    import numpy as np

    return [
        np.full(count, field.bytes.shape[1]) if isinstance(field, _Fixed) else 4 + np.maximum(field.lengths, 0)
        for field in fields
    ]


def _merged(fields: list[_Fixed | _Variable]) -> list[_Fixed | _Variable]:
    """The same fields, where those of fixed size that follow each other are one."""
    import numpy as np

    merged: list[_Fixed | _Variable] = []
    for field in fields:
        if isinstance(field, _Fixed) and merged and isinstance(merged[-1], _Fixed):
            merged[-1] = _Fixed(np.hstack([merged[-1].bytes, field.bytes]))
        else:
            merged.append(field)
    return merged


def _joined(fields: list[_Fixed | _Variable], sizes: list[np.ndarray]) -> np.ndarray:
    """All bytes of all rows in their order."""
    import numpy as np

    if len(fields) == 1 and isinstance(fields[0], _Fixed):
        return fields[0].bytes
    rows = np.sum(sizes, axis=0)
    position = np.cumsum(rows) - rows
    out = np.empty(int(rows.sum()), np.uint8)
    for field, size in zip(fields, sizes, strict=True):
        if isinstance(field, _Fixed):
            _put(out, position, field.bytes)
        else:
            _put(out, position, _big_endian(field.lengths, ">i4"))
            lengths = np.maximum(field.lengths, 0)
            before = np.cumsum(lengths) - lengths
            out[np.repeat(position + 4 - before, lengths) + np.arange(len(field.content))] = field.content
        position = position + size
    return out


def _put(out: np.ndarray, position: np.ndarray, rows: np.ndarray) -> None:
    """Write each row of a matrix of bytes at its position."""
    import numpy as np

    if not len(rows):
        return
    width = rows.shape[1]
    # A view with one element of ``width`` bytes at every offset: an assignment copies whole elements.
    anywhere = np.ndarray((len(out) - width + 1,), f"V{width}", out.data, 0, (1,))
    anywhere[position] = np.ascontiguousarray(rows).view(f"V{width}")[:, 0]


def _field(column: pa.Array) -> _Fixed | _Variable:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _texts(column)
    if pa.types.is_decimal(kind):
        values = [None if value is None else numeric(value) for value in column.to_pylist()]
        return _texts(pa.array(values, pa.binary()))
    if pa.types.is_list(kind):
        return _arrays(column)
    null = np.asarray(column.is_null()) if column.null_count else None
    if pa.types.is_date32(kind):
        numbers = _filled(column.view(pa.int32())).astype(np.int64) - _EPOCH_DAYS
        layout = ">i4"
    elif pa.types.is_timestamp(kind):
        numbers = _filled(column.cast(pa.timestamp("us", tz=kind.tz)).view(pa.int64())) - _EPOCH_MICROSECONDS
        layout = ">i8"
    elif str(kind) in _NUMBERS:
        numbers = _filled(pc.cast(column, pa.uint8()) if pa.types.is_boolean(kind) else column)
        layout = _NUMBERS[str(kind)]
    else:
        raise ValueError(f"no layout for {kind}")
    fixed = _big_endian(numbers, layout)
    width = fixed.shape[1]
    if null is None:
        return _Fixed(np.hstack([_big_endian(np.full(len(fixed), width), ">i4"), fixed]))
    return _Variable(np.where(null, -1, width), fixed[~null].ravel())


def _filled(column: pa.Array) -> np.ndarray:
    """The numbers of a column, with zeros for nulls."""
    filled: np.ndarray = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
    return filled


def _big_endian(numbers: np.ndarray, layout: str) -> np.ndarray:
    """Numbers as a matrix of bytes, a row each."""
    import numpy as np

    converted = np.ascontiguousarray(numbers.astype(layout))
    return converted.view(np.uint8).reshape(len(converted), converted.dtype.itemsize)


def _texts(column: pa.Array) -> _Fixed | _Variable:
    """Texts or bytes, as they are. Texts of one length throughout are of fixed size."""
    import numpy as np

    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    lengths = np.diff(offsets)
    bytes_ = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    if column.null_count:
        null = np.asarray(column.is_null())
        kept = np.repeat(~null, lengths)  # a null may have bytes behind it
        return _Variable(np.where(null, -1, lengths), bytes_[offsets[0] : offsets[-1]][kept])
    content = bytes_[offsets[0] : offsets[-1]]
    if len(lengths) and (lengths == lengths[0]).all():
        return _Fixed(np.hstack([_big_endian(lengths, ">i4"), content.reshape(len(lengths), int(lengths[0]))]))
    return _Variable(lengths, content)


def _arrays(column: pa.Array) -> _Fixed | _Variable:
    """Lists of float64 as arrays of one dimension. Lists of one length throughout, as the probabilities of classes are,
    are of fixed size."""
    import numpy as np
    import pyarrow as pa

    lengths = np.diff(column.offsets.to_numpy())
    values = column.flatten()
    if len(lengths) and lengths[0] and (lengths == lengths[0]).all() and not column.null_count + values.null_count:
        numbers = _big_endian(values.to_numpy(), ">f8")
        elements = np.hstack([_big_endian(np.full(len(numbers), 8), ">i4"), numbers]).reshape(len(lengths), -1)
        start = np.frombuffer(_array_start(int(lengths[0]), has_null=False), np.uint8)
        size = _big_endian(np.full(len(lengths), len(start) + elements.shape[1]), ">i4")
        return _Fixed(np.hstack([size, np.tile(start, (len(lengths), 1)), elements]))
    return _texts(pa.array([None if row is None else _array(row) for row in column.to_pylist()], pa.binary()))


def _array(values: list[float | None]) -> bytes:
    elements = (b"\xff" * 4 if value is None else (8).to_bytes(4, "big") + struct.pack(">d", value) for value in values)
    return _array_start(len(values), has_null=None in values) + b"".join(elements)


def _array_start(count: int, *, has_null: bool) -> bytes:
    """The number of dimensions, whether an element is null, and the type of the elements; then, where there are any,
    their number and the index of the first."""
    start = struct.pack(">iii", 1 if count else 0, has_null, _FLOAT8_OID)
    return start + struct.pack(">ii", count, 1) if count else start


def numeric(value: Decimal) -> bytes:
    """A decimal as PostgreSQL sends it: digits to the base of 10,000, the weight of the first, sign and scale."""
    sign, _, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    whole, _, part = f"{abs(value):f}".partition(".")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    part = part.ljust(-(-len(part) // 4) * 4, "0")
    groups = [int((whole + part)[at : at + 4]) for at in range(0, len(whole + part), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        del groups[0]
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    numbers = [len(groups), weight if groups else 0, 0x4000 if sign and groups else 0, scale, *groups]
    return b"".join((number & 0xFFFF).to_bytes(2, "big") for number in numbers)


def _value(content: bytes, kind: pa.DataType) -> Any:
    """A value from the bytes of its field."""
    import pyarrow as pa

    if pa.types.is_string(kind):
        return content.decode()
    if pa.types.is_binary(kind):
        return content
    if pa.types.is_decimal(kind):
        return _decimal(content)
    if pa.types.is_list(kind):
        return _list(content)
    if pa.types.is_date32(kind):
        return date(2000, 1, 1) + timedelta(days=struct.unpack(">i", content)[0])
    if pa.types.is_timestamp(kind):
        (microseconds,) = struct.unpack(">q", content)
        epoch = datetime(2000, 1, 1, tzinfo=UTC if kind.tz else None)
        return epoch + timedelta(microseconds=microseconds)
    (number,) = struct.unpack(_STRUCT[_NUMBERS[str(kind)]], content)
    return bool(number) if pa.types.is_boolean(kind) else number


def _decimal(content: bytes) -> Decimal:
    count, weight, sign, scale = struct.unpack_from(">hhHH", content)
    groups = struct.unpack_from(f">{count}h", content, 8)
    whole = sum(group * Decimal(10_000) ** (weight - place) for place, group in enumerate(groups))
    found = Decimal(whole).quantize(Decimal(1).scaleb(-scale), context=Context(prec=60))
    return -found if sign else found


def _list(content: bytes) -> list[float | None]:
    found: list[float | None] = []
    at = 20
    while at < len(content):
        (length,) = struct.unpack_from(">i", content, at)
        found.append(struct.unpack_from(">d", content, at + 4)[0] if length > 0 else None)
        at += 4 + max(length, 0)
    return found


def day(value: date) -> bytes:
    """A date as it is sent."""
    return (value - date(2000, 1, 1)).days.to_bytes(4, "big", signed=True)
