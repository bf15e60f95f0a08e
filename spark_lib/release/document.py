"""The document of a release, ``release.json``: whether the predictions of a day are released or held, why, and which run
of them is in force.

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from spark_lib.errors import later_format
from spark_lib.lake import Manifest
from spark_lib.lake.manifest import parse as parse_manifest
from spark_lib.release.check import Check, Outcome
from spark_lib.release.decision import HOLD, Decisions
from spark_lib.release.figures import PREDICTIONS, Figures, of_run

#: The name of the document, and that of its page for people.
RELEASE, PAGE = "release.json", "release.html"
#: Raise this number only where a reader of the format before would go wrong. The second has a run in force of another
#: dataset than predictions.
FORMAT, OF_PREDICTIONS = 2, 1
RELEASED, HELD = "released", "held"


@dataclass(frozen=True)
class Release:
    """The release of a day. ``judged`` is the run of predictions that the ``checks`` were made on. ``in_force`` is the
    manifest of the run that is released: the judged one, or where that is held the one released before it; None where
    there is none. ``dataset`` is the one that this run is of: the second model's, where the day was rolled back. ``reasons`` are why the day is held, and ``excused`` the names of failed checks that a person has
    released it from. ``decisions`` are all decisions of people on the day."""

    date: date
    judged: str
    checks: tuple[Check, ...]
    decisions: Decisions
    in_force: Manifest | None = None
    dataset: str = PREDICTIONS

    @property
    def reasons(self) -> tuple[Check, ...]:
        failed = tuple(check for check in self.checks if check.outcome is Outcome.FAILED)
        held = tuple(check for check in failed if check.name not in self.decisions.excused)
        hold = self.decisions.hold
        if self.decisions.rollback is not None:
            held = ()  # they are of the run that is not in force
        by_hand = () if hold is None else (Check(f"{HOLD} by {hold.by}", Outcome.FAILED, hold.why),)
        return (*by_hand, *held)

    @property
    def excused(self) -> tuple[str, ...]:
        failed = (check.name for check in self.checks if check.outcome is Outcome.FAILED)
        return tuple(name for name in failed if name in self.decisions.excused)

    @property
    def verdict(self) -> str:
        return HELD if self.reasons else RELEASED

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = RELEASE) -> Release:
        """A release as JSON has it. Raises LakeError, naming ``where``, for one of a later format."""
        number = document.get("format", OF_PREDICTIONS)
        if number > FORMAT:
            raise later_format(where, "a release", FORMAT, number)
        manifest = document.get("in_force")
        return cls(
            date.fromisoformat(document["date"]),
            document["judged"],
            tuple(map(Check.of, document["checks"])),
            Decisions.of(document.get("decisions", ())),
            parse_manifest(json.dumps(manifest).encode(), where) if manifest else None,
            document.get("dataset", PREDICTIONS),
        )

    def figures(self) -> dict[str, Any]:
        """What the manifest says of the release, so that later days need not read the document."""
        return {
            "verdict": self.verdict,
            "judged": self.judged,
            "reasons": [check.document() for check in self.reasons],
            "excused": list(self.excused),
            "unchecked": [check.name for check in self.checks if check.outcome is Outcome.UNCHECKED],
            "decisions": list(self.decisions.numbers),
            "in_force": None if self.in_force is None else of_run(self.date, self.in_force, self.dataset).document(),
            **self._rolled_back(),
        }

    def _rolled_back(self) -> dict[str, str]:
        rollback = self.decisions.rollback
        return {} if rollback is None else {"rolled_back": f"by {rollback.by}: {rollback.why}"}

    def to_json(self) -> bytes:
        manifest = None if self.in_force is None else json.loads(self.in_force.to_json())
        document = {
            "format": OF_PREDICTIONS if self.dataset == PREDICTIONS else FORMAT,
            "date": str(self.date),
            "verdict": self.verdict,
            "judged": self.judged,
            "reasons": [check.document() for check in self.reasons],
            "checks": [check.document() for check in self.checks],
            "decisions": self.decisions.document(),
            "in_force": manifest,
            **({} if self.dataset == PREDICTIONS else {"dataset": self.dataset}),
        }
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def parse(body: bytes, where: str = RELEASE) -> Release:
    """The release in ``body``. Raises LakeError as ``Release.of`` does."""
    return Release.of(json.loads(body), where)


@dataclass(frozen=True)
class Summary:
    """A release as its manifest has it. ``in_force`` are the figures of the run in force, None where there is none.
    ``rolled_back`` says by whom and why the model before is in force; it is empty where that is not so."""

    verdict: str
    judged: str
    reasons: tuple[Check, ...]
    excused: tuple[str, ...]
    unchecked: tuple[str, ...]
    decisions: tuple[int, ...]
    in_force: Figures | None
    rolled_back: str = ""

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Summary:
        found = figures.get("in_force")
        return cls(
            figures["verdict"],
            figures["judged"],
            tuple(map(Check.of, figures["reasons"])),
            tuple(figures.get("excused", ())),
            tuple(figures.get("unchecked", ())),
            tuple(figures.get("decisions", ())),
            Figures.of(found) if found else None,
            figures.get("rolled_back", ""),
        )

    @property
    def is_held(self) -> bool:
        return self.verdict == HELD

    @property
    def why_held(self) -> str:
        """The reasons of a held day, and what is in force then."""
        why = "; ".join(f"{check.name}: {check.words}" for check in self.reasons)
        force = (
            f"run {self.in_force.run}, which was released before, stays in force"
            if self.in_force
            else "nothing is in force"
        )
        return f"{why}; {force}"

    def __str__(self) -> str:
        if self.is_held:
            return f"held: {self.why_held}"
        if self.rolled_back:
            return f"rolled back to the model before, {self.rolled_back}"
        passed = f"; a person has released it from {', '.join(self.excused)}" if self.excused else ""
        return f"released{passed}"


def earlier(found: Sequence[Manifest]) -> list[Figures]:
    """The runs in force of earlier days, by the manifests of their releases."""
    figures = (Summary.of(manifest.metrics).in_force for manifest in found)
    return [each for each in figures if each is not None]
