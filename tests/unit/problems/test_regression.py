"""Numbers: metrics as others compute them, and intervals that hold what they promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, reduce
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from spark_lib.errors import ConfigurationError, ModelError
from spark_lib.models.training_set import SIDES, TrainingSet
from spark_lib.problems.outputs import Outputs
from spark_lib.problems.regression import Regression
from tests.support.shared_data import shared_data

DAYS = Regression(0.0, 365.0)
SETTINGS: dict[str, Any] = {
    "balancing": "none",
    "calibration": "auto",
    "calibration_proportion": 0.1,
    "bootstrap_replicates": 200,
    "confidence": 0.95,
    "seed": 0,
    "coverage": 0.9,
    "min_coverage": None,
    "min_labelled": 200,
}
NOTHING = TrainingSet()


def drawn(rows: int, seed: int = 0, offset: float = 0.0) -> Outputs:
    """Numbers around a line, and what a model gives that knows the line."""
    random = np.random.default_rng(seed)
    line = random.random(rows) * 100
    return Outputs(line + offset, line + random.standard_t(4, rows) * 5 + offset, np.arange(rows) % 200)


def test_metrics_are_those_of_scikit_learn() -> None:
    found = drawn(2_000, offset=1e6)  # far from 0, where sums of squares would lose the digits that differ
    after = DAYS.calibrated(DAYS.fitted(SETTINGS, drawn(500, 1, 1e6), NOTHING), found)

    measured = DAYS.measured(after, found, SETTINGS)

    assert measured["rmse"] == pytest.approx(root_mean_squared_error(found.labels, found.values))
    assert measured["mae"] == pytest.approx(mean_absolute_error(found.labels, found.values))
    assert measured["r2"] == pytest.approx(r2_score(found.labels, found.values))
    inside = (found.labels >= after.values[:, 1]) & (found.labels <= after.values[:, 2])
    assert measured["coverage"] == pytest.approx(inside.mean())
    for name, (low, high) in measured["intervals"].items():
        assert low <= measured[name] * (1 + 1e-12)
        assert measured[name] <= high * (1 + 1e-12)


@pytest.mark.parametrize(("error", "r2"), [(0.0, 1.0), (0.5, 0.0)])
def test_where_all_outcomes_are_equal_r2_is_that_of_scikit_learn(error: float, r2: float) -> None:
    found = drawn(200)
    equal = replace(found, labels=np.full(200, 7.0), values=np.full(200, 7.0 + error))
    back = DAYS.fitted(SETTINGS, drawn(500, 1), NOTHING)

    measured = DAYS.measured(DAYS.calibrated(back, equal), equal, SETTINGS)

    assert measured["r2"] == r2 == r2_score(equal.labels, equal.values)
    assert measured["intervals"]["r2"] == (r2, r2)


def mean_within(n: int, m: int, coverage: float, seeds: int) -> tuple[float, float]:
    """The 99 % interval of the mean coverage of ``seeds`` independent draws of n calibration rows and m others.

    Where no two errors are equal and rows are exchangeable, all orders of the n + m errors are equally likely. So the
    number of the m that are at most the k-th of the n, with k = (n + 1) * coverage rounded up, is beta-binomial with
    the parameters m, k and n + 1 - k, exactly (Vovk 2012, proposition 2b; Angelopoulos and Bates 2021, section 3). The
    sum of independent ones has the convolution of their probabilities.
    """
    rank = math.ceil(round((n + 1) * coverage, 9))
    of_one = betabinom(m, rank, n + 1 - rank).pmf(np.arange(m + 1))
    of_sum = reduce(np.convolve, [of_one] * seeds)
    low, high = np.searchsorted(of_sum.cumsum(), [0.005, 0.995])
    return float(low) / (m * seeds), float(high) / (m * seeds)


def mean_coverage(coverage: float, draws: Iterable[tuple[Outputs, Outputs]]) -> float:
    """The mean over draws of the share of outcomes within their interval. A draw is rows to calibrate by, and others."""
    inside = []
    for on, others in draws:
        after = DAYS.calibrated(DAYS.fitted({**SETTINGS, "coverage": coverage}, on, NOTHING), others)
        inside.append(((after.labels >= after.values[:, 1]) & (after.labels <= after.values[:, 2])).mean())
    return float(np.mean(inside))


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_mean_coverage_of_twenty_seeds_is_that_of_split_conformal_intervals(coverage: float) -> None:
    n, m, seeds = 199, 500, 20

    found = mean_coverage(coverage, ((drawn(n, 2 * seed), drawn(m, 2 * seed + 1)) for seed in range(seeds)))

    low, high = mean_within(n, m, coverage, seeds)
    assert low <= found <= high


@cache
def limits() -> tuple[np.ndarray, np.ndarray]:
    """Credit-card clients, with the limit of their credit."""
    clients = pd.read_csv(shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz")
    by = clients[["AGE", "EDUCATION", *(f"{name}_AMT{month}" for name in ("BILL", "PAY") for month in range(1, 7))]]
    return by.to_numpy(np.float64), clients["LIMIT_BAL"].to_numpy(np.float64)


@cache
def days_to_repayment() -> tuple[np.ndarray, np.ndarray]:
    """Loans, with the days from their approval to their first repayment."""
    times = ["approveddate", "firstrepaiddate"]
    loans = pd.read_csv(shared_data("superlender") / "trainprevloans.csv.gz", parse_dates=times)
    by = loans[["loannumber", "loanamount", "totaldue", "termdays"]]
    days = (loans["firstrepaiddate"] - loans["approveddate"]).dt.total_seconds() / 86_400
    return by.to_numpy(np.float64), days.to_numpy()


@pytest.mark.parametrize("coverage", [0.5, 0.9])
@pytest.mark.parametrize("real", [limits, days_to_repayment])
def test_mean_coverage_of_twenty_draws_of_real_rows_is_that_of_split_conformal_intervals(
    real: Callable[[], tuple[np.ndarray, np.ndarray]], coverage: float
) -> None:
    """Drawn rows are exchangeable, whatever their days are. The model is fitted to rows that are never drawn."""
    n, m, seeds = 499, 500, 20
    features, outcomes = real()
    order = np.random.default_rng(0).permutation(len(outcomes))
    train, rest = order[:2_000], order[2_000:]
    said = LinearRegression().fit(features[train], outcomes[train]).predict(features[rest])
    of_rest = Outputs(said, outcomes[rest], np.zeros(len(rest), int))
    assert len(np.unique(np.abs(of_rest.labels - said))) > 0.99 * len(rest)

    def draw(seed: int) -> tuple[Outputs, Outputs]:
        places = np.random.default_rng(seed).permutation(len(rest))
        on, others = (
            Outputs(of_rest.values[those], of_rest.labels[those], of_rest.groups[those])
            for those in (places[:n], places[n : n + m])
        )
        return on, others

    found = mean_coverage(coverage, map(draw, range(1, seeds + 1)))

    low, high = mean_within(n, m, coverage, seeds)
    assert low <= found <= high


def test_the_gate_of_coverage_leaves_room_for_chance_unless_it_is_set() -> None:
    assert DAYS.bounds(SETTINGS)["min_coverage"] == pytest.approx(0.85)
    assert DAYS.bounds({**SETTINGS, "min_coverage": 0.9})["min_coverage"] == 0.9


def counts(train: int, calibration: int, validation: int) -> TrainingSet:
    return TrainingSet(
        {side: {"rows": rows} for side, rows in zip(SIDES, (train, calibration, validation), strict=True)}
    )


@pytest.mark.parametrize(
    ("found", "more", "reason"),
    [
        (counts(9, 90, 90), {}, "too few to train by: 9 train rows, it takes 10"),
        (counts(90, 9, 90), {}, "too few to calibrate by: 9 calibration rows, it takes 10"),
        (counts(900, 98, 90), {"coverage": 0.99}, "too few to calibrate by: 98 calibration rows, it takes 99"),
        (counts(90, 90, 9), {}, "too few to judge by: 9 validation rows, it takes 10"),
        (counts(90, 20, 20), {}, "too few rows with an outcome: 130 in the window, min_labelled is 200"),
        (counts(900, 99, 90), {"coverage": 0.99}, ""),
    ],
)
def test_rows_that_prove_nothing_are_inconclusive(found: TrainingSet, more: dict[str, float], reason: str) -> None:
    assert DAYS.too_few(found, SIDES, SETTINGS | more) == reason


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"balancing": "undersample"},
            "[training] balancing: wanted one of none, for a label of this kind (regression); found 'undersample'. "
            "Next: correct it",
        ),
        (
            {"calibration": "isotonic"},
            "[training] calibration: wanted one of auto, conformal, for a label of this kind (regression); "
            "found 'isotonic'. Next: correct it",
        ),
        (
            {"calibration_proportion": 0.0},
            "[training] calibration_proportion: wanted above 0: the interval of a number is made from the errors on rows of "
            "its own; found 0. Next: set it to 0.1",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DAYS.check(SETTINGS | settings)

    assert str(caught.value) == message


def test_predictions_are_the_number_and_the_ends_of_its_interval() -> None:
    found = DAYS.predictions({"kind": "conformal", "coverage": 0.9, "half_width": 2.5, "rows": 99})

    columns = found.columns(np.array([10.0, np.inf, np.nan], np.float32))

    assert found.schema == (("prediction", "double"), ("lower", "double"), ("upper", "double"))
    assert [columns[name][0] for name in ("prediction", "lower", "upper")] == [10.0, 7.5, 12.5]
    assert found.senseless(columns).tolist() == [False, True, True]


def test_a_calibration_of_another_kind_is_left_to_a_newer_version() -> None:
    with pytest.raises(ModelError) as caught:
        DAYS.predictions({"kind": "quantile"}).columns(np.zeros(1))

    assert str(caught.value) == (
        "card.json: wanted a calibration of the kind conformal; found 'quantile'. Next: score with a newer Daystone"
    )


def test_the_distribution_of_numbers_is_the_same_in_any_order_and_keeps_the_mean_of_large_ones() -> None:
    numbers = np.array([1e12 + 0.25, -3.5, 0.125, 1e12 + 0.25])
    one, other = DAYS.predictions({}).distribution(), DAYS.predictions({}).distribution()

    one.add({"prediction": numbers})
    for number in numbers[::-1]:
        other.add({"prediction": np.array([number])})

    assert one.figures() == other.figures()
    assert one.figures() == {"least": -3.5, "greatest": 1e12 + 0.25, "mean": (2e12 + 0.5 - 3.375) / 4}
    assert DAYS.predictions({}).distribution().figures() == {}


def test_bounds_are_shown_as_a_range() -> None:
    assert [str(Regression(*bounds)) for bounds in ((0.0, 365.0), (None, 1.5), (None, None))] == [
        "0 to 365",
        "any to 1.5",
        "any to any",
    ]


def outcomes(*labels: float, groups: int = 200) -> Outputs:
    """Rows with these outcomes, of so many groups of entities."""
    number = len(labels)
    return Outputs(np.zeros(number), np.array(labels), np.arange(number) % groups)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (outcomes(*range(9)), "too few: 9 rows, it takes 10"),
        (outcomes(*[2.5] * 30), "one outcome: every row has 2.5"),
        (outcomes(*range(30), groups=1), "too few entities: they make 1 of 200 groups, an interval takes 10"),
        (outcomes(*range(10)), ""),
    ],
)
def test_a_part_of_the_rows_is_judged_apart_where_its_outcomes_differ_and_it_has_enough_entities(
    part: Outputs, reason: str
) -> None:
    assert DAYS.too_few_apart(part) == reason


def test_the_outcomes_of_a_part_are_told_by_their_mean() -> None:
    assert DAYS.outcomes_of(outcomes(1.0, 2.0, 6.0)) == {"mean": 3.0}


@pytest.mark.parametrize(
    ("calibrate", "coverage", "reason"),
    [
        (
            98,
            0.99,
            "too few to calibrate out of time by: 98 rows that landed before the last fifth of the window's days, it takes 99",
        ),
        (
            9,
            0.5,
            "too few to calibrate out of time by: 9 rows that landed before the last fifth of the window's days, it takes 10",
        ),
        (99, 0.99, ""),
    ],
)
def test_numbers_are_judged_out_of_time_where_their_intervals_have_enough_rows(
    calibrate: int, coverage: float, reason: str
) -> None:
    rows = {"train": {"rows": 90}, "judge": {"rows": 10}, "calibrate": {"rows": calibrate}}

    assert DAYS.too_few_out_of_time(rows, {**SETTINGS, "coverage": coverage}) == reason
