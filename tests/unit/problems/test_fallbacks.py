"""What each kind of problem says of a row of which nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.models.card import Card
from spark_lib.models.training_set import TrainingSet
from spark_lib.problems import fallbacks
from spark_lib.problems.binary import Binary
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.problem import Problem
from spark_lib.problems.regression import Regression

BINARY, NUMBER = Binary("bad", ("good",)), Regression(0, None)
CLASSES, ALL = Multiclass(("bread", "fruit", "other")), Multiclass(("bread", "fruit", "other"), True)


def card(sides: dict[str, dict[str, int]] | None = None, **metrics: float) -> Card:
    rows = TrainingSet(sides=sides or {}, balanced={"positive": 5, "negative": 5})
    return Card({}, {}, "who", {"kind": "none"}, rows, {}, {}, metrics=metrics)


def test_the_prior_is_that_of_the_training_rows_before_balancing() -> None:
    binary = card({"train": {"positive": 1, "negative": 7}, "validation": {"positive": 4, "negative": 4}})
    classes = card({"train": {"bread": 1, "fruit": 5, "other": 2}})

    assert BINARY.prior(binary) == {"score": 0.125}
    assert CLASSES.prior(classes) == {"prediction": "fruit", "score": 0.625}
    assert ALL.prior(classes) == {"prediction": "fruit", "score": 0.625, "scores": [0.125, 0.625, 0.25]}
    assert NUMBER.prior(card(mean_outcome=17.5)) == {"prediction": 17.5}


@pytest.mark.parametrize("problem", [BINARY, CLASSES, NUMBER])
def test_a_card_that_does_not_say_gives_no_prior(problem: Problem) -> None:
    assert problem.prior(card()) is None


def test_a_number_stands_where_the_problem_can_have_it() -> None:
    assert fallbacks.constant(BINARY, "0.25", "[lookup] fallback") == {"score": 0.25}
    assert fallbacks.constant(NUMBER, -3, "fallback") == {"prediction": -3.0}
    assert fallbacks.constant(CLASSES, "prior", "fallback") == fallbacks.constant(BINARY, "none", "fallback") == {}


@pytest.mark.parametrize(
    ("problem", "given", "words"),
    [
        (BINARY, "priors", "wanted prior, none or a number; found 'priors' (did you mean 'prior'?)"),
        (BINARY, "", "wanted prior, none or a number; found ''"),
        (BINARY, 1.5, "wanted a probability from 0 to 1; found 1.5"),
        (BINARY, "nan", "wanted a probability from 0 to 1; found nan"),
        (NUMBER, "inf", "wanted a finite number; found inf"),
        (CLASSES, "0.5", "wanted prior or none, because a number names no class; found 0.5"),
    ],
)
def test_another_fallback_is_refused(problem: Problem, given: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fallbacks.constant(problem, given, "[lookup] fallback")

    assert str(caught.value) == f"[lookup] fallback: {words}. Next: correct it"
