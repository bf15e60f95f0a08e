"""Scores back to probabilities at the natural prevalence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib.errors import ModelError
from spark_lib.models import calibration
from spark_lib.problems import calibration_fit, metrics
from spark_lib.problems.metrics import counted
from spark_lib.problems.options import calibration_kinds, needs_calibration_rows


def test_the_prior_correction_is_bayes_rule() -> None:
    # One in ten is positive; trained on as many of each. A score of 0.5 then says: as likely as anybody.
    found = calibration_fit.prior({"positive": 100, "negative": 900}, {"positive": 100, "negative": 100})

    assert calibration.apply(found, np.array([0.0, 0.5, 0.9, 1.0])) == pytest.approx([0.0, 0.1, 0.5, 1.0])


@given(st.floats(0.01, 0.99), st.integers(1, 1000), st.integers(1, 1000))
def test_the_prior_correction_of_a_natural_training_set_changes_nothing(score: float, one: int, other: int) -> None:
    counts = {"positive": one, "negative": other}

    assert calibration.apply(calibration_fit.prior(counts, counts), np.array([score]))[0] == pytest.approx(score)


def test_a_training_set_of_equal_classes_is_calibrated_back_to_the_natural_prevalence() -> None:
    random = np.random.default_rng(0)
    truth = 1 / (1 + np.exp(-(random.normal(size=100_000) - 3)))
    labels = (random.random(len(truth)) < truth).astype(int)
    natural = {"positive": int(labels.sum()), "negative": int((1 - labels).sum())}
    odds = (
        truth / (1 - truth) * natural["negative"] / natural["positive"]
    )  # what a perfect model of the drawn rows says
    found = counted(odds / (1 + odds), labels)

    after = calibration_fit.calibrated(calibration_fit.prior(natural, {"positive": 1, "negative": 1}), found)

    assert metrics.calibration_error(found) > 0.2
    assert metrics.calibration_error(after) < 0.005
    assert metrics.area_under_roc(after) == metrics.area_under_roc(found)
    assert after.prevalence == found.prevalence


def test_platts_curve_is_that_of_greatest_likelihood() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=50_000) * 2
    labels = (random.random(len(x)) < 1 / (1 + np.exp(-(0.5 * x - 1.5)))).astype(int)
    found = counted(1 / (1 + np.exp(-x)), labels)

    curve = calibration_fit.platt(found)

    assert (curve["slope"], curve["intercept"]) == (pytest.approx(0.5, abs=0.02), pytest.approx(-1.5, abs=0.04))
    assert metrics.calibration_error(calibration_fit.calibrated(curve, found)) < 0.005
    # No other curve nearby is likelier, on targets that leave room for doubt.
    positives, negatives = labels.sum(), (1 - labels).sum()
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(slope: float, intercept: float) -> float:
        p = calibration.apply({"kind": "platt", "slope": slope, "intercept": intercept}, 1 / (1 + np.exp(-x)))
        return float(-(target * np.log(p) + (1 - target) * np.log1p(-p)).sum())

    best = loss(curve["slope"], curve["intercept"])
    assert best < min(loss(curve["slope"] + d, curve["intercept"]) for d in (-0.02, 0.02))
    assert best < min(loss(curve["slope"], curve["intercept"] + d) for d in (-0.02, 0.02))


def test_platts_curve_of_few_and_separated_rows_is_not_certain() -> None:
    curve = calibration_fit.platt(counted(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])))

    assert 0 < calibration.apply(curve, np.array([0.1]))[0] < 0.4
    assert 0.6 < calibration.apply(curve, np.array([0.9]))[0] < 1


def test_a_model_that_ranks_the_wrong_way_round_is_not_turned_over() -> None:
    curve = calibration_fit.platt(counted(np.array([0.1, 0.2, 0.3, 0.8, 0.9]), np.array([1, 1, 0, 0, 0])))

    assert calibration.apply(curve, np.array([0.0, 0.1, 0.9, 1.0])) == pytest.approx([0.4] * 4)


def test_isotonic_is_the_rising_curve_of_least_squares_and_counts_equal_probabilities_once() -> None:
    """With a made-up positive at 0 and a negative at 1."""
    scores, labels = np.array([0.1, 0.2, 0.3, 0.4, 0.8]), np.array([0, 1, 0, 1, 1])

    curve = calibration_fit.isotonic(counted(scores, labels))
    after = calibration_fit.calibrated(curve, counted(scores, labels))

    assert calibration.apply(curve, np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0])) == pytest.approx(
        [1 / 2, 1 / 2, 1 / 2, 1 / 2, 2 / 3, 2 / 3]
    )
    assert after.scores.tolist() == pytest.approx([1 / 2, 2 / 3])
    assert (after.positives.tolist(), after.negatives.tolist()) == ([1, 2], [2, 0])


def test_isotonic_is_certain_of_nothing_however_well_scores_part_the_rows() -> None:
    curve = calibration_fit.isotonic(counted(np.repeat([0.0, 0.2, 0.7, 1.0], 50), np.repeat([0, 0, 1, 1], 50)))

    found = calibration.apply(curve, np.array([0.0, 0.2, 0.7, 1.0]))

    assert found == pytest.approx([1 / 101, 1 / 101, 100 / 101, 100 / 101], abs=1e-6)


@pytest.mark.parametrize(
    ("choice", "balancing", "kinds", "needs_rows"),
    [
        ("auto", "undersample", ("prior", "shift", "platt", "isotonic"), False),
        ("auto", "oversample", ("prior", "shift", "platt", "isotonic"), False),
        ("auto", "smote", ("shift", "platt", "isotonic"), True),
        ("auto", "class_weight", ("shift", "platt", "isotonic"), True),
        ("auto", "none", ("none", "shift", "platt", "isotonic"), True),
        ("isotonic", "undersample", ("isotonic",), True),
        ("shift", "smote", ("shift",), True),
        ("prior", "undersample", ("prior",), False),
        ("none", "smote", ("none",), False),
    ],
)
def test_the_calibrations_to_choose_from_fit_the_balancing(
    choice: str, balancing: str, kinds: tuple[str, ...], needs_rows: bool
) -> None:
    assert calibration_kinds(choice, balancing) == kinds
    assert needs_calibration_rows(choice, balancing) == needs_rows


def test_none_is_the_score_itself_and_an_unknown_kind_is_refused() -> None:
    scores = np.array([0.25, 0.5], np.float32)

    assert calibration.apply(calibration.NONE, scores).tolist() == [0.25, 0.5]
    with pytest.raises(ModelError) as refused:
        calibration.apply({"kind": "beta"}, scores)
    assert str(refused.value) == (
        "card.json: wanted a calibration of one of the kinds none, prior, shift, platt, isotonic; found 'beta'. "
        "Next: score with a newer Daystone"
    )


@pytest.mark.parametrize(
    "back",
    [
        {"kind": "none"},
        {"kind": "prior", "odds": 1e-4},
        {"kind": "shift", "intercept": -1.0},
        {"kind": "platt", "slope": 2.0, "intercept": -1.0},
        {"kind": "isotonic", "x": [0.0, 0.3, 1.0], "y": [0.0, 0.1, 1.0]},
    ],
    ids=lambda back: back["kind"],
)
def test_what_rounding_put_outside_is_calibrated_as_the_end_that_it_was_put_beyond(back: dict[str, Any]) -> None:
    rounded = np.array([1.0000001, 1 + 2.0**-15, -1e-7, -(2.0**-15)])

    found = calibration.apply(back, rounded.astype(np.float32))

    assert found.tolist() == calibration.apply(back, np.array([1.0, 1.0, 0.0, 0.0])).tolist()
    assert ((found >= 0) & (found <= 1)).all()


def test_a_step_curve_stays_within_its_ends() -> None:
    x = np.nextafter(0.9, 0)
    found = calibration.apply({"kind": "isotonic", "x": [0.1, 0.9], "y": [0.3, 1.0]}, np.array([x, np.nextafter(x, 0)]))

    assert found.max() <= 1
