"""What the outcome of a row is: one of two values, one of several classes, or a number.

The three declarations answer the same questions, so that nobody has to ask which of them one is:

- ``problem`` names the module of ``spark_lib.problems`` that knows the rest;
- ``outcomes`` are the values that the label's column may hold, none where it holds numbers;
- ``predicted`` are the columns that predictions have of it;
- ``forest`` is the class of Spark ML that is trained by default;
- ``later`` is a feed for what becomes known later, where there is one;
- ``fault()`` says what is wrong with the declaration alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from spark_lib.use_case.keys import Key

LEAST_CLASSES = 3


class Outcome(Protocol):
    """What every label declares."""

    @property
    def feed(self) -> str: ...
    @property
    def key(self) -> Key: ...
    @property
    def column(self) -> str: ...
    @property
    def later(self) -> str | None: ...
    @property
    def problem(self) -> str: ...
    @property
    def forest(self) -> str: ...
    @property
    def outcomes(self) -> tuple[str | int, ...]: ...
    @property
    def predicted(self) -> tuple[str, ...]: ...
    def fault(self) -> tuple[str, str] | None: ...


@dataclass(frozen=True)
class Label:
    """Where the outcome of a row lands. ``key`` in the label feed refers to the key of the scored feed:
    a column, or a tuple of as many columns as that key has, in the same order.

    ``feed`` may be the scored feed itself, where the outcome is known when the row lands. Then ``key`` is that feed's
    key, and the library takes ``column`` away before ``engineer`` sees a row. A null means that the outcome will never
    be known: the row is excluded from training.

    ``later`` names a feed for outcomes of such a column that become known later, or that are corrected. It has columns
    of the same names as ``key`` and ``column``, which are never null there. A null in the row then means that the
    outcome is not known yet. The outcome that landed last by the training date counts, and on one day the one of
    ``later``.

    ``column`` holds one of ``allowed``. ``positive`` is the one that the model gives the probability of. Where a key
    has several outcomes, the latest that landed by the training date counts. Outcomes that are whole numbers, in a
    column such as ``sold INT``, are declared as numbers or as text: ``positive=1, allowed=(0, 1)`` or
    ``positive="1", allowed=("0", "1")``.
    """

    feed: str
    key: Key
    column: str
    positive: str | int
    allowed: tuple[str | int, ...]
    later: str | None = None

    problem: ClassVar[str] = "binary"
    forest: ClassVar[str] = "RandomForestClassifier"
    predicted: ClassVar[tuple[str, ...]] = ("score",)

    @property
    def outcomes(self) -> tuple[str | int, ...]:
        """The values that ``column`` may hold."""
        return self.allowed

    def fault(self) -> tuple[str, str] | None:
        """What is wanted and what was found, where the declaration alone cannot work."""
        if not are_several(self.allowed):
            wanted = "the label's `allowed` as the values that its column may hold, such as ('default', 'repaid')"
            return wanted, shown(self.allowed)
        fault = of_values((self.positive, *self.allowed))
        if fault is None and self.positive not in self.allowed:
            return f"`positive` among {self.allowed}", repr(self.positive)
        return fault


@dataclass(frozen=True)
class ClassLabel:
    """An outcome that is one of three or more ``classes``, each the text or the whole number in ``column``. The rest is
    as in ``Label``.

    Predictions have the likeliest class as ``prediction`` and its probability as ``score``; with ``all_scores`` also
    the probability of every class as ``scores``, in the order of ``classes``.
    """

    feed: str
    key: Key
    column: str
    classes: tuple[str | int, ...]
    all_scores: bool = False
    later: str | None = None

    problem: ClassVar[str] = "multiclass"
    forest: ClassVar[str] = "RandomForestClassifier"

    @property
    def outcomes(self) -> tuple[str | int, ...]:
        """The values that ``column`` may hold."""
        return self.classes

    @property
    def predicted(self) -> tuple[str, ...]:
        """The columns that predictions have."""
        return ("prediction", "score", "scores") if self.all_scores else ("prediction", "score")

    def fault(self) -> tuple[str, str] | None:
        """What is wanted and what was found, where the declaration alone cannot work."""
        wanted = "the label's `classes` as the values that its column may hold, such as ('bread', 'fruit', 'other')"
        if not are_several(self.classes):
            return wanted, shown(self.classes)
        if len(set(map(str, self.classes))) < len(self.classes):
            return "each of the label's `classes` once", ", ".join(map(repr, self.classes))
        if len(self.classes) < LEAST_CLASSES:
            return "three classes or more, or a Label(positive, allowed) for two", str(len(self.classes))
        return of_values(self.classes)


@dataclass(frozen=True)
class NumberLabel:
    """An outcome that is a number, in a ``column`` of a numeric type. A number below ``least`` or above ``most`` is
    refused where these are given. The rest is as in ``Label``.

    Predictions have the number as ``prediction``, and an interval from ``lower`` to ``upper``.
    """

    feed: str
    key: Key
    column: str
    least: float | None = None
    most: float | None = None
    later: str | None = None

    problem: ClassVar[str] = "regression"
    forest: ClassVar[str] = "RandomForestRegressor"
    outcomes: ClassVar[tuple[str | int, ...]] = ()
    predicted: ClassVar[tuple[str, ...]] = ("prediction", "lower", "upper")

    def fault(self) -> tuple[str, str] | None:
        """What is wanted and what was found, where the declaration alone cannot work."""
        for name, bound in (("least", self.least), ("most", self.most)):
            number = isinstance(bound, (int, float)) and not isinstance(bound, bool) and math.isfinite(bound)
            if bound is not None and not number:
                return f"the label's `{name}` as a finite number, or None", shown(bound)
        if self.least is not None and self.most is not None and not self.least < self.most:
            return "the label's `least` below its `most`", f"{self.least:g} and {self.most:g}"
        return None


#: Every kind of label.
LABELS = (Label, ClassLabel, NumberLabel)


def are_several(values: object) -> bool:
    """Whether it is a collection of at least one value, and no text."""
    return isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)) and bool(values)


def of_values(values: Iterable[object]) -> tuple[str, str] | None:
    """The fault of values that are to be outcomes; None where there is none."""
    for value in values:
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            return "outcomes of the label as text, or as whole numbers", shown(value)
    return None


def shown(value: object) -> str:
    """A declared value in a message."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, (str, int, float)):
        return repr(value)
    return f"a value of type {type(value).__name__}"
