"""``why``: the story of one partition, from its manifest and those of its neighbours."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

import tasks
from tasks.cli import main
from tests.unit.stubs.stublake import CONTESTED, StubLake, build, prepare
from tests.unit.verbs import SHORT, Verbs

pytestmark = pytest.mark.slow

DAY, MODEL, LOSER = date(2026, 1, 20), date(2026, 1, 12), date(2026, 1, 19)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    lake = prepare(monkeypatch, tmp_path / "lake", use_case=CONTESTED)
    lake.land(DAY)
    lake.let_lose(LOSER)
    build(tasks.BatchInference(date=DAY))
    return lake


def told(*arguments: object) -> list[str]:
    """What ``daystone why`` prints, in this process."""
    result = CliRunner().invoke(main.main, ["why", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def under(heading: str, lines: list[str]) -> list[str]:
    """The lines under a heading."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines[1:]:
        key = line[:12].strip() or key
        found.setdefault(key, []).append(line[14:])
    return found.get(heading, [])


def test_predictions_say_which_model_made_them_and_why_no_other(lake: StubLake) -> None:
    lines = told("predictions", "--date", DAY)

    features, selection = (lake.published(name)[DAY] for name in ("features", "selection"))
    assert lines[0] == "predictions of 2026-01-20  done"
    assert under("built from", lines) == [
        f"features of {DAY}, {features}",
        f"selection of {DAY}, {selection}",
    ]
    chosen = under("chosen", lines)
    assert chosen[0].startswith("the model of 2026-01-12, ")
    assert chosen[1:] == [
        "not the model of 2026-01-19: champion: area under ROC -0.0300 against the model of 2026-01-12"
    ]
    assert under("used by", lines) == ["none that is published"]
    assert under("if built now", lines) == ["the same"]


def test_features_say_who_was_built_from_them_and_who_from_an_older_run(lake: StubLake) -> None:
    day = date(2026, 1, 5)
    again = tasks.FeatureEngineering(date=day)
    again.force = True
    build(again)

    lines = told("features", "--date", day)

    assert under("run", lines)[0].startswith(lake.published("features")[day])
    assert under("built from", lines) == ["raw/events of 2026-01-01 to 2026-01-05"]
    assert under("used by", lines) == ["balanced of 2026-01-12, built from an older run"]
    assert under("if built now", lines) == ["the same"]


def test_what_is_stale_says_what_would_differ_if_it_were_built_now(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lake.flag("events", date(2026, 1, 10)).parent / "rows.csv").write_text("late")
    (lake.flag("events", date(2026, 1, 11)).parent / "rows.csv").write_text("late")
    prepare(monkeypatch, lake.root, "[training]\ntrees = 3\ndepth = 7\n", CONTESTED)

    model, features = told("model", "--date", MODEL), told("features", "--date", date(2026, 1, 17))

    assert model[0] == "model of 2026-01-12  stale (settings)"
    assert under("if built now", model) == ["settings: trees 20, now 3", "settings: depth 5, now 7"]
    assert "trees = 20" in under("settings", model)
    assert features == ["features of 2026-01-17  missing", "used by       none that is published"]
    (input_,) = under("if built now", told("features", "--date", DAY))
    assert input_.startswith("input: raw/events of 2026-01-10: e3b0c442, now content:")
    assert input_.endswith("; and 1 day more up to 2026-01-11")


@pytest.mark.parametrize(
    ("dataset", "day", "state"),
    [
        ("predictions", "2026-01-21", "blocked by features of 2026-01-21"),
        ("features", "2026-01-21", "waiting for raw/events of 2026-01-21"),
        ("model", "2026-01-13", "not there, and the chain does not ask for it"),
        ("serving", "2026-01-13", "missing"),
    ],
)
def test_what_is_not_there_says_why(lake: StubLake, dataset: str, day: str, state: str) -> None:
    assert told(dataset, "--date", day)[0] == f"{dataset} of {day}  {state}"


def test_a_story_as_json_has_all_of_it(lake: StubLake) -> None:
    found = json.loads("\n".join(told("features", "--date", DAY, "--json")))

    assert (found["name"], found["date"], found["state"]) == ("features", str(DAY), "done")
    assert (found["run"], found["inputs"][0]["name"]) == (lake.published("features")[DAY], "raw/events")
    assert found["used_by"] == [{"name": "predictions", "date": str(DAY), "run": found["run"]}]


@pytest.mark.processes
def test_a_story_starts_no_java_and_writes_nothing(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 2)
    before = daystone.contents()

    result = daystone("why", "predictions", "--date", "2026-01-12", *SHORT, JAVA_HOME="/nowhere")

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "predictions of 2026-01-12  blocked by features of 2026-01-12"
    assert daystone.contents() == before
