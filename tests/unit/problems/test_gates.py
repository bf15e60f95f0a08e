"""Verdicts, and the words in which a person reads them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from spark_lib.models.card import APPROVED, Verdict, rejected
from spark_lib.models.training_set import TrainingSet
from spark_lib.problems import gates
from spark_lib.problems.binary import Binary

DAY = date(2026, 3, 10)
SIDES = ("train", "validation")
LATE = Binary("late", ("in time",))
LIMITS = {
    "min_positives": 10,
    "max_unlabelled": 0.01,
    "min_area_under_roc": 0.6,
    "min_area_under_pr": 0.3,
    "max_calibration_error": 0.1,
}


def counts(train_positive: int, train_negative: int, positive: int, negative: int, **more: Any) -> TrainingSet:
    figures = {
        "train": {"positive": train_positive, "negative": train_negative},
        "calibration": {"positive": 0, "negative": 0},
        "validation": {"positive": positive, "negative": negative},
        "labelled": train_positive + train_negative + positive + negative,
        "unlabelled": 0,
        "by_day": {},
    }
    return TrainingSet.of(figures | more)


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (counts(0, 1_234, 9, 9), "one class: no positive among the 1,234 labelled rows of the train split"),
        (counts(7, 0, 9, 9), "one class: no negative among the 7 labelled rows of the train split"),
        (counts(9, 9, 0, 5), "one class: no positive among the 5 labelled rows of the validation split"),
        (counts(9, 9, 5, 0), "one class: no negative among the 5 labelled rows of the validation split"),
        (counts(0, 0, 0, 0), "one class: no positive among the 0 labelled rows of the train split"),
        (counts(900, 5_000, 99, 800), "too few positives: 999 in the window, min_positives is 1,000"),
    ],
)
def test_data_that_cannot_judge_a_model_are_inconclusive(found: TrainingSet, detail: str) -> None:
    limits = LIMITS | {"min_positives": 1_000 if found.sides["train"]["positive"] == 900 else 0}

    assert gates.on_labels(LATE, found, limits, SIDES, DAY) == rejected("inconclusive", detail)


def test_as_many_positives_as_are_wanted_are_enough() -> None:
    found = counts(900, 5_000, 100, 800)

    assert gates.on_labels(LATE, found, LIMITS | {"min_positives": 1_000}, SIDES, DAY) == APPROVED


def test_a_calibration_split_of_one_class_matters_where_a_curve_is_fitted_on_it() -> None:
    found = counts(9, 9, 10, 10)

    assert LATE.too_few(found, SIDES, {"min_positives": 0}) == ""
    assert LATE.too_few(found, ("train", "calibration", "validation"), {"min_positives": 0}) == (
        "one class: no positive among the 0 labelled rows of the calibration split"
    )


def test_too_many_rows_without_an_outcome_name_the_delay_that_would_do() -> None:
    by_day = {"2026-03-01": [100, 0], "2026-03-02": [99, 1], "2026-03-03": [95, 5], "2026-03-04": [80, 20]}
    found = counts(90, 200, 40, 44, unlabelled=26, by_day=by_day)

    assert gates.on_labels(LATE, found, LIMITS, SIDES, DAY) == rejected(
        "unlabelled",
        "26 of the 400 rows of the window (6.5%) have no outcome, max_unlabelled is 1.0%; "
        "a label_delay_days of 7 would do, by the rows of this window",
    )
    # Then the newest rows landed on 2 March, a day before the one that is 7 days before the 10th.


def test_the_delay_that_would_do_is_the_smallest_though_days_are_missing() -> None:
    found = counts(90, 200, 40, 44, unlabelled=26, by_day={"2026-02-17": [374, 0], "2026-03-09": [0, 26]})

    assert "a label_delay_days of 1 would do" in gates.unlabelled(found, 0.01, DAY)


def test_a_window_in_which_no_day_is_labelled_names_no_delay() -> None:
    found = counts(50, 50, 25, 25, unlabelled=50, by_day={"2026-03-01": [75, 25], "2026-03-02": [75, 25]})

    assert gates.unlabelled(found, 0.01, DAY) == (
        "50 of the 200 rows of the window (25.0%) have no outcome, max_unlabelled is 1.0%; "
        "no delay within this window would do: see whether the outcomes still land"
    )


def test_as_many_rows_without_an_outcome_as_are_allowed_are_left_out() -> None:
    found = counts(50, 24, 20, 5, unlabelled=1, by_day={"2026-03-01": [99, 1]})

    assert gates.unlabelled(found, 0.01, DAY) == ""
    assert gates.unlabelled(counts(0, 0, 0, 0), 0.0, DAY) == ""


def spread(there: int, least: float | None, greatest: float | None, infinite: int = 0) -> dict[str, Any]:
    return {"there": there, "least": least, "greatest": greatest, "infinite": infinite}


AGE_IS_3 = "age is 3 in all 1,234 rows of the train split"
AGE_IS_NULL = "age is null in all 1,234 rows of the train split"
REPAIR = "repair it, or leave it out of the use case's features"
GO_ON = (
    "[training] constant_columns = warn would go on, and the next training goes on by itself as long as it stays null"
)


def of_columns(**spreads: dict[str, Any]) -> TrainingSet:
    return counts(234, 1_000, 9, 9, spread={"amount": spread(9, 0.0, 1.0)} | spreads)


@pytest.mark.parametrize(
    ("of_age", "detail"),
    [
        (spread(0, None, None), AGE_IS_NULL),
        (spread(0, -1.0, -1.0), AGE_IS_NULL),
        (spread(1_234, 3.0, 3.0), AGE_IS_3),
    ],
)
def test_a_column_that_teaches_nothing_is_named(of_age: dict[str, Any], detail: str) -> None:
    found = of_columns(age=of_age)

    assert gates.on_columns(found, "reject") == (rejected("features", f"{detail}; {REPAIR}"), [])
    assert gates.on_columns(found, "warn") == (APPROVED, [f"{detail}: a model learns nothing from it"])


def test_a_constant_column_is_a_warning() -> None:
    found = of_columns(age=spread(1_234, 3.0, 3.0))

    assert gates.on_columns(found) == (APPROVED, [f"{AGE_IS_3}: a model learns nothing from it"])


def test_a_column_that_is_null_for_the_first_time_is_rejected() -> None:
    found = of_columns(age=spread(0, -1.0, -1.0))

    assert gates.on_columns(found, null_before=["amount"]) == (
        rejected("features", f"{AGE_IS_NULL}, and not in the training before; {REPAIR}; {GO_ON}"),
        [],
    )
    assert gates.on_columns(found, null_before=None) == (
        rejected("features", f"{AGE_IS_NULL}, and there was no training before; {REPAIR}; {GO_ON}"),
        [],
    )


def test_a_column_that_was_null_in_the_training_before_is_a_warning() -> None:
    found = of_columns(age=spread(0, -1.0, -1.0))

    assert gates.on_columns(found, null_before=["age"]) == (
        APPROVED,
        [f"{AGE_IS_NULL}: a model learns nothing from it"],
    )


def test_all_columns_that_teach_nothing_are_named_at_once() -> None:
    found = of_columns(
        age=spread(1_234, 3.0, 3.0), city=spread(0, 0.0, 0.0), height=spread(0, None, None), width=spread(7, 1e6, 1e6)
    )
    in_all = "in all 1,234 rows of the train split"

    assert gates.on_columns(found, "warn")[1] == [
        f"city is null, height is null, age is 3 and width is 1e+06 {in_all}: a model learns nothing from them"
    ]
    assert gates.on_columns(found, "reject")[0].detail == (
        f"city is null, height is null, age is 3 and width is 1e+06 {in_all}; "
        "repair them, or leave them out of the use case's features"
    )
    verdict, warnings = gates.on_columns(found, "auto", null_before=[])
    assert verdict.detail == (
        f"city is null and height is null {in_all}, and not in the training before; "
        "repair them, or leave them out of the use case's features; [training] constant_columns = warn would go on, and the "
        "next training goes on by itself as long as they stay null"
    )
    assert warnings == [f"age is 3 and width is 1e+06 {in_all}: a model learns nothing from them"]
    assert gates.on_columns(found, "auto", null_before=["city"])[0].detail.startswith("height is null in all")


def test_a_column_that_is_null_here_and_there_is_none_of_these() -> None:
    assert gates.on_columns(of_columns(age=spread(1, -1.0, 3.0)), "reject") == (APPROVED, [])


def test_of_no_rows_no_column_is_null() -> None:
    assert counts(0, 0, 9, 9, spread={"age": spread(0, None, None)}).null_features == []


def test_a_few_calibration_rows_of_a_class_calibrate_nothing_where_a_curve_is_fitted() -> None:
    found = counts(900, 5_000, 90, 900, calibration={"positive": 4, "negative": 27})

    assert LATE.too_few(found, ("train", "calibration", "validation"), LIMITS) == (
        "too few to calibrate by: 4 positive calibration rows, a curve takes 10 of each class"
    )
    assert LATE.too_few(found, SIDES, LIMITS) == ""


@pytest.mark.parametrize(
    ("positive", "negative", "rarer"), [(9, 900, "positive"), (900, 9, "negative"), (1, 900, "positive")]
)
def test_a_few_validation_rows_of_a_class_judge_nothing(positive: int, negative: int, rarer: str) -> None:
    found = counts(900, 5_000, positive, negative)

    assert LATE.too_few(found, SIDES, LIMITS) == (
        f"too few to judge by: {min(positive, negative)} {rarer} validation rows, an interval takes 10 of each class"
    )


def measured(**intervals: tuple[float, float]) -> dict[str, Any]:
    there = {"area_under_roc": (0.7, 0.8), "area_under_pr": (0.4, 0.5), "calibration_error": (0.0, 0.02)} | intervals
    return {"intervals": there} | {name: sum(interval) / 2 for name, interval in there.items()}


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (measured(area_under_roc=(0.59994, 0.9)), "area under ROC 0.7500, lower end 0.5999 below 0.6000"),
        (measured(calibration_error=(0.0, 0.2)), "calibration error 0.1000, upper end 0.2000 above 0.1000"),
        (
            measured(area_under_roc=(0.5, 0.7), area_under_pr=(0.25, 0.45)),
            "area under ROC 0.6000, lower end 0.5000 below 0.6000; area under PR 0.3500, lower end 0.2500 below 0.3000",
        ),
    ],
)
def test_a_missed_gate_is_named_with_the_end_that_missed_it(found: dict[str, Any], detail: str) -> None:
    assert gates.on_model(gates.judged(LATE.gates, found, LIMITS)) == rejected("gate", detail)


def test_an_end_equal_to_its_bound_is_approved() -> None:
    found = measured(area_under_roc=(0.6, 0.7), area_under_pr=(0.3, 0.4), calibration_error=(0.0, 0.1))

    assert gates.on_model(gates.judged(LATE.gates, found, LIMITS)) == APPROVED


def test_a_point_estimate_above_its_bound_is_not_enough() -> None:
    (roc, _, _) = gates.judged(LATE.gates, measured(area_under_roc=(0.55, 0.75)), LIMITS)

    assert roc == {
        "name": "area_under_roc",
        "words": "area under ROC",
        "value": 0.65,
        "end": 0.55,
        "bound": 0.6,
        "rule": "lower end at least",
        "passed": False,
    }


# -- out of time


def test_the_last_fifth_of_the_days_judges_out_of_time() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(28)]

    assert [tuple(map(len, gates.last_fifth(days[:count]))) for count in (28, 10, 5, 2, 1)] == [
        (22, 6), (8, 2), (4, 1), (1, 1), (0, 1),
    ]  # fmt: skip
    assert gates.last_fifth(days)[1][0] == date(2026, 1, 23)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"train": {"positive": 10, "negative": 90}, "judge": {"positive": 10, "negative": 10}}, ""),
        (
            {"train": {"positive": 9, "negative": 90}, "judge": {"positive": 3, "negative": 10}},
            "too few to train out of time by: 9 positive rows that landed before the last fifth of the window's days, "
            "it takes 10 of each class",
        ),
        (
            {"judge": {"positive": 30, "negative": 0}},
            "too few to judge out of time by: 0 negative rows that landed in the last fifth of the window's days, "
            "it takes 10 of each class",
        ),
    ],
)
def test_too_few_rows_judge_nothing_out_of_time(rows: dict[str, dict[str, int]], reason: str) -> None:
    assert gates.too_few_out_of_time(rows) == reason


def test_the_gate_out_of_time_judges_the_lower_end_where_it_is_set() -> None:
    later = {"area_under_roc": 0.7, "intervals": {"area_under_roc": (0.55, 0.8)}}
    found = measured(area_under_roc=(0.6, 0.7)) | {"out_of_time": later}

    judged = gates.judged(LATE.gates, found, LIMITS | {"min_out_of_time_area_under_roc": 0.56})

    assert judged[-1] == {
        "name": "out_of_time_area_under_roc",
        "words": "area under ROC out of time",
        "value": 0.7,
        "end": 0.55,
        "bound": 0.56,
        "rule": "lower end at least",
        "passed": False,
    }
    assert gates.on_model(judged).detail == "area under ROC out of time 0.7000, lower end 0.5500 below 0.5600"
    assert [gate["name"] for gate in gates.judged(LATE.gates, found, LIMITS)] == [gate["name"] for gate in judged[:-1]]


@pytest.mark.parametrize(("bound", "verdict"), [(0.0, APPROVED), (0.5, rejected("inconclusive", "too few"))])
def test_a_gate_that_is_set_and_cannot_be_judged_is_inconclusive(bound: float, verdict: Verdict) -> None:
    found = measured(area_under_roc=(0.6, 0.7)) | {"out_of_time": {"reason": "too few"}}
    settings = LIMITS | {"min_out_of_time_area_under_roc": bound}

    assert gates.on_model(gates.judged(LATE.gates, found, settings), gates.not_judged(found, settings)) == verdict
