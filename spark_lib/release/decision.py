"""What people decide about the release of a day. Each decision is a document in the lake, which is written once and never
changed:

    {root}/{use_case}/decisions/date=2026-11-20/0001.json

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.errors import LakeError, later_format
from spark_lib.lake.lake import entries_by_day
from spark_lib.lake.stores.store import Conflict, Unanswered

if TYPE_CHECKING:
    from spark_lib.lake import Lake

#: The directory of all decisions on a use case.
DIRECTORY = "decisions"
FORMAT = 1
#: What a decision does. Hold and release last until they are revoked.
HOLD, RELEASE, REVOKE_HOLD, REVOKE_RELEASE = "hold", "release", "revoke hold", "revoke release"
#: How often a number is tried that somebody else has taken meanwhile.
_TRIES = 100
_NUMBER = re.compile(r"/(\d{4,})\.json$")


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
        """A decision as JSON has it. Raises LakeError, naming ``where``, for one of a later format."""
        number = document.get("format", FORMAT)
        if number > FORMAT:
            raise later_format(where, "a decision", FORMAT, number)
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
        found = None
        for each in self.all:
            if each.action in (HOLD, REVOKE_HOLD):
                found = each if each.action == HOLD else None
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
    start = f"{lake.use_case}/{DIRECTORY}"
    entries = lake.store.list(start, f"date={first}", f"date={last}")
    return {
        day: tuple(sorted(int(match[1]) for key in listed if (match := _NUMBER.search(key))))
        for day, listed in entries_by_day(entries, f"{start}/")
    }


def read(lake: Lake, day: date) -> Decisions:
    """All decisions on a day. Raises LakeError for one of a later format."""
    found = []
    for number in numbers(lake, day, day).get(day, ()):
        content = lake.store.read(_key(lake, day, number))
        if content is not None:
            found.append(Decision.of(json.loads(content[0]), lake.store.url(_key(lake, day, number))))
    return Decisions(tuple(found))


def record(lake: Lake, day: date, decision: Decision) -> Decision:
    """Write a decision behind those that are there, and return it with its number. It is written by a conditional put,
    so that two people who decide at once both have theirs."""
    number = max(numbers(lake, day, day).get(day, ()), default=0)
    for _ in range(_TRIES):
        number += 1
        numbered = replace(decision, number=number)
        if _put(lake, _key(lake, day, number), numbered.to_json()):
            return numbered
    where = lake.store.url(_key(lake, day, number))
    raise LakeError(
        where, "a number that is free", f"{_TRIES} taken ones in a row", "run it again; nothing was decided"
    )


def _put(lake: Lake, key: str, body: bytes) -> bool:
    """Whether the object is ours. Any answer but a plain success is read back."""
    try:
        lake.store.create(key, body)
    except (Conflict, Unanswered):
        content = lake.store.read(key)
        return content is not None and content[0] == body
    return True


def _key(lake: Lake, day: date, number: int) -> str:
    return f"{lake.use_case}/{DIRECTORY}/date={day}/{number:04d}.json"
