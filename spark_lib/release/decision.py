"""What people decide about the release of a day. Each decision is a document in the lake, which is written once and never
changed:

    {root}/{use_case}/decisions/date=2026-11-20/0001.json

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.errors import later_format
from spark_lib.lake import numbered

if TYPE_CHECKING:
    from spark_lib.lake import Lake

#: The directory of all decisions on a use case.
DIRECTORY = "decisions"
FORMAT = 1
#: What a decision does. Hold, release and rollback last until they are revoked.
HOLD, RELEASE, REVOKE_HOLD, REVOKE_RELEASE = "hold", "release", "revoke hold", "revoke release"
ROLLBACK, REVOKE_ROLLBACK = "rollback", "revoke rollback"
_ACTIONS = frozenset({HOLD, RELEASE, REVOKE_HOLD, REVOKE_RELEASE, ROLLBACK, REVOKE_ROLLBACK})


@dataclass(frozen=True)
class Decision:
    """A decision on a day, the ``number``-th: what it does, ``why``, ``by`` whom and ``at`` what time (ISO 8601, UTC).
    ``reasons`` are the names of the failed checks that a release covers; a failed check that it does not name goes on
    holding the day. ``runs`` are runs of predictions that a hold takes out of force besides the one that it holds, where
    the day is withdrawn."""

    action: str
    why: str
    by: str
    at: str
    reasons: tuple[str, ...] = ()
    number: int = 0
    runs: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = DIRECTORY) -> Decision:
        """A decision as JSON has it. Raises LakeError, naming ``where``, for one of a later format, and ValueError for an
        action that there is not."""
        number = document.get("format", FORMAT)
        if number > FORMAT:
            raise later_format(where, "a decision", FORMAT, number)
        if document["action"] not in _ACTIONS:
            raise ValueError(f"action {document['action']!r}")
        return cls(
            document["action"],
            document["why"],
            document["by"],
            document["at"],
            tuple(document.get("reasons", ())),
            document["number"],
            tuple(document.get("runs", ())),
        )

    def document(self) -> dict[str, Any]:
        return {"format": FORMAT} | asdict(self) | {"reasons": list(self.reasons), "runs": list(self.runs)}

    def to_json(self) -> bytes:
        return json.dumps(self.document(), indent=1, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True)
class Decisions:
    """All decisions on a day, in their order."""

    all: tuple[Decision, ...] = ()

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> Decisions:
        return cls(tuple(map(Decision.of, documents)))

    def document(self) -> list[dict[str, Any]]:
        return [each.document() for each in self.all]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(each.number for each in self.all)

    @property
    def hold(self) -> Decision | None:
        """The hold that stands."""
        return self._standing(HOLD, REVOKE_HOLD)

    @property
    def rollback(self) -> Decision | None:
        """The rollback that stands: the day has what the model before says of it."""
        return self._standing(ROLLBACK, REVOKE_ROLLBACK)

    def _standing(self, action: str, revoked_by: str) -> Decision | None:
        """The last decision of an action that was not revoked since."""
        found = None
        for each in self.all:
            if each.action in (action, revoked_by):
                found = each if each.action == action else None
        return found

    @property
    def excused(self) -> frozenset[str]:
        """The names of the checks that people have released the day from."""
        found: set[str] = set()
        for each in self.all:
            if each.action == RELEASE:
                found |= set(each.reasons)
            elif each.action == REVOKE_RELEASE:
                found.clear()
        return frozenset(found)


def numbers(lake: Lake, first: date, last: date) -> dict[date, tuple[int, ...]]:
    """The numbers of the decisions on the days of ``[first, last]``, by one listing. Days without one are left out."""
    return numbered.numbers(lake, DIRECTORY, first, last)


def read(lake: Lake, day: date) -> Decisions:
    """All decisions on a day. Raises LakeError for one of a later format, and DamagedPartition for what is none."""
    found = numbered.read(lake, DIRECTORY, day, day)
    return Decisions(tuple(_parsed(day, url, body) for url, body in found))


def _parsed(day: date, url: str, body: bytes) -> Decision:
    with numbered.damage_said(url, "a decision"):
        found = Decision.of(json.loads(body), url)
        numbered.named(url, day, found.number)
        return found


def record(lake: Lake, day: date, decision: Decision) -> Decision:
    """Write a decision behind those that are there, and return it with its number. Two people who decide at once both
    have theirs. Raises LakeError where no number is free."""
    number = numbered.record(lake, DIRECTORY, day, lambda number: replace(decision, number=number).to_json())
    return replace(decision, number=number)
