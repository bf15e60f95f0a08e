"""The page of a release: the verdict, why, and the day against the reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from spark_lib.release.check import Check, Outcome, unchecked
from spark_lib.release.decision import HOLD, Decision, Decisions
from spark_lib.release.document import Release
from spark_lib.release.figures import Figures, OfModel, of_models
from spark_lib.release.sketch import Column, Cut, Reference, Sketch, Sketches
from spark_lib.report.release import render
from spark_lib.report.shares import percent
from tests.unit.release.test_document import RUN
from tests.unit.report.test_report import EVIL, Element, read

DAY = date(2026, 3, 1)
PASSED = Check("number of rows", Outcome.PASSED, "500 rows", 500, 750)
FAILED = Check("psi of feature amount", Outcome.FAILED, "PSI 0.412 against the reference of the model", 0.412, 0.2)
RELEASED = Release(DAY, "run-1", (PASSED,), Decisions(), RUN)
REFERENCE = Reference(
    {"score": Column(Cut((0.1, 0.5)), Sketch((50, 30, 20), 0, 100))},
    {
        "amount": Column(Cut(()), Sketch((100,), 4, 100)),
        "purpose": Column(Cut(values=("car",), is_category=True), Sketch((90, 10), 0, 100)),
    },
)
FIGURES = Figures(
    DAY,
    "run-1",
    500,
    sketches=Sketches(
        {"score": Sketch((250, 250, 0), 0, 500)},
        {"amount": Sketch((500,), 25, 500), "purpose": Sketch((500, 0), 0, 500)},
    ),
)


def shown(release: Release, figures: Figures = FIGURES, reference: Reference | None = REFERENCE) -> Element:
    return read(render("Release of 2026-03-01", release, figures, reference))


def rows(page: Element, caption: str) -> list[list[str]]:
    (found,) = [table for table in page.all("table") if caption in table.text]
    return [[cell.text for cell in row.children] for row in found.all("tr")]


def test_a_released_day_says_which_run_is_in_force() -> None:
    page = shown(RELEASED)

    (verdict,) = [each for each in page.all("div") if each.attributes.get("class") == "verdict approved"]
    assert verdict.text.startswith("ReleasedRun run-1 is in force.")


def test_the_models_that_scored_a_day_are_compared() -> None:
    models = [
        OfModel("in force", "2026-02-16", 450, {"mean": 0.25, "least": 0.01, "greatest": 0.9}),
        OfModel(
            "canary of 10% of the entities, published", "2026-02-23", 50, {"mean": 0.2, "least": 0.02, "greatest": 0.8}
        ),
        OfModel("shadow, every row", "2026-02-23", 0, failed="a column is missing"),
    ]

    page = read(render("Release of 2026-03-01", RELEASED, FIGURES, REFERENCE, models))

    (found,) = [each for each in page.all("section") if each.text.startswith("Models that scored the day")]
    assert [[cell.text for cell in row.children] for row in found.all("tr")] == [
        ["Model", "What it is", "Rows", "Mean", "Least", "Greatest"],
        ["2026-02-16", "in force", "450", "0.2500", "0.0100", "0.9000"],
        ["2026-02-23", "canary of 10% of the entities, published", "50", "0.2000", "0.0200", "0.8000"],
        ["2026-02-23", "shadow, every row", "0", "–", "–", "–"],
    ]
    assert "The model of 2026-02-23 scored nothing: a column is missing" in found.text


def test_where_one_model_scored_a_day_nothing_is_compared() -> None:
    assert "Models that scored the day" not in shown(RELEASED).text
    assert of_models(RUN, None) == []


def test_a_held_day_says_why_and_how_to_release_it() -> None:
    page = shown(replace(RELEASED, checks=(PASSED, FAILED), in_force=None))

    (verdict,) = [each for each in page.all("div") if each.attributes.get("class") == "verdict"]
    assert "Held" in verdict.text
    assert "psi of feature amount: PSI 0.412 against the reference of the model." in verdict.text
    assert "Nothing is in force for the day." in verdict.text
    assert "daystone release --date 2026-03-01 --why TEXT" in verdict.text


def test_failed_checks_come_first_and_those_that_could_not_be_made_before_the_passed_ones() -> None:
    checks = (PASSED, unchecked("psi of scores", "no sketches"), FAILED)

    found = rows(shown(replace(RELEASED, checks=checks)), "Outcome")

    assert [row[:2] for row in found[1:]] == [
        ["psi of feature amount", "failed"],
        ["psi of scores", "not checked"],
        ["number of rows", "passed"],
    ]


def test_scores_stand_beside_those_of_the_reference() -> None:
    found = rows(shown(RELEASED), "up to 0.1")

    assert [[cell for cell in row if cell] for row in found[1:]] == [
        ["up to 0.1", percent(0.5), percent(0.5)],
        ["0.1 to 0.5", percent(0.3), percent(0.5)],
        ["above 0.5", percent(0.2), percent(0.0)],
    ]


@pytest.mark.parametrize(
    "words", ["amount; null: 4.00\N{NO-BREAK SPACE}% of the reference, 5.00\N{NO-BREAK SPACE}% of this day", "purpose;"]
)
def test_every_feature_can_be_opened(words: str) -> None:
    assert any(words in summary.text for summary in shown(RELEASED).all("summary"))


def test_what_people_decided_is_shown_and_escaped() -> None:
    hold = Decision(HOLD, EVIL, "ops", "2026-03-02T05:00:00Z", number=1)

    page = shown(replace(RELEASED, decisions=Decisions((hold,)), in_force=None))

    assert ["hold", "ops", "2026-03-02T05:00:00Z", EVIL, ""] in rows(page, "Decision")
    assert not page.all("script")


def test_without_a_reference_the_checks_alone_are_shown() -> None:
    page = shown(RELEASED, replace(FIGURES, sketches=None), None)

    assert [heading.text for heading in page.all("h2")] == ["Checks"]
