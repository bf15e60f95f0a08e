"""Several classes: metrics as others compute them, a temperature that calibrates, and what workers make of outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from spark_lib.errors import ConfigurationError, ModelError
from spark_lib.models.training_set import SIDES, TrainingSet
from spark_lib.problems import multiclass, outputs
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.outputs import Outputs

FOOD = Multiclass(("bread", "fruit", "other"))
SETTINGS: dict[str, Any] = {
    "balancing": "none",
    "calibration": "auto",
    "calibration_proportion": 0.1,
    "bootstrap_replicates": 200,
    "confidence": 0.95,
    "seed": 0,
    "champion_margin": 0.05,
    "min_labelled": 200,
}


def drawn(rows: int, seed: int = 0, classes: int = 3, heat: float = 1.0) -> Outputs:
    """Rows whose labels are drawn from a law, with the probabilities of that law, made surer where ``heat`` is below
    1."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 1.5
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).astype(np.float64)
    given = np.exp(logits / heat)
    return Outputs(given / given.sum(axis=1, keepdims=True), labels, np.arange(rows) % 200)


def test_metrics_are_those_of_scikit_learn() -> None:
    found = drawn(3_000)

    measured = FOOD.measured(found, found, SETTINGS)

    likeliest = found.values.argmax(axis=1)
    assert measured["accuracy"] == pytest.approx(accuracy_score(found.labels, likeliest))
    assert measured["macro_f1"] == pytest.approx(f1_score(found.labels, likeliest, average="macro"))
    assert measured["log_loss"] == pytest.approx(log_loss(found.labels, found.values))
    for name, (low, high) in measured["intervals"].items():
        assert low <= measured[name] <= high


def test_scores_that_are_probabilities_have_a_small_calibration_error_and_surer_ones_a_large_one() -> None:
    errors = [
        FOOD.measured(found, found, SETTINGS)["calibration_error"] for found in (drawn(20_000), drawn(20_000, heat=0.4))
    ]

    assert errors[0] < 0.015
    assert errors[1] > 0.08


def test_a_class_that_a_draw_misses_is_left_out_of_that_draw() -> None:
    found = drawn(300)
    labels = found.labels.copy()
    labels[labels == 2] = 0
    labels[0] = 2  # one row, in one group of 200: most draws of groups miss it in a third of the cases
    rare = Outputs(found.values, labels, found.groups)

    low, high = FOOD.measured(rare, rare, SETTINGS)["intervals"]["macro_f1"]

    assert not math.isnan(low)
    assert low < high


@pytest.mark.parametrize("heat", [0.3, 1.0, 2.5])
def test_the_temperature_of_a_law_is_found_again(heat: float) -> None:
    back = FOOD.fitted(SETTINGS, drawn(40_000, heat=heat), counts(100, 100, 100))

    assert back["temperature"] == pytest.approx(1 / heat, rel=0.05)
    assert back["odds"] == [1.0, 1.0, 1.0]
    after = FOOD.calibrated(back, drawn(10_000, seed=1, heat=heat))
    assert FOOD.measured(after, after, SETTINGS)["calibration_error"] < 0.02


def test_undersampled_scores_are_corrected_by_the_priors_before_the_temperature() -> None:
    natural, trained = np.array([0.8, 0.15, 0.05]), np.full(3, 1 / 3)
    truth = drawn(30_000).values
    sampled = truth * trained / natural
    sampled /= sampled.sum(axis=1, keepdims=True)
    rows = TrainingSet(
        {"train": {"bread": 800, "fruit": 150, "other": 50}},
        balanced={"bread": 50, "fruit": 50, "other": 50},
        weights={"bread": 1.0, "fruit": 1.0, "other": 1.0},
    )

    back = FOOD.fitted({**SETTINGS, "balancing": "undersample", "calibration": "prior"}, None, rows)

    assert np.allclose(multiclass.apply(back, sampled), truth)


def test_a_calibration_of_another_kind_is_left_to_a_newer_version() -> None:
    with pytest.raises(ModelError) as caught:
        multiclass.apply({"kind": "dirichlet"}, np.zeros((1, 3)))

    assert str(caught.value) == (
        "card.json: wanted a calibration of one of the kinds none, temperature; found 'dirichlet'. "
        "Next: score with a newer Daystone"
    )


def test_predictions_name_the_likeliest_class_and_give_all_scores_where_asked_for() -> None:
    given = np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])

    found = Multiclass(FOOD.values, all_scores=True).predictions({"kind": "none"})
    columns = found.columns(given)

    assert found.schema == (("prediction", "string"), ("score", "double"), ("scores", "array<double>"))
    assert columns["prediction"].to_pylist() == ["fruit", "bread"]
    assert columns["score"].tolist() == [0.7, 0.5]
    assert columns["scores"].to_pylist() == given.tolist()
    assert not found.senseless(columns).any()
    assert found.senseless(found.columns(np.full((1, 3), np.nan))).all()
    assert FOOD.predicted == found.schema[:2]


def test_of_no_rows_there_are_no_predictions() -> None:
    columns = FOOD.predictions({"kind": "none"}).columns(np.zeros((0, 3)))

    assert [len(values) for values in columns.values()] == [0, 0]


def test_a_manifest_says_how_many_rows_each_class_was_predicted_for() -> None:
    found = FOOD.predictions({"kind": "none"})
    distribution = found.distribution()

    distribution.add(found.columns(np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])))
    distribution.add(found.columns(np.array([[0.1, 0.8, 0.1]])))

    figures = distribution.figures()
    assert figures["classes"] == {"bread": 1, "fruit": 2}
    assert (figures["least"], figures["greatest"]) == (0.5, 0.8)


def counts(bread: int, fruit: int, other: int, validation: int = 100, calibration: int = 100) -> TrainingSet:
    sides = {"train": {"bread": bread, "fruit": fruit, "other": other}}
    sides |= {
        side: {"bread": rows, "fruit": 0, "other": 0}
        for side, rows in (("calibration", calibration), ("validation", validation))
    }
    return TrainingSet(sides, balanced=sides["train"], weights=dict.fromkeys(sides["train"], 1.0))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (counts(90, 0, 9), "a class without rows: none of 'fruit' among the 99 labelled rows of the train split"),
        (counts(90, 9, 9, validation=3), "too few to judge by: 3 validation rows, it takes 10"),
        (counts(90, 9, 9, calibration=9), "too few to calibrate by: 9 calibration rows, it takes 10"),
        (counts(50, 9, 9, 20, 20), "too few rows with an outcome: 108 in the window, min_labelled is 200"),
        (counts(90, 9, 9), ""),
    ],
)
def test_rows_that_prove_nothing_are_inconclusive(found: TrainingSet, reason: str) -> None:
    assert FOOD.too_few(found, SIDES, SETTINGS) == reason


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"balancing": "smote"},
            "[training] balancing: wanted one of none, class_weight, undersample, oversample, for a label of this kind "
            "(multiclass); found 'smote'. Next: correct it",
        ),
        (
            {"calibration": "platt"},
            "[training] calibration: wanted one of auto, none, prior, temperature, for a label of this kind "
            "(multiclass); found 'platt'. Next: correct it",
        ),
        (
            {"calibration": "prior", "balancing": "class_weight"},
            "[training] calibration: wanted temperature, none or auto with balancing = class_weight; found prior, which is "
            "exact only where rows are drawn at random (undersample, oversample). Next: correct one of the two",
        ),
        (
            {"calibration_proportion": 0.0},
            "[training] calibration_proportion: wanted above 0 with calibration = auto: the temperature is fitted on rows of "
            "its own; found 0. Next: set it to 0.1, or choose calibration = none",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FOOD.check(SETTINGS | settings)

    assert str(caught.value) == message


def test_the_confusion_counts_rows_by_class_and_by_what_they_are_taken_for() -> None:
    found = Outputs(np.eye(3)[[0, 1, 1, 2]], np.array([0.0, 0.0, 1.0, 2.0]), np.zeros(4, np.intp))

    assert multiclass.confusion(found).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_a_model_that_is_clearly_worse_loses_by_a_share_of_the_log_loss() -> None:
    good, bad = drawn(5_000), drawn(5_000, heat=0.3)
    losses = [found.by_group(multiclass._losses(found.values, found.labels)) for found in (bad, good)]

    found = outputs.compared_by_error("log loss", losses, lambda mean: mean, SETTINGS, "the model of 2026-01-05")

    assert found.loses
    assert found.difference > 0.05
    assert found.words.startswith(f"log loss {found.difference:+.2%} against the model of 2026-01-05 (")
    same = outputs.compared_by_error("log loss", [losses[1]] * 2, lambda mean: mean, SETTINGS, "itself")
    assert (same.difference, same.interval, same.loses) == (0.0, (0.0, 0.0), False)


@pytest.mark.parametrize("errors_of_the_older", [[0.0] * 20, [1e-300] + [0.0] * 19])
def test_a_model_with_errors_loses_to_one_with_none_or_hardly_any_by_a_share_that_a_manifest_can_hold(
    errors_of_the_older: list[float],
) -> None:
    errors = [np.ones(20), np.array(errors_of_the_older)]

    found = outputs.compared_by_error("RMSE", errors, math.sqrt, SETTINGS, "itself")

    assert (found.difference, found.interval, found.loses) == (1_000.0, (1_000.0, 1_000.0), True)
    assert found.words == "RMSE +100000.00% against itself (+100000.00% to +100000.00%), champion_margin 0.05"


def test_of_two_models_without_any_error_none_loses() -> None:
    found = outputs.compared_by_error("RMSE", [np.zeros(20)] * 2, math.sqrt, SETTINGS, "itself")

    assert (found.difference, found.interval, found.loses) == (0.0, (0.0, 0.0), False)


def labelled(*labels: int, groups: int = 200) -> Outputs:
    """Rows with these labels, of so many groups of entities."""
    number = len(labels)
    return Outputs(np.full((number, 3), 1 / 3), np.array(labels, np.float64), np.arange(number) % groups)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (labelled(*[0, 1, 2] * 3), "too few: 9 rows, it takes 10"),
        (labelled(*[1] * 30), "one class: every row is 'fruit'"),
        (labelled(*[0, 1] * 30, groups=4), "too few entities: they make 4 of 200 groups, an interval takes 10"),
        (labelled(*[0, 1] * 5), ""),
    ],
)
def test_a_part_of_the_rows_is_judged_apart_where_it_has_two_classes_and_enough_entities(
    part: Outputs, reason: str
) -> None:
    assert FOOD.too_few_apart(part) == reason


def test_the_outcomes_of_a_part_are_told_by_the_proportion_of_each_class() -> None:
    assert FOOD.outcomes_of(labelled(0, 0, 0, 2)) == {"bread": 0.75, "fruit": 0.0, "other": 0.25}


def test_classes_have_no_prevalence_whatever_they_are_called() -> None:
    moods = Multiclass(("positive", "neutral", "negative"))

    assert moods.prevalences({"train": {"positive": 1, "neutral": 1, "negative": 1}}) == {}
    assert moods.in_words({"rows": 3, **moods.told({"positive": 1, "neutral": 1, "negative": 1})}) == "3 rows"


@pytest.mark.parametrize(
    ("train", "judge", "reason"),
    [
        (
            {"bread": 50, "fruit": 0, "other": 9},
            {"bread": 50, "fruit": 5, "other": 9},
            "a class without rows out of time: none of 'fruit' that landed before the last fifth of the window's days",
        ),
        (
            {"bread": 50, "fruit": 1, "other": 9},
            {"bread": 8, "fruit": 0, "other": 1},
            "too few to judge out of time by: 9 rows that landed in the last fifth of the window's days, it takes 10",
        ),
        ({"bread": 50, "fruit": 1, "other": 9}, {"bread": 8, "fruit": 0, "other": 2}, ""),
    ],
)
def test_classes_are_judged_out_of_time_where_each_was_trained_on(
    train: dict[str, int], judge: dict[str, int], reason: str
) -> None:
    assert FOOD.too_few_out_of_time({"train": train, "judge": judge}, SETTINGS) == reason
