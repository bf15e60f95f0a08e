"""The pages of evaluations."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from spark_lib.evaluation.document import (
    NO_PREDICTIONS,
    NOTHING,
    Day,
    Evaluation,
    Gate,
    Model,
    OfModel,
    Part,
    Shadow,
    Summary,
)
from spark_lib.problems.binary import Binary
from spark_lib.report import evaluation as page
from spark_lib.report.timeline import HEIGHT, WIDTH, Line, Point, over_time

BINARY = Binary("bad", ("good",))
FIRST = date(2026, 3, 1)
OLD, NEW = Model(date(2026, 2, 1), "0123456789"), Model(date(2026, 2, 15), "abcdef0123")


def part(area: float = 0.7) -> Part:
    metrics = {
        "area_under_roc": area,
        "brier": 0.09,
        "calibration_in_the_large": 0.01,
        "intervals": {"area_under_roc": [area - 0.05, area + 0.05], "calibration_in_the_large": [-0.01, 0.03]},
    }
    return Part(500, {"prevalence": 0.1}, metrics, {"brier": 0.08}, (0.01, 0.05, 0.1, 0.2, 0.4))


def evaluated(**more: object) -> Evaluation:
    days = [
        Day(
            FIRST + timedelta(days=number),
            "run",
            500,
            500,
            0,
            0,
            (OLD if number < 3 else NEW,),
            part(0.7 - number / 100),
        )
        for number in range(6)
    ]
    days[2] = Day(days[2].date, reason=NO_PREDICTIONS)
    found = Evaluation(FIRST + timedelta(days=30), FIRST, days[-1].date, "binary", tuple(days), part())
    return replace(found, **more)  # type: ignore[arg-type]


def test_the_page_says_the_verdict_the_metrics_and_the_base_rate() -> None:
    missed = Gate("min_area_under_roc", "area under ROC", 0.7, 0.65, 0.68, False)

    shown = page.render("Evaluation of 2026-03-31", BINARY, evaluated(gates=(missed,)))

    assert "Below its bounds" in shown
    assert "Area under ROC 0.7000, lower end 0.6500 below 0.6800." in shown
    assert "0.0900, base rate 0.0800" in shown
    assert "5 of 6 are judged, by the outcomes that landed by 2026-03-31" in shown
    assert "<script" not in shown


def test_a_change_of_the_model_is_marked_once() -> None:
    shown = page.render("An evaluation", BINARY, evaluated())

    chart = shown[shown.index('id="over-area_under_roc"') :].partition("</svg>")[0]
    assert chart.count(f"model {NEW.date}") == 1
    assert f"model {OLD.date}" not in chart


def test_each_part_has_its_section_and_its_reason_where_it_is_not_judged() -> None:
    shown = page.render(
        "An evaluation",
        BINARY,
        evaluated(
            models=(OfModel(OLD, part()), OfModel(NEW, Part(3, reason="too few: 3 rows"))),
            shares=(OfModel(OLD, part()),),
            shadows=(Shadow(NEW, part(), part(), 0.01, (-0.01, 0.03), "area under ROC +0.0100"),),
            sampled=1_000,
        ),
    )

    assert "model of 2026-02-01 (01234567)" in shown
    assert "too few: 3 rows" in shown
    assert "By the share of each model" in shown
    assert "On the same rows. The challenger: area under ROC +0.0100." in shown
    assert "Figures are of 1,000 of these rows, drawn by their keys." in shown


def test_a_page_without_a_judged_day_has_no_chart_and_says_why() -> None:
    days = (Day(FIRST, reason=NO_PREDICTIONS),)

    shown = page.render("An evaluation", BINARY, evaluated(days=days, whole=NOTHING))

    assert "<svg" not in shown
    assert "Not judged" in shown and NO_PREDICTIONS in shown


def test_what_a_use_case_names_is_escaped() -> None:
    shown = page.render("<b>loans", BINARY, evaluated())

    assert "&lt;b&gt;loans" in shown and "<b>loans" not in shown


def test_many_evaluations_are_one_page_with_a_line_each() -> None:
    found = {
        FIRST + timedelta(days=30 + number): Summary(
            "judged",
            FIRST,
            FIRST + timedelta(days=6),
            7,
            500,
            3,
            part(0.7 + number / 100),
            (OLD,) if number < 2 else (OLD, NEW),
        )
        for number in range(4)
    }

    shown = page.render_over_time("Evaluations", BINARY, found)

    assert [str(day) in shown for day in found] == [True] * 4
    assert shown.count(f">model {NEW.date}<") == 4  # in each of four charts
    assert "0.7300 (0.6800 – 0.7800)" in shown


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [-3.0, 4000.0], [1e-7, 2e-7], [0.0, 0.0]])
def test_every_mark_of_a_chart_lies_within_it(values: list[float]) -> None:
    points = [
        Point(FIRST + timedelta(days=2 * number), value, value - 1e-8, value + 1e-8)
        for number, value in enumerate(values)
    ]

    drawn = over_time("x", "X", [Line(points)], (FIRST, points[-1].day), [(FIRST, "model")])

    places = [float(found) for found in re.findall(r'(?:[xy][12]?|c[xy])="([-0-9.]+)"', drawn)]
    assert np.isfinite(places).all()
    assert min(places) >= 0 and max(places) <= max(WIDTH, HEIGHT)


def test_days_without_a_value_are_a_gap_and_a_lonely_day_is_a_point() -> None:
    days = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=4)]
    points = [Point(day, 0.5, 0.4, 0.6) for day in days]

    drawn = over_time("x", "X", [Line(points)], (FIRST, days[-1]))

    assert drawn.count("<polyline") == 1
    assert drawn.count("<circle") == 1
