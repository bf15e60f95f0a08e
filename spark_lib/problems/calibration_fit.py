"""Fits a calibration on rows that are used neither to train the model nor to judge it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spark_lib.models.calibration import NONE, Calibration, apply, log_odds
from spark_lib.problems.metrics import Scored, by_score


def fitted(kind: str, found: Scored, natural: Mapping[str, float], trained: Mapping[str, float]) -> Calibration:
    """The calibration of that kind. ``found`` are the scores of the calibration split. ``natural`` and ``trained`` say
    what the ``positive`` and ``negative`` rows of the training split weigh before and after balancing."""
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
    """A logistic curve on the log-odds of the score, ``slope`` and ``intercept``. It has the greatest likelihood on
    targets that leave room for doubt (Platt 1999, section 2.2: (P + 1) / (P + 2) for positives, 1 / (N + 2) for
    negatives).

    A model that ranks the wrong way round is not turned over: its slope is 0, and everybody gets the prevalence.
    """
    from sklearn.linear_model import LogisticRegression

    positives, negatives = float(found.positives.sum()), float(found.negatives.sum())
    hope, doubt = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    as_positive = found.positives * hope + found.negatives * doubt
    x = log_odds(found.scores)[:, None]
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
    """The rising step curve of least squares (Zadrozny and Elkan 2002, by scikit-learn), linear between its points
    ``x``, ``y`` and level beyond them.

    A made-up positive at score 0 and a made-up negative at score 1 leave room for doubt. Without them the ends of the
    curve are 0 and 1, however few rows are there, and a wrong certainty costs an infinite log loss.
    """
    from sklearn.isotonic import IsotonicRegression

    scores = np.concatenate([[0.0], found.scores, [1.0]])
    positives, rows = np.concatenate([[1], found.positives, [0]]), np.concatenate([[1], found.rows, [1]])
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
        scores, positives / rows, sample_weight=rows
    )
    return {"kind": "isotonic", "x": curve.X_thresholds_.tolist(), "y": curve.y_thresholds_.tolist()}


def calibrated(calibration: Calibration, found: Scored) -> Scored:
    """The same rows by their probabilities. Scores that get the same probability are counted as one."""
    probabilities = apply(calibration, found.scores)
    by = found.grouped
    if by is None:
        return by_score(probabilities, found.positives, found.negatives)
    return by_score(probabilities[by.places], by.positives, by.negatives, by.groups)
