"""The card of a model, ``card.json``, which a training publishes: what the model is, how it measured, and the verdict
on it.

Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format number above
its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spark_lib.errors import later_format
from spark_lib.models.segments import Segment
from spark_lib.models.training_set import TrainingSet
from spark_lib.release.sketch import Reference
from spark_lib.use_case import Feature
from spark_lib.use_case.keys import Key

#: The names of the documents that a training publishes.
MODEL, CARD, REPORT = "model.onnx", "card.json", "report.html"
#: The name of a model that is a pickle.
PICKLE = "model.joblib"
#: The kinds of calibration that a card may have.
CALIBRATIONS = ("none", "prior", "shift", "platt", "isotonic")
#: The newest format that is read. Raise this number only where a reader of the format before would go wrong. A card
#: without a number has the first format, in which every card is of a binary problem.
FORMAT = 2
FIRST_FORMAT, FIRST_PROBLEM = 1, "binary"
#: The first format whose readers take several columns for an entity.
ENTITY_OF_SEVERAL = 2
#: What a card says of the outcome, whichever of these its problem has (``spark_lib.problems``).
_OF_THE_OUTCOME = ("classes", "bounds")


@dataclass(frozen=True)
class Verdict:
    """The verdict of a training, or of a comparison, on a model. ``reason`` names the cause of a rejection in a word,
    ``detail`` explains it to a person."""

    approved: bool
    reason: str = ""
    detail: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Verdict:
        """A verdict as JSON has it."""
        return cls(bool(document["approved"]), document.get("reason", ""), document.get("detail", ""))

    def document(self) -> dict[str, Any]:
        """The verdict as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        return "approved" if self.approved else f"{self.reason}: {self.detail}"


APPROVED = Verdict(approved=True)


def rejected(reason: str, detail: str) -> Verdict:
    """A verdict against a model."""
    return Verdict(False, reason, detail)


@dataclass(frozen=True)
class ModelFile:
    """The file of an approved model, its SHA-256 and its size in bytes."""

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Card:
    """``outcome`` is what the ``problem`` says of the outcome: its classes, or its bounds. ``rows`` are the figures of
    the training set, and ``metrics`` those on natural validation rows. ``gates`` say how the metrics were judged.
    ``calibrations_tried`` are what ``[training] calibration = auto`` chose the calibration from, the simplest first, as
    ``spark_lib.problems.calibration_fit`` says; it is empty where nothing was to be chosen. ``importance`` is the share
    of each feature. ``decision`` says by which ``threshold`` predictions are decided, where one
    is set. ``segments`` are the validation rows by the values of columns that the use case declares. ``reference`` is
    what days of predictions are compared with before they are released; older cards have none. ``model`` is None where
    nothing was approved. ``format`` is the first one whose readers understand the card."""

    features: Mapping[str, Feature]
    outcome: Mapping[str, Any]
    entity: Key
    calibration: Mapping[str, Any]
    rows: TrainingSet
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    verdict: Verdict = APPROVED
    warnings: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Mapping[str, Any], ...] = ()
    calibrations_tried: tuple[Mapping[str, Any], ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    decision: Mapping[str, Any] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    reference: Reference | None = None
    model: ModelFile | None = None
    problem: str = FIRST_PROBLEM
    format: int = FIRST_FORMAT

    @classmethod
    def of(cls, document: Mapping[str, Any], where: str = CARD) -> Card:
        """A card as JSON has it. Raises LakeError, naming ``where``, for one of a later format."""
        number = document.get("format", FIRST_FORMAT)
        if number > FORMAT:
            raise later_format(where, "a card", FORMAT, number)
        model = document.get("model")
        return cls(
            features={
                feature["name"]: Feature(
                    feature["type"],
                    feature["fill"],
                    feature.get("nominal", False),
                    feature.get("text", False),
                    tuple(feature["categories"]) if feature.get("categories") is not None else None,
                )
                for feature in document["features"]
            },
            outcome={name: document[name] for name in _OF_THE_OUTCOME if name in document},
            entity=_entity(document["entity"]),
            calibration=document["calibration"],
            rows=TrainingSet.of(document["rows"]),
            settings=document["settings"],
            versions=document["versions"],
            verdict=Verdict.of(document["verdict"]),
            warnings=tuple(document.get("warnings", ())),
            metrics=document.get("metrics", {}),
            gates=tuple(document.get("gates", ())),
            calibrations_tried=tuple(document.get("calibrations_tried", ())),
            importance=document.get("importance", {}),
            decision=document.get("decision", {}),
            segments=tuple(map(Segment.of, document.get("segments", ()))),
            reference=Reference.of(document["reference"]) if "reference" in document else None,
            model=ModelFile(model["file"], model["sha256"], model["size"]) if model else None,
            problem=document.get("problem", FIRST_PROBLEM),
            format=number,
        )

    @property
    def is_pickled(self) -> bool:
        """Whether the model is a pickle by joblib, and not ONNX."""
        return self.model is not None and self.model.file.endswith(".joblib")

    def document(self) -> dict[str, Any]:
        """The card as JSON has it."""
        return {
            "format": self.format,
            "problem": self.problem,
            "features": [
                {
                    "name": name,
                    "type": feature.type,
                    "fill": feature.fill,
                    "nominal": feature.nominal,
                    "text": feature.text,
                    "categories": None if feature.categories is None else list(feature.categories),
                }
                for name, feature in self.features.items()
            ],
            **self.outcome,
            "entity": self.entity if isinstance(self.entity, str) else list(self.entity),
            "calibration": dict(self.calibration),
            "rows": self.rows.summary(),
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            "verdict": self.verdict.document(),
            "warnings": list(self.warnings),
            "metrics": dict(self.metrics),
            "gates": [dict(gate) for gate in self.gates],
            "calibrations_tried": [dict(tried) for tried in self.calibrations_tried],
            "importance": dict(self.importance),
            **({"decision": dict(self.decision)} if self.decision else {}),
            **({"segments": [segment.document() for segment in self.segments]} if self.segments else {}),
            **({"reference": self.reference.document()} if self.reference else {}),
            "model": asdict(self.model) if self.model else None,
        }

    def to_json(self) -> bytes:
        return json.dumps(self.document(), indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def parse(body: bytes, where: str = CARD) -> Card:
    """The card in ``body``. Raises LakeError as ``Card.of`` does."""
    return Card.of(json.loads(body), where)


def _entity(said: str | list[str]) -> Key:
    return said if isinstance(said, str) else tuple(said)
