"""``backfill``: many days in one process are what each is alone, and what fails takes nothing else with it."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import time
import weakref
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import luigi
import pytest
from click.testing import CliRunner, Result
from luigi.task_register import Register

import tasks
from spark_lib.errors import ConfigurationError, NotConfirmed, StalePartition
from spark_lib.lake import Attempt, Lake, Partition, days
from tasks.backfill import waiting
from tasks.backfill.builder import Asked, Builder, Unwatched
from tasks.cli import main
from tasks.config.sections import NO_SNAPSHOTS
from tasks.graph.staleness import States
from tasks.planning.chain import BY_DATASET
from tasks.planning.jobs import Job
from tests.unit.stubs.stublake import CONTESTED, LOANS, TOGETHER, StubLake, build, configure, prepare
from tests.unit.tasks.planning.test_plan import drawn, used

pytestmark = pytest.mark.slow

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 27)
STAGES = BY_DATASET
FEW = 4


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return prepare(monkeypatch, tmp_path / "lake")


@pytest.fixture
def joint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    """A lake of a use case that engineers many days at once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return prepare(monkeypatch, tmp_path / "lake", use_case=TOGETHER)


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


def contents(lake: StubLake) -> dict[tuple[str, date], object]:
    """What every published day says, whichever run wrote it."""
    return {
        (dataset, day): selected(lake, day) if dataset == "selection" else files(lake, dataset, day, run)
        for dataset in STAGES
        for day, run in lake.published(dataset).items()
    }


def files(lake: StubLake, dataset: str, day: date, run: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lake.partition(dataset, day).glob(f"run={run}/*")}


def selected(lake: StubLake, day: date) -> dict[str, Any]:
    """What a selection has chosen. The document itself names runs, which are a lake's own."""
    metrics: dict[str, Any] = lake.manifest("selection", day)["metrics"]
    challenges = [{name: value for name, value in one.items() if name != "runs"} for one in metrics["challenges"]]
    return metrics | {"challenges": challenges}


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < FEW else pytest.mark.full) for seed in range(100)]
)
def test_a_backfill_of_many_days_is_what_each_day_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    use_case = random.choice([LOANS, TOGETHER, CONTESTED])
    alone = prepare(monkeypatch, tmp_path / "alone", use_case=use_case)
    drawn(random, alone, used(alone, NO_SNAPSHOTS))
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
    found = Lake(str(together.root), together.name).find(name, first, last)
    there = {day for day, partition in found.items() if isinstance(partition, Partition)}
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


def test_what_is_stale_stays_and_is_named(lake: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.land(date(2026, 1, 12))
    backfill("2026-01-12", "2026-01-12", "--stage", "model")
    prepare(monkeypatch, lake.root, "[training]\ntrees = 3\n")
    before = lake.written()

    result = backfill("2026-01-12", "2026-01-12", "--stage", "model")

    assert (result.exit_code, lake.written()) == (0, before)
    assert result.stderr == (
        "note: 1 partition of these days would be built from something else now, and stay: daystone plan --from 2026-01-12 "
        "--to 2026-01-12 --why\n"
    )


def under(lake: StubLake, monkeypatch: pytest.MonkeyPatch, policy: str, settings: str = "", above: int = 100) -> None:
    """The same lake with a policy for what is stale."""
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = {policy}\nask_above = {above}\n[pipeline]\nuse_case = {lake.use_case}\n"
        f"{settings}",
    )


def land_again(lake: StubLake, day: date) -> None:
    lake.flag("events", day).with_name("rows").write_text("other")


def test_stale_days_are_rebuilt_together_where_the_policy_says_so_and_what_needs_them_after(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint.land(date(2026, 1, 14))
    assert backfill("2026-01-12", "2026-01-13").exit_code == 0
    before = {dataset: joint.published(dataset) for dataset in STAGES}
    land_again(joint, date(2026, 1, 8))

    under(joint, monkeypatch, "rebuild")
    result = backfill("2026-01-12", "2026-01-14")

    assert result.exit_code == 0, result.output
    features = joint.published("features")
    rebuilt = {day.day for day, run in features.items() if run != before["features"].get(day)}
    assert rebuilt == {8, 9, 12, 13, 14}
    assert len({features[day] for day in days(date(2026, 1, 8), date(2026, 1, 9))}) == 1
    assert backfill("2026-01-12", "2026-01-14").output.startswith("nothing to do: ")
    for dataset in ("balanced", "model", "predictions"):
        for day, run in before[dataset].items():
            again = {given["name"]: given["ids"][-1] for given in joint.manifest(dataset, day)["inputs"]}
            assert again.get("features", features[max(d for d in features if d <= day)]) in features.values(), (
                dataset,
                run,
            )


def test_a_stale_day_is_an_error_where_the_policy_says_so_and_the_others_are_built(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint.land(date(2026, 1, 10))
    backfill("2026-01-08", "2026-01-08", "--stage", "features")
    before = joint.published("features")
    land_again(joint, date(2026, 1, 8))

    under(joint, monkeypatch, "fail")
    result = backfill("2026-01-07", "2026-01-10", "--stage", "features")

    assert result.exit_code == StalePartition.exit_code
    assert table(result) == {"features": [4, 0, 3, 1, 0, 0, 0]}
    assert joint.published("features")[date(2026, 1, 8)] == before[date(2026, 1, 8)]
    assert lines(result)[-1].startswith(
        "Error: features of 2026-01-08: wanted a partition that would be built the same now"
    )


def test_a_backfill_that_would_rebuild_many_stale_days_asks_first(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint.land(date(2026, 1, 5))
    backfill("2026-01-01", "2026-01-05", "--stage", "features")
    before = joint.written()
    land_again(joint, date(2026, 1, 1))

    under(joint, monkeypatch, "rebuild", above=3)
    result = backfill("2026-01-01", "2026-01-05", "--stage", "features")

    assert result.exit_code == NotConfirmed.exit_code
    assert (
        "Error: a run that would rebuild 5 stale partitions: wanted at most 3 ([lake] ask_above)" in lines(result)[-1]
    )
    assert {path for path in joint.written() if path not in before} == {
        str(joint.flag("events", date(2026, 1, 1)).with_name("rows"))
    }


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
    assert lines(result)[-1] == (
        f"Error: {unreadable}: wanted a file that can be read; found none (3 stages of this run need the file). Next: land it again"
    )
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


def test_days_that_share_a_job_have_one_run_and_each_its_own_inputs(joint: StubLake) -> None:
    joint.land(date(2026, 1, 20))

    result = backfill("2026-01-01", "2026-01-20", "--stage", "features", "--max-days-per-job", 15)

    assert result.exit_code == 0, result.output
    runs = list(joint.published("features").values())
    assert (len(set(runs[:15])), len(set(runs[15:])), len(set(runs))) == (1, 1, 2)
    inputs = {day: joint.manifest("features", day)["inputs"] for day in joint.published("features")}
    assert {day: [(one["first"], one["last"], len(one["ids"])) for one in given] for day, given in inputs.items()} == {
        day: [("2026-01-01", str(day), day.day)] for day in days(date(2026, 1, 1), date(2026, 1, 20))
    }


def test_a_day_that_breaks_a_shared_job_fails_alone_and_the_others_of_the_job_are_built(joint: StubLake) -> None:
    joint.land(date(2026, 1, 10))
    unreadable = joint.flag("events", date(2026, 1, 8)).with_name("unreadable")
    unreadable.touch()

    result = backfill("2026-01-01", "2026-01-10", "--stage", "features")

    assert result.exit_code == 33
    assert table(result) == {"features": [10, 0, 7, 3, 0, 0, 0]}
    assert list(joint.published("features")) == days(date(2026, 1, 1), date(2026, 1, 7))


def test_a_damaged_day_in_the_middle_reports_itself_and_the_days_around_it_are_built(joint: StubLake) -> None:
    joint.land(date(2026, 1, 10))
    backfill("2026-01-05", "2026-01-05", "--stage", "features")
    damaged = joint.damage("features", date(2026, 1, 5))

    result = backfill("2026-01-01", "2026-01-10", "--stage", "features")

    assert result.exit_code == 35
    assert table(result) == {"features": [10, 0, 9, 1, 0, 0, 0]}
    assert lines(result)[-2:] == [
        "features of 2026-01-05: damaged",
        f"Error: features of 2026-01-05: {damaged}: wanted 18 bytes; found no file. Next: restore the file, or build the day "
        "anew (daystone rebuild features --date 2026-01-05)",
    ]


def test_what_a_nightly_run_has_built_meanwhile_is_skipped(joint: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    joint.land(date(2026, 1, 13))
    run = Builder._run

    def after_the_night(builder: Builder, job: Job, states: States) -> None:
        if job.days[0] == date(2026, 1, 6):
            build(tasks.FeatureEngineering(date=date(2026, 1, 7)), tasks.FeatureEngineering(date=date(2026, 1, 8)))
        run(builder, job, states)

    monkeypatch.setattr(Builder, "_run", after_the_night)
    result = backfill("2026-01-01", "2026-01-10", "--stage", "features", "--max-days-per-job", 5)

    assert (result.exit_code, table(result)) == (0, {"features": [10, 2, 8, 0, 0, 0, 0]})
    runs = joint.runs("features")
    assert len(runs) == len(joint.published("features")) == 10


def test_ctrl_c_finishes_what_is_being_published_and_says_what_remains(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint.land(date(2026, 1, 10))
    commit = Attempt.commit

    def interrupted(attempt: Attempt, written: Any) -> Any:
        if date(2026, 1, 2) in written:
            os.kill(os.getpid(), signal.SIGINT)
        return commit(attempt, written)

    monkeypatch.setattr(Attempt, "commit", interrupted)
    result = backfill("2026-01-01", "2026-01-10", "--stage", "features", "--max-days-per-job", 4)

    assert result.exit_code == 130
    assert table(result) == {"features": [10, 0, 4, 0, 0, 0, 6]}
    assert lines(result)[-2:] == [
        "features of 2026-01-05 to 2026-01-10 (6 days): not built yet",
        "Error: stopped; what is published stays, and the next run goes on from there",
    ]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()


def test_a_backfill_that_was_stopped_goes_on_when_it_is_run_again(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint.land(date(2026, 1, 13))

    def stopped(stage: Any, *given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tasks.ModelSelection, "run", stopped)
        assert backfill("2026-01-01", "2026-01-13").exit_code == 130
    before = joint.published("features")

    result = backfill("2026-01-01", "2026-01-13")

    assert (result.exit_code, joint.published("features")) == (0, before)
    assert table(result)["features"] == [13, 13, 0, 0, 0, 0, 0]
    assert table(result)["predictions"] == [2, 0, 2, 0, 0, 0, 0]


def test_a_fault_of_the_backfill_itself_is_no_success(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.land(date(2026, 1, 3))

    def broken(*given: Any) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(Builder, "_run", broken)
    result = backfill("2026-01-01", "2026-01-03", "--stage", "features")

    assert (result.exit_code, table(result)) == (30, {"features": [3, 0, 0, 0, 0, 0, 3]})
    assert lines(result)[-1] == (
        "Error: backfill of 2026-01-01 to 2026-01-03: wanted no exception; found ZeroDivisionError: first line. Next: read the "
        "traceback in the log of the run"
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, which is all that passes."""
    slept: list[float] = []
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(waiting.time, "sleep", slept.append)
    return slept


def test_raw_days_that_are_late_are_waited_for_and_built_once_they_have_landed(
    joint: StubLake, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    joint.land(date(2026, 1, 12))

    def land_the_next(seconds: float) -> None:
        clock.append(seconds)
        joint.land(max(joint.published("features")) + timedelta(days=1))

    monkeypatch.setattr(waiting.time, "sleep", land_the_next)
    result = backfill("2026-01-10", "2026-01-14", "--stage", "predictions", "--wait", "4h")

    assert (result.exit_code, clock) == (0, [30, 30])
    assert table(result)["predictions"] == [3, 0, 3, 0, 0, 0, 0]
    assert (
        len(re.findall(r"^waiting until .* UTC for raw feed events of 2026-01-1[34]$", result.stderr, re.MULTILINE))
        == 2
    )


def test_when_the_time_is_over_the_rest_waits_and_the_exit_code_says_so(joint: StubLake, clock: list[float]) -> None:
    joint.land(date(2026, 1, 13))

    result = backfill("2026-01-13", "2026-01-15", "--stage", "predictions", "--wait", "75s")

    assert (result.exit_code, clock) == (20, [30, 30, 15])
    assert table(result)["predictions"] == [3, 0, 1, 0, 2, 0, 0]


def test_run_waits_for_a_late_day_too(joint: StubLake, monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    joint.land(date(2026, 1, 12))
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: joint.land(date(2026, 1, 13)))

    result = CliRunner().invoke(main.main, ["run", "--date", "2026-01-13", "--wait", "1h"])

    assert result.exit_code == 0, result.output
    assert list(joint.published("predictions")) == [date(2026, 1, 13)]
    assert "built 12 partitions in" in result.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--from", "2026-01-02", "--to", "2026-01-01"],
            "Error: backfill: wanted a first day that is not after the last; found 2026-01-02 to 2026-01-01. Next: correct "
            "--from, --to",
        ),
        (
            ["--from", "2025-12-01", "--to", "2025-12-31"],
            "Error: backfill of 2025-12-01 to 2025-12-31: wanted a day from [pipeline] first_date on, 2026-01-01; found earlier "
            "ones alone. Next: ask for later days, or set [pipeline] first_date",
        ),
        (
            ["--from", "2026-01-01", "--to", "2026-01-02", "--wait", "soon"],
            "Error: Invalid value for '--wait': wanted a time like 4h, 90m or 30s; found 'soon'",
        ),
        (
            ["--from", "2026-01-01", "--to", "2026-01-02", "--max-days-per-job", "0"],
            "Error: Invalid value for '--max-days-per-job': 0 is not in the range x>=1.",
        ),
    ],
    ids=["A after B", "before first_date", "a wait", "a job of no day"],
)
def test_a_range_or_an_option_that_cannot_be_is_refused(lake: StubLake, options: list[str], reason: str) -> None:
    result = CliRunner().invoke(main.main, ["backfill", *options])

    assert result.exit_code in (2, 31)
    assert result.stderr.splitlines()[-1] == reason
    assert not lake.root.exists()


def test_days_before_history_are_left_out_with_a_note_and_the_others_are_built(lake: StubLake) -> None:
    lake.land(date(2026, 1, 3))

    result = backfill("2025-12-30", "2026-01-03", "--stage", "features")

    assert (result.exit_code, len(lake.published("features"))) == (0, 3)
    assert result.stderr.splitlines()[0] == "note: history begins on 2026-01-01: 2 days before it are left out"


def test_a_stage_that_the_chain_does_not_ask_for_on_these_days_has_nothing_to_do(lake: StubLake) -> None:
    result = backfill("2026-01-01", "2026-01-05", "--stage", "model")

    assert (result.exit_code, result.output) == (
        0,
        "nothing to do: the chain asks for no such day from 2026-01-01 to 2026-01-05\n",
    )


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2028-02-27", "2028-03-02"),
        ("2026-12-30", "2027-01-02"),
        ("2026-03-28", "2026-03-30"),
        ("2026-10-24", "2026-10-26"),
    ],
    ids=["a leap day", "the end of a year", "clocks go forward", "clocks go back"],
)
def test_every_day_of_the_calendar_is_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, last: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    lake = prepare(monkeypatch, tmp_path / "lake", f"first_date = {first}\n", TOGETHER)
    wanted = days(date.fromisoformat(first), date.fromisoformat(last))
    lake.land(wanted[-1], wanted[0])

    result = backfill(first, last, "--stage", "features", "--max-days-per-job", 2)

    assert (result.exit_code, list(lake.published("features"))) == (0, wanted)
    monkeypatch.undo()
    time.tzset()


def test_a_model_that_is_rejected_lets_an_older_one_be_trained_as_in_a_run_of_one_day(lake: StubLake) -> None:
    lake.land(date(2026, 1, 20))
    lake.judge(date(2026, 1, 19), "gate", "low")

    result = backfill("2026-01-20", "2026-01-20", "--stage", "predictions")

    assert result.exit_code == 0, result.output
    assert list(lake.published("model")) == [date(2026, 1, 12), date(2026, 1, 19)]
    assert lake.manifest("predictions", date(2026, 1, 20))["metrics"]["model_date"] == "2026-01-12"


def test_days_without_an_approved_model_are_named_with_the_reason_and_the_rest_is_built(lake: StubLake) -> None:
    lake.land(date(2026, 1, 14))
    lake.judge(date(2026, 1, 12), "gate", "low")

    result = backfill("2026-01-10", "2026-01-14")

    assert result.exit_code == 34
    assert table(result)["features"] == [12, 0, 12, 0, 0, 0, 0]
    assert table(result)["predictions"] == [3, 0, 0, 0, 0, 3, 0]
    assert lines(result)[-1].startswith(
        "Error: model for 2026-01-12: wanted an approved training; found 2026-01-12 gate: low"
    )


def test_luigis_own_command_builds_the_same_and_fails_where_a_day_is_not_there(joint: StubLake) -> None:
    joint.land(date(2026, 1, 13))
    whole = tasks.Backfill(start=date(2026, 1, 12), stop=date(2026, 1, 14), of="BatchInference")
    longer = tasks.Backfill(start=date(2026, 1, 12), stop=date(2026, 1, 16), of="predictions")

    assert build(whole).status is luigi.LuigiStatusCode.SUCCESS
    assert (whole.complete(), list(joint.published("predictions"))) == (
        True,
        days(date(2026, 1, 12), date(2026, 1, 13)),
    )
    assert build(longer).status is luigi.LuigiStatusCode.FAILED


def test_luigids_page_shows_which_days_the_job_has_that_runs(joint: StubLake) -> None:
    joint.land(date(2026, 1, 12))
    task = tasks.Backfill(start=date(2026, 1, 3), stop=date(2026, 1, 13), of="model")
    shown: list[str] = []
    task.set_status_message, task.set_progress_percentage = shown.append, lambda percent: None

    task.run()

    assert shown == [
        "job 1 of 3: features of 2026-01-03 to 2026-01-09 (7 days)",
        "job 2 of 3: balanced of 2026-01-12",
        "job 3 of 3: model of 2026-01-12",
    ]


def test_a_stage_that_was_built_is_not_kept_in_memory(lake: StubLake) -> None:
    lake.land(date(2026, 1, 10))
    Register.clear_instance_cache()
    seen = []

    class Noting(Unwatched):
        def built(self, stage: Any, *given: Any) -> None:
            seen.append(weakref.ref(stage))

    builder = Builder(Asked(date(2026, 1, 1), date(2026, 1, 10), tasks.FeatureEngineering))
    builder.look()
    builder.run(Noting())
    gc.collect()

    assert len(seen) == 10
    assert [found() for found in seen[1:] if found() is not None] == []  # the first stands for what all have in common


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"stop": date(2026, 1, 12)},
            "Backfill: wanted a --stop (exclusive) after --start 2026-01-12; found 2026-01-12. Next: correct one of them",
        ),
        (
            {"start": date(2025, 12, 1), "stop": date(2026, 1, 1)},
            "backfill of 2025-12-01 to 2025-12-31: wanted a day from [pipeline] first_date on, 2026-01-01; found earlier ones "
            "alone. Next: ask for later days, or set [pipeline] first_date",
        ),
        ({"max_days_per_job": 0}, "Backfill: wanted --max-days-per-job of at least 1; found 0. Next: correct it"),
        ({"wait": "soon"}, "Backfill: wanted --wait to be a time like 4h, 90m or 30s; found 'soon'. Next: correct it"),
        (
            {"of": "Traning"},
            "Backfill: wanted --of to be one of Cleaning (clean/FEED), Snapshot (snapshots), FeatureEngineering (features), ServingFeatures (serving), "
            "Balancing (balanced), Training (model), ModelSelection (selection), BatchInference (predictions), ShadowInference (shadow), Evaluation (evaluation), "
            "Release (release), ModelImage (image); found 'Traning' (did you mean "
            "'Training'?). Next: correct it",
        ),
    ],
    ids=["a stop before the start", "days before history", "a job of no day", "a wait", "a stage"],
)
def test_a_task_that_cannot_be_is_refused_when_it_is_made(lake: StubLake, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tasks.Backfill(**{"start": date(2026, 1, 12), "stop": date(2026, 1, 14)} | more)

    assert str(caught.value) == message
