"""Published trainings of small lakes: a card, a report and, where one is approved, a model of a few bytes."""

from __future__ import annotations

from datetime import date
from typing import Any

from spark_lib.lake import Attempt, Documents, Lake, Partition
from spark_lib.models.calibration import NONE
from spark_lib.models.card import APPROVED, CARD, MODEL, REPORT, Card, ModelFile, Verdict
from spark_lib.models.model import digest
from spark_lib.models.training_set import TrainingSet
from spark_lib.use_case import Feature

METRICS = {
    "area_under_roc": 0.71,
    "intervals": {"area_under_roc": [0.68, 0.74]},
    "out_of_time": {"days": 6, "reason": "few rows", "is_odd": True},
    "curve": [0.1, 0.2, 0.3],
}
SETTINGS = {"trees": 20, "balancing": "undersample", "raw.events.null_text": ""}


def publish(lake: Lake, day: date, verdict: Verdict = APPROVED, content: str = "", **more: Any) -> Partition:
    """Publish the training of a day. ``more`` goes to the attempt, as ``rebuild``."""
    model = f"model of {day} {content}".encode() if verdict.approved else None
    card = Card(
        features={"amount": Feature("double", 0.0)},
        outcome={"classes": ["0", "1"]},
        entity="id",
        calibration=NONE,
        rows=TrainingSet(),
        settings=SETTINGS,
        versions={},
        verdict=verdict,
        metrics=METRICS,
        model=ModelFile(MODEL, digest(model), len(model)) if model else None,
    )
    files = {CARD: card.to_json(), REPORT: b"<p>report\n"} | ({MODEL: model} if model else {})
    figures = {"verdict": verdict.document()} | ({"model_digest": digest(model)} if model else {})
    with Attempt(lake, "model", [day], stage="Training", inputs={day: []}, **more) as attempt:
        attempt.commit({day: Documents(files, figures)})
    (published,) = lake.require("model", day)
    return published
