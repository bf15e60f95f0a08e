"""Judges published predictions by outcomes: all rows, and the parts of them by day, by model, by segment, by the share
of each of several models, and beside a challenger's in the shadow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from spark_lib.evaluation.bounds import Bounds
from spark_lib.evaluation.document import NOTHING, QUANTILES, Gate, Model, OfModel, OfSegment, Part, Shadow
from spark_lib.models.segments import MOST_VALUES, Value
from spark_lib.problems import gates
from spark_lib.problems.problem import Problem

#: The most draws for the interval of a single day, of which there are many, and which nothing is decided by; more where
#: the ends of the interval take more.
REPLICATES_OF_DAYS = 200


@dataclass(frozen=True)
class Rows:
    """Judged rows. ``values`` [n] or [n, m] are what was published of them (``Problem.published``), ``labels`` [n] their
    labels, ``groups`` [n] the groups of their entities. ``days`` [n] and ``models`` [n] are places in ``all_days`` and
    ``all_models``.

    ``segments`` have the values [n] of each declared column. ``shadow`` is what a challenger said of the rows, as
    ``values``, where ``shadow_models`` [n], places in ``all_models``, is not -1.
    """

    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    days: np.ndarray
    models: np.ndarray
    all_days: Sequence[date]
    all_models: Sequence[Model]
    segments: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    shadow: np.ndarray | None = None
    shadow_models: np.ndarray | None = None


def part(problem: Problem, rows: Rows, where: np.ndarray, settings: Mapping[str, Any]) -> Part:
    """How good what was published of the rows ``where`` [n], boolean, was."""
    return _part(problem, rows.values[where], rows.labels[where], rows.groups[where], settings)


def whole(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> Part:
    """The same of all rows."""
    return part(problem, rows, _all(rows), settings)


def by_day(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> dict[date, Part]:
    """The same of each day, with intervals by at most ``REPLICATES_OF_DAYS`` draws."""
    enough = max(REPLICATES_OF_DAYS, math.ceil(2 / (1 - settings["confidence"])))
    fewer = {**settings, "bootstrap_replicates": min(settings["bootstrap_replicates"], enough)}
    return {day: part(problem, rows, rows.days == place, fewer) for place, day in enumerate(rows.all_days)}


def by_model(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> tuple[OfModel, ...]:
    """The same of the rows that each model scored, the oldest model first."""
    return _by_model(problem, rows, _all(rows), settings)


def by_share(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> tuple[OfModel, ...]:
    """The same of the days on which several models scored; empty where there is no such day. The models are comparable
    there, because each scored its share of the entities of the same days."""
    pairs = np.unique(np.stack([rows.days, rows.models], axis=1), axis=0)
    days, counts = np.unique(pairs[:, 0], return_counts=True)
    shared = np.isin(rows.days, days[counts > 1])
    return _by_model(problem, rows, shared, settings) if shared.any() else ()


def by_segment(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> tuple[OfSegment, ...]:
    """The same of each segment: of every declared column its largest values, then all smaller ones together, as a card
    has them. Null is a value like any other."""
    found: list[OfSegment] = []
    for column, values in rows.segments.items():
        distinct, places, counts = _counted(values)
        order = sorted(range(len(distinct)), key=lambda place: (-counts[place], _sortable(distinct[place])))
        largest = order[:MOST_VALUES]
        found += [
            OfSegment(column, distinct[place], part(problem, rows, places == place, settings)) for place in largest
        ]
        others = len(order) - len(largest)
        if others:
            found.append(OfSegment(column, None, part(problem, rows, ~np.isin(places, largest), settings), others))
    return tuple(found)


def by_shadow(problem: Problem, rows: Rows, settings: Mapping[str, Any]) -> tuple[Shadow, ...]:
    """Each challenger that scored in the shadow, and what was in force, on the same rows. Rows that a canary has published
    as the challenger scores them say nothing of the difference, and are left out."""
    if rows.shadow is None or rows.shadow_models is None:
        return ()
    found = []
    for place in np.unique(rows.shadow_models[rows.shadow_models >= 0]):
        model = rows.all_models[place]
        theirs = [number for number, each in enumerate(rows.all_models) if each == model]
        where = (rows.shadow_models == place) & ~np.isin(rows.models, theirs)
        if not where.any():
            continue
        one, other = rows.shadow[where], rows.values[where]
        labels, groups = rows.labels[where], rows.groups[where]
        challenger, in_force = (_part(problem, values, labels, groups, settings) for values in (one, other))
        if challenger.reason or in_force.reason:
            found.append(Shadow(model, challenger, in_force))
            continue
        compared = problem.paired((one, other), labels, groups, settings, "what was in force")
        found.append(Shadow(model, challenger, in_force, compared.difference, compared.interval, compared.words))
    return tuple(found)


def held(problem: Problem, all_rows: Part, segments: Sequence[OfSegment], bounds: Bounds) -> tuple[Gate, ...]:
    """Every bound that is set, on all rows and on each segment that is judged, by the unfavourable end of the interval."""
    found = _held(problem, all_rows, bounds.whole)
    for segment in segments:
        found += _held(problem, segment.part, bounds.on(segment.column), str(segment))
    return tuple(found)


def _held(problem: Problem, judged: Part, bounds: Mapping[str, float | None], segment: str = "") -> list[Gate]:
    if judged.reason:
        return []
    settings = {gate.setting: bounds.get(gate.setting) for gate in problem.gates}
    settings_by_metric = {gate.metric: gate.setting for gate in problem.gates}
    return [
        Gate(
            settings_by_metric[found["name"]],
            found["words"],
            found["value"],
            found["end"],
            found["bound"],
            found["passed"],
            segment,
        )
        for found in gates.judged(problem.gates, judged.metrics, settings)
    ]


def _by_model(problem: Problem, rows: Rows, where: np.ndarray, settings: Mapping[str, Any]) -> tuple[OfModel, ...]:
    there = sorted(np.unique(rows.models[where]), key=lambda place: rows.all_models[place])
    return tuple(
        OfModel(rows.all_models[place], part(problem, rows, where & (rows.models == place), settings))
        for place in there
    )


def _part(
    problem: Problem, values: np.ndarray, labels: np.ndarray, groups: np.ndarray, settings: Mapping[str, Any]
) -> Part:
    if not len(labels):
        return NOTHING
    found = problem.rows_of(values, labels, groups)
    levels = tuple(map(float, np.quantile(problem.level(values), QUANTILES)))
    said = Part(len(labels), problem.outcomes_of(found), levels=levels, reason=problem.too_few_apart(found))
    if said.reason:
        return said
    measured = problem.measured_later(found, settings)
    return Part(said.rows, said.outcomes, _without_nan(measured), problem.base_rates(found), levels)


def _without_nan(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that are defined: JSON has no NaN."""
    there = {name: value for name, value in measured.items() if name == "intervals" or not math.isnan(value)}
    ends = {name: pair for name, pair in measured["intervals"].items() if not any(map(math.isnan, pair))}
    return there | {"intervals": ends}


def _all(rows: Rows) -> np.ndarray:
    return np.ones(len(rows.labels), bool)


def _counted(values: Sequence[Value]) -> tuple[list[Value], np.ndarray, list[int]]:
    """The distinct values, the place [n] of each row's among them, and how many rows have each."""
    distinct: dict[Value, int] = {}
    places = np.array([distinct.setdefault(value, len(distinct)) for value in values], np.intp)
    return list(distinct), places, np.bincount(places, minlength=len(distinct)).tolist()


def _sortable(value: Value) -> tuple[bool, str]:
    return value is not None, str(value)
