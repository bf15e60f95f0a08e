"""Segments in a model's card: the validation rows with one value of a declared column, judged apart.

Nothing here imports Spark or numpy. A reader ignores fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: The most values of a column that are judged apart. The rows of all smaller ones are judged together.
MOST_VALUES = 10
#: A value of a column that a use case declares as a segment; None where rows have none.
Value = str | int | bool | None


@dataclass(frozen=True)
class Segment:
    """The natural validation ``rows`` with one ``value`` of a ``column``.

    Where ``others`` is above 0, the segment has the rows of so many smaller values together, and ``value`` is None.
    ``outcomes`` says what the outcomes of its rows are like, by names that the problem has for that: the prevalence,
    the proportion of each class, or the mean. Each is a mean over the rows. ``metrics`` are those of the card with their ``intervals``. They are
    empty where ``reason`` says why the rows cannot be judged.
    """

    column: str
    value: Value
    rows: int
    others: int = 0
    outcomes: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Segment:
        """A segment as JSON has it."""
        return cls(
            document["column"],
            document["value"],
            document["rows"],
            document.get("others", 0),
            document.get("outcomes", {}),
            document.get("metrics", {}),
            document.get("reason", ""),
        )

    def document(self) -> dict[str, Any]:
        """The segment as JSON has it."""
        return asdict(self)
