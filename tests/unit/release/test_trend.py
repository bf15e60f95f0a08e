"""A feature that moves within the training window, and what a day is then compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from spark_lib.release import counting, trend
from spark_lib.release.check import Check, Outcome
from spark_lib.release.figures import Figures
from spark_lib.release.judging import judge
from spark_lib.release.sketch import Column, Reference, Sketches
from tests.unit.release.test_judging import LIMITS

WINDOW = np.arange(28.0)


def window(a_day: float, seed: int = 0, rows: int = 100) -> tuple[Column, np.ndarray]:
    """A normal feature whose mean moves by so many standard deviations a day, on the 28 days of a window."""
    days = np.repeat(WINDOW, rows)
    values = np.random.default_rng(seed).standard_normal(len(days)) + a_day * (days - days.mean())
    return column(values, days), values


def column(values: np.ndarray, days: np.ndarray) -> Column:
    found = counting.of_numbers(values)
    return replace(found, trend=trend.slopes(counting.bins_of_numbers(found.cut, values), found.cut.bins, days))


def test_a_feature_that_does_not_move_has_no_trend_but_by_chance() -> None:
    found = [bool(window(0.0, seed)[0].trend) for seed in range(1000)]

    assert sum(found) <= 25  # 10 on average; a binomial count exceeds 25 once in 100,000 times


def test_the_slopes_are_those_of_least_squares_and_add_up_to_nothing() -> None:
    days = np.repeat(WINDOW, 50)
    bins = (np.arange(len(days)) % 50 < days).astype(int)  # the share of bin 1 grows by a fiftieth each day

    found = trend.slopes(bins, 2, days)

    assert found == pytest.approx((-0.02, 0.02), rel=1e-9)


@pytest.mark.parametrize("rows", [0, 1])
def test_without_two_days_there_is_no_trend(rows: int) -> None:
    assert trend.slopes(np.zeros(rows, int), 3, np.zeros(rows)) == ()


def test_the_path_leads_from_the_reference_to_where_the_feature_will_be() -> None:
    moving, _ = window(0.03)

    places = np.array(trend.path(moving, 30))

    assert places[0].tolist() == list(moving.sketch.counts)
    assert places.sum(axis=1) == pytest.approx(places[0].sum())
    assert (np.diff(places[:, 1]) <= 0).all() and places[-1, 1] < places[0, 1] / 2  # the lowest tenth empties
    assert places.min() >= 0


@pytest.mark.parametrize(
    ("moved", "is_held"),
    [(0.0, False), (0.45, False), (0.9, False), (1.9, True), (-1.0, True)],
    ids=["stood still", "half of the way", "the whole way", "a standard deviation more", "the other way"],
)
def test_a_day_on_the_path_is_released_and_one_that_left_it_is_held(moved: float, is_held: bool) -> None:
    moving, _ = window(0.03)
    day = np.random.default_rng(9).standard_normal(5_000) + moved

    assert ("psi of feature f" in failed(judged(moving, day, 30))) == is_held


def test_without_a_trend_the_same_way_holds_the_day() -> None:
    moving, _ = window(0.03)
    day = np.random.default_rng(9).standard_normal(5_000) + 0.9

    assert failed(judged(replace(moving, trend=()), day, 30)) == ["psi of feature f"]


def test_the_words_say_what_the_day_was_compared_with() -> None:
    moving, _ = window(0.03)

    (check,) = [each for each in judged(moving, np.full(5_000, 9.0), 30) if each.name == "psi of feature f"]

    assert "against where the trend of the model's window leads in 30 days, the bound is 0.200" in check.words


def judged(feature: Column, day: np.ndarray, days: int) -> list[Check]:
    reference = Reference({}, {"f": feature}, date(2026, 1, 1))
    sketch = counting.sketch(counting.count_numbers(feature.cut, day))
    figures = Figures(date(2026, 1, 1) + timedelta(days=days), "run", len(day), "m", {}, Sketches({}, {"f": sketch}))
    return judge(figures, reference, [], LIMITS)


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.outcome is Outcome.FAILED]
