"""What a threshold makes of scores: which rows are predicted to be positive, and how often that is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spark_lib.models.calibration import GRID
from spark_lib.problems.metrics import Scored, resampled, tails


def at_threshold(found: Scored, threshold: float, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The confusion matrix of rows whose prediction is positive where their score is at least ``threshold``, with
    ``precision``, ``recall``, ``false_positive_rate`` and ``flagged``, the share of rows with a positive prediction.

    ``intervals`` are percentile intervals by the bootstrap over groups of entities, as ``metrics.intervals`` has them.
    A draw without a positive prediction is left out of the interval of the precision. Precision and its interval are
    None where they are not defined. Scores are compared on the grid on which they are counted. Raises ValueError
    without both classes.
    """
    parted = _parted(found, threshold)
    shares = _shares(parted)
    drawn = [_shares(sample) for sample in resampled(parted, settings["bootstrap_replicates"], settings["seed"])]
    true, false = _predicted(parted)
    return {
        "threshold": threshold,
        "true_positives": true,
        "false_positives": false,
        "false_negatives": int(parted.positives.sum()) - true,
        "true_negatives": int(parted.negatives.sum()) - false,
        **{name: None if math.isnan(value) else value for name, value in shares.items()},
        "intervals": {name: _interval([sample[name] for sample in drawn], settings["confidence"]) for name in shares},
    }


def _parted(found: Scored, threshold: float) -> Scored:
    """The rows with two scores only: 1 with a positive prediction, 0 without."""
    flagged = (np.round(found.scores * GRID) >= round(threshold * GRID)).astype(np.intp)
    positives, negatives = (
        np.bincount(flagged, counts, 2).astype(np.int64) for counts in (found.positives, found.negatives)
    )
    by = found.grouped
    return Scored(np.array([0.0, 1.0]), positives, negatives, by and replace(by, places=flagged[by.places]))


def _predicted(parted: Scored) -> tuple[int, int]:
    """The positives and the negatives among the rows with a positive prediction."""
    flagged = parted.scores == 1
    return int(parted.positives[flagged].sum()), int(parted.negatives[flagged].sum())


def _shares(parted: Scored) -> dict[str, float]:
    true, false = _predicted(parted)
    positives, negatives = int(parted.positives.sum()), int(parted.negatives.sum())
    return {
        "precision": true / (true + false) if true + false else math.nan,
        "recall": true / positives,
        "false_positive_rate": false / negatives,
        "flagged": (true + false) / (positives + negatives),
    }


def _interval(drawn: list[float], confidence: float) -> tuple[float, float] | None:
    defined = [value for value in drawn if not math.isnan(value)]
    if not defined:
        return None
    low, high = np.quantile(defined, tails(confidence))
    return float(low), float(high)
