"""Trainings to report on: cards as a training writes them, and scores from a known law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_lib.models.card import Card
from spark_lib.problems import calibration_fit, metrics
from spark_lib.problems.metrics import Scored, counted
from spark_lib.report import training as report

TITLE = "Training of credit_risk for 2026-03-01"
INPUTS = [("balanced_dataset", "2026-03-01, run e0555fdb6bf40a09"), ("loans", "2026-01-03 to 2026-01-30")]
NATURAL, TRAINED = {"positive": 2400, "negative": 41_000}, {"positive": 2400, "negative": 2400}
IMPORTANCE = {
    "amount": 0.5,
    "days_since_the_last_repayment_of_any_loan_of_this_customer": 0.3,
    "income": 0.2,
    "hour": 0.0,
}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trained:
    """What ``render`` is given, and the rows that it came from: scores before calibration [n] and labels [n]."""

    card: dict[str, Any]
    calibrated: Scored | None
    uncalibrated: Scored | None
    scores: np.ndarray
    labels: np.ndarray

    def page(self, title: str = TITLE, importance: Mapping[str, float] = IMPORTANCE) -> str:
        shown = importance if self.calibrated else {}
        return report.render(
            title, Card.of({**self.card, "importance": shown}), INPUTS, self.calibrated, self.uncalibrated
        )


def trained(number: int = 6000, seed: int = 0, spread: float = 1.2) -> Trained:
    """An approved model, six in a hundred positive: the larger the ``spread`` of its scores, the better it ranks."""
    random = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-(random.normal(size=number) * spread - 3.2)))
    labels = (random.random(number) < truth).astype(int)
    back = calibration_fit.prior(NATURAL, TRAINED)
    scores = truth / (truth + (1 - truth) * back["odds"])  # as a model of balanced rows sees them
    before = counted(scores, labels)
    after = calibration_fit.calibrated(back, before)
    measured: dict[str, Any] = dict(metrics.measured(after))
    measured["intervals"] = {name: list(ends) for name, ends in metrics.intervals(after, 50, CONFIDENCE, 0).items()}
    measured["uncalibrated"] = {
        name: metrics.METRICS[name](before) for name in ("brier", "log_loss", "calibration_error")
    }
    measured |= {"balanced_area_under_roc": 0.74, "balanced_area_under_pr": 0.71}
    validation = {"positive": int(after.positives.sum()), "negative": int(after.negatives.sum())}
    card = _card() | {
        "verdict": {"approved": True, "reason": "", "detail": ""},
        "gates": [_gate(measured, "area_under_roc", "area under ROC", 0.6)],
        "metrics": measured,
        "calibration": dict(back),
        "model": {"file": "model.onnx", "sha256": "ab" * 32, "size": 123_456},
    }
    card["rows"] = dict(card["rows"]) | {"validation": validation}
    return Trained(card, after, before, scores, labels)


def inconclusive() -> Trained:
    """A rejected training that measured nothing."""
    verdict = {"approved": False, "reason": "inconclusive", "detail": "too few positives: 12 in the window"}
    return Trained(_card() | {"verdict": verdict}, None, None, np.array([]), np.array([]))


def _card() -> dict[str, Any]:
    return {
        "entity": "customer",
        "verdict": {"approved": True},
        "gates": [],
        "metrics": {},
        "calibration": {"kind": "none"},
        "model": None,
        "rows": {
            "train": NATURAL,
            "balanced": TRAINED,
            "calibration": {"positive": 290, "negative": 5130},
            "validation": {"positive": 0, "negative": 0},
            "labelled": 61_000,
            "unlabelled": 212,
        },
        "features": [{"name": name, "type": "DOUBLE", "fill": None, "nominal": False} for name in IMPORTANCE],
        "classes": {"positive": "default", "negative": ["repaid"]},
        "settings": {"seed": 0, "confidence": CONFIDENCE, "trees": 20, "window_days": 28},
        "versions": {"python": "3.11.7", "pyspark": "4.1.2"},
    }


def _gate(measured: Mapping[str, Any], name: str, words: str, bound: float) -> dict[str, Any]:
    end = measured["intervals"][name][0]
    return {
        "name": name,
        "words": words,
        "value": measured[name],
        "end": end,
        "bound": bound,
        "rule": "lower end at least",
        "passed": end >= bound,
    }
