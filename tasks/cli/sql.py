"""Answers queries of SQL over the views of a lake, and says which views there are."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from spark_lib.errors import QueryError
from spark_lib.frames import catalog
from spark_lib.frames.catalog import Catalog
from spark_lib.plain import in_a_line, plain, text
from tasks.cli.place import Place
from tasks.graph import sessions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: The most rows that a table shows. Other forms have all.
MOST_SHOWN = 1_000
#: Both signs of it make the module csv put quotes around a field.
_END = "\r\n"


@dataclass(frozen=True)
class Answer:
    """``columns`` are lists of values, as many as ``names``. ``is_cut`` says that there are more rows."""

    names: list[str]
    columns: list[list[Any]]
    is_cut: bool = False

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.columns, strict=True)


def views_of(place: Place, first: date, last: date, query: str | None = None) -> Catalog:
    """All views of the days, or those whose names the query has: no other can be meant by it."""
    only = None
    if query is not None:
        words = {word.lower() for word in re.findall(r"\w+", query)}
        only = [name for name in catalog.DATASETS if name in words]
    return catalog.of(place.partitions, first, last, only)


def asked(place: Place, query: str, first: date, last: date, at_most: int | None = None) -> Answer:
    """What Spark answers, ``at_most`` so many rows of it. Raises QueryError, and what ``catalog.of`` does."""
    from spark_lib.frames import views

    text = query.strip().removesuffix(";")
    found = views_of(place, first, last, text)
    read = [partition for view in found.views.values() for partition in view.partitions]
    spark = sessions.start(place.settings, place.partitions.root, read, "daystone sql")
    views.check_query(spark, text)
    views.make(spark, found)
    try:
        return _collected(spark, text, at_most)
    except QueryError as error:
        missing = next((name for name in found.left_out if f"`{name}`" in error.found), None)
        if missing is None:
            raise
        step = "build a day of it, or ask for another view"
        raise QueryError(error.where, f"a view {missing}", found.left_out[missing], step) from error


def _collected(spark: SparkSession, text: str, at_most: int | None) -> Answer:
    from spark_lib.frames import views

    frame = views.query(spark, text)
    with views.failures_of_queries_said():
        table = (frame if at_most is None else frame.limit(at_most + 1)).toArrow()
    is_cut = at_most is not None and table.num_rows > at_most
    shown = table.slice(0, at_most) if is_cut else table
    return Answer(list(table.column_names), [column.to_pylist() for column in shown.columns], is_cut)


def as_table(answer: Answer) -> Iterator[str]:
    """Lines of text, numbers to the right."""
    cells = [[in_a_line(value) for value in column] for column in answer.columns]
    heads = [in_a_line(name) for name in answer.names]
    widths = [max(map(len, [head, *column])) for head, column in zip(heads, cells, strict=True)]
    right = [
        any(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in column)
        for column in answer.columns
    ]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    yield line(heads)
    for row in zip(*cells, strict=True):
        yield line(row)


def as_csv(answer: Answer) -> Iterator[str]:
    """Lines of CSV with the names first. A null is an empty field, and an empty text is in quotes."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator=_END)
    for row in [answer.names, *answer.rows]:
        fields = []
        for value in row:
            writer.writerow([text(value)])
            fields.append("" if value is None else out.getvalue().removesuffix(_END))
            out.seek(0)
            out.truncate()
        yield ",".join(fields)


def as_json(answer: Answer) -> Iterator[str]:
    """A JSON array with an object a row. Raises QueryError where two columns have one name."""
    twice = next((name for name in answer.names if answer.names.count(name) > 1), None)
    if twice is not None:
        raise QueryError("the query", "another name for each column", f"{twice!r} twice", "rename one of them with AS")
    yield "["
    lines = [json.dumps(plain(dict(zip(answer.names, row, strict=True)))) for row in answer.rows]
    for place, line in enumerate(lines):
        yield line + ("," if place < len(lines) - 1 else "")
    yield "]"
