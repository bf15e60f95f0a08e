"""From a model's score to a probability at the natural prevalence: fitted on rows that were neither trained nor judged on,
kept in the card, and applied by one function after whatever engine scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_lib.choices import CALIBRATION, DRAWN_AT_RANDOM
from spark_lib.errors import ModelError
from spark_lib.metrics import GRID, Scored, by_score
from spark_lib.model import is_probability, within_rounding

KINDS = CALIBRATION[1:]
#: Those that need scores of rows of their own.
FITTED = ("platt", "isotonic")
_SMALLEST = 0.5 / GRID  # of a score whose odds are taken: half a cell of what it was counted by

#: ``kind``, and the parameters of that kind.
Calibration = Mapping[str, Any]

NONE: Calibration = {"kind": "none"}


def kind(choice: str, balancing: str) -> str:
    """The kind that ``[training] calibration`` asks for: ``auto`` is the exact one where the training rows of each class were
    drawn at random, else Platt's."""
    if choice != "auto":
        return choice
    return "prior" if balancing in DRAWN_AT_RANDOM else "platt"


def fitted(kind: str, found: Scored, natural: Mapping[str, float], trained: Mapping[str, float]) -> Calibration:
    """The calibration of that kind. ``found`` are the scores of the calibration split, ``natural`` and ``trained`` what the
    ``positive`` and ``negative`` rows of the training split weigh before and after balancing."""
    if kind == "prior":
        return prior(natural, trained)
    if kind == "platt":
        return platt(found)
    return isotonic(found) if kind == "isotonic" else NONE


def prior(natural: Mapping[str, float], trained: Mapping[str, float]) -> Calibration:
    """The exact correction of a training set that was drawn at random within each class: odds are multiplied by the
    natural odds over the trained ones (Elkan 2001, theorem 2)."""
    odds = (natural["positive"] / natural["negative"]) / (trained["positive"] / trained["negative"])
    return {"kind": "prior", "odds": odds}


def platt(found: Scored) -> Calibration:
    """A logistic curve on the log-odds of the score, ``slope`` and ``intercept``, of greatest likelihood on targets that
    leave room for doubt (Platt 1999, section 2.2: (P + 1) / (P + 2) for positives, 1 / (N + 2) for negatives).

    A model that ranks the wrong way round is not turned over: its slope is 0, and everybody gets the prevalence.
    """
    from sklearn.linear_model import LogisticRegression

    positives, negatives = float(found.positives.sum()), float(found.negatives.sum())
    hope, doubt = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    as_positive = found.positives * hope + found.negatives * doubt
    x = _log_odds(found.scores)[:, None]
    curve = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(
        np.concatenate([x, x]),
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([as_positive, found.rows - as_positive]),
    )
    slope, intercept = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    if slope <= 0 or len(x) == 1:  # one score for everybody has no slope
        slope, intercept = 0.0, float(np.log(positives / negatives))
    return {"kind": "platt", "slope": slope, "intercept": intercept}


def isotonic(found: Scored) -> Calibration:
    """The rising step curve of least squares (Zadrozny and Elkan 2002, by scikit-learn), linear between its points ``x``,
    ``y`` and level beyond them.

    A made-up positive at score 0 and a negative at score 1 leave room for doubt: without them the ends of the curve are 0 and
    1, however few rows are there, and a certainty that is wrong costs an infinite log loss.
    """
    from sklearn.isotonic import IsotonicRegression

    scores = np.concatenate([[0.0], found.scores, [1.0]])
    positives, rows = np.concatenate([[1], found.positives, [0]]), np.concatenate([[1], found.rows, [1]])
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
        scores, positives / rows, sample_weight=rows
    )
    return {"kind": "isotonic", "x": curve.X_thresholds_.tolist(), "y": curve.y_thresholds_.tolist()}


def apply(calibration: Calibration, scores: np.ndarray) -> np.ndarray:
    """Probabilities float64 [n] of scores [n] in [0, 1]. A score that is no probability, rounding aside, gets none: it stays
    as it is, or becomes NaN where a curve would make a probability of it. Raises ModelError for a kind that this version
    does not know."""
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
    if kind == "platt":
        return _sigmoid(calibration["slope"] * _log_odds(scores) + calibration["intercept"])
    if kind == "isotonic":
        return within_rounding(np.asarray(np.interp(scores, calibration["x"], calibration["y"])))
    raise ModelError(
        "card.json", f"a calibration of one of the kinds {', '.join(KINDS)}", repr(kind), "score with a newer Daystone"
    )


def calibrated(calibration: Calibration, found: Scored) -> Scored:
    """The same rows by their probabilities; scores that get the same one are counted as one."""
    probabilities = apply(calibration, found.scores)
    by = found.grouped
    if by is None:
        return by_score(probabilities, found.positives, found.negatives)
    return by_score(probabilities[by.places], by.positives, by.negatives, by.groups)


def _log_odds(scores: np.ndarray) -> np.ndarray:
    kept = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
