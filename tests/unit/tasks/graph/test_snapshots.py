"""Snapshots of the state by entity: which one a day reads, what makes it stale, and what the verbs say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import luigi
import pytest
from click.testing import CliRunner

import spark_lib.stages.snapshot
import tasks
from spark_lib.errors import ConfigurationError
from spark_lib.lake import ROWS_FROM_RAW, Input, Manifest, Partition, days
from tasks.cli import main
from tasks.cli.place import configured
from tasks.graph.staleness import Cell, Day, InputChanged, Landed, Need, Standing, State, States, Today
from tasks.planning import lineage, standing
from tests.unit.stubs.chain import _features
from tests.unit.stubs.stublake import LOANS, STATEFUL, Built, StubLake, build, configure, prepare

pytestmark = pytest.mark.slow

FIRST, DAY = date(2026, 1, 1), date(2026, 1, 14)
OLDER, NEWER = date(2026, 1, 5), date(2026, 1, 12)  # Mondays
LANDED_AGAIN = date(2026, 1, 4)
SUCCESS = luigi.LuigiStatusCode.SUCCESS


def under(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, settings: str, use_case: str = STATEFUL, on_stale: str = "warn"
) -> None:
    """Go on as a new process does, with other settings."""
    of_lake = f"[lake]\nroot = {lake.root}\non_stale = {on_stale}\n"
    configure(monkeypatch, f"{of_lake}[pipeline]\nuse_case = {use_case}\n{settings}")
    luigi.task_register.Register.clear_instance_cache()


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    """Weekly snapshots; every raw day has a file, of whose lines the first one counts."""
    lake = prepare(monkeypatch, tmp_path / "lake", "[features]\nsnapshot = weekly\n", STATEFUL)
    lake.land(date(2026, 1, 31))
    for day in days(FIRST, date(2026, 1, 31)):
        land(lake, day, f"{day}\nas it landed")
    return lake


def land(lake: StubLake, day: date, content: str) -> None:
    lake.flag("events", day).with_name("part-0").write_text(content)


@pytest.fixture
def built(lake: StubLake) -> StubLake:
    """Features of ``DAY``, of the snapshot that it reads, which was built from the one before it."""
    build(tasks.Snapshot(date=OLDER))
    build(tasks.FeatureEngineering(date=DAY))
    return lake


def required(stage: tasks.Stage) -> list[str]:
    return [f"{task.task_family} {task.date}" for task in stage.deps()]


@pytest.mark.parametrize(
    ("cadence", "day", "snapshot"),
    [
        ("weekly", DAY, NEWER),
        ("weekly", NEWER, OLDER),
        ("weekly", OLDER, None),
        ("daily", DAY, date(2026, 1, 13)),
        ("daily", FIRST, None),
        ("monthly", DAY, FIRST),
        ("none", DAY, None),
    ],
)
def test_a_day_asks_for_the_last_snapshot_before_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, cadence: str, day: date, snapshot: date | None
) -> None:
    under(lake, monkeypatch, f"[features]\nsnapshot = {cadence}\n")

    found = required(tasks.FeatureEngineering(date=day))

    assert found == [f"RawPartition {day}", *([f"Snapshot {snapshot}"] if snapshot else [])]


def test_a_use_case_without_a_state_reads_its_history_and_the_estimate_says_so(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = replace(lake, use_case=LOANS)
    lake.land(DAY)
    under(lake, monkeypatch, "[features]\nsnapshot = weekly\n", LOANS)

    planned = CliRunner().invoke(main.main, ["plan", "--from", str(DAY), "--to", str(DAY), "--stage", "features"])

    assert required(tasks.FeatureEngineering(date=DAY)) == [f"RawPartition {DAY}"]
    assert planned.stdout.splitlines()[-1] == (
        "note: each day of features reads all raw days: [features] snapshot = weekly needs update_state, which Loans does "
        "not declare"
    )
    assert build(tasks.Snapshot(date=NEWER)).refused == [
        f"snapshots of {NEWER}: wanted a use case with update_state and engineer_from_state, written where engineer is; "
        "found none in Loans. Next: write them, or ask for features, which read all raw days"
    ]


def test_a_word_that_is_no_cadence_is_refused(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, "[features]\nsnapshot = wekly\n")

    with pytest.raises(ConfigurationError) as refused:
        configured()

    assert str(refused.value) == (
        "[features] snapshot: wanted one of none, daily, weekly, monthly; found 'wekly' (did you mean 'weekly'?). Next: "
        "correct it"
    )


def inputs(lake: StubLake, dataset: str, day: date) -> dict[str, tuple[str, str]]:
    return {given["name"]: (given["first"], given["last"]) for given in lake.manifest(dataset, day)["inputs"]}


def test_a_day_is_built_from_the_snapshot_and_a_snapshot_from_the_one_before_it(built: StubLake) -> None:
    assert inputs(built, "snapshots", OLDER) == {"raw/events": (str(FIRST), str(OLDER))}
    assert inputs(built, "snapshots", NEWER) == {
        "raw/events": (str(FIRST), str(NEWER)),
        "snapshots": (str(OLDER), str(OLDER)),
    }
    assert inputs(built, "features", DAY) == {
        "raw/events": (str(FIRST), str(DAY)),
        "snapshots": (str(NEWER), str(NEWER)),
    }
    state = next(built.partition("snapshots", NEWER).glob("run=*/rows.txt")).read_text()
    assert state == "".join(f"{day}\n" for day in days(FIRST, NEWER))


def cells(last: date = DAY) -> dict[str, Cell]:
    """The states of all that is published."""
    place = configured()
    spans = dict.fromkeys(("snapshots", "features"), (FIRST, last))
    states = standing.look(place.partitions, place.feeds, standing.todays(last), spans)
    return {f"{name} {day}": states.of(Day(name, day)) for name in spans for day in states.standing.published[name]}


def stale() -> list[str]:
    return [name for name, cell in cells().items() if cell.state is State.STALE]


def rebuild(stage: tasks.Stage) -> Built:
    stage.force = True
    return build(stage)


def test_a_raw_day_that_lands_again_marks_every_snapshot_that_knows_it_and_the_days_built_from_them(
    built: StubLake,
) -> None:
    build(tasks.FeatureEngineering(date=date(2026, 1, 3)))
    assert stale() == []

    land(built, LANDED_AGAIN, "other")

    assert stale() == [f"snapshots {OLDER}", f"snapshots {NEWER}", f"features {DAY}"]
    (reason,) = cells()[f"features {DAY}"].reasons
    assert isinstance(reason, InputChanged)
    assert reason.day == Day("raw/events", LANDED_AGAIN)


def test_a_raw_day_since_the_snapshot_marks_the_day_alone(built: StubLake) -> None:
    land(built, date(2026, 1, 13), "other")

    assert stale() == [f"features {DAY}"]


def test_a_snapshot_that_is_rebuilt_equal_marks_nothing_further(built: StubLake) -> None:
    land(built, LANDED_AGAIN, f"{LANDED_AGAIN}\nthe same rows in other bytes")
    assert stale() == [f"snapshots {OLDER}", f"snapshots {NEWER}", f"features {DAY}"]

    rebuild(tasks.Snapshot(date=OLDER))

    assert stale() == []


def test_a_snapshot_that_comes_out_otherwise_marks_what_was_built_from_it(built: StubLake) -> None:
    land(built, LANDED_AGAIN, "other rows")

    rebuild(tasks.Snapshot(date=OLDER))

    assert stale() == [f"snapshots {NEWER}", f"features {DAY}"]
    rebuild(tasks.Snapshot(date=NEWER))
    assert stale() == [f"features {DAY}"]
    rebuild(tasks.FeatureEngineering(date=DAY))
    assert stale() == []


def test_a_day_with_rows_from_all_raw_days_is_stale_by_each_of_them(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*given: Any) -> Any:
        return replace(_features(*given[:3], "", 0), metrics={ROWS_FROM_RAW: 1})

    monkeypatch.setattr(spark_lib.stages.snapshot, "build_features", late)
    build(tasks.FeatureEngineering(date=DAY))
    land(lake, LANDED_AGAIN, f"{LANDED_AGAIN}\nthe same rows in other bytes")

    rebuild(tasks.Snapshot(date=NEWER))

    assert stale() == [f"features {DAY}"]


def test_a_stale_snapshot_is_never_read(built: StubLake) -> None:
    land(built, LANDED_AGAIN, "other")

    rebuild(tasks.FeatureEngineering(date=DAY))
    build(tasks.FeatureEngineering(date=date(2026, 1, 21)))

    assert inputs(built, "features", DAY) == {"raw/events": (str(FIRST), str(DAY))}
    assert inputs(built, "snapshots", date(2026, 1, 19)) == {"raw/events": (str(FIRST), "2026-01-19")}
    assert "snapshots" in inputs(built, "features", date(2026, 1, 21))


def test_a_snapshot_of_another_history_is_never_read(built: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (date(2026, 1, 2), date(2025, 12, 31)):
        built.land(first, first)
        under(built, monkeypatch, f"[features]\nsnapshot = weekly\n[pipeline.{built.name}]\nfirst_date = {first}\n")

        rebuild(tasks.FeatureEngineering(date=DAY))

        assert inputs(built, "features", DAY) == {"raw/events": (str(first), str(DAY))}


@pytest.mark.parametrize("cadence", ["none", "daily", "monthly"])
def test_another_cadence_makes_nothing_stale(built: StubLake, monkeypatch: pytest.MonkeyPatch, cadence: str) -> None:
    build(tasks.FeatureEngineering(date=date(2026, 1, 3)))

    under(built, monkeypatch, f"[features]\nsnapshot = {cadence}\n")

    assert stale() == []


def test_under_rebuild_a_day_is_built_again_with_the_snapshot_that_it_reads(
    built: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(built, LANDED_AGAIN, "other")
    under(built, monkeypatch, "[features]\nsnapshot = weekly\n", on_stale="rebuild")

    ran = build(tasks.FeatureEngineering(date=DAY))

    assert (ran.status, ran.ended) == (SUCCESS, [f"FeatureEngineering {DAY}", f"Snapshot {NEWER}"])
    assert stale() == [f"snapshots {OLDER}"]
    assert build(tasks.FeatureEngineering(date=DAY)).ran == []


def test_days_that_are_built_together_read_all_raw_days_and_snapshots_are_there_for_later_ones(
    lake: StubLake,
) -> None:
    result = CliRunner().invoke(main.main, ["backfill", "--from", str(FIRST), "--to", str(DAY), "--stage", "features"])

    assert result.exit_code == 0, result.output
    assert [*lake.published("snapshots")] == [OLDER, NEWER]
    assert len(lake.published("features")) == len(days(FIRST, DAY))
    assert inputs(lake, "features", DAY) == {"raw/events": (str(FIRST), str(DAY))}
    assert stale() == []


# The verbs


def shown(*arguments: object) -> list[str]:
    result = CliRunner().invoke(main.main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_status_shows_snapshots_where_they_are_asked_for(built: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ("status", "--from", DAY, "--to", DAY)
    assert "snap" in shown(*wanted)[1]

    under(built, monkeypatch, "")

    assert "snap" not in shown(*wanted)[1]


def test_why_says_what_a_snapshot_was_built_from_and_what_was_built_from_it(built: StubLake) -> None:
    runs = built.published("snapshots")

    told = shown("why", "snapshots", "--date", OLDER)

    assert f"built from    raw/events of {FIRST} to {OLDER}" in told
    assert any(line.startswith(f"used by       snapshots of {NEWER}") for line in told)
    found = lineage.trace(configured().partitions, "features", DAY)
    assert [(each.day, each.run) for each in found.ancestors[1:]] == [
        (Day("snapshots", day), runs[day]) for day in (NEWER, OLDER)
    ]


def test_clean_names_what_was_built_from_a_snapshot_and_removes_the_newest_first(built: StubLake) -> None:
    kept = CliRunner().invoke(main.main, ["clean", "snapshots", "--from", str(OLDER), "--to", str(OLDER)])
    assert f"to stay: snapshots of {NEWER}, built from what is removed (--downstream removes it, too)" in kept.stdout
    assert f"to stay: features of {DAY}, built from what is removed (--downstream removes it, too)" in kept.stdout

    gone = shown("clean", "snapshots", "--from", OLDER, "--to", OLDER, "--downstream", "--yes")

    assert [line for line in gone if line.startswith("removed ")] == [
        f"removed features of {DAY}",
        f"removed snapshots of {NEWER}",
        f"removed snapshots of {OLDER}",
    ]


def test_a_plan_says_that_a_snapshot_will_be_built_and_of_stale_ones_what_may_be(
    built: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = shown("plan", "--from", "2026-01-21", "--to", "2026-01-21", "--stage", "features")
    assert [line.split("  ")[0] for line in later if line.endswith("missing, will be built")] == [
        "snapshots",
        "features",
    ]

    land(built, LANDED_AGAIN, f"{LANDED_AGAIN}\nother bytes")
    under(built, monkeypatch, "[features]\nsnapshot = weekly\n", on_stale="rebuild")
    planned = shown("plan", "--from", DAY, "--to", DAY, "--stage", "features")

    assert [(line.split("  ")[0], line.rpartition(", ")[2]) for line in planned[:2]] == [
        ("snapshots", "may be built"),
        ("features", "may be built"),
    ]


# A long line of snapshots


def test_a_thousand_snapshots_each_of_the_one_before_it_are_judged_without_recursion() -> None:
    line = days(FIRST, FIRST + timedelta(days=1_500))
    raw = Landed(FIRST, ("new", *("old" for _ in line[1:])), line[-1])

    def made(day: date) -> Manifest:
        count = (day - FIRST).days + 1
        read = Input("raw/events", FIRST, day, ("old",) * count)
        before = day - timedelta(days=1)
        known = (Input("snapshots", before, before, ("run",), ("rows",)),) if day > FIRST else ()
        return Manifest("run", "Test", (), inputs=(read, *known), digest="rows")

    def judged(published: Mapping[date, Manifest]) -> list[State]:
        own = Today(
            "snapshots",
            needs=lambda day: [Need("raw/events", FIRST, day)],
            is_due=lambda day: True,
            stands_for_raw=frozenset({"snapshots"}),
        )
        states = States([own], Standing({"snapshots": published}, {"raw/events": raw}))
        return [states.of(Day("snapshots", day)).state for day in (line[-1], FIRST)]

    there = {day: made(day) for day in line}

    assert judged(there) == [State.STALE, State.STALE]
    fresh = replace(there[FIRST], run="again", inputs=(Input("raw/events", FIRST, FIRST, ("new",)),))
    assert judged(there | {FIRST: fresh}) == [State.DONE, State.DONE]
    assert judged(there | {FIRST: replace(fresh, digest="other rows")}) == [State.STALE, State.DONE]


def test_a_snapshot_is_a_partition_like_any_other(built: StubLake) -> None:
    found = configured().partitions.find("snapshots", FIRST, DAY)

    assert all(isinstance(each, Partition) for each in found.values())
    assert [each.manifest.stage for each in found.values() if isinstance(each, Partition)] == ["Snapshot", "Snapshot"]
