"""``daystone lookup`` on a small lake that was published to files of CSV: what is said, and the code that is left. Real
processes; the stages need no Spark."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from luigi.task_register import Register

from tests.support.processes import Result
from tests.unit.stubs.scored import Scored, score
from tests.unit.stubs.stublake import LOANS, prepare
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

DAYS = [date(2026, 1, 14), date(2026, 1, 15)]
ROWS = [
    [Scored("row0", "who0", 0.25), Scored("row1", "who1", 0.5)],
    [Scored("row2", "who0", 0.75)],
]


@dataclass(frozen=True)
class Looking(Verbs):
    """Look-ups in two published days in ``files``: who0 is in both, who1 in the first alone."""

    files: Path

    def run(self, verb: str, *arguments: object) -> Result:
        return self.stubbed(verb, "--use-case", LOANS, *arguments, LUIGI_CONFIG_PATH=str(self.home / "luigi.cfg"))

    def configure(self, **lookup: object) -> None:
        said = "".join(f"{name} = {value}\n" for name, value in lookup.items())
        (self.home / "luigi.cfg").write_text(
            f"[publication]\ntargets = files\n[target.files]\nkind = csv\nroot = {self.files}\n"
            f"[target.empty]\nkind = csv\nroot = {self.home}/empty\n[lookup]\n{said}"
        )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, _built: object) -> Path:
    home = tmp_path_factory.mktemp("published")
    shutil.copytree(_built(DAYS[0], date(2026, 1, 31), LOANS), home / "lake")  # type: ignore[operator]  # the session's lake
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, home / "lake")
        for day, rows in zip(DAYS, ROWS, strict=True):
            score(patch, day, rows)
    Register.clear_instance_cache()
    looking = Looking(home, home / "files")
    looking.configure()
    result = looking.run("publish", "--set", "lake.name=production", "--from", DAYS[0], "--to", DAYS[1])
    assert result.code == 0, result.stderr
    return home


@pytest.fixture
def looking(published: Path, tmp_path: Path) -> Looking:
    shutil.copytree(published / "lake", tmp_path / "lake")
    found = Looking(tmp_path, published / "files")  # a copy of a published file is not published
    found.configure()
    return found


def look(looking: Looking, *arguments: object) -> Result:
    return looking.run("lookup", "--set", "lake.name=production", *arguments)


def test_the_newest_score_is_said_with_its_day_its_run_and_its_model(looking: Looking) -> None:
    result = look(looking, "who0")

    assert result.code == 0, result.stderr
    said = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    run = said.pop("run")
    assert len(run) == 16
    assert said == {
        "who": "who0",
        "kind": "score",
        "id": "row2",
        "at": "2026-01-01T12:00:00Z",
        "score": "0.75",
        "date": "2026-01-15",
        "model": "2026-01-12 digest",
    }


def test_json_has_all_of_it(looking: Looking) -> None:
    result = look(looking, "who1", "--format", "json")

    found = json.loads(result.stdout)
    assert len(found.pop("run")) == 16
    assert found == {
        "entity": {"who": "who1"},
        "kind": "score",
        "values": {"id": "row1", "at": "2026-01-01T12:00:00Z", "score": 0.5},
        "date": "2026-01-14",
        "model_date": "2026-01-12",
        "model_digest": "digest",
        "is_stale": False,
    }


def test_a_score_that_is_older_than_it_may_be_is_marked(looking: Looking) -> None:
    looking.configure(max_age_days=2)

    fresh = look(looking, "who0", "--on", "2026-01-17")
    stale = look(looking, "who0", "--on", "2026-01-18")
    today = look(looking, "who0", "--format", "json")

    assert (fresh.code, stale.code) == (0, 0)
    assert "stale" not in fresh.stdout
    assert "date   2026-01-15 (stale)" in stale.stdout.splitlines()
    assert json.loads(today.stdout)["is_stale"] is True


def test_an_entity_without_a_score_gets_the_declared_number_marked_as_a_fallback(looking: Looking) -> None:
    looking.configure(fallback=0.125)

    table, of_json = look(looking, "nobody"), look(looking, "nobody", "--format", "json")

    assert (table.code, of_json.code) == (0, 0), table.stderr
    assert table.stdout.splitlines() == ["who    nobody", "kind   fallback, a fixed value", "score  0.125"]
    assert json.loads(of_json.stdout) == {
        "entity": {"who": "nobody"},
        "kind": "fallback",
        "values": {"score": 0.125},
        "date": None,
        "model_date": None,
        "model_digest": None,
        "run": None,
        "is_stale": False,
    }


def test_without_a_score_and_a_fallback_the_code_is_one_of_its_own(looking: Looking) -> None:
    result = look(looking, "nobody", "--format", "json")

    assert result.code == 49
    assert json.loads(result.stdout)["kind"] == "none"
    assert last_line(result) == (
        "Error: who nobody at files: wanted a published score, or a fallback; found neither. Next: check the entity, "
        "publish the day that has it, or declare [lookup] fallback"
    )


def test_a_target_that_holds_no_day_is_no_reason_to_be_silent_about_a_fallback(looking: Looking) -> None:
    looking.configure(fallback=0.125)

    result = look(looking, "who0", "--target", "empty")

    assert (result.code, last_line(result)) == (
        0,
        f"empty holds no day of predictions of {LOANS.replace(':', '.')} from lake production: publish one (daystone publish), or correct "
        "[lake] name",
    )


def test_serving_features_that_are_not_published_are_said_to_be_none(looking: Looking) -> None:
    table, of_json = (look(looking, "who0", "--serving-features", "--format", form) for form in ("table", "json"))

    assert table.stdout.splitlines()[-1] == "serving features: none"
    assert json.loads(of_json.stdout)["serving_features"] is None


def test_a_setting_that_cannot_work_is_refused_by_its_name(looking: Looking) -> None:
    looking.configure(fallback="priors")
    word = look(looking, "who0")
    looking.configure(max_age_days=-1)
    age = look(looking, "who0")

    assert (word.code, last_line(word)) == (
        31,
        "Error: [lookup] fallback: wanted prior, none or a number; found 'priors' (did you mean 'prior'?). Next: correct it",
    )
    assert (age.code, last_line(age)) == (
        31,
        "Error: [lookup] max_age_days: wanted a value of at least 0; found -1. Next: correct it",
    )


def test_without_a_target_the_setting_is_named(looking: Looking) -> None:
    (looking.home / "luigi.cfg").write_text("")

    result = look(looking, "who0")

    assert result.code == 31
    assert "Error: [publication] targets: wanted the names of targets" in last_line(result)
