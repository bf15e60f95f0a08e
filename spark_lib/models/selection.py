"""The model in force on a day, and the comparisons that led to it: the document ``selection.json``, and the figures of
its manifest.

Nothing here imports Spark or numpy, because the question whether a selection is complete is asked without them. A
reader ignores fields that it does not know, and refuses a format number above its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from spark_lib.errors import later_format
from spark_lib.models.card import Verdict

#: The name of the document.
SELECTION = "selection.json"
#: Raise this number only where a reader of the format before would go wrong. A selection without a number has the first
#: format. The second has a canary: a reader of the first would score every row by the model in force.
FORMAT, WITHOUT_CANARY = 2, 1


@dataclass(frozen=True)
class Challenge:
    """A newer model, the ``challenger``, against the ``champion`` that was in force before it.

    ``difference`` is the challenger's area under ROC less the champion's, and ``interval`` has its ends; both are None
    where the two could not be compared. ``detail`` is for a person. ``runs`` are the runs of the two models and of the
    rows.
    """

    challenger: date
    champion: date
    loses: bool
    detail: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    runs: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Challenge:
        """A challenge as JSON has it."""
        interval = document.get("interval")
        return cls(
            date.fromisoformat(document["challenger"]),
            date.fromisoformat(document["champion"]),
            bool(document["loses"]),
            document["detail"],
            document.get("difference"),
            (interval[0], interval[1]) if interval else None,
            tuple(document.get("runs", ())),
        )

    def document(self) -> dict[str, Any]:
        """The challenge as JSON has it."""
        compared = {} if self.interval is None else {"difference": self.difference, "interval": list(self.interval)}
        return {
            "challenger": str(self.challenger),
            "champion": str(self.champion),
            "loses": self.loses,
            "detail": self.detail,
            **compared,
            "runs": list(self.runs),
        }


@dataclass(frozen=True)
class Pin:
    """A file of the model by its path below the model's day, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Beside:
    """A second model that scores the day's rows, too, pinned as the one in force is: the challenger of a shadow or a
    canary, or the model before of a blue-green release, by ``strategy``. ``share`` of the entities, as ``salt`` draws them,
    are published as a canary's challenger scores them."""

    strategy: str
    model_date: date
    model_digest: str
    run: str = ""
    files: tuple[Pin, ...] = ()
    share: float = 0.0
    salt: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Beside:
        """A second model as JSON has it."""
        return cls(
            document["strategy"],
            date.fromisoformat(document["model_date"]),
            document["model_digest"],
            document.get("run", ""),
            _pins(document),
            document.get("share", 0.0),
            document.get("salt", ""),
        )

    def figures(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "strategy": self.strategy,
            "model_date": str(self.model_date),
            "model_digest": self.model_digest,
            "share": self.share,
            "salt": self.salt,
        }

    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        return self.figures() | {"run": self.run, "files": _files(self.files)}


@dataclass(frozen=True)
class Selection:
    """The model in force: its date, the digest of its file, its run and its files. ``rejected`` says, by date, why
    newer trainings are not in force. ``challenges`` are the comparisons that were made, oldest first.

    ``promoted`` names the promotions by which a person chose it, and ``because`` says in words who and why; both are empty
    where the candidates of the calendar decided. ``beside`` is a second model that scores the rows, too."""

    model_date: date
    model_digest: str
    run: str = ""
    files: tuple[Pin, ...] = ()
    rejected: Mapping[date, Verdict] = field(default_factory=dict)
    challenges: tuple[Challenge, ...] = ()
    promoted: str = ""
    because: str = ""
    beside: Beside | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = SELECTION) -> Selection:
        """A selection from its document, or from the figures of its manifest. Raises LakeError, naming ``where``, for
        one of a later format."""
        number = document.get("format", WITHOUT_CANARY)
        if number > FORMAT:
            raise later_format(where, "a selection", FORMAT, number)
        return cls(
            date.fromisoformat(document["model_date"]),
            document["model_digest"],
            document.get("run", ""),
            _pins(document),
            {date.fromisoformat(day): Verdict.of(verdict) for day, verdict in document.get("rejected", {}).items()},
            tuple(Challenge.of(found) for found in document.get("challenges", ())),
            document.get("promoted", ""),
            document.get("because", ""),
            Beside.of(document["beside"]) if document.get("beside") else None,
        )

    def figures(self) -> dict[str, Any]:
        """What the manifest says of the selection, so that nobody needs the document for it."""
        promoted = {"promoted": self.promoted, "because": self.because} if self.promoted else {}
        beside = {"beside": self.beside.figures()} if self.beside else {}
        return {
            "model_date": str(self.model_date),
            "model_digest": self.model_digest,
            "rejected": {str(day): verdict.document() for day, verdict in self.rejected.items()},
            "challenges": [challenge.document() for challenge in self.challenges],
            **promoted,
            **beside,
        }

    def to_json(self) -> bytes:
        number = FORMAT if self.beside and self.beside.share else WITHOUT_CANARY
        document = self.figures() | {"format": number, "run": self.run, "files": _files(self.files)}
        if self.beside:
            document["beside"] = self.beside.document()
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _pins(document: Mapping[str, Any]) -> tuple[Pin, ...]:
    return tuple(Pin(file["path"], file["size"], file["sha256"]) for file in document.get("files", ()))


def _files(pins: Iterable[Pin]) -> list[dict[str, Any]]:
    return [{"path": pin.path, "size": pin.size, "sha256": pin.sha256} for pin in pins]


def parse(body: bytes, where: str = SELECTION) -> Selection:
    """The selection in ``body``. Raises LakeError as ``Selection.of`` does."""
    return Selection.of(json.loads(body), where)
