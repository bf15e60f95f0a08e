"""The section of a report about segments: the rows of each value of a declared column, judged apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spark_lib.models.card import Card
from spark_lib.models.segments import Segment
from spark_lib.problems.problem import Problem
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.shares import whole_percent
from spark_lib.report.tables import NAME, NUMBER, TEXT, Column, figures, number, section, table

#: The most outcomes of a segment that are shown; of more, the greatest.
MOST_OUTCOMES = 3


def segments(problem: Problem, card: Card) -> Markup:
    """A table for each column; nothing where the card has no segments."""
    if not card.segments:
        return Markup()
    note = (
        f"Natural validation rows by the values of declared columns, with intervals of {whole_percent(card.settings['confidence'])}."
        " Each of many segments has an interval of its own, so that a few of them miss the truth by chance. A segment"
        " with too few rows or entities, or with one outcome alone, is not judged."
    )
    names = dict.fromkeys(segment.column for segment in card.segments)
    tables = (
        _table(problem, card.metrics, name, [segment for segment in card.segments if segment.column == name])
        for name in names
    )
    return section("Segments", tag("p", note, class_="note"), joined(*tables))


def _table(problem: Problem, whole: Mapping[str, Any], name: str, found: Sequence[Segment]) -> Markup:
    shown = [metric for metric in problem.shown_apart if metric in whole]
    columns = [
        Column("Value", NAME),
        Column("Rows", NUMBER),
        Column("Outcomes", TEXT),
        *(Column(problem.metrics[metric].words, NUMBER) for metric in shown),
    ]
    reasons = any(segment.reason for segment in found)
    columns += [Column("Not judged", TEXT)] if reasons else []
    rows: list[tuple[str, int, Mapping[str, float], Mapping[str, Any], str]] = [
        ("All rows", sum(segment.rows for segment in found), _of_all(found), whole, ""),
        *((_value(segment), segment.rows, segment.outcomes, segment.metrics, segment.reason) for segment in found),
    ]
    cells = [
        [
            value,
            number(count),
            _outcomes(outcomes),
            *(_measured(measured, metric) for metric in shown),
            *([reason] if reasons else []),
        ]
        for value, count, outcomes, measured, reason in rows
    ]
    return table(columns, cells, f"Segments of {name}", wide=True)


def _value(segment: Segment) -> str:
    if segment.others:
        return f"{segment.others:,} smaller values together" if segment.others > 1 else "1 smaller value"
    if segment.value is None:
        return "no value"
    return str(segment.value).lower() if isinstance(segment.value, bool) else str(segment.value)


def _of_all(found: Sequence[Segment]) -> dict[str, float]:
    """The outcomes of all segments of a column together, which are means over rows."""
    rows = sum(segment.rows for segment in found)
    every = dict.fromkeys(name for segment in found for name in segment.outcomes)
    return {name: sum(part.rows * part.outcomes.get(name, 0.0) for part in found) / rows for name in every}


def _outcomes(outcomes: Mapping[str, float]) -> str:
    greatest = sorted(outcomes.items(), key=lambda pair: -pair[1])[:MOST_OUTCOMES]
    return ", ".join(f"{name} {figures(value)}" for name, value in greatest) or "–"


def _measured(measured: Mapping[str, Any], metric: str) -> str:
    if metric not in measured:
        return "–"
    low, high = measured["intervals"][metric]
    return f"{figures(measured[metric])} ({figures(low)} – {figures(high)})"
