"""Writes rows as CSV by the dialect of a feed, so that ``spark_lib.frames.delimited`` reads the same rows again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from spark_lib.frames.delimited.values import Kind, NoValue, converted
from spark_lib.lake.feeds.dialect import pieces

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.lake import Dialect

_ISO_DATE = "%Y-%m-%d"
_MINUTE = 60


class NotWritten(Exception):
    """A value that no text of the dialect is read as: its ``place`` among the rows, its ``column``, and the ``value``
    itself."""

    def __init__(self, place: int, column: str, value: Any) -> None:
        super().__init__(place, column, value)
        self.place, self.column, self.value = place, column, value


def of_values(values: pa.RecordBatch, kinds: Mapping[str, Kind], dialect: Dialect) -> pa.RecordBatch:
    """The texts of values, each in one form of its ``kinds`` (by column). Raises NotWritten for a value that would not
    be read as itself again."""
    import pyarrow as pa

    found = []
    for name, kind in kinds.items():
        column = values[name]
        texts = column if pa.types.is_string(column.type) else _texts(column, dialect)
        wrong = _first_undecodable(texts, dialect.encoding)
        if wrong is None:
            wrong = _first_changed(texts, column, kind)
        if wrong is not None:
            raise NotWritten(wrong, name, _shown(column, wrong))
        found.append(texts)
    return pa.RecordBatch.from_arrays(found, names=list(kinds))


def document(texts: pa.Table, dialect: Dialect) -> bytes:
    """The whole CSV file of these rows. Lines end with LF, and a text has quotes where it needs them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_quoted(column.cast(pa.large_string()), dialect) for column in texts.columns]
    lines = pc.binary_join_element_wise(*columns, pa.scalar(dialect.delimiter, pa.large_string())).to_pylist()
    if dialect.header:
        names = _quoted(pa.array(texts.column_names, pa.large_string()), dialect)
        lines.insert(0, dialect.delimiter.join(names.to_pylist()))
    return "".join(f"{line}\n" for line in lines).encode(dialect.encoding)


def _quoted(texts: pa.Array | pa.ChunkedArray, dialect: Dialect) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    quote, nothing, null = (pa.scalar(text, texts.type) for text in ('"', "", dialect.null_text))
    quoted = pc.binary_join_element_wise(quote, pc.replace_substring(texts, '"', '""'), quote, nothing)
    return pc.coalesce(pc.if_else(pc.match_substring_regex(texts, _needs_quotes(dialect)), quoted, texts), null)


def _needs_quotes(dialect: Dialect) -> str:
    """A pattern (RE2) of the texts that would be read as something else without quotes: as more than one value or
    record, as null, or as the mark at the beginning of a file."""
    return rf'[{re.escape(dialect.delimiter)}"\r\n]|\A\x{{FEFF}}|\A{re.escape(dialect.null_text)}\z'


def _shown(values: pa.Array, place: int) -> Any:
    """A value for a message: Arrow's text of a day or a time in a year that Python does not have."""
    import pyarrow as pa

    try:
        return values[place].as_py()
    except (OverflowError, ValueError):
        return values.slice(place, 1).cast(pa.string())[0].as_py()


def _first_undecodable(texts: pa.Array, encoding: str) -> int | None:
    """The place of the first text that the encoding does not hold."""
    found = texts.to_pylist()
    try:
        "".join(text for text in found if text).encode(encoding)
    except UnicodeEncodeError:
        return next(place for place, text in enumerate(found) if text and not _is_held(text, encoding))
    return None


def _is_held(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _first_changed(texts: pa.Array, values: pa.Array, kind: Kind) -> int | None:
    """The place of the first text that is not read as its value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        read = converted(texts, kind)
    except NoValue as none:
        return none.place
    same = pc.coalesce(pc.equal(read, values), pc.and_(pc.is_null(read), pc.is_null(values)))
    return None if pc.all(same).as_py() is not False else int(pc.index(same, pa.scalar(False)).as_py())


def _texts(values: pa.Array, dialect: Dialect) -> pa.Array:
    """Values of one column as texts. What has no text is an empty one, which is no value of its type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_floating(kind):
        return pc.replace_substring(values.cast(pa.string()), ".", dialect.decimal_mark)
    if pa.types.is_decimal(kind):
        return pa.array([_decimal(value, dialect.decimal_mark) for value in values.to_pylist()], pa.string())
    if pa.types.is_date(kind):
        pattern = dialect.date_pattern or _ISO_DATE
        return pa.array([_day(value, pattern) for value in values], pa.string())
    if pa.types.is_timestamp(kind):
        return pa.array([_time(value, dialect) for value in values], pa.string())
    return values.cast(pa.string())


def _decimal(value: Decimal | None, mark: str) -> str | None:
    return None if value is None else f"{value:f}".replace(".", mark)


def _day(value: pa.Date32Scalar, pattern: str) -> str | None:
    try:
        found: date | None = value.as_py()
    except (OverflowError, ValueError):  # no year from 1 to 9999
        return ""
    return None if found is None else _patterned(found, pattern)


def _time(value: pa.TimestampScalar, dialect: Dialect) -> str | None:
    try:
        found: datetime | None = value.as_py()
        if found is None:
            return None
        if not dialect.timestamp_pattern:
            return found.isoformat().replace("+00:00", "Z")
        local = found.astimezone(ZoneInfo(dialect.timezone or "UTC")) if found.tzinfo else found
    except (OverflowError, ValueError):  # no year from 1 to 9999
        return ""
    return _patterned(local, dialect.timestamp_pattern)


def _patterned(value: date, pattern: str) -> str:
    """A date or a time by a pattern of ``dialect.PARTS``."""
    parts = {"Y": f"{value.year:04}", "m": f"{value.month:02}", "d": f"{value.day:02}"}
    if isinstance(value, datetime):
        offset = value.utcoffset()
        parts |= {"H": f"{value.hour:02}", "M": f"{value.minute:02}", "S": f"{value.second:02}"}
        parts |= {"f": f"{value.microsecond:06}", "z": _zone(int(offset.total_seconds())) if offset is not None else ""}
    parts |= {f"-{part}": text.removeprefix("0") for part, text in parts.items() if part in "mdH"}
    return "".join(parts.get(part, "") if part else text for part, text in pieces(pattern))


def _zone(offset: int) -> str:
    """An offset in seconds, as ``+01:00``; in UTC ``Z``. One with seconds is cut, and then refused as another time."""
    hours, minutes = divmod(abs(offset) // _MINUTE, _MINUTE)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"
