"""Judges the rows of each value of a declared column apart: whether a model that is good on the whole is good for each
part of the population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from spark_lib.models.segments import MOST_VALUES, Segment, Value
from spark_lib.problems.problem import GROUP, SCORE, Problem
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from spark_lib.models.calibration import Calibration


def columns(segments: Sequence[str]) -> list[Column]:
    """The declared columns as they landed, by names that no feature of the matrix has."""
    from pyspark.sql import functions as F

    return [F.col(name).alias(_column(place)) for place, name in enumerate(segments)]


def judged(
    problem: Problem,
    rows: DataFrame,
    key: Key,
    segments: Sequence[str],
    back: Calibration,
    settings: Mapping[str, Any],
) -> tuple[Segment, ...]:
    """Every segment of the scored validation ``rows``, which have the ``columns`` of ``segments``, ``label``, ``SCORE``
    and ``GROUP``: of each column its ``MOST_VALUES`` largest values by their rows, then all smaller ones together.

    ``back`` is the calibration of the model; metrics are of calibrated rows. A segment with too few rows, with rows of
    too few entities, or with one outcome alone has a ``reason`` and no metrics.
    """
    places = [_column(place) for place in range(len(segments))]
    held = rows.select(*names(key), "label", SCORE, GROUP, *places).persist()
    try:
        return tuple(
            _measured(problem, part, key, segment, back, settings)
            for name, column in zip(segments, places, strict=True)
            for segment, part in _parts(held, name, column)
        )
    finally:
        held.unpersist()


def _parts(rows: DataFrame, name: str, column: str) -> list[tuple[Segment, DataFrame]]:
    """The segments of a column, the largest first, each with its rows. Null is a value like any other."""
    from pyspark.sql import functions as F

    counted = rows.groupBy(column).count()
    whole = counted.agg(F.count(F.lit(1)).alias("values"), F.sum("count").alias("rows")).first()
    assert whole is not None  # an aggregate over all rows has one row
    largest = counted.orderBy(F.desc("count"), F.asc_nulls_first(column)).limit(MOST_VALUES).collect()
    parts = [(Segment(name, row[column], row["count"]), rows.where(_is(column, row[column]))) for row in largest]
    others = whole["values"] - len(largest)
    if others:
        left = whole["rows"] - sum(segment.rows for segment, _ in parts)
        known = reduce(or_, (_is(column, segment.value) for segment, _ in parts))
        parts.append((Segment(name, None, left, others), rows.where(~known)))
    return parts


def _measured(
    problem: Problem, rows: DataFrame, key: Key, segment: Segment, back: Calibration, settings: Mapping[str, Any]
) -> Segment:
    found = problem.collected(rows, key, segment.rows)
    segment = replace(segment, outcomes=problem.outcomes_of(found))
    reason = problem.too_few_apart(found)
    if reason:
        return replace(segment, reason=reason)
    measured = problem.measured(problem.calibrated(back, found), found, settings)
    return replace(segment, metrics={name: value for name, value in measured.items() if name != "uncalibrated"})


def _is(column: str, value: Value) -> Column:
    from pyspark.sql import functions as F

    return F.col(column).eqNullSafe(F.lit(value))


def _column(place: int) -> str:
    return f"_segment_{place}"
