"""Metrics from counts by score, held against scikit-learn row by row, and their intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib.problems import metrics
from spark_lib.problems.metrics import Scored, counted

#: Scores on the grid, so that the reference sees the same ties.
scores_and_labels = st.lists(
    st.tuples(st.integers(0, 64).map(lambda cell: cell / 64), st.integers(0, 1)), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(label for _, label in rows) < len(rows))


def rows(seed: int = 0, number: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated scores and their labels, one in five positive."""
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(random.normal(size=number) - 1.6)))
    return scores, (random.random(number) < scores).astype(int)


@pytest.mark.slow
@settings(deadline=None)
@given(scores_and_labels)
def test_areas_brier_and_log_loss_are_those_of_scikit_learn(found: list[tuple[float, int]]) -> None:
    scores, labels = (np.array(column) for column in zip(*found, strict=True))
    measured = metrics.measured(counted(scores, labels))

    assert measured["area_under_roc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert measured["brier"] == pytest.approx(reference.brier_score_loss(labels, scores), abs=1e-12)
    assert measured["area_under_pr"] == pytest.approx(reference.average_precision_score(labels, scores), abs=1e-12)
    inside = np.clip(scores, 1e-15, 1 - 1e-15)
    assert measured["log_loss"] == pytest.approx(reference.log_loss(labels, inside, labels=[0, 1]), abs=1e-12)


def test_areas_of_the_best_the_worst_and_no_order() -> None:
    def areas(positives: list[int], negatives: list[int]) -> tuple[float, float]:
        found = Scored(np.arange(len(positives)) / 4, np.array(positives), np.array(negatives))
        return metrics.area_under_roc(found), metrics.area_under_pr(found)

    assert areas([0, 3], [5, 0]) == (1.0, 1.0)
    assert areas([3, 0], [0, 5]) == (0.0, 3 / 8)
    assert areas([3], [5]) == (0.5, 3 / 8)


@settings(deadline=None)
@given(scores_and_labels, st.randoms())
def test_the_order_of_rows_makes_no_difference(found: list[tuple[float, int]], random: object) -> None:
    one = [np.array(column) for column in zip(*found, strict=True)]
    random.shuffle(found)
    other = [np.array(column) for column in zip(*found, strict=True)]

    assert metrics.measured(counted(*one)) == metrics.measured(counted(*other))


def test_the_calibration_error_is_the_mean_distance_of_ten_bins_of_equal_size() -> None:
    scores = np.repeat(np.arange(10) / 16, 8)
    labels = np.tile([1, 0, 0, 0, 0, 0, 0, 0], 10)

    assert metrics.calibration_error(counted(scores, labels)) == pytest.approx(
        np.abs(np.arange(10) / 16 - 0.125).mean()
    )


def test_calibration_in_the_large_is_the_mean_score_less_the_prevalence_and_has_an_interval() -> None:
    scores, labels = rows(number=4_000)
    found = counted(scores**2, labels)

    measured = metrics.measured(found)

    assert (measured["mean_score"], measured["prevalence"]) == (
        pytest.approx((scores**2).mean(), abs=1e-6),
        labels.mean(),
    )
    assert measured["calibration_in_the_large"] == measured["mean_score"] - measured["prevalence"]
    low, high = metrics.intervals(found, 200, 0.95, 0, ["calibration_in_the_large"])["calibration_in_the_large"]
    error = np.std(scores**2 - labels) / np.sqrt(len(labels))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert low < measured["calibration_in_the_large"] < high < 0


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


@pytest.mark.slow
def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    truth = metrics.area_under_roc(counted(*rows(99, 400_000)))

    held = 0
    for seed in range(60):
        low, high = metrics.intervals(counted(*rows(seed, 800)), 100, 0.9, seed, ["area_under_roc"])["area_under_roc"]
        held += low <= truth <= high

    assert 46 <= held <= 60  # 54 wanted; a binomial of 60 and 0.9 leaves this range once in two thousand times


def test_the_interval_of_a_calibration_error_holds_it_and_takes_back_what_drawing_adds() -> None:
    for seed in range(20):
        found = counted(*rows(seed, 300))
        low, high = metrics.intervals(found, 100, 0.95, seed, ["calibration_error"])["calibration_error"]
        assert 0 <= low <= metrics.calibration_error(found) <= high


def test_calibrated_scores_pass_the_default_gate_on_two_hundred_rows() -> None:
    ends = [
        metrics.intervals(counted(*rows(seed, 200)), 100, 0.95, seed, ["calibration_error"])["calibration_error"][1]
        for seed in range(40)
    ]

    assert sum(end <= 0.1 for end in ends) >= 30


def test_the_paired_difference_is_narrower_than_that_of_two_intervals_and_none_with_itself() -> None:
    scores, labels = rows(3, 2000)
    nearby = np.clip(scores + np.random.default_rng(4).normal(scale=0.02, size=len(scores)), 0, 1)
    found = metrics.ScoredTwice(scores, nearby, labels, 1 - labels)

    difference, (low, high) = metrics.difference(found, "area_under_roc", 200, 0.95, 0)

    exact = reference.roc_auc_score(labels, scores) - reference.roc_auc_score(labels, nearby)
    assert difference == pytest.approx(exact, abs=1e-12)
    assert low < difference < high
    alone = metrics.intervals(counted(scores, labels), 200, 0.95, 0, ["area_under_roc"])["area_under_roc"]
    assert 3 * (high - low) < alone[1] - alone[0]
    with_itself = metrics.ScoredTwice(scores, scores, labels, 1 - labels)
    assert metrics.difference(with_itself, "brier", 50, 0.95, 0) == (0.0, (0.0, 0.0))


@pytest.mark.slow
def test_the_interval_of_a_paired_difference_holds_the_true_one_about_as_often_as_it_says() -> None:
    def two(seed: int, number: int) -> metrics.ScoredTwice:
        random = np.random.default_rng(seed)
        shown = random.normal(size=number)
        labels = (random.random(number) < 1 / (1 + np.exp(1 - shown))).astype(int)
        one, other = (shown + random.normal(scale=scale, size=number) for scale in (0.3, 0.6))
        return metrics.ScoredTwice(one, other, labels, 1 - labels)

    truth, _ = metrics.difference(two(99, 300_000), "area_under_roc", 1, 0.9, 0)

    held = 0
    for seed in range(60):
        _, (low, high) = metrics.difference(two(seed, 600), "area_under_roc", 100, 0.9, seed)
        held += low <= truth <= high

    assert 46 <= held <= 60


@pytest.mark.slow
def test_entities_of_many_rows_widen_the_interval_to_what_it_is() -> None:
    def of_entities(seed: int, entities: int) -> Scored:
        random = np.random.default_rng(seed)
        entity = np.repeat(np.arange(entities), 8)
        like = random.normal(size=entities)[entity]
        labels = (
            random.random(len(entity)) < 1 / (1 + np.exp(1.5 - 1.5 * random.normal(size=entities)[entity]))
        ).astype(int)
        scores = 1 / (1 + np.exp(-(like + labels + random.normal(scale=0.3, size=len(entity)))))
        return counted(scores, labels, entity % 200)

    truth = metrics.area_under_roc(of_entities(99, 50_000))

    held = {"groups": 0, "rows": 0}
    for seed in range(60):
        found = of_entities(seed, 250)
        for name, drawn in (("groups", found), ("rows", replace(found, grouped=None))):
            low, high = metrics.intervals(drawn, 100, 0.9, seed, ["area_under_roc"])["area_under_roc"]
            held[name] += low <= truth <= high

    assert held["groups"] >= 46  # 54 wanted
    assert held["rows"] <= held["groups"] - 5


def test_groups_of_single_rows_draw_as_rows_do() -> None:
    scores, labels = rows(5, 3000)

    single = metrics.intervals(counted(scores, labels), 400, 0.95, 0, ["area_under_roc"])["area_under_roc"]
    grouped = metrics.intervals(counted(scores, labels, np.arange(3000)), 400, 0.95, 0, ["area_under_roc"])

    assert grouped["area_under_roc"] == pytest.approx(single, abs=0.004)


@pytest.mark.slow
def test_intervals_narrow_with_rows_and_repeat_with_their_seed() -> None:
    few, many = counted(*rows(0, 500)), counted(*rows(0, 50_000))

    narrow, wide = (metrics.intervals(found, 100, 0.95, 7)["brier"] for found in (many, few))

    assert (narrow[1] - narrow[0]) * 5 < wide[1] - wide[0]
    assert metrics.intervals(few, 100, 0.95, 7) == metrics.intervals(few, 100, 0.95, 7)
    assert metrics.intervals(few, 100, 0.95, 7) != metrics.intervals(few, 100, 0.95, 8)


@pytest.mark.slow
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
