"""Sections and tables of a page, and how numbers are written in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spark_lib.report.markup import Markup, tag

#: The kinds of cells: words, names that somebody chose (which may break anywhere), and numbers.
TEXT, NAME, NUMBER = None, "name", "number"


@dataclass(frozen=True)
class Column:
    """A column: its heading, and the class of its cells."""

    heading: str
    kind: str | None


def section(title: str, *children: Markup | None) -> Markup:
    return tag("section", tag("h2", title), *children)


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], caption: str | None = None, wide: bool = False
) -> Markup:
    """A table whose rows begin with their heading. A ``wide`` table keeps its width, and scrolls in a narrow window."""
    head = tag("tr", *(tag("th", column.heading, scope="col", class_=column.kind) for column in columns))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_=columns[0].kind),
            *(tag("td", cell, class_=column.kind) for column, cell in zip(columns[1:], row[1:], strict=True)),
        )
        for row in rows
    ]
    written = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", head),
        tag("tbody", *body),
        class_="wide" if wide else None,
    )
    reached = {"tabindex": "0", "role": "region", "aria_label": "table, wider than a phone"} if wide else {}
    return tag("div", written, class_="scroll", **reached)


def charts_in_a_row(*figures: Markup) -> Markup:
    return tag("div", *figures, class_="charts")


def chart_with(title: str, chart: Markup, caption: str | None = None, below: Markup | None = None) -> Markup:
    """A chart with its title, and what is said or shown below it."""
    return tag("figure", tag("h3", title), chart, tag("figcaption", caption) if caption else None, below)


def figures(value: float | None) -> str:
    """A number to four decimals, or to four digits where it is small; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if value and abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.4f}"


def number(value: int) -> str:
    return f"{value:,}"
