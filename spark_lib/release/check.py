"""One check of a release, and the bounds that checks go by. Nothing here imports numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Outcome(Enum):
    """What a check says."""

    PASSED = "passed"
    FAILED = "failed"
    #: It could not be made; its words say why.
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Check:
    """``name`` is the kind of check with its column, such as ``psi of feature amount``, by which a person's decision
    names it. ``figure`` is held against ``bound``; both are None where the check could not be made. ``words`` are for a
    person."""

    name: str
    outcome: Outcome
    words: str
    figure: float | None = None
    bound: float | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Check:
        return cls(
            document["name"],
            Outcome(document["outcome"]),
            document["words"],
            document.get("figure"),
            document.get("bound"),
        )

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value}


def unchecked(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, Outcome.UNCHECKED, why)


@dataclass(frozen=True)
class Limits:
    """The bounds of ``[release]``, which says what each is. The PSI of ``unchecked_features`` is not checked.
    ``level`` is the probability that chance alone holds a day, over all of its checks."""

    max_psi: float
    max_share_change: float
    max_mean_ratio: float
    max_rows_ratio: float
    min_days: int
    min_rows: int
    unchecked_features: tuple[str, ...] = ()
    level: float = 0.004
