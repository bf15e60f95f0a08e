"""What the manifest of a day's predictions says of them, as the checks of a release need it. Nothing here imports
numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.release.sketch import Sketches

if TYPE_CHECKING:
    from spark_lib.lake import Manifest


#: The dataset of the scores of the model in force.
PREDICTIONS = "predictions"


@dataclass(frozen=True)
class Figures:
    """A run of predictions of a day: how many ``rows`` it has, the digest of the ``model`` that scored them, what is
    known of the ``scores`` (``least``, ``greatest``, ``mean``, as far as the problem has them), and the ``sketches``,
    which are None where an older Daystone scored. ``dataset`` is the one whose run it is."""

    date: date
    run: str
    rows: int
    model: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    sketches: Sketches | None = None
    dataset: str = PREDICTIONS

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Figures:
        """The figures as the manifest of a release has them."""
        sketches = document.get("sketches")
        return cls(
            date.fromisoformat(document["date"]),
            document["run"],
            document["rows"],
            document.get("model", ""),
            document.get("scores", {}),
            Sketches.of(sketches) if sketches is not None else None,
            document.get("dataset", PREDICTIONS),
        )

    def document(self) -> dict[str, Any]:
        return {
            "date": str(self.date),
            "run": self.run,
            "rows": self.rows,
            "model": self.model,
            "scores": dict(self.scores),
            **({} if self.sketches is None else {"sketches": self.sketches.document()}),
            **({} if self.dataset == PREDICTIONS else {"dataset": self.dataset}),
        }


def of_run(day: date, manifest: Manifest, dataset: str = PREDICTIONS) -> Figures:
    """The figures of the run of predictions, or of a second model's, that a manifest describes."""
    said = manifest.metrics
    scores = {name: value for name, value in said.get("scores", {}).items() if name in ("least", "greatest", "mean")}
    sketches = Sketches.of(said["sketches"]) if "sketches" in said else None
    return Figures(day, manifest.run, manifest.rows(), said.get("model_digest", ""), scores, sketches, dataset)


@dataclass(frozen=True)
class OfModel:
    """What a model says of a day, for a comparison with another: ``role`` says what it is on the day, ``model_date`` which
    one, ``rows`` how many it scored. ``failed`` says why it scored none."""

    role: str
    model_date: str
    rows: int
    scores: Mapping[str, Any] = field(default_factory=dict)
    failed: str = ""


def of_models(predictions: Manifest, second: Manifest | None) -> list[OfModel]:
    """The models that scored a day: the one in force first, then the canary that some of the ``predictions`` are by, and
    the ``second`` model, which scored every row beside them. Empty where one alone did."""
    said = predictions.metrics
    canary = said.get("canary")
    others = []
    if canary is not None:
        role = f"canary of {canary['share']:.0%} of the entities, published"
        others.append(
            OfModel(role, canary["model_date"], canary["rows"], canary.get("scores", {}), canary.get("failed", ""))
        )
    if second is not None:
        role = f"{second.metrics['strategy']}, every row"
        others.append(OfModel(role, second.metrics["model_date"], second.rows(), second.metrics.get("scores", {})))
    if not others:
        return []
    rows = predictions.rows() - (canary["rows"] if canary is not None else 0)
    return [OfModel("in force", said["model_date"], rows, said.get("scores", {})), *others]
