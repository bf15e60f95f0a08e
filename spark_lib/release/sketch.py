"""Sketches of columns: counts in bins, which can be merged. Nothing here imports numpy.

A training cuts each column once, at the quantiles of its validation rows, and its card has the cuts with the counts of
these rows: the reference. A day of predictions counts its rows in the same bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Cut:
    """How a column is cut into bins. A number has increasing ``edges`` e: bin 0 holds the values up to e[0], bin i
    those above e[i - 1] up to e[i], and the last one those above all edges. A category has the ``values`` that have a
    bin of their own, and one more bin for all other texts."""

    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    is_category: bool = False

    @property
    def bins(self) -> int:
        return 1 + len(self.values if self.is_category else self.edges)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Cut:
        if "values" in document:
            return cls(values=tuple(document["values"]), is_category=True)
        return cls(tuple(document["edges"]))

    def document(self) -> dict[str, Any]:
        return {"values": list(self.values)} if self.is_category else {"edges": list(self.edges)}


@dataclass(frozen=True)
class Sketch:
    """``counts`` of rows by bin, and ``nulls`` among ``rows`` rows. A column may be counted on a part of the rows only.
    Where a null has a fill, it is counted among the nulls, and its fill in a bin."""

    counts: tuple[int, ...]
    nulls: int = 0
    rows: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Sketch:
        return cls(tuple(document["counts"]), document.get("nulls", 0), document.get("rows", 0))

    def document(self) -> dict[str, Any]:
        return {"counts": list(self.counts), "nulls": self.nulls, "rows": self.rows}

    def merged(self, other: Sketch) -> Sketch:
        """Both together, in any order. Raises ValueError for sketches of different cuts."""
        counts = tuple(one + more for one, more in zip(self.counts, other.counts, strict=True))
        return Sketch(counts, self.nulls + other.nulls, self.rows + other.rows)


#: What is sketched of a day, by the names in documents.
_KINDS = ("scores", "features", "segments")


@dataclass(frozen=True)
class Sketches:
    """The sketches of a day, or of a part of it, by name of the column: the ``scores`` that were predicted, and the
    ``features``; and the scores in each of the reference's ``segments``, by their names."""

    scores: Mapping[str, Sketch] = field(default_factory=dict)
    features: Mapping[str, Sketch] = field(default_factory=dict)
    segments: Mapping[str, Sketch] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Sketches:
        return cls(*({name: Sketch.of(each) for name, each in document.get(kind, {}).items()} for kind in _KINDS))

    def document(self) -> dict[str, Any]:
        """The sketches as the manifest of predictions has them."""
        found = {kind: getattr(self, kind) for kind in _KINDS}
        return {
            kind: {name: sketch.document() for name, sketch in columns.items()}
            for kind, columns in found.items()
            if columns or kind != "segments"
        }

    def merged(self, other: Sketches) -> Sketches:
        return Sketches(*(_merged(getattr(self, kind), getattr(other, kind)) for kind in _KINDS))


def _merged(one: Mapping[str, Sketch], other: Mapping[str, Sketch]) -> dict[str, Sketch]:
    found = dict(one)
    for name, sketch in other.items():
        found[name] = found[name].merged(sketch) if name in found else sketch
    return found


@dataclass(frozen=True)
class Column:
    """A column of the reference: where it is cut, and the counts of the validation rows. ``mean`` and ``deviation`` (the
    standard deviation) are those of a score that is a probability, and None for all other columns. ``trend`` is how the
    share of each bin of a feature changes from day to day within the training window, empty where it does not."""

    cut: Cut
    sketch: Sketch
    mean: float | None = None
    deviation: float | None = None
    trend: tuple[float, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Column:
        moments = document.get("mean"), document.get("deviation")
        return cls(Cut.of(document), Sketch.of(document), *moments, tuple(document.get("trend", ())))

    def document(self) -> dict[str, Any]:
        moments = {} if self.mean is None else {"mean": self.mean, "deviation": self.deviation}
        trend = {"trend": list(self.trend)} if self.trend else {}
        return self.cut.document() | self.sketch.document() | moments | trend


@dataclass(frozen=True)
class Apart:
    """The scores of the validation rows with one ``value`` of a ``column`` that the use case declares as a segment."""

    column: str
    value: str | int | bool | None
    scores: Column

    @property
    def name(self) -> str:
        return f"{self.column} {'null' if self.value is None else self.value}"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Apart:
        return cls(document["column"], document["value"], Column.of(document["scores"]))

    def document(self) -> dict[str, Any]:
        return {"column": self.column, "value": self.value, "scores": self.scores.document()}


@dataclass(frozen=True)
class Reference:
    """What a day is compared with: the columns of a model's validation rows. ``middle`` is the mean of the days on which
    these landed, from which trends go on; None where the card is of an older Daystone. ``segments`` are judged apart."""

    scores: Mapping[str, Column] = field(default_factory=dict)
    features: Mapping[str, Column] = field(default_factory=dict)
    middle: date | None = None
    segments: tuple[Apart, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Reference:
        """A reference as a card has it."""
        scores, features = (
            {name: Column.of(each) for name, each in document[kind].items()} for kind in ("scores", "features")
        )
        middle = document.get("middle")
        return cls(
            scores,
            features,
            None if middle is None else date.fromisoformat(middle),
            tuple(map(Apart.of, document.get("segments", ()))),
        )

    def document(self) -> dict[str, Any]:
        """The reference as a card has it."""
        found: dict[str, Any] = {
            kind: {name: column.document() for name, column in columns.items()}
            for kind, columns in (("scores", self.scores), ("features", self.features))
        }
        if self.middle is not None:
            found["middle"] = str(self.middle)
        if self.segments:
            found["segments"] = [each.document() for each in self.segments]
        return found
