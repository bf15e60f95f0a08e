"""``lineage``: every run that a day comes from, down to the raw days."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

import tasks
from tasks.cli import main
from tests.unit.stubs.stublake import StubLake, build
from tests.unit.tasks.conftest import Predicted
from tests.unit.verbs import Verbs

pytestmark = pytest.mark.slow

DAY, MODEL = date(2026, 1, 13), date(2026, 1, 12)


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    return predicted(DAY, landed=DAY)


def printed(*arguments: object) -> str:
    """What ``daystone lineage`` prints, in this process."""
    result = CliRunner().invoke(main.main, ["lineage", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_has_each_run_once_with_its_inputs(lake: StubLake) -> None:
    found = json.loads(printed("--date", DAY))

    published = {
        (name, str(day)): run
        for name in ("predictions", "features", "selection", "model", "balanced")
        for day, run in lake.published(name).items()
    }
    assert (found["name"], found["date"]) == ("predictions", str(DAY))
    assert {(run["name"], run["date"]): run["run"] for run in found["runs"]} == published
    assert len(found["runs"]) == len(published)
    assert all(run["published"] for run in found["runs"])
    inputs = {(run["name"], run["date"]): [given["name"] for given in run["inputs"]] for run in found["runs"]}
    assert inputs["predictions", str(DAY)] == ["features", "selection"]
    assert inputs["features", str(DAY)] == ["raw/events"]


def test_mermaid_draws_the_days_that_were_read_together_as_one_box(lake: StubLake) -> None:
    lines = printed("--date", DAY, "--format", "mermaid").splitlines()

    boxes = dict(line.strip().rstrip('"]').split('["') for line in lines if "[" in line)
    arrows = {tuple(boxes[end] for end in line.strip().split(" --> ")) for line in lines if "-->" in line}
    assert lines[0] == "flowchart LR"
    assert set(boxes.values()) == {end for arrow in arrows for end in arrow}, "a box that nothing leads to"
    assert arrows == {
        ("raw/events<br/>2026-01-01 to 2026-01-13<br/>13 days", "features<br/>2026-01-13"),
        ("raw/events<br/>2026-01-01 to 2026-01-09<br/>9 days", "features<br/>2026-01-03 to 2026-01-09<br/>7 days"),
        ("features<br/>2026-01-03 to 2026-01-09<br/>7 days", "balanced<br/>2026-01-12"),
        ("raw/outcomes<br/>2026-01-03 to 2026-01-12<br/>10 days", "balanced<br/>2026-01-12"),
        ("balanced<br/>2026-01-12", "model<br/>2026-01-12"),
        ("model<br/>2026-01-12", "selection<br/>2026-01-13"),
        ("features<br/>2026-01-13", "predictions<br/>2026-01-13"),
        ("selection<br/>2026-01-13", "predictions<br/>2026-01-13"),
    }


def test_a_run_that_was_superseded_is_named_and_ends_its_branch(lake: StubLake) -> None:
    before = lake.published("features")[DAY]
    again = tasks.FeatureEngineering(date=DAY)
    again.force = True
    build(again)

    found = json.loads(printed("--date", DAY))
    drawn = printed("--date", DAY, "--format", "mermaid")

    assert {"name": "features", "date": str(DAY), "run": before, "published": False} in found["runs"]
    assert f'["features<br/>{DAY}<br/>superseded since"]' in drawn
    assert "2026-01-13<br/>13 days" not in drawn


def test_a_day_that_is_not_published_is_refused(lake: StubLake) -> None:
    result = CliRunner().invoke(main.main, ["lineage", "--date", "2026-01-14"])

    assert result.exit_code != 0
    assert "predictions of 2026-01-14: wanted a published partition; found none in" in result.output


@pytest.mark.processes
def test_a_lineage_starts_no_java_and_writes_nothing(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 2)
    before = daystone.contents()

    result = daystone("lineage", "--date", "2026-01-12", JAVA_HOME="/nowhere")

    assert (result.code, result.stdout) == (21, "")
    assert result.stderr.startswith("Error: predictions of 2026-01-12: wanted a published partition; found none in ")
    assert daystone.contents() == before
