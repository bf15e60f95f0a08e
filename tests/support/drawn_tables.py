"""Tables that hypothesis draws. They are written as CSV in any dialect that a feed can declare, with each value in any
form that the rules allow.
"""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = "stuvwxyz"
_INTEGERS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
#: Every type that CSV can hold, and one column of each.
EVERY_TYPE = {
    "text": "string",
    "flag": "boolean",
    "small": "tinyint",
    "large": "bigint",
    "single": "float",
    "number": "double",
    "price": "decimal(12,3)",
    "day": "date",
    "instant": "timestamp",
    "local": "timestamp_ntz",
}
_WHOLE_SECONDS = ("%d.%m.%Y %H:%M:%S", "%-m/%-d/%Y %-H:%M:%S")
_OPTIONS: Mapping[str, Sequence[Any]] = {
    "separator": (",", ";", "|", "tab", ":", " "),
    "decimal_mark": (".", ","),
    "encoding": ("utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-be"),
    "null_text": ("", "NA", "\\N", "null", "-"),
    "header": (True, False),
    "date_pattern": ("", "%d.%m.%Y", "%-m/%-d/%Y", "%Y%m%d"),
    "timestamp_pattern": ("", *_WHOLE_SECONDS, "%Y%m%dT%H%M%S.%f"),
    "timezone": ("UTC", "Asia/Tokyo"),
}


@dataclass(frozen=True)
class Table:
    """Rows of declared columns, and the ``text`` that holds them in the dialect of ``options``."""

    options: Mapping[str, Any]
    columns: Mapping[str, str]
    rows: list[dict[str, Any]]
    text: bytes


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, Any]:
    """Options of a feed."""
    return {name: draw(st.sampled_from(choices)) for name, choices in _OPTIONS.items()}


@st.composite
def tables(
    draw: st.DrawFn, options: Mapping[str, Any] | None = None, columns: Mapping[str, str] | None = None
) -> Table:
    """A table, of drawn options and columns unless they are given."""
    options = options or draw(dialects())
    if columns is None:
        kinds = draw(st.lists(st.sampled_from([*EVERY_TYPE.values(), "int", "smallint"]), min_size=1, max_size=6))
        columns = {f"{_NAMES[place]} {place}": kind for place, kind in enumerate(kinds)}
    row = st.fixed_dictionaries({name: st.none() | _values(kind, options) for name, kind in columns.items()})
    rows = draw(st.lists(row, max_size=8))
    chance = draw(st.randoms(use_true_random=False))
    return Table(options, columns, rows, _Writer(options, chance).text(columns, rows))


def _values(kind: str, options: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if kind in _INTEGERS:
        bits = _INTEGERS[kind]
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    whole = timedelta(seconds=1) if options["timestamp_pattern"] in _WHOLE_SECONDS else timedelta(microseconds=1)
    times = st.timedeltas(timedelta(days=1), timedelta(days=47_000)).map(lambda after: _EPOCH + after // whole * whole)
    return {
        "string": _texts(options),
        "boolean": st.booleans(),
        "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "decimal(12,3)": st.integers(-(10**12) + 1, 10**12 - 1).map(lambda number: Decimal(number).scaleb(-3)),
        "date": st.dates(),
        "timestamp": times,
        "timestamp_ntz": times.map(lambda at: at.replace(tzinfo=None)),
    }[kind]


def _texts(options: Mapping[str, Any]) -> st.SearchStrategy[str]:
    encoding = options["encoding"]
    of = st.characters(codec=encoding if encoding in ("latin-1", "cp1252") else "utf-8")
    tricky = st.sampled_from(['"', "\n", "\r", "\r\n", ",", ";", "\t", " ", "\\", "NA", "\\N", "null", "0", "12,5"])
    return st.lists(tricky | of, max_size=6).map("".join)


class _Writer:
    """Writes values, each in one of the forms that its type has."""

    def __init__(self, options: Mapping[str, Any], chance: random.Random) -> None:
        self._options, self._chance = options, chance
        self._separator = {"tab": "\t"}.get(options["separator"], options["separator"])

    def text(self, columns: Mapping[str, str], rows: list[dict[str, Any]]) -> bytes:
        order = list(columns)
        others = self._chance.randrange(3) if self._options["header"] else 0
        if self._options["header"]:
            self._chance.shuffle(order)
        out = io.StringIO()
        lines = [[*map(self._quoted, order), *[self._quoted("other")] * others]] if self._options["header"] else []
        for row in rows:
            known = [self._value(columns[name], row[name]) for name in order]
            lines.append([*known, *[self._quoted("any, thing")] * others])
        for place, line in enumerate(lines):
            last = place == len(lines) - 1 and (len(line) > 1 or line[0])
            out.write(self._separator.join(line))
            out.write(self._chance.choice(["\n", "\r\n", *([""] if last else [])]))
            if len(line) > 1 and not self._chance.randrange(9):
                out.write(self._chance.choice(["", "\n"]) if not last else "")
        return out.getvalue().encode(self._options["encoding"])

    def _value(self, kind: str, value: Any) -> str:
        if value is None:
            return str(self._options["null_text"])
        return self._quoted(value if kind == "string" else self._form(kind, value))

    def _quoted(self, text: str) -> str:
        must = text == self._options["null_text"] or any(sign in text for sign in f'"\r\n{self._separator}')
        must = must or text.startswith("\ufeff")  # at the beginning of a file it would be a byte order mark
        if must or not self._chance.randrange(4):
            doubled = text.replace('"', '""')
            return f'"{doubled}"'
        return text

    def _form(self, kind: str, value: Any) -> str:
        if kind in ("float", "double"):
            return repr(float(value)).replace(".", self._options["decimal_mark"])
        if kind.startswith("decimal"):
            whole = f"{value:.3f}"
            shorter = whole.rstrip("0").rstrip(".")
            return self._chance.choice([whole, shorter]).replace(".", self._options["decimal_mark"])
        if kind == "boolean":
            return self._chance.choice(["true", "True", "TRUE"] if value else ["false", "False", "FALSE"])
        if kind == "date":
            return self._patterned(value, self._options["date_pattern"] or "%Y-%m-%d")
        if kind.startswith("timestamp"):
            return self._time(value, zoned=kind == "timestamp")
        return str(value)

    def _time(self, value: datetime, zoned: bool) -> str:
        zone = ZoneInfo(self._options["timezone"])
        if self._options["timestamp_pattern"]:
            local = value.astimezone(zone) if zoned else value
            return self._patterned(local, self._options["timestamp_pattern"])
        sign = self._chance.choice(["T", " "])
        if not zoned or self._chance.randrange(2):
            local = value.astimezone(zone).replace(tzinfo=None) if zoned else value
            return local.isoformat(sign)
        minutes = self._chance.randrange(-12 * 60, 14 * 60)
        return value.astimezone(timezone(timedelta(minutes=minutes))).isoformat(sign).replace("+00:00", "Z")

    def _patterned(self, value: date, pattern: str) -> str:
        parts = {"%Y": f"{value.year:04}", "%m": f"{value.month:02}", "%d": f"{value.day:02}"}
        parts |= {"%-m": f"{value.month}", "%-d": f"{value.day}"}
        if isinstance(value, datetime):
            parts |= {"%H": f"{value.hour:02}", "%-H": f"{value.hour}", "%M": f"{value.minute:02}"}
            parts |= {"%S": f"{value.second:02}", "%f": f"{value.microsecond:06}"}
        for part, text in parts.items():
            pattern = pattern.replace(part, text)
        return pattern
