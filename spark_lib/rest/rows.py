"""Rows as a request has them: the text of JSON, and the values that a card's features may have."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from spark_lib.errors import did_you_mean
from spark_lib.use_case import Feature, ddl

#: The most faults that an answer lists.
MOST_FAULTS = 20
#: The whole numbers that each type holds, by its bits.
_WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_LARGEST_FLOAT = 3.4028234663852886e38
_AN_OBJECT = "a JSON object with a value for each feature"

Row = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What is wrong with a request. ``row`` counts from 0; it is None where the fault is in no row, and ``column`` is
    empty where it is in no column."""

    wanted: str
    found: str
    row: int | None = None
    column: str = ""

    def document(self) -> dict[str, Any]:
        """The fault as JSON has it."""
        where: dict[str, Any] = {} if self.row is None else {"row": self.row}
        return where | ({"column": self.column} if self.column else {}) | {"wanted": self.wanted, "found": self.found}


class Refused(Exception):
    """A request that cannot be answered, with what is wrong."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


class TooManyRows(Exception):
    """A request of more rows than are allowed."""


class _Unfit(Exception):
    """A value is not of its type; the message says what it is."""


@dataclass(frozen=True)
class Column:
    """A feature in a request: its ``kind`` as Spark names it, what is ``wanted`` in words, and what checks a value that
    is not null and gives it as the model has it."""

    kind: str
    wanted: str
    takes_null: bool
    checked: Callable[[Any], Any]


def parsed(body: bytes, most_rows: int) -> list[Any]:
    """The rows in the text of a request, an object or an array of objects, which nobody has looked into yet. Raises Refused
    for a text that is no strict JSON, and TooManyRows."""
    wanted = "a JSON object, or an array of objects"
    try:
        found = _DECODER.decode(body.decode())
    except RecursionError:
        raise Refused(Fault(wanted, "objects that are nested too deep")) from None
    except UnicodeDecodeError:
        raise Refused(Fault(wanted, "bytes that are not UTF-8")) from None
    except ValueError as error:  # with JSONDecodeError, and a number of thousands of digits
        raise Refused(Fault(wanted, f"text that is not JSON: {error}")) from None
    rows = found if isinstance(found, list) else [found]
    if len(rows) > most_rows:
        raise TooManyRows(f"{len(rows):,}")
    if not isinstance(found, dict | list):
        raise Refused(Fault(wanted, _shown(found)))
    return rows


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _without_twice(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {twice!r} twice in an object")
    return found


#: Made once, because it takes longer to make than a row takes to read.
_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_without_twice)


class Columns:
    """The columns that a card's features have in a request."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self.by_name = {name: _column(name, feature) for name, feature in features.items()}

    def checked(self, rows: list[Any]) -> list[Row]:
        """Rows with exactly these columns, each value as the model has it. Raises Refused with what is wrong."""
        faults: list[Fault] = []
        found = [self._row(number, row, faults) for number, row in enumerate(rows)]
        if faults:
            raise Refused(*faults[:MOST_FAULTS])
        return found

    def _row(self, number: int, row: Any, faults: list[Fault]) -> Row:
        if not isinstance(row, dict):
            faults.append(Fault(_AN_OBJECT, _shown(row), number))
            return {}
        found: Row = {}
        for name, column in self.by_name.items():
            if name not in row:
                faults.append(Fault(column.wanted, "no such column", number, name))
                continue
            value = row[name]
            if value is None:
                if not column.takes_null:
                    faults.append(Fault(column.wanted, "null", number, name))
                found[name] = None
                continue
            try:
                found[name] = column.checked(value)
            except _Unfit as unfit:
                faults.append(Fault(column.wanted, str(unfit) or _shown(value), number, name))
        if len(row) > len(found):
            for name in row.keys() - self.by_name.keys():
                hint = did_you_mean(name, self.by_name.keys() - row.keys())
                faults.append(Fault(f"one of {', '.join(self.by_name)}", f"another column{hint}", number, name))
        return found


def _column(name: str, feature: Feature) -> Column:
    kind = ddl.columns(f"`{name}` {feature.type}")[0].kind
    wanted, checked = _of_kind(kind)
    takes_null = not feature.needs_values
    return Column(kind, f"{wanted}, or null" if takes_null else wanted, takes_null, checked)


def _of_kind(kind: str) -> tuple[str, Callable[[Any], Any]]:
    if kind in _WHOLE:
        bound = 2 ** (_WHOLE[kind] - 1)
        return f"a whole number from {-bound} to {bound - 1}", partial(_whole, bound)
    if kind == "boolean":
        return "true or false", _boolean
    if kind == "string":
        return "a text", _text
    if kind.startswith("decimal"):
        digits, scale = map(int, kind.removeprefix("decimal(").rstrip(")").split(","))
        wanted = f"a number of at most {digits - scale} digits before the point and {scale} behind it"
        return wanted, partial(_decimal, digits, scale)
    if kind == "float":
        return "a number that a FLOAT holds", partial(_double, _LARGEST_FLOAT)
    return "a number", partial(_double, sys.float_info.max)


def _whole(bound: int, value: Any) -> int:
    if type(value) is not int or not -bound <= value < bound:
        raise _Unfit
    return value


def _double(largest: float, value: Any) -> Any:
    if type(value) is not float:
        if type(value) is not int:
            raise _Unfit
        try:
            value = float(value)
        except OverflowError:
            raise _Unfit("a number that no double holds") from None
    if not -largest <= value <= largest:
        raise _Unfit("a number that is too large")
    return value


def _decimal(digits: int, scale: int, value: Any) -> Decimal:
    """A decimal is a number, or a text of one, whose digits no double changes."""
    if type(value) not in (int, float, str):
        raise _Unfit
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise _Unfit from None
    if not found.is_finite() or found != round(found, scale) or abs(found) >= 10 ** (digits - scale):
        raise _Unfit
    return round(found, scale)


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _Unfit
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Unfit
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can spell
        raise _Unfit("a text with half of a sign") from None
    return value


def _shown(value: Any) -> str:
    """What a value is, in a word; a number as it is, as far as it is short."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        text = repr(value) if abs(value) < 1e300 else ""
        return text if 0 < len(text) <= 30 else "a number that is too large"
    return "a text" if isinstance(value, str) else "an array" if isinstance(value, list) else "an object"
