"""Promotions: which model a person puts in force, from which day on. Each is a document in the lake, below its first day,
that is written once and never changed:

    {root}/{use_case}/promotions/date=2026-11-20/0001.json

What is in force on a day follows from the promotions with a first day up to it, and from nothing else. So a backfill
decides as the day itself did.

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from spark_lib.errors import later_format
from spark_lib.lake import Input, numbered
from spark_lib.models.selection import Pin

if TYPE_CHECKING:
    from spark_lib.lake import Lake

#: The directory of all promotions of a use case.
DIRECTORY = "promotions"
FORMAT = 1
#: The strategies of release. ``DIRECT``: the model scores every row from the first day on. ``SHADOW``: it scores every
#: row beside the model in force, for comparison alone. ``CANARY``: it also scores what is published of a share of the
#: entities, which grows by steps. ``BLUE_GREEN``: as direct, and the model before goes on scoring beside it, so that a
#: release can be pointed back to what it says.
DIRECT, SHADOW, CANARY, BLUE_GREEN = "direct", "shadow", "canary", "blue-green"
STRATEGIES = (DIRECT, SHADOW, CANARY, BLUE_GREEN)


@dataclass(frozen=True)
class Model:
    """The model of a training: its date, its run, the SHA-256 of its file, and the files that scoring needs."""

    date: date
    run: str
    digest: str
    files: tuple[Pin, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Model:
        return cls(
            date.fromisoformat(document["date"]),
            document["run"],
            document["digest"],
            tuple(Pin(**file) for file in document["files"]),
        )

    def document(self) -> dict[str, Any]:
        files = [{"path": pin.path, "size": pin.size, "sha256": pin.sha256} for pin in self.files]
        return {"date": str(self.date), "run": self.run, "digest": self.digest, "files": files}

    @property
    def input(self) -> Input:
        """The model as what a selection is built from."""
        return Input("model", self.date, self.date, (self.run,))

    def verify(self) -> None:
        """Nothing: a promoted run counts, whatever is published for its day by now. Its files are verified by their
        checksums when they are read."""


@dataclass(frozen=True)
class Step:
    """From the ``day``-th day of a canary on, ``share`` of the entities are the challenger's. The first day is 1."""

    day: int
    share: float


@dataclass(frozen=True)
class Promotion:
    """A person's decision: from ``first_day`` on ``model`` is released by ``strategy``; ``why``, ``by`` whom and ``at`` what
    time (ISO 8601, UTC). ``steps`` are those of a canary. It is the ``number``-th of its first day. ``undoes`` is the name
    of the promotion that a demotion has ended, and empty where it is no demotion."""

    model: Model
    first_day: date
    why: str
    by: str
    at: str
    strategy: str = DIRECT
    steps: tuple[Step, ...] = ()
    number: int = 0
    undoes: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = DIRECTORY) -> Promotion:
        """A promotion as JSON has it. Raises LakeError, naming ``where``, for one of a later format, and ValueError for a
        strategy that there is not."""
        number = document.get("format", FORMAT)
        if number > FORMAT:
            raise later_format(where, "a promotion", FORMAT, number)
        if document["strategy"] not in STRATEGIES:
            raise ValueError(f"strategy {document['strategy']!r}")
        return cls(
            Model.of(document["model"]),
            date.fromisoformat(document["first_day"]),
            document["why"],
            document["by"],
            document["at"],
            document["strategy"],
            tuple(Step(step["day"], step["share"]) for step in document.get("steps", ())),
            document["number"],
            document.get("undoes", ""),
        )

    def to_json(self) -> bytes:
        document = {
            "format": FORMAT,
            "model": self.model.document(),
            "first_day": str(self.first_day),
            "why": self.why,
            "by": self.by,
            "at": self.at,
            "strategy": self.strategy,
            "steps": [{"day": step.day, "share": step.share} for step in self.steps],
            "number": self.number,
            "undoes": self.undoes,
        }
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @property
    def name(self) -> str:
        """What tells it from all others, and orders them: ``2026-11-20/0001``."""
        return f"{self.first_day}/{self.number:04d}"

    @property
    def order(self) -> tuple[date, int]:
        """Of two promotions, the one with the greater order decides."""
        return self.first_day, self.number

    @property
    def takes_over(self) -> bool:
        """Whether the model is in force from the first day on, for every row."""
        return self.strategy in (DIRECT, BLUE_GREEN)

    def share(self, day: date) -> float:
        """The share of entities whose published scores are this model's on a day, from 0 to 1, while it is a
        challenger."""
        since = (day - self.first_day).days + 1
        return max((step.share for step in self.steps if step.day <= since), default=0.0)


@dataclass(frozen=True)
class InForce:
    """What the promotions say of a day. ``champion`` is the promotion whose model is in force. ``beside`` is that of a
    second model, which scores all rows, too: the challenger of a shadow or a canary, or the model before of a
    blue-green release. ``share`` of the entities are published as the challenger of a canary scores them."""

    decided: Promotion
    champion: Promotion
    beside: Promotion | None = None
    share: float = 0.0

    @property
    def name(self) -> str:
        """What tells it from what any other promotions say. The share follows from them and from the day."""
        names = [self.champion.name, *((self.beside.name,) if self.beside else ()), self.decided.strategy]
        return " ".join(names)


def in_force(promotions: Iterable[Promotion], day: date) -> InForce | None:
    """What stands on a day by the promotions of first days up to it, in their order; None without one that takes over.

    A challenger whose share had grown to 1 when another promotion came counts as the model in force before that one.
    """
    champion: Promotion | None = None
    last: InForce | None = None
    for each in sorted((each for each in promotions if each.first_day <= day), key=lambda each: each.order):
        before = each.first_day - timedelta(days=1)
        challenger = last.beside if last and last.decided.strategy == CANARY else None
        if challenger is not None and challenger.share(before) >= 1:
            champion = challenger
        if each.takes_over:
            last = InForce(each, each, champion if each.strategy == BLUE_GREEN else None)
            champion = each
        elif champion is not None:
            last = InForce(each, champion, each, each.share(day) if each.strategy == CANARY else 0.0)
    return last


def before(promotions: Iterable[Promotion], day: date) -> Promotion | None:
    """The promotion of the model that was in force before the one that a day has, or that goes on where the day has a
    challenger; None where there was none."""
    known = sorted((each for each in promotions if each.first_day <= day), key=lambda each: each.order)
    now = in_force(known, day)
    if now is None:
        return None
    if not now.decided.takes_over:
        return now.champion
    for count in range(len(known) - 1, 0, -1):
        # As the day itself would have had it without the newest promotions.
        earlier = in_force(known[:count], day)
        if earlier is not None:
            found = earlier.beside if earlier.share >= 1 and earlier.beside else earlier.champion
            if found.model != now.champion.model:
                return found
    return None


def read(lake: Lake, last: date = date.max) -> list[Promotion]:
    """All promotions with a first day up to ``last``, in their order. Raises LakeError for one of a later format, and
    DamagedPartition for what is none."""
    documents = numbered.read(lake, DIRECTORY, date.min, last)
    return sorted((_parsed(url, body) for url, body in documents), key=lambda each: each.order)


def _parsed(url: str, body: bytes) -> Promotion:
    with numbered.damage_said(url, "a promotion"):
        found = Promotion.of(json.loads(body), url)
        numbered.named(url, found.first_day, found.number)
        return found


def record(lake: Lake, promotion: Promotion) -> Promotion:
    """Write a promotion behind those of its first day, and return it with its number. Raises LakeError where no number is
    free."""
    number = numbered.record(
        lake, DIRECTORY, promotion.first_day, lambda number: replace(promotion, number=number).to_json()
    )
    return replace(promotion, number=number)
