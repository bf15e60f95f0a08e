"""Fits a calibration on rows that are used neither to train the model nor to judge it, and chooses its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spark_lib.models.calibration import NONE, Calibration, apply, log_odds
from spark_lib.problems.metrics import Grouped, Scored, by_score, losses

#: Into how many parts cross-validation splits the groups of entities.
FOLDS = 10
#: The kind that gives many scores one probability.
STEPS = "isotonic"
#: By so many standard errors may a simpler kind be behind the best one. One error leaves a bias that matters where
#: positives are few, and none takes what chance prefers: docs/balancing.md has the figures.
ERRORS = 0.5
#: By so many standard errors has a step curve to be ahead. It gives many scores one probability, which costs ranking.
ERRORS_OF_STEPS = 1.0
#: With fewer rows a step curve follows chance (Niculescu-Mizil and Caruana 2005, section 5).
LEAST_ISOTONIC = 1_000
#: The search for a shift ends when a step is this small, or after so many steps.
_CLOSE, _STEPS = 1e-12, 100


@dataclass(frozen=True)
class Tried:
    """A kind of calibration in cross-validation: its ``log_loss`` on rows that it was not fitted on, how far that is
    ``behind`` the least one of the kinds that keep the order of scores, and the ``standard_error`` of ``behind`` over
    the folds. A step curve that is ahead of all of them has ``behind`` below 0."""

    kind: str
    log_loss: float
    behind: float
    standard_error: float

    def document(self) -> dict[str, Any]:
        """The figures as a card has them."""
        return asdict(self)


def chosen(
    kinds: Sequence[str], found: Scored, natural: Mapping[str, float], trained: Mapping[str, float]
) -> tuple[Calibration, tuple[Tried, ...]]:
    """The calibration of the simplest of ``kinds`` that cross-validation does not speak against, and all that were
    tried. ``kinds`` are the simplest first; the other arguments are those of ``fitted``.

    What is left out at a time is a fold of whole groups of entities. Where there is one kind, or where the rows that
    are left have one class only, nothing is tried, and it is the first kind. Of fewer than ``LEAST_ISOTONIC`` rows no
    step curve is tried. ``found`` has to have groups where there are several kinds, or ValueError is raised.
    """
    if len(kinds) > 1 and found.rows.sum() < LEAST_ISOTONIC:
        kinds = [kind for kind in kinds if kind != STEPS]
    tried = tried_out(kinds, found, natural, trained) if len(kinds) > 1 else ()
    return fitted(simplest(tried) if tried else kinds[0], found, natural, trained), tried


def simplest(tried: Sequence[Tried], errors: float = ERRORS) -> str:
    """The step curve where it is clearly ahead; else the first kind whose log loss is behind the least one by at most
    so many standard errors.

    That is the rule of Breiman et al. 1984, section 3.4.3, who take one error. Their error is that of the loss itself;
    ours is that of the paired difference, because all kinds are measured on the same rows.
    """
    for each in tried:
        if each.kind == STEPS and each.behind < -ERRORS_OF_STEPS * each.standard_error:
            return each.kind
    return next(each.kind for each in tried if each.kind != STEPS and each.behind <= errors * each.standard_error)


def tried_out(
    kinds: Sequence[str], found: Scored, natural: Mapping[str, float], trained: Mapping[str, float]
) -> tuple[Tried, ...]:
    """Each of ``kinds`` in cross-validation. It is empty where the rows of one fold are all there are, or where those
    outside of one have one class only."""
    by = found.grouped
    if by is None:
        raise ValueError("cross-validation needs the groups of the rows")
    of_row = by.groups % FOLDS
    folds = np.unique(of_row)
    rows, lost = np.zeros(len(folds)), np.zeros((len(kinds), len(folds)))
    for place, fold in enumerate(folds):
        inside, outside = (_of_rows(found.scores, by, which) for which in (of_row == fold, of_row != fold))
        if not outside.positives.any() or not outside.negatives.any():
            return ()
        rows[place] = inside.rows.sum()
        for number, kind in enumerate(kinds):
            lost[number, place] = losses(calibrated(fitted(kind, outside, natural, trained), inside))
    means = lost.sum(axis=1) / rows.sum()
    best = min((number for number, kind in enumerate(kinds) if kind != STEPS), key=lambda number: means[number])
    more = lost - lost[best]
    behind = more.sum(axis=1) / rows.sum()
    spread = ((more - behind[:, None] * rows) ** 2).sum(axis=1)
    errors = np.sqrt(spread * len(folds) / (len(folds) - 1)) / rows.sum()
    return tuple(
        Tried(kind, float(mean), float(less), float(error))
        for kind, mean, less, error in zip(kinds, means, behind, errors, strict=True)
    )


def _of_rows(scores: np.ndarray, by: Grouped, which: np.ndarray) -> Scored:
    return by_score(scores[by.places[which]], by.positives[which], by.negatives[which])


def fitted(kind: str, found: Scored, natural: Mapping[str, float], trained: Mapping[str, float]) -> Calibration:
    """The calibration of that kind. ``found`` are the scores of the calibration split. ``natural`` and ``trained`` say
    what the ``positive`` and ``negative`` rows of the training split weigh before and after balancing."""
    if kind == "prior":
        return prior(natural, trained)
    if kind == "shift":
        return shift(found)
    if kind == "platt":
        return platt(found)
    return isotonic(found) if kind == "isotonic" else NONE


def prior(natural: Mapping[str, float], trained: Mapping[str, float]) -> Calibration:
    """The exact correction of a training set that was drawn at random within each class: odds are multiplied by the
    natural odds over the trained ones (Elkan 2001, theorem 2)."""
    odds = (natural["positive"] / natural["negative"]) / (trained["positive"] / trained["negative"])
    return {"kind": "prior", "odds": odds}


def shift(found: Scored) -> Calibration:
    """The shift of the log-odds of greatest likelihood, ``intercept``: the one by which the mean probability of the
    rows is their prevalence (recalibration in the large, Steyerberg et al. 2004). Raises ValueError without both
    classes."""
    if not found.positives.any() or not found.negatives.any():
        raise ValueError("a shift needs rows of both classes")
    x, positives = log_odds(found.scores), float(found.positives.sum())
    wanted = float(np.log(positives / found.negatives.sum()))
    low, high = wanted - float(x.max()), wanted - float(x.min())
    intercept = (low + high) / 2
    for _ in range(_STEPS):  # Newton's steps, and halves of what is left where one would leave it
        probabilities = apply({"kind": "shift", "intercept": intercept}, found.scores)
        too_many = float((found.rows * probabilities).sum()) - positives
        low, high = (low, intercept) if too_many > 0 else (intercept, high)
        step = too_many / float((found.rows * probabilities * (1 - probabilities)).sum())
        before, intercept = intercept, intercept - step
        if not low <= intercept <= high:
            intercept = (low + high) / 2
        if abs(intercept - before) < _CLOSE:
            break
    return {"kind": "shift", "intercept": intercept}


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
