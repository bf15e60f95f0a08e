"""The figures of a training set, as manifests and cards have them."""

from __future__ import annotations

import json
from datetime import date

from spark_lib.models.training_set import Spread, TrainingSet

FOUND = TrainingSet(
    {
        "train": {"positive": 10, "negative": 90},
        "calibration": {"positive": 0, "negative": 0},
        "validation": {"positive": 3, "negative": 20},
    },
    labelled=123,
    unlabelled=7,
    on_two_sides=0,
    by_day={date(2026, 1, 1): (60, 7), date(2026, 1, 2): (63, 0)},
    balanced={"positive": 10, "negative": 10},
    weights={"positive": 1.0, "negative": 2.0},
    prevalences={"train": 0.1, "calibration": None, "validation": 3 / 23, "balanced": 0.5},
    spread={"age": Spread(100, 3.0, 3.0), "income": Spread(0, None, None), "debt": Spread(90, 0.0, 5.0, 1)},
)


def test_figures_survive_json() -> None:
    assert TrainingSet.of(json.loads(json.dumps(FOUND.document()))) == FOUND


def test_a_card_has_them_without_days_and_features() -> None:
    found = FOUND.summary()

    assert found["prevalences"] == {"train": 0.1, "calibration": None, "validation": 3 / 23, "balanced": 0.5}
    assert found.keys() == FOUND.document().keys() - {"by_day", "spread"}
    assert TrainingSet.of(found).sides == FOUND.sides


def test_excluded_rows_are_told_apart_from_unlabelled_ones_where_there_are_any() -> None:
    found = TrainingSet(labelled=10, unlabelled=2, excluded=5).summary()

    assert (found["unlabelled"], found["excluded"]) == (2, 5)
    assert TrainingSet.of(found).excluded == 5
    assert "excluded" not in FOUND.document()


def test_what_a_later_version_adds_is_ignored() -> None:
    assert TrainingSet.of(FOUND.document() | {"drift": [1, 2]}) == FOUND


def test_rows_weigh_what_their_class_does() -> None:
    assert FOUND.trained_on == {"positive": 10.0, "negative": 20.0}


def test_a_column_with_one_value_is_constant_and_one_without_any_is_null() -> None:
    assert (FOUND.constant_features, FOUND.null_features) == ({"age": 3.0}, ["income"])


def test_a_split_without_rows_says_nothing_of_its_columns() -> None:
    found = TrainingSet(spread={"age": Spread(0, None, None)})

    assert (found.constant_features, found.null_features) == ({}, [])
