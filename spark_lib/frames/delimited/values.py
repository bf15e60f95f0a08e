"""Turns the texts of a CSV file into values. Each type has one strict pattern, which the whole text has to match.
Nothing is rounded, completed or guessed.

docs/feeds.md shows every pattern. The patterns are written for RE2, which Arrow runs over a whole column.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spark_lib.lake.feeds.dialect import PARTS, Dialect, pieces

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGERS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_NOT_BOOLEANS = "true or false"
_ISO_DATE, _ISO_TIMESTAMP = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"
_ZONE = PARTS["z"]
_ENDS = (datetime.min, datetime.max)  # noqa: DTZ901  (Arrow takes a time without a zone for one in UTC)


@dataclass(frozen=True)
class Kind:
    """How CSV holds a declared type.

    ``words`` tell a person what a text has to be. ``pattern`` is the pattern that it has to match (empty: any text).
    ``read`` turns a column of matching texts into values, and raises ValueError where a text is not a value after all.
    ``setting`` is the option that says how such values are written.
    """

    words: str
    pattern: str
    read: Callable[[pa.Array], pa.Array]
    setting: str = ""


class NoValue(Exception):
    """A column has texts that are not values: the ``place`` and the ``text`` of the first, and how ``many`` there
    are."""

    def __init__(self, place: int, text: str, many: int) -> None:
        super().__init__(place, text, many)
        self.place, self.text, self.many = place, text, many


def kind_of(declared: str, dialect: Dialect) -> Kind | None:
    """How a column of a declared type (in Spark's spelling, such as ``decimal(10,2)``) is written. None where CSV
    cannot hold the type."""
    if declared == "string":
        return Kind("text", "", lambda texts: texts)
    if declared == "boolean":
        return Kind(_NOT_BOOLEANS, "true|false|True|False|TRUE|FALSE", _booleans)
    if declared in _INTEGERS:
        return _integer(_INTEGERS[declared])
    if declared in ("float", "double"):
        return _floating(declared, dialect.decimal_mark)
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", declared)
    if decimal:
        return _decimal(int(decimal[1]), int(decimal[2]), dialect.decimal_mark)
    if declared == "date":
        return _date(dialect.date_pattern or _ISO_DATE)
    if declared in ("timestamp", "timestamp_ntz"):
        return _timestamp(dialect, with_zone=declared == "timestamp")
    return None


def converted(texts: pa.Array, kind: Kind) -> pa.Array:
    """A column of texts as values of its type; null stays null. Raises NoValue."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind.pattern:
        good = _matches(texts, kind)
        if pc.all(good).as_py() is False:
            place = pc.index(good, pa.scalar(False)).as_py()
            raise NoValue(place, texts[place].as_py(), pc.sum(pc.invert(good)).as_py())
    try:
        return kind.read(texts)
    except ValueError:  # Arrow's errors are ValueErrors, too
        place = _first(texts, kind)
        raise NoValue(place, texts[place].as_py(), 1) from None


def _matches(texts: pa.Array, kind: Kind) -> pa.Array:
    """Which of the texts match the pattern of a type; null for null."""
    import pyarrow.compute as pc

    return pc.match_substring_regex(texts, rf"\A(?:{kind.pattern})\z")


def fitting(texts: pa.Array, kind: Kind) -> tuple[pa.Array, pa.Array | None]:
    """A column of texts as values of its type, with null in place of each text that is no value, and which these are;
    None in place of that where all texts are values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return converted(texts, kind), None
    except NoValue:
        values = _readable(pc.if_else(_matches(texts, kind), texts, pa.scalar(None, texts.type)), kind)
        return values, pc.and_(pc.is_valid(texts), pc.is_null(values))


def _readable(texts: pa.Array, kind: Kind) -> pa.Array:
    """The values of texts that match, and null for each that cannot be read after all. Halves are read until only such a
    text is left."""
    import pyarrow as pa

    try:
        return kind.read(texts)
    except ValueError:
        if len(texts) == 1:
            return pa.nulls(1, kind.read(texts.slice(0, 0)).type)
        middle = len(texts) // 2
        return pa.concat_arrays([_readable(texts[:middle], kind), _readable(texts[middle:], kind)])


def _first(texts: pa.Array, kind: Kind) -> int:
    """The place of the first text that cannot be read. The column has at least one."""
    begin, stop = 0, len(texts)
    while stop - begin > 1:
        middle = (begin + stop) // 2
        try:
            kind.read(texts.slice(begin, middle - begin))
            begin = middle
        except ValueError:
            stop = middle
    return begin


def _booleans(texts: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.equal(pc.utf8_lower(texts), "true")


def _integer(bits: int) -> Kind:
    import pyarrow as pa

    kind = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]
    words = f"a whole number from {-(2 ** (bits - 1)):,} to {2 ** (bits - 1) - 1:,}, in digits alone"
    return Kind(words, r"-?\d+", lambda texts: texts.cast(kind))


def _floating(declared: str, mark: str) -> Kind:
    import pyarrow as pa

    kind = pa.float64() if declared == "double" else pa.float32()
    pattern = rf"-?\d+(?:{re.escape(mark)}\d+)?(?:[eE][+-]?\d+)?"

    def read(texts: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        numbers = _with_point(texts, mark).cast(kind)
        vanished = pc.and_(pc.equal(numbers, 0), pc.match_substring_regex(texts, rf"\A-?[0{re.escape(mark)}]*[1-9]"))
        if pc.any(pc.or_(pc.is_inf(numbers), vanished)).as_py():
            raise ValueError("a number that the type does not hold")
        return numbers

    return Kind(f"a {declared} number like -12{mark}5 or 1{mark}5e-3, within its range", pattern, read, "decimal_mark")


def _decimal(precision: int, scale: int, mark: str) -> Kind:
    import pyarrow as pa

    whole = rf"0*\d{{1,{precision - scale}}}" if precision > scale else "0+"
    fraction = rf"(?:{re.escape(mark)}\d{{1,{scale}}})?" if scale else ""
    behind = f" and up to {scale} behind a {mark!r}" if scale else ""
    words = f"a number of up to {max(1, precision - scale)} digits{behind}"
    kind = pa.decimal128(precision, scale)
    return Kind(words, f"-?{whole}{fraction}", lambda texts: _with_point(texts, mark).cast(kind), "decimal_mark")


def _with_point(texts: pa.Array, mark: str) -> pa.Array:
    import pyarrow.compute as pc

    return texts if mark == "." else pc.replace_substring(texts, mark, ".")


def _date(pattern: str) -> Kind:
    import pyarrow as pa

    shape = _Shape(pattern)
    return Kind(
        f"a date {_words(pattern)}", shape.regex, lambda texts: shape.iso_dates(texts).cast(pa.date32()), "date_pattern"
    )


def _timestamp(dialect: Dialect, with_zone: bool) -> Kind:
    """Times of a CSV column: instants ``with_zone``, from texts with a zone or in the feed's time zone; else times
    without one."""
    import pyarrow as pa

    if dialect.timestamp_pattern:
        shape = _Shape(dialect.timestamp_pattern)
        pattern, iso, has_zone = shape.regex, shape.iso_timestamps, "z" in shape.parts
    else:
        pattern = rf"{_Shape(_ISO_DATE).regex}[T ]{PARTS['H']}:{PARTS['M']}:{PARTS['S']}(?:\.\d{{1,6}})?(?:{_ZONE})?"
        iso, has_zone = (lambda texts: texts), True
    words = f"a time {_words(dialect.timestamp_pattern or _ISO_TIMESTAMP)}"
    if not with_zone:
        return Kind(
            f"{words} without a zone", pattern, lambda texts: iso(texts).cast(pa.timestamp("us")), "timestamp_pattern"
        )
    if dialect.timezone:
        words += f"{' with its zone, or' if has_zone else ','} one that there is once in {dialect.timezone}"
        return Kind(words, pattern, lambda texts: _instants(iso(texts), dialect.timezone), "timestamp_pattern")
    return Kind(
        f"{words} with its zone, as Z or +01:00",
        pattern,
        lambda texts: _instants(iso(texts), ""),
        "timezone or timestamp_pattern",
    )


def _instants(texts: pa.Array, timezone: str) -> pa.Array:
    """Texts in ISO 8601 as instants. A text without a zone is a time in ``timezone``; where that is empty, it is an
    error."""
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = pa.timestamp("us", "UTC")
    if not timezone:
        return _within_years(texts.cast(utc))
    zoned = pc.match_substring_regex(texts, rf"{_ZONE}\z")
    nothing = pa.scalar(None, texts.type)
    local = pc.if_else(zoned, nothing, texts).cast(pa.timestamp("us"))
    there = pc.assume_timezone(local, timezone, ambiguous="raise", nonexistent="raise").cast(utc)
    return _within_years(pc.coalesce(pc.if_else(zoned, texts, nothing).cast(utc), there))


def _within_years(instants: pa.Array) -> pa.Array:
    """The same instants. Raises ValueError for one outside of the years 1 to 9999 in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = (pa.scalar(end, pa.timestamp("us")).cast(instants.type) for end in _ENDS)
    if pc.any(pc.or_(pc.less(instants, first), pc.greater(instants, last))).as_py():
        raise ValueError("an instant of no year from 1 to 9999")
    return instants


def _words(pattern: str) -> str:
    """A pattern, shown by an example."""
    example = {"Y": "2026", "m": "01", "d": "31", "H": "09", "M": "30", "S": "00", "f": "25", "z": "Z"}
    example |= {"-m": "1", "-d": "31", "-H": "9"}
    return "like " + "".join(example[part] if part else text for part, text in pieces(pattern))


class _Shape:
    """A pattern of dates or times as a regular expression. It turns texts that match into ISO 8601."""

    def __init__(self, pattern: str) -> None:
        found = pieces(pattern)
        self.parts = [part.lstrip("-") for part, _ in found if part]
        self.regex = "".join(PARTS[part] if part else re.escape(text) for part, text in found)
        self._is_iso_date = pattern == _ISO_DATE
        named = (f"(?P<{part.lstrip('-')}>{PARTS[part]})" if part else re.escape(text) for part, text in found)
        self._named = rf"\A{''.join(named)}\z"

    def iso_dates(self, texts: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        if self._is_iso_date:
            return texts
        found = pc.extract_regex(texts, self._named)
        return pc.binary_join_element_wise(*(self._padded(found, part) for part in "Ymd"), "-")

    def iso_timestamps(self, texts: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        found = pc.extract_regex(texts, self._named)
        day = pc.binary_join_element_wise(*(self._padded(found, part) for part in "Ymd"), "-")
        clock = pc.binary_join_element_wise(*(self._padded(found, part) for part in "HMS"), ":")
        whole = pc.binary_join_element_wise(day, clock, "T")
        if "f" in self.parts:
            whole = pc.binary_join_element_wise(whole, pc.struct_field(found, "f"), ".")
        return pc.binary_join_element_wise(whole, pc.struct_field(found, "z"), "") if "z" in self.parts else whole

    def _padded(self, found: pa.Array, part: str) -> pa.Array | str:
        import pyarrow.compute as pc

        return pc.utf8_lpad(pc.struct_field(found, part), 2, "0") if part in self.parts else "00"
