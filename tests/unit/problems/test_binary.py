"""One of two values: which parts of the validation rows are judged apart, and what a threshold makes of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from spark_lib.models.calibration import NONE
from spark_lib.models.training_set import SIDES, TrainingSet
from spark_lib.problems import decision
from spark_lib.problems.binary import Binary
from spark_lib.problems.metrics import Scored, counted

LATE = Binary("late", ("in time",))
SETTINGS: dict[str, Any] = {"bootstrap_replicates": 200, "confidence": 0.95, "seed": 0}


def rows(positives: int, negatives: int, groups: int = 200) -> Scored:
    """Scored rows of so many groups of entities."""
    number = positives + negatives
    scores = np.random.default_rng(0).random(number)
    return counted(scores, np.arange(number) < positives, np.arange(number) % groups)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (rows(0, 80), "one class: no positive row"),
        (rows(80, 0), "one class: no negative row"),
        (rows(9, 80), "too few: 9 positive rows, it takes 10 of each class"),
        (rows(80, 3), "too few: 3 negative rows, it takes 10 of each class"),
        (rows(40, 40, groups=9), "too few entities: they make 9 of 200 groups, an interval takes 10"),
        (rows(10, 10, groups=10), ""),
    ],
)
def test_a_part_of_the_rows_is_judged_apart_where_it_has_both_classes_and_enough_entities(
    part: Scored, reason: str
) -> None:
    assert LATE.too_few_apart(part) == reason


def test_of_rows_that_are_drawn_one_by_one_no_entities_are_asked_for() -> None:
    scores = np.random.default_rng(0).random(40)

    assert LATE.too_few_apart(counted(scores, np.arange(40) < 20)) == ""


def test_the_outcomes_of_a_part_are_told_by_its_prevalence() -> None:
    assert LATE.outcomes_of(rows(10, 30)) == {"prevalence": 0.25}


def drawn(number: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a hundred values, and labels that are positive with that probability."""
    random = np.random.default_rng(1)
    scores = np.round(random.random(number), 2)
    return scores, (random.random(number) < scores).astype(int)


def test_at_a_threshold_rows_are_counted_as_scikit_learn_counts_them_those_on_it_as_positive() -> None:
    scores, labels = drawn()
    predicted = scores >= 0.3

    found = decision.at_threshold(counted(scores, labels, np.arange(len(scores)) % 200), 0.3, SETTINGS)

    assert (scores == 0.3).any()
    (true_negatives, false_positives), (false_negatives, true_positives) = confusion_matrix(labels, predicted)
    assert (found["true_positives"], found["false_positives"]) == (true_positives, false_positives)
    assert (found["false_negatives"], found["true_negatives"]) == (false_negatives, true_negatives)
    assert found["precision"] == pytest.approx(precision_score(labels, predicted))
    assert found["recall"] == pytest.approx(recall_score(labels, predicted))
    assert found["false_positive_rate"] == pytest.approx(predicted[labels == 0].mean())
    assert found["flagged"] == pytest.approx(predicted.mean())
    for name, (low, high) in found["intervals"].items():
        assert low < found[name] < high < low + 0.15


def test_an_interval_at_a_threshold_draws_whole_groups_of_entities() -> None:
    scores, labels = drawn()
    alike = np.repeat(np.arange(20), 100)
    scores, labels = scores[alike], labels[alike]  # twenty rows, each a hundred times

    together = decision.at_threshold(counted(scores, labels, alike), 0.3, SETTINGS)["intervals"]["recall"]
    apart = decision.at_threshold(counted(scores, labels, np.arange(2_000) % 200), 0.3, SETTINGS)["intervals"]["recall"]

    assert together[1] - together[0] > 3 * (apart[1] - apart[0])


def test_without_a_positive_prediction_there_is_no_precision() -> None:
    scores, labels = drawn()

    found = decision.at_threshold(counted(scores / 2, labels), 0.9, SETTINGS)

    assert (found["precision"], found["intervals"]["precision"]) == (None, None)
    assert (found["recall"], found["intervals"]["recall"], found["true_positives"]) == (0.0, (0.0, 0.0), 0)


def test_rows_are_measured_at_a_threshold_only_where_one_is_set() -> None:
    part = rows(50, 150)

    assert "at_threshold" not in LATE.measured(part, part, SETTINGS | {"decision.threshold": None})
    assert LATE.measured(part, part, SETTINGS | {"decision.threshold": 0.5})["at_threshold"]["threshold"] == 0.5


def test_predictions_have_a_boolean_beside_the_score_only_where_a_threshold_is_set() -> None:
    scores = np.array([0.1, 0.4, 0.9])
    without, with_one = LATE.predictions(NONE), LATE.predictions(NONE, {"threshold": 0.4})

    assert (without.schema, list(without.columns(scores))) == ((("score", "double"),), ["score"])
    assert with_one.schema == (("score", "double"), ("prediction", "boolean"))
    columns = with_one.columns(scores)
    assert columns["prediction"].tolist() == [False, True, True]
    assert np.array_equal(columns["score"], scores)


def test_predictions_are_counted_by_their_value_as_json_has_it() -> None:
    with_one = LATE.predictions(NONE, {"threshold": 0.4})
    one, other = with_one.distribution(), with_one.distribution()
    one.add(with_one.columns(np.array([0.1, 0.4, 0.9])))
    other.add(with_one.columns(np.array([0.2])))

    one.merge(other)

    assert one.figures()["classes"] == {"false": 2, "true": 2}


def test_a_prevalence_is_the_proportion_of_positives_and_none_without_a_row() -> None:
    sides = {"train": {"positive": 10, "negative": 90}, "calibration": {"positive": 0, "negative": 0}}

    assert LATE.prevalences(sides) == {"train": 0.1, "calibration": None}


def test_rows_that_judge_out_of_time_are_told_with_their_positives() -> None:
    told = {"rows": 1_200, **LATE.told({"positive": 70, "negative": 1_130})}

    assert told == {"rows": 1_200, "positives": 70}
    assert LATE.in_words(told) == "1,200 rows, 70 positive"


def test_the_calibration_of_a_training_is_the_one_that_is_chosen() -> None:
    settings = {"calibration": "platt", "balancing": "none"}
    sides = {name: {"positive": 200, "negative": 300} for name in SIDES}
    on, counts = rows(200, 300), TrainingSet(sides, balanced=sides["train"], weights=dict.fromkeys(sides["train"], 1.0))

    back, _ = LATE.chosen(settings, on, counts)

    assert back["kind"] == "platt"
    assert LATE.fitted(settings, on, counts) == back
