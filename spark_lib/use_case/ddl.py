"""Finds the columns that DDL text declares, without Spark but by the rules of its parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spark_lib.errors import did_you_mean

WHOLE = ("tinyint", "smallint", "int", "bigint")
#: Other spellings of a type, and the one that Spark shows.
_SPELLINGS = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "dec": "decimal",
    "numeric": "decimal",
    "timestamp_ltz": "timestamp",
}
_NESTED = ("array", "map", "struct")
#: Types that may have a number in brackets, and those that must have one.
_SIZED, _ALWAYS_SIZED = ("decimal", "time", "geography", "geometry"), ("geography", "geometry")
#: CHAR and VARCHAR are missing here, because Spark refuses to read a file by them.
_TYPES = (*_SPELLINGS, *WHOLE, *_NESTED, *_SIZED, "binary", "boolean", "date", "double", "float", "interval", "string",
          "timestamp", "timestamp_ntz", "variant", "void")  # fmt: skip
_DIGITS = 38  # the most digits of a decimal
_AFTER_A_TYPE = re.compile(
    r"((WITH|WITHOUT)( LOCAL)? TIME ZONE ?|(YEAR|MONTH|DAY|HOUR|MINUTE|SECOND)( TO (MONTH|HOUR|MINUTE|SECOND))? ?|COLLATE \S+ ?)?"
    r"(NOT NULL ?)?(COMMENT( '')+)?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"""(?:\s|--[^\n]*|/\*.*?\*/)*
    (?: (?P<quoted> `(?:[^`]|``)*`) | (?P<word> [A-Za-z0-9_]+)
      | (?P<text> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*") | (?P<sign> \S) | $ )""",
    re.VERBOSE | re.DOTALL,
)
_Token = tuple[str, str]  # the group of the expression above, and the text


class NotDDL(ValueError):
    """Text is not a list of columns. The message says in words what was found."""


@dataclass(frozen=True)
class Column:
    """A column as it is declared. ``kind`` is its type as Spark shows it; for a nested type it is the first word
    alone."""

    name: str
    kind: str


def columns(schema: str) -> list[Column]:
    """The columns of DDL text, such as ``"loan_id STRING, `job-start` DATE NOT NULL COMMENT 'the first day'"``. Raises
    NotDDL."""
    tokens = [(match.lastgroup, match[match.lastgroup]) for match in _TOKEN.finditer(schema) if match.lastgroup]
    if not tokens:
        raise NotDDL("an empty text")
    return [_column(part) for part in _parts(tokens)]


def is_plain(name: str) -> bool:
    """Whether Spark's functions take a name for that of a column. They would take a dot for a field of a struct."""
    return bool(name.strip()) and name != "*" and not re.search("[.`]", name)


def quoted(name: str) -> str:
    """A column's name as Spark's functions take it, whatever signs but a backtick are in it."""
    return f"`{name}`"


def readable_as(kind: str) -> set[str]:
    """The column types that are read as the declared type ``kind`` without loss."""
    wider = {"bigint": {"int", "smallint", "tinyint"}, "int": {"smallint", "tinyint"}, "double": {"float"}}
    return {kind} | wider.get(kind, set())


def _parts(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """The parts of a text between commas. Commas inside of a type do not count."""
    part: list[_Token] = []
    awaited: list[str] = []
    for token in tokens:
        sign = token[1] if token[0] == "sign" else ""
        if sign in ("<", "("):
            awaited.append({"<": ">", "(": ")"}[sign])
        elif sign in (">", ")") and (not awaited or awaited.pop() != sign):
            raise NotDDL(f"{sign!r} that closes nothing")
        if sign == "," and not awaited:
            yield part
            part = []
        else:
            part.append(token)
    if awaited:
        raise NotDDL(f"no {awaited[-1]!r} at the end")
    yield part


def _column(tokens: list[_Token], colon: bool = False) -> Column:
    """The column of a part; ``colon`` where one may stand between its name and its type."""
    if not tokens:
        raise NotDDL("nothing beside a comma")
    group, text = tokens[0]
    if group not in ("quoted", "word"):
        raise NotDDL(f"{text} where the name of a column belongs")
    name = text[1:-1].replace("``", "`") if group == "quoted" else text
    rest = tokens[2:] if colon and tokens[1:2] == [("sign", ":")] else tokens[1:]
    if not rest:
        raise NotDDL(f"no type of the column {name!r}")
    group, text = rest[0]
    if group != "word":
        raise NotDDL(f"{text} after {name!r}")
    if text.lower() not in _TYPES:
        raise NotDDL(f"the type {text} of the column {name!r}{did_you_mean(text.upper(), map(str.upper, _TYPES))}")
    inside, after = _inside(rest[1:])
    words = " ".join("''" if group == "text" else text for group, text in after)
    if not _AFTER_A_TYPE.fullmatch(words):
        raise NotDDL(f"{' '.join(text for _, text in after)} after the type of the column {name!r}")
    kind = _SPELLINGS.get(text.lower(), text.lower())
    if kind == "timestamp" and words.upper().startswith("WITHOUT"):
        kind = "timestamp_ntz"
    return Column(name, _filled(kind, name, inside))


def _filled(kind: str, column: str, inside: list[_Token]) -> str:
    """The type with what stands in its brackets. Raises NotDDL where it cannot have this."""
    whole = f"{kind.upper()}{''.join(text for _, text in inside)}"
    wrong = NotDDL(f"{whole} as the type of the column {column!r}")
    numbers = [text for _, text in inside if text.isdecimal()]
    if kind in _NESTED:
        if inside[:1] != [("sign", "<")]:
            raise wrong
        parts = list(_parts(inside[1:-1])) if inside[1:-1] or kind != "struct" else []
        if len(parts) != {"array": 1, "map": 2}.get(kind, len(parts)):
            raise wrong
        for part in parts:
            _column(part if kind == "struct" else [("word", column), *part], colon=True)
        return kind
    numbered = re.fullmatch(r"\( \d+( , \d+)? \)", " ".join(text for _, text in inside))
    if (inside and (kind not in _SIZED or not numbered)) or (kind in _ALWAYS_SIZED and not inside):
        raise wrong
    if kind != "decimal":
        return kind
    precision, scale = (int(number) for number in numbers + ["10", "0"][len(numbers) :])
    if not 0 <= scale <= precision <= _DIGITS:
        raise wrong
    return f"decimal({precision},{scale})"


def _inside(tokens: list[_Token]) -> tuple[list[_Token], list[_Token]]:
    """What stands in the brackets of a type, brackets included, and what comes after them."""
    if not tokens or tokens[0] not in [("sign", "<"), ("sign", "(")]:
        return [], tokens
    depth = 0
    for place, (group, text) in enumerate(tokens):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(text, 0) if group == "sign" else 0
        if not depth:
            return tokens[: place + 1], tokens[place + 1 :]
    return tokens, []
