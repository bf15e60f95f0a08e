"""``backfill``: many days in one process are what each is alone, and what fails takes nothing else with it."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from luigi.task_register import Register

from spark_lib.lake import days
from tasks.cli import main
from tasks.planning.chain import CHAIN
from tests.unit.stubs.stublake import CONTESTED, LOANS, StubLake, build, prepare
from tests.unit.tasks.planning.test_plan import drawn

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 27)
STAGES = {stage.dataset: stage for stage in CHAIN}
FEW = 4


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return prepare(monkeypatch, tmp_path / "lake")


def backfill(first: object, last: object, *more: object) -> Result:
    """``daystone backfill``, in this process."""
    Register.clear_instance_cache()
    return CliRunner().invoke(main.main, ["backfill", "--from", str(first), "--to", str(last), *map(str, more)])


def lines(result: Result) -> list[str]:
    """What it says, without the place of the log and the line of each day."""
    return [line for line in result.output.splitlines() if not line.startswith(("log: ", "  "))]


def table(result: Result) -> dict[str, list[int]]:
    """The days of each dataset: all, there, built, failed, waiting, blocked, left."""
    rows = (line.split() for line in result.stdout.splitlines() if line.split()[:1] and line.split()[0] in STAGES)
    return {name: list(map(int, counts)) for name, *counts in rows if len(counts) == 7 and "of" not in counts}


def contents(lake: StubLake) -> dict[tuple[str, date], dict[str, bytes]]:
    """What every published day says, whichever run wrote it."""
    return {
        (dataset, day): {path.name: path.read_bytes() for path in lake.partition(dataset, day).glob(f"run={run}/*")}
        for dataset in STAGES
        for day, run in lake.published(dataset).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < FEW else pytest.mark.full) for seed in range(100)]
)
def test_a_backfill_of_many_days_is_what_each_day_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    use_case = random.choice([LOANS, CONTESTED])
    alone = prepare(monkeypatch, tmp_path / "alone", use_case=use_case)
    drawn(random, alone)
    shutil.copytree(alone.root, tmp_path / "together")
    first, last = sorted(random.choices(days(date(2026, 1, 10), LAST), k=2))
    name = random.choice(["predictions", "model", "balanced", "serving", "features"])
    Register.clear_instance_cache()
    for day in random.sample(days(first, last), len(days(first, last))):
        stage = STAGES[name](date=day)
        if name == "serving" or stage.is_due(day, stage.settings):
            build(stage)

    together = prepare(monkeypatch, tmp_path / "together", use_case=use_case)
    order = random.choice(["oldest", "newest"])
    result = backfill(first, last, "--stage", name, "--order", order, "--max-days-per-job", random.randint(1, 30))

    assert contents(together) == contents(alone), result.output
    there = {day for of, day in contents(together) if of == name}
    stage = STAGES[name](date=first)
    due = [day for day in days(first, last) if name == "serving" or stage.is_due(day, stage.settings)]
    assert (result.exit_code == 0) == (set(due) <= there), result.output


def test_all_stages_of_a_range_are_built_in_one_go_and_the_end_is_a_table(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))

    result = backfill("2026-01-01", "2026-01-20")

    assert result.exit_code == 0, result.output
    assert table(result) == {
        "features": [20, 0, 20, 0, 0, 0, 0],
        "balanced": [2, 0, 2, 0, 0, 0, 0],
        "model": [2, 0, 2, 0, 0, 0, 0],
        "selection": [9, 0, 9, 0, 0, 0, 0],
        "predictions": [9, 0, 9, 0, 0, 0, 0],
    }
    assert len(lake.published("predictions")) == 9


def test_each_day_is_scored_by_the_model_that_was_in_force_on_it_in_either_order(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))

    assert backfill("2026-01-12", "2026-01-20", "--order", "newest").exit_code == 0

    models = {day: lake.manifest("predictions", day)["metrics"]["model_date"] for day in lake.published("predictions")}
    assert models == {
        day: "2026-01-12" if day.day < 19 else "2026-01-19" for day in days(date(2026, 1, 12), date(2026, 1, 20))
    }


def test_newest_first_builds_the_newest_predictions_first(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))

    result = backfill("2026-01-12", "2026-01-20", "--stage", "predictions", "--order", "newest")

    said = re.findall(r"^  predictions \d of 9 +(\S+) ", result.output, re.MULTILINE)
    assert said == [f"2026-01-{day}" for day in range(20, 11, -1)]


def test_a_second_backfill_has_nothing_to_do_and_writes_nothing(lake: StubLake) -> None:
    lake.land(date(2026, 1, 13))
    backfill("2026-01-01", "2026-01-13")
    before = lake.written()

    result = backfill("2026-01-01", "2026-01-13")

    assert (result.exit_code, lake.written()) == (0, before)
    assert result.output == (
        "nothing to do: 13 days of features, 1 day of balanced, 1 day of model, 2 days of selection, 2 days of predictions "
        "are complete\n"
    )


def test_a_dry_run_shows_the_jobs_and_builds_nothing(lake: StubLake) -> None:
    lake.land(date(2026, 1, 5))
    before = lake.written()

    result = backfill("2026-01-03", "2026-01-06", "--dry-run")

    assert (result.exit_code, lake.written()) == (0, before)
    assert lines(result) == [
        "features of 2026-01-03",
        "features of 2026-01-04",
        "features of 2026-01-05",
        "features of 2026-01-06: waiting for raw/events of 2026-01-06",
        "would build 3 partitions in 3 jobs; nothing was built",
    ]


def test_a_day_that_fails_takes_only_what_needs_it_with_it(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))
    unreadable = lake.flag("events", date(2026, 1, 18)).with_name("unreadable")
    unreadable.touch()

    result = backfill("2026-01-12", "2026-01-20")

    assert result.exit_code == 33
    assert table(result)["features"] == [18, 0, 15, 3, 0, 0, 0]
    assert table(result)["predictions"] == [9, 0, 6, 0, 0, 3, 0]
    assert table(result)["model"] == [2, 0, 2, 0, 0, 0, 0]
    assert max(lake.published("predictions")) == date(2026, 1, 17)
    assert "predictions of 2026-01-18: needs features of 2026-01-18, which failed" in lines(result)
    assert lines(result)[-1].startswith(f"Error: {unreadable}: wanted a file that can be read; found none")
    unreadable.unlink()
    assert backfill("2026-01-12", "2026-01-20").exit_code == 0
    assert len(lake.published("predictions")) == 9


def test_a_hole_in_raw_data_is_named_and_the_days_before_it_are_built(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))
    lake.flag("events", date(2026, 1, 16)).unlink()

    result = backfill("2026-01-12", "2026-01-20", "--stage", "features")

    assert (result.exit_code, len(lake.published("features"))) == (32, 4)
    assert table(result) == {"features": [9, 0, 4, 0, 5, 0, 0]}
    assert lines(result)[-2:] == [
        "features of 2026-01-16 to 2026-01-20 (5 days): hole: raw/events of 2026-01-16",
        "Error: raw feed events: wanted every day from 2026-01-01 to 2026-01-20; found no flag '_SUCCESS' on 2026-01-16, as in "
        f"{lake.flag('events', date(2026, 1, 16)).parent}. Next: land the missing days (a flagged day may be empty), or set "
        "[pipeline] first_date to the first day that exists",
    ]


def test_a_day_of_the_future_waits_and_the_days_before_it_are_built(lake: StubLake) -> None:
    lake.land(date(2026, 1, 13))

    result = backfill("2026-01-12", "2026-01-15", "--stage", "predictions")

    assert (result.exit_code, len(lake.published("predictions"))) == (20, 2)
    assert lines(result)[-2:] == [
        "predictions of 2026-01-14 to 2026-01-15 (2 days): waiting for raw/events of 2026-01-14",
        f"Error: raw feed events of 2026-01-14: wanted the flag {lake.flag('events', date(2026, 1, 14))}; found none yet. "
        "Next: land the day's files, then its flag, and run again",
    ]
