"""Scores back to probabilities at the natural prevalence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib import calibration, metrics
from spark_lib.errors import ModelError
from spark_lib.metrics import counted


def test_the_prior_correction_is_bayes_rule() -> None:
    # One in ten is positive; trained on as many of each. A score of 0.5 then says: as likely as anybody.
    found = calibration.prior({"positive": 100, "negative": 900}, {"positive": 100, "negative": 100})

    assert calibration.apply(found, np.array([0.0, 0.5, 0.9, 1.0])) == pytest.approx([0.0, 0.1, 0.5, 1.0])


@given(st.floats(0.01, 0.99), st.integers(1, 1000), st.integers(1, 1000))
def test_the_prior_correction_of_a_natural_training_set_changes_nothing(score: float, one: int, other: int) -> None:
    counts = {"positive": one, "negative": other}

    assert calibration.apply(calibration.prior(counts, counts), np.array([score]))[0] == pytest.approx(score)


def test_a_training_set_of_equal_classes_is_calibrated_back_to_the_natural_prevalence() -> None:
    random = np.random.default_rng(0)
    truth = 1 / (1 + np.exp(-(random.normal(size=100_000) - 3)))
    labels = (random.random(len(truth)) < truth).astype(int)
    natural = {"positive": int(labels.sum()), "negative": int((1 - labels).sum())}
    odds = (
        truth / (1 - truth) * natural["negative"] / natural["positive"]
    )  # what a perfect model of the drawn rows says
    found = counted(odds / (1 + odds), labels)

    after = calibration.calibrated(calibration.prior(natural, {"positive": 1, "negative": 1}), found)

    assert metrics.calibration_error(found) > 0.2
    assert metrics.calibration_error(after) < 0.005
    assert metrics.area_under_roc(after) == metrics.area_under_roc(found)
    assert after.prevalence == found.prevalence


def test_none_is_the_score_itself_and_an_unknown_kind_is_refused() -> None:
    scores = np.array([0.25, 0.5], np.float32)

    assert calibration.apply(calibration.NONE, scores).tolist() == [0.25, 0.5]
    with pytest.raises(ModelError) as refused:
        calibration.apply({"kind": "beta"}, scores)
    assert str(refused.value) == (
        "card.json: wanted a calibration of one of the kinds none, prior; found 'beta'. "
        "Next: score with a newer Daystone"
    )
