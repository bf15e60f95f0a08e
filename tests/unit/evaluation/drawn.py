"""Drawn rows of published predictions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from spark_lib.evaluation.document import Model
from spark_lib.evaluation.judging import Rows

SETTINGS: Mapping[str, Any] = {"bootstrap_replicates": 40, "confidence": 0.95, "champion_margin": 0.05, "seed": 0}
OLD, NEW = Model(date(2026, 2, 1), "old"), Model(date(2026, 3, 1), "new")
DAYS = (date(2026, 3, 4), date(2026, 3, 5))


def rows(values: np.ndarray, labels: np.ndarray, **more: Any) -> Rows:
    """Rows of 50 groups, half of them of each of two days, by one model unless said otherwise."""
    count = len(labels)
    days = np.arange(count) * 2 // count
    usual = {"days": days, "models": np.zeros(count, np.intp), "all_days": DAYS, "all_models": [OLD, NEW]}
    return Rows(values, labels, np.arange(count) % 50, **{**usual, **more})


def scored(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels that they say something about."""
    draw = np.random.default_rng(3)
    scores = draw.random(count)
    return scores, (draw.random(count) < 0.2 + 0.6 * scores).astype(float)
