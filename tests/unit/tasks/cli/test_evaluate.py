"""``evaluate``: past predictions are judged, day by day, and shown in one table and on one page."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.support.processes import Result
from tests.unit.verbs import SHORT, Verbs, last_line

pytestmark = pytest.mark.processes

#: The first day with predictions, and the first whose evaluation judges them.
SCORED, FIRST, SECOND, POOR = date(2026, 1, 12), date(2026, 1, 15), date(2026, 1, 16), date(2026, 1, 17)
HEADING = (
    "date        model       rows  no outcome            area under ROC  brier score  base rate  calibration in the large"
    "  verdict"
)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    """Three days of predictions."""
    verbs = Verbs(tmp_path_factory.mktemp("built"))
    verbs.land("2026-01-01", 18)
    (verbs.root / "verdicts.json").write_text(json.dumps({"poor": [str(POOR)]}))
    done = verbs.stubbed("backfill", "--stage", "predictions", "--from", SCORED, "--to", "2026-01-14", *SHORT)
    assert done.code == 0, done.stderr
    return verbs


@pytest.fixture
def daystone(first_run: Verbs, tmp_path: Path) -> Verbs:
    shutil.copytree(first_run.root, tmp_path / "lake")
    return Verbs(tmp_path)


def evaluate(daystone: Verbs, *arguments: object) -> Result:
    return daystone.stubbed("evaluate", *arguments, *SHORT)


def line(day: date, rows: int, verdict: str = "within bounds") -> str:
    metrics = "0.7100 (0.6500 – 0.7700)       0.0900     0.1000                    0.0123"
    return f"{day}  2026-01-12  {rows:>4}        0.0%  {metrics}  {verdict}"


def test_each_day_is_a_line_and_days_before_any_predictions_are_left_out(daystone: Verbs) -> None:
    result = evaluate(daystone, "--from", "2026-01-02", "--to", SECOND)

    assert result.code == 0, result.stderr
    assert result.stdout.splitlines() == [HEADING, line(FIRST, 100), line(SECOND, 200)]


def test_what_was_evaluated_is_shown_again_and_not_built(daystone: Verbs) -> None:
    evaluate(daystone, "--date", SECOND)
    before = daystone.contents()

    result = evaluate(daystone, "--date", SECOND)

    assert result.stdout.splitlines() == [HEADING, line(SECOND, 200)]
    assert daystone.contents() == before


def test_where_the_newest_day_misses_a_bound_the_table_is_shown_and_the_exit_code_is_55(daystone: Verbs) -> None:
    missed = "area under ROC 0.7100, lower end 0.6500 below 0.7000"

    result = evaluate(daystone, "--from", SECOND, "--to", POOR)

    assert result.code == 55
    assert result.stdout.splitlines() == [HEADING, line(SECOND, 200), line(POOR, 300, f"below: {missed}")]
    assert last_line(result) == (
        f"Error: evaluation of {POOR}: wanted the bounds of [evaluation] to be met; found {missed}. Next: look which model, "
        f"segment or days are to blame: its page is one of daystone files evaluation --date {POOR}"
    )


def test_an_older_day_below_its_bound_is_shown_and_does_not_decide_how_the_command_ends(daystone: Verbs) -> None:
    result = evaluate(daystone, "--from", POOR, "--to", "2026-01-18")

    assert result.code == 0, result.stderr
    assert "below: " in result.stdout


def test_the_page_has_every_day(daystone: Verbs) -> None:
    page = daystone.home / "evaluations.html"

    result = evaluate(daystone, "--from", FIRST, "--to", SECOND, "--page", page)

    assert (result.code, last_line(result)) == (0, f"written: {page}")
    shown = page.read_text()
    assert "Evaluations of credit_risk, 2026-01-15 to 2026-01-16" in shown
    assert "<svg" in shown


def test_a_page_that_cannot_be_written_is_named(daystone: Verbs) -> None:
    page = daystone.home / "none" / "evaluations.html"

    result = evaluate(daystone, "--date", FIRST, "--page", page)

    assert (result.code, last_line(result)) == (
        31,
        f"Error: evaluate --page {page}: wanted a file that can be written; found No such file or directory. Next: name "
        "another place",
    )


def test_without_predictions_to_judge_the_exit_code_is_54(daystone: Verbs) -> None:
    result = evaluate(daystone, "--from", "2026-01-02", "--to", "2026-01-14")

    assert (result.code, last_line(result)) == (
        54,
        "Error: evaluation of 2026-01-14: wanted predictions of some of the 28 landing days that end 2 days before; found only "
        "days before the first model, of 2026-01-12. Next: build them (daystone backfill --stage predictions --from DAY --to "
        "DAY), or ask for a later day",
    )


def test_a_day_whose_outcomes_have_not_landed_fails_alone(daystone: Verbs) -> None:
    result = evaluate(daystone, "--from", SECOND, "--to", "2026-01-19")

    assert result.code == 20
    assert [shown.partition(" ")[0] for shown in result.stdout.splitlines()[1:]] == [
        "2026-01-16",
        "2026-01-17",
        "2026-01-18",
    ]
    assert "raw feed outcomes" in last_line(result) and "2026-01-19" in last_line(result)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "Error: wanted --date, or --from and --to"),
        (
            ["--date", "2026-01-15", "--from", "2026-01-15", "--to", "2026-01-15"],
            2,
            "Error: wanted --date, or --from and --to",
        ),
        (
            ["--from", "2026-01-16", "--to", "2026-01-15"],
            31,
            "Error: evaluate: wanted a first day that is not after the last; found 2026-01-16 to 2026-01-15. Next: correct "
            "--from, --to",
        ),
    ],
)
def test_days_that_are_none_are_refused(daystone: Verbs, arguments: list[str], code: int, reason: str) -> None:
    result = evaluate(daystone, *arguments)

    assert (result.code, last_line(result)) == (code, reason)


def test_status_has_a_column_once_there_is_an_evaluation_and_why_says_what_was_judged(daystone: Verbs) -> None:
    without = daystone.stubbed("status", "--from", POOR, "--to", POOR, *SHORT)
    evaluate(daystone, "--date", POOR)
    with_one = daystone.stubbed("status", "--from", POOR, "--to", POOR, *SHORT)
    told = daystone.stubbed("why", "evaluation", "--date", POOR, *SHORT)

    assert "evaluation" not in without.stdout
    assert "below" in with_one.stdout and "evaluation" in with_one.stdout
    assert "3 of 3 landing days, 2026-01-12 to 2026-01-14, 300 rows" in told.stdout
    assert "was below: area under ROC 0.7100" in with_one.stdout
