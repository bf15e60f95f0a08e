"""From a model's score to a probability at the natural prevalence: kept in the card, and applied by one function after
whatever engine scored. Workers import this module: no pyspark here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spark_lib.errors import ModelError
from spark_lib.metrics import Scored

KINDS = ("none", "prior")

#: ``kind``, and the parameters of that kind.
Calibration = Mapping[str, Any]

NONE: Calibration = {"kind": "none"}


def prior(natural: Mapping[str, int], trained: Mapping[str, int]) -> Calibration:
    """The exact correction of a training set that was drawn at random within each class: odds are multiplied by the
    natural odds over the trained ones (Elkan 2001, theorem 2). Both count ``positive`` and ``negative`` rows."""
    odds = (natural["positive"] / natural["negative"]) / (trained["positive"] / trained["negative"])
    return {"kind": "prior", "odds": odds}


def apply(calibration: Calibration, scores: np.ndarray) -> np.ndarray:
    """Probabilities float64 [n] of scores [n] in [0, 1]. Raises ModelError for a kind
    that this version does not know."""
    scores = np.asarray(scores, np.float64)
    kind = calibration["kind"]
    if kind == "none":
        return scores
    if kind == "prior":
        weighted = scores * calibration["odds"]
        corrected: np.ndarray = weighted / (weighted + (1 - scores))
        return corrected
    raise ModelError(
        "card.json", f"a calibration of one of the kinds {', '.join(KINDS)}", repr(kind), "score with a newer Daystone"
    )


def calibrated(calibration: Calibration, found: Scored) -> Scored:
    """The same rows by their probabilities."""
    return replace(found, scores=apply(calibration, found.scores))
