"""One of two values: which parts of the validation rows are judged apart."""

from __future__ import annotations

import numpy as np
import pytest

from spark_lib.problems.binary import Binary
from spark_lib.problems.metrics import Scored, counted

LATE = Binary("late", ("in time",))


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
