"""Turns a model's score into a probability at the natural prevalence.

The card holds the calibration. One function applies it, whichever engine has scored.
``spark_lib.problems.calibration_fit`` fits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_lib.errors import ModelError
from spark_lib.models.card import CALIBRATIONS
from spark_lib.models.model import is_probability, within_rounding

#: The number of cells of [0, 1] by which scores are counted, to fit a calibration and to measure it.
GRID = 2**20
_SMALLEST = 0.5 / GRID  # the smallest score whose odds are taken: half a cell

#: ``kind``, and the parameters of that kind.
Calibration = Mapping[str, Any]

NONE: Calibration = {"kind": "none"}


def apply(calibration: Calibration, scores: np.ndarray) -> np.ndarray:
    """Probabilities float64 [n] of scores [n] in [0, 1].

    A score that is outside of [0, 1] by more than rounding gets no probability: it stays as it is with the kind
    ``none``, and becomes NaN with every other kind. Raises ModelError for a kind that this version does not know.
    """
    scores = within_rounding(np.asarray(scores, np.float64))
    kind = calibration["kind"]
    if kind == "none":
        return scores
    sensible = is_probability(scores)
    if not sensible.all():
        scores = np.where(sensible, scores, np.nan)
    if kind == "prior":
        weighted = scores * calibration["odds"]
        corrected: np.ndarray = weighted / (weighted + (1 - scores))
        return corrected
    if kind == "shift":
        return _sigmoid(log_odds(scores) + calibration["intercept"])
    if kind == "platt":
        return _sigmoid(calibration["slope"] * log_odds(scores) + calibration["intercept"])
    if kind == "isotonic":
        return within_rounding(np.asarray(np.interp(scores, calibration["x"], calibration["y"])))
    raise ModelError(
        "card.json",
        f"a calibration of one of the kinds {', '.join(CALIBRATIONS)}",
        repr(kind),
        "score with a newer Daystone",
    )


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Log-odds, float64 [n], of scores [n]. A score of 0 or 1 counts as half a cell of the grid away from it."""
    kept = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
