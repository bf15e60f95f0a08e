"""Bounds on evaluations, and how those on segments are written."""

from __future__ import annotations

import pytest

from spark_lib.evaluation.bounds import OfSegments, UnreadableBound, of_settings, parse_segments, settings_of
from spark_lib.problems.binary import Binary
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.regression import Regression

BINARY = Binary("bad", ("good",))
SETTINGS = settings_of(BINARY)


@pytest.mark.parametrize(
    ("problem", "names"),
    [
        (BINARY, ("min_area_under_roc", "min_area_under_pr", "max_calibration_error")),
        (Multiclass(("a", "b")), ("min_accuracy", "min_macro_f1", "max_calibration_error")),
        (
            Multiclass(("a", "b"), all_scores=True),
            ("min_accuracy", "min_macro_f1", "max_log_loss", "max_calibration_error"),
        ),
        (Regression(), ("max_rmse", "max_mae", "min_r2", "min_coverage")),
    ],
)
def test_the_bounds_of_a_problem_are_those_of_its_gates_that_predictions_say_enough_for(
    problem: Binary | Multiclass | Regression, names: tuple[str, ...]
) -> None:
    assert settings_of(problem) == names


def test_bounds_on_segments_are_of_all_columns_or_of_one() -> None:
    text = "min_area_under_roc: 0.55, channel.min_area_under_roc: 0.5,"

    assert parse_segments(text, SETTINGS, ("channel", "region")) == (
        OfSegments("", "min_area_under_roc", 0.55),
        OfSegments("channel", "min_area_under_roc", 0.5),
    )
    assert parse_segments("", SETTINGS, ()) == ()


def test_a_bound_that_names_a_column_outranks_one_for_all() -> None:
    values = {
        "min_area_under_roc": 0.6,
        "segment_bounds": "channel.min_area_under_roc: 0.5, min_area_under_roc: 0.55, max_calibration_error: 0.2",
    }

    bounds = of_settings(BINARY, values, ("channel", "region"))

    assert bounds.whole == {"min_area_under_roc": 0.6, "min_area_under_pr": None, "max_calibration_error": None}
    assert bounds.on("channel") == {"min_area_under_roc": 0.5, "max_calibration_error": 0.2}
    assert bounds.on("region") == {"min_area_under_roc": 0.55, "max_calibration_error": 0.2}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "min_auc: 0.5",
            "'min_auc: 0.5', which names none of min_area_under_roc, min_area_under_pr, max_calibration_error",
        ),
        ("min_area_under_roc", "'min_area_under_roc', which names none of"),
        (
            "place.min_area_under_roc: 0.5",
            "'place.min_area_under_roc: 0.5', whose column is none of the segments channel",
        ),
        ("min_area_under_roc: high", "'min_area_under_roc: high', whose bound is no number"),
    ],
)
def test_a_bound_on_segments_that_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(UnreadableBound) as refused:
        parse_segments(text, SETTINGS, ("channel",))

    assert str(refused.value).startswith(why)


def test_bounds_on_segments_need_segments() -> None:
    with pytest.raises(UnreadableBound, match=r"and the use case declares no segments$"):
        parse_segments("min_area_under_roc: 0.5", SETTINGS, ())
