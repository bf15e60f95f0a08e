"""Which calibration the rows of the calibration split support."""

from __future__ import annotations

import numpy as np
import pytest

from spark_lib.models.calibration import apply
from spark_lib.problems import calibration_fit, metrics
from spark_lib.problems.calibration_fit import FOLDS, Tried, chosen, simplest, tried_out
from spark_lib.problems.metrics import Scored, by_score, counted

KINDS = ("prior", "shift", "platt", "isotonic")
#: Trained on as many of each class as there are: a correction of the prior then changes nothing.
EQUAL = {"positive": 1, "negative": 1}


def rows(
    number: int, intercept: float = 0.0, slope: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels and groups of entities: the log-odds of the truth are ``slope`` times those of the score, plus
    ``intercept``. There are few distinct scores, so that fitting is quick."""
    random = np.random.default_rng(seed)
    log_odds = np.round(random.normal(-1.5, 1.5, number), 1)
    truth = 1 / (1 + np.exp(-(slope * log_odds + intercept)))
    labels = (random.random(number) < truth).astype(int)
    return 1 / (1 + np.exp(-log_odds)), labels, random.integers(0, 200, number)


def choice(found: Scored, kinds: tuple[str, ...] = KINDS) -> str:
    kind: str = chosen(kinds, found, EQUAL, EQUAL)[0]["kind"]
    return kind


@pytest.mark.parametrize(
    ("number", "intercept", "slope", "kind"),
    [
        (20_000, 0.0, 1.0, "prior"),
        (20_000, -0.6, 1.0, "shift"),
        (20_000, -0.6, 1.8, "platt"),
    ],
)
def test_the_simplest_calibration_that_the_rows_support_is_chosen(
    number: int, intercept: float, slope: float, kind: str
) -> None:
    assert choice(counted(*rows(number, intercept, slope))) == kind


@pytest.mark.slow
def test_few_rows_that_need_no_calibration_mostly_get_none_and_never_a_step_curve() -> None:
    found = [choice(counted(*rows(100, seed=seed))) for seed in range(20)]

    assert found.count("prior") >= 12
    assert "isotonic" not in found


def test_a_step_curve_is_chosen_where_no_logistic_curve_fits() -> None:
    scores, _, groups = rows(20_000)
    labels = (np.random.default_rng(1).random(len(scores)) < np.where(scores < 0.3, 0.05, 0.6)).astype(int)

    assert choice(counted(scores, labels, groups)) == "isotonic"


def test_what_is_chosen_is_what_that_kind_alone_would_be() -> None:
    found = counted(*rows(20_000, -0.6, 1.8))

    back, _ = chosen(KINDS, found, EQUAL, EQUAL)

    assert back == calibration_fit.platt(found)


def test_each_kind_is_measured_on_rows_of_entities_that_it_was_not_fitted_on() -> None:
    """By the same sum, written down plainly."""
    scores, labels, groups = rows(3_000, -0.6, 1.8)
    folds = np.unique(groups, return_inverse=True)[1] % FOLDS
    lost = {kind: np.zeros(len(scores)) for kind in KINDS}
    for fold in range(FOLDS):
        inside = folds == fold
        outside = counted(scores[~inside], labels[~inside])
        for kind in KINDS:
            back = calibration_fit.fitted(kind, outside, EQUAL, EQUAL)
            p = apply(back, np.round(scores[inside] * 2**20) / 2**20)
            lost[kind][inside] = -np.log(np.where(labels[inside] == 1, p, 1 - p))
    best = min(KINDS[:3], key=lambda kind: lost[kind].mean())

    found = tried_out(KINDS, counted(scores, labels, groups), EQUAL, EQUAL)

    for each in found:
        more = lost[each.kind] - lost[best]
        of_folds = np.array([more[folds == fold].sum() - more.mean() * (folds == fold).sum() for fold in range(FOLDS)])
        error = np.sqrt((of_folds**2).sum() * FOLDS / (FOLDS - 1)) / len(scores)
        assert each.log_loss == pytest.approx(lost[each.kind].mean())
        assert each.behind == pytest.approx(more.mean(), abs=1e-12)
        assert each.standard_error == pytest.approx(error, abs=1e-12)


def test_the_order_of_rows_changes_neither_figures_nor_choice() -> None:
    scores, labels, groups = rows(5_000, -0.3, 1.3)
    order = np.random.default_rng(2).permutation(len(scores))

    one = chosen(KINDS, counted(scores, labels, groups), EQUAL, EQUAL)
    other = chosen(KINDS, counted(scores[order], labels[order], groups[order]), EQUAL, EQUAL)

    assert one == other


def test_rows_of_one_entity_are_never_on_two_sides() -> None:
    """A hundred equal rows of each entity: a curve that saw its copies would win by far."""
    scores, labels, groups = (np.repeat(values, 100) for values in rows(60))

    assert choice(counted(scores, labels, groups)) == "prior"


@pytest.mark.parametrize("groups", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_where_other_entities_have_one_class_only_nothing_is_tried(groups: list[int]) -> None:
    found = counted(np.array([0.1, 0.2, 0.6, 0.7]), np.array([0, 0, 1, 1]), np.array(groups))

    back, tried = chosen(("none", "shift"), found, EQUAL, EQUAL)

    assert (back["kind"], tried) == ("none", ())


def test_one_kind_is_fitted_and_nothing_is_tried() -> None:
    scores, labels, _ = rows(100)

    back, tried = chosen(("platt",), counted(scores, labels), EQUAL, EQUAL)

    assert (back["kind"], tried) == ("platt", ())


@pytest.mark.parametrize(
    ("behind", "kind"),
    [
        ({"prior": 0.4, "shift": 0.0, "isotonic": -0.9}, "prior"),
        ({"prior": 0.6, "shift": 0.0, "isotonic": -0.9}, "shift"),
        ({"prior": 0.6, "shift": 0.0, "isotonic": -1.1}, "isotonic"),
        ({"shift": 0.6, "platt": 0.0, "isotonic": 0.0}, "platt"),
    ],
)
def test_a_simpler_kind_may_be_half_an_error_behind_and_a_step_curve_has_to_be_one_ahead(
    behind: dict[str, float], kind: str
) -> None:
    assert simplest([Tried(name, 0.2 + of, of, 1.0 if of else 0.0) for name, of in behind.items()]) == kind


def test_rows_without_groups_are_not_cross_validated() -> None:
    with pytest.raises(ValueError, match=r"^cross-validation needs the groups of the rows$"):
        chosen(KINDS, counted(*rows(100)[:2]), EQUAL, EQUAL)


def test_a_shift_makes_the_mean_probability_the_prevalence() -> None:
    found = counted(*rows(5_000, -2.0, 0.7))

    back = calibration_fit.shift(found)

    after = calibration_fit.calibrated(back, found)
    assert float((after.scores * after.rows).sum() / after.rows.sum()) == pytest.approx(found.prevalence, rel=1e-9)
    assert metrics.area_under_roc(after) == metrics.area_under_roc(found)


@pytest.mark.parametrize("scores", [[0.3], [0.0, 1.0], [0.0, 0.5, 1.0], [1e-6, 1e-5]])
def test_a_shift_of_a_few_extreme_scores_is_found_as_well(scores: list[float]) -> None:
    found = by_score(np.array(scores), np.full(len(scores), 3), np.full(len(scores), 7))

    after = calibration_fit.calibrated(calibration_fit.shift(found), found)

    assert float((after.scores * after.rows).sum() / after.rows.sum()) == pytest.approx(0.3)


def test_a_shift_of_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a shift needs rows of both classes$"):
        calibration_fit.shift(counted(np.array([0.1, 0.2]), np.array([0, 0])))
