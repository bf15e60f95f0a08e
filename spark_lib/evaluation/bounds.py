"""The bounds of ``[evaluation]``: those of the problem's gates, on all rows that are judged and on segments of them.

Nothing here imports numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_lib.problems.problem import Problem


class UnreadableBound(ValueError):
    """A bound on segments that is none. The message says why."""


@dataclass(frozen=True)
class OfSegments:
    """A bound on each segment of a column, on those of every column where ``column`` is empty."""

    column: str
    setting: str
    bound: float


@dataclass(frozen=True)
class Bounds:
    """``whole`` has the bound of each setting of a gate, None where it is no gate. ``segments`` are those on segments."""

    whole: Mapping[str, float | None] = field(default_factory=dict)
    segments: tuple[OfSegments, ...] = ()

    def on(self, column: str) -> dict[str, float]:
        """The bounds on a segment of this column. One that names the column outranks one for all columns."""
        found = {each.setting: each.bound for each in self.segments if not each.column}
        return found | {each.setting: each.bound for each in self.segments if each.column == column}


def settings_of(problem: Problem) -> tuple[str, ...]:
    """The names of the bounds that published predictions of this problem can be held against."""
    return tuple(gate.setting for gate in problem.gates if gate.metric not in problem.unknown_later)


def parse_segments(text: str, settings: Sequence[str], columns: Sequence[str]) -> tuple[OfSegments, ...]:
    """``min_area_under_roc: 0.55, channel.min_area_under_roc: 0.5`` as bounds: the first on the segments of all
    ``columns``, the second on those of one. Raises UnreadableBound for a name that is none of ``settings``, for a column
    that is none of ``columns``, and for what is no number."""
    found = []
    for item in filter(None, map(str.strip, text.split(","))):
        named, colon, number = item.partition(":")
        column, dot, setting = named.strip().rpartition(".")
        if not colon or setting not in settings:
            raise UnreadableBound(f"{item!r}, which names none of {', '.join(settings)}")
        if dot and column not in columns:
            raise UnreadableBound(f"{item!r}, whose column is none of the segments {', '.join(columns) or '(none)'}")
        try:
            found.append(OfSegments(column, setting, float(number)))
        except ValueError:
            raise UnreadableBound(f"{item!r}, whose bound is no number") from None
    if found and not columns:
        raise UnreadableBound(f"{text!r}, and the use case declares no segments")
    return tuple(found)


def of_settings(problem: Problem, values: Mapping[str, Any], columns: Sequence[str]) -> Bounds:
    """The bounds that the values of ``[evaluation]`` say."""
    names = settings_of(problem)
    whole = {gate.setting: values.get(gate.setting) for gate in problem.gates}
    return Bounds(whole, parse_segments(values.get("segment_bounds", ""), names, columns))
