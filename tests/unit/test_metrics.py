"""Metrics from counts by score, held against scikit-learn row by row, and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib import metrics
from spark_lib.metrics import Scored, counted

#: Scores on the grid, so that the reference sees the same ties.
scores_and_labels = st.lists(
    st.tuples(st.integers(0, 64).map(lambda cell: cell / 64), st.integers(0, 1)), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(label for _, label in rows) < len(rows))


def rows(seed: int = 0, number: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated scores and their labels, one in five positive."""
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(random.normal(size=number) - 1.6)))
    return scores, (random.random(number) < scores).astype(int)


@settings(deadline=None)
@given(scores_and_labels)
def test_areas_brier_and_log_loss_are_those_of_scikit_learn(found: list[tuple[float, int]]) -> None:
    scores, labels = (np.array(column) for column in zip(*found, strict=True))
    measured = metrics.measured(counted(scores, labels))

    assert measured["area_under_roc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert measured["brier"] == pytest.approx(reference.brier_score_loss(labels, scores), abs=1e-12)
    precision, recall, _ = reference.precision_recall_curve(labels, scores)
    kept = np.r_[precision[:-1], precision[-2]]  # the reference begins at a precision of 1, we at that of the highest
    assert measured["area_under_pr"] == pytest.approx(reference.auc(recall, kept), abs=1e-12)
    inside = np.clip(scores, 1e-15, 1 - 1e-15)
    assert measured["log_loss"] == pytest.approx(reference.log_loss(labels, inside, labels=[0, 1]), abs=1e-12)


def test_areas_of_the_best_the_worst_and_no_order() -> None:
    def areas(positives: list[int], negatives: list[int]) -> tuple[float, float]:
        found = Scored(np.arange(len(positives)) / 4, np.array(positives), np.array(negatives))
        return metrics.area_under_roc(found), metrics.area_under_pr(found)

    assert areas([0, 3], [5, 0]) == (1.0, 1.0)
    assert areas([3, 0], [0, 5]) == (0.0, pytest.approx(3 / 16))
    assert areas([3], [5]) == (0.5, 3 / 8)


@settings(deadline=None)
@given(scores_and_labels, st.randoms())
def test_the_order_of_rows_makes_no_difference(found: list[tuple[float, int]], random: object) -> None:
    one = [np.array(column) for column in zip(*found, strict=True)]
    random.shuffle(found)  # type: ignore[attr-defined]
    other = [np.array(column) for column in zip(*found, strict=True)]

    assert metrics.measured(counted(*one)) == metrics.measured(counted(*other))


def test_the_calibration_error_is_the_mean_distance_of_ten_bins_of_equal_size() -> None:
    scores = np.repeat(np.arange(10) / 16, 8)
    labels = np.tile([1, 0, 0, 0, 0, 0, 0, 0], 10)

    assert metrics.calibration_error(counted(scores, labels)) == pytest.approx(
        np.abs(np.arange(10) / 16 - 0.125).mean()
    )


def test_calibrated_scores_have_almost_no_calibration_error() -> None:
    scores, labels = rows(number=100_000)

    assert metrics.calibration_error(counted(scores, labels)) < 0.01
    assert metrics.calibration_error(counted(np.sqrt(scores), labels)) > 0.1


def test_without_both_classes_areas_are_not_a_number_and_intervals_are_refused() -> None:
    one_class = counted(np.array([0.25, 0.5]), np.array([1, 1]))

    assert math.isnan(metrics.area_under_roc(one_class))
    assert math.isnan(metrics.area_under_pr(one_class))
    with pytest.raises(ValueError, match="2 positives, 0 negatives"):
        metrics.intervals(one_class, 10, 0.95, 0)


def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    truth = metrics.area_under_roc(counted(*rows(99, 400_000)))

    held = 0
    for seed in range(60):
        low, high = metrics.intervals(counted(*rows(seed, 800)), 100, 0.9, seed, ["area_under_roc"])["area_under_roc"]
        held += low <= truth <= high

    assert 46 <= held <= 60  # 54 wanted; a binomial of 60 and 0.9 leaves this range once in two thousand times


def test_intervals_narrow_with_rows_and_repeat_with_their_seed() -> None:
    few, many = counted(*rows(0, 500)), counted(*rows(0, 50_000))

    narrow, wide = (metrics.intervals(found, 100, 0.95, 7)["brier"] for found in (many, few))

    assert (narrow[1] - narrow[0]) * 5 < wide[1] - wide[0]
    assert metrics.intervals(few, 100, 0.95, 7) == metrics.intervals(few, 100, 0.95, 7)
    assert metrics.intervals(few, 100, 0.95, 7) != metrics.intervals(few, 100, 0.95, 8)


def test_more_scores_than_are_needed_are_merged_without_moving_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(*rows(0, 20_000))
    exact = metrics.intervals(found, 200, 0.95, 0)
    monkeypatch.setattr(metrics, "_ENOUGH", 500)

    merged = metrics.intervals(found, 200, 0.95, 0)

    for name, (low, high) in exact.items():
        width = high - low
        assert merged[name] == pytest.approx((low, high), abs=max(0.35 * width, 0.002)), name


def test_cells_are_ascending_and_counts_add_up() -> None:
    found = counted(np.array([0.5, 0.25, 0.5, 0.5]), np.array([1, 0, 0, 1]))

    assert found.scores.tolist() == [0.25, 0.5]
    assert (found.positives.tolist(), found.negatives.tolist()) == ([0, 2], [1, 1])
    assert (found.rows.tolist(), found.prevalence) == ([1, 3], 0.5)
    assert math.isnan(Scored(np.array([]), np.array([]), np.array([])).prevalence)
