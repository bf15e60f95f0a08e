"""The numbers that a report draws, held against scikit-learn, scipy and plain counting."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from spark_lib.models.calibration import GRID
from spark_lib.problems.metrics import Scored, counted
from spark_lib.report import curves

#: Few distinct scores, so that there are ties.
scores_and_labels = st.lists(
    st.tuples(st.integers(0, 32).map(lambda cell: cell / 32), st.integers(0, 1)), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(label for _, label in rows) < len(rows))


@pytest.mark.slow
@settings(deadline=None)
@given(scores_and_labels)
def test_curves_are_those_of_scikit_learn(rows: list[tuple[float, int]]) -> None:
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = counted(scores, labels)

    false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curves.roc(found), (false, true), atol=1e-12)
    precision, recall, _ = reference.precision_recall_curve(labels, scores)
    ours = curves.precision_by_recall(found)
    np.testing.assert_allclose(ours[0][1:], recall[:-1][::-1], atol=1e-12)
    np.testing.assert_allclose(ours[1][1:], precision[:-1][::-1], atol=1e-12)
    assert (ours[0][0], ours[1][0]) == (0, precision[-2])  # the reference begins at a precision of 1


def test_a_drawn_curve_has_few_points_and_is_nowhere_further_than_a_pixel_from_all_of_them() -> None:
    found = counted(*_rows(20_000))

    drawn = curves.with_band(found, curves.roc, 2, 0.95, 0)

    assert len(drawn.x) <= 1000 < len(found.scores)
    assert (drawn.x[0], drawn.y[0], drawn.x[-1], drawn.y[-1]) == (0, 0, 1, 1)
    x, y = curves.roc(found)
    # A chart is about 300 pixels wide; along x + y a curve that rises passes every place once.
    thinned = np.interp(x + y, drawn.x + drawn.y, drawn.y)
    assert np.abs(thinned - y).max() < 1 / 300


def test_a_thinned_curve_of_rare_positives_keeps_its_teeth() -> None:
    random = np.random.default_rng(0)
    found = counted(random.random(5000), (random.random(5000) < 0.01).astype(int))

    drawn = curves.with_band(found, curves.precision_by_recall, 2, 0.95, 0)

    x, y = curves.precision_by_recall(found)
    apart = np.hypot(x[:, None] - drawn.x, (y[:, None] - drawn.y) / y.max()).min(axis=1)
    assert len(drawn.x) < len(x)
    assert apart.max() < 1 / 100


@pytest.mark.slow
def test_a_band_holds_the_true_curve_about_as_often_as_it_says() -> None:
    x, y = curves.roc(counted(*_rows(400_000, 99)))
    truth = np.interp([0.1, 0.3, 0.5], x, y)

    held = np.zeros(3)
    for seed in range(60):
        band = curves.with_band(counted(*_rows(1500, seed)), curves.roc, 100, 0.9, seed)
        held += (band.low[[10, 30, 50]] <= truth) & (truth <= band.high[[10, 30, 50]])

    assert band.grid[[10, 30, 50]] == pytest.approx([0.1, 0.3, 0.5])
    assert (held >= 44).all() and (held <= 60).all(), held  # 54 wanted of 60


def test_a_band_narrows_with_rows_and_repeats_with_its_seed() -> None:
    few, many = (
        curves.with_band(counted(*_rows(number)), curves.precision_by_recall, 50, 0.95, 7) for number in (1000, 50_000)
    )
    again = curves.with_band(counted(*_rows(1000)), curves.precision_by_recall, 50, 0.95, 7)

    inner = slice(10, 90)
    assert (many.high - many.low)[inner].mean() * 4 < (few.high - few.low)[inner].mean()
    np.testing.assert_array_equal(few.low, again.low)


@pytest.mark.parametrize(("positives", "rows"), [(0, 7), (1, 7), (50, 100), (7, 7), (3, 100_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_of_proportions_are_those_of_scipy(positives: int, rows: int, confidence: float) -> None:
    expected = binomtest(positives, rows).proportion_ci(confidence, method="wilson")

    assert curves.wilson(positives, rows, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bins_hold_equally_many_rows_and_lie_inside_their_intervals() -> None:
    found = counted(*_rows(5000))

    bins = curves.bins(found, 0.95)

    assert sum(each.rows for each in bins) == 5000
    assert max(abs(each.rows - 500) for each in bins) < 20
    assert all(each.low < each.share < each.high for each in bins)
    assert [each.score for each in bins] == sorted(each.score for each in bins)


def test_a_histogram_is_each_class_in_bins_of_equal_width() -> None:
    scores, labels = _rows(5000)

    positives, negatives = curves.histogram(counted(scores, labels), 0.5, 10)

    inside = np.minimum(scores, 0.4999)
    for shares, label in ((positives, 1), (negatives, 0)):
        expected = np.histogram(inside[labels == label], 10, (0, 0.5))[0] / (labels == label).sum()
        np.testing.assert_allclose(shares, expected, atol=0.002)  # scores are on a grid
        assert shares.sum() == pytest.approx(1)


@pytest.mark.slow
def test_operating_points_are_the_confusions_of_scikit_learn() -> None:
    scores, labels = _rows(5000)
    scores = np.round(scores * GRID) / GRID

    points = {at.name: at for at in curves.operating_points(counted(scores, labels))}

    for at in points.values():
        table = reference.confusion_matrix(labels, scores >= at.threshold)
        assert [[at.true_negatives, at.false_positives], [at.false_negatives, at.true_positives]] == table.tolist()
        assert at.recall == pytest.approx(reference.recall_score(labels, scores >= at.threshold))
        assert at.precision == pytest.approx(
            reference.precision_score(labels, scores >= at.threshold, zero_division=np.nan), nan_ok=True
        )
    assert points["one half"].threshold == 0.5
    assert points["the prevalence"].threshold == pytest.approx(labels.mean())
    best = max(reference.f1_score(labels, scores >= threshold) for threshold in np.unique(scores)[::7])
    at = points["the best F1"]
    assert reference.f1_score(labels, scores >= at.threshold) >= best
    assert [round(at.flagged_share, 3) for at in list(points.values())[3:]] == [0.01, 0.05, 0.1]


def test_rows_of_one_score_are_flagged_together() -> None:
    tied = Scored(np.array([0.25, 0.75]), np.array([10, 5]), np.array([30, 5]))

    top = curves.operating_points(tied)[-1]

    assert (top.name, top.threshold, top.flagged) == ("the top 10\N{NO-BREAK SPACE}%", 0.75, 10)
    assert top.flagged_share == 0.2


def test_no_row_flagged_has_no_precision() -> None:
    low = Scored(np.array([0.1, 0.2]), np.array([1, 1]), np.array([5, 5]))

    at = curves.operating_points(low)[0]

    assert (at.flagged, at.recall) == (0, 0.0)
    assert np.isnan(at.precision)


def _rows(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated scores and their labels, one in six positive."""
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(random.normal(size=number) - 2)))
    return scores, (random.random(number) < scores).astype(int)
