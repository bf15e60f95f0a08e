"""The graph of use cases whose outcomes land with the rows, land later, or are looked back on."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import luigi
import pytest

import tasks
from spark_lib.lake import days
from tasks.cli import status
from tasks.cli.place import configured
from tasks.planning import stale
from tests.unit.stubs.stublake import StubLake, build, prepare

KNOWN, CORRECTED, REMEMBERED = (f"tests.unit.stubs.cases:{name}" for name in ("Known", "Corrected", "Remembered"))
FEEDS = {KNOWN: ("events",), CORRECTED: ("events", "corrections"), REMEMBERED: ("events", "outcomes")}
FIRST, BEFORE, DAY = date(2026, 1, 1), date(2026, 1, 11), date(2026, 1, 12)
SUCCESS, FAILED, MISSING = (
    luigi.LuigiStatusCode.SUCCESS,
    luigi.LuigiStatusCode.FAILED,
    luigi.LuigiStatusCode.MISSING_EXT,
)


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    lake = prepare(monkeypatch, tmp_path / "lake", use_case=request.param)
    lake.land(DAY, feeds=FEEDS[request.param])
    return lake


def of(use_case: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lake", [use_case], indirect=True)


def required(stage: luigi.Task) -> list[str]:
    return [
        f"{task.feed} {task.date}" if isinstance(task, tasks.RawPartition) else f"{task.task_family} {task.date}"
        for task in stage.deps()
    ]


def inputs(lake: StubLake, dataset: str, day: date) -> dict[str, tuple[str, str]]:
    return {given["name"]: (given["first"], given["last"]) for given in lake.manifest(dataset, day)["inputs"]}


def ids(lake: StubLake, feed: str) -> list[str]:
    """The identities of a feed's days among the inputs of the features of ``DAY``."""
    found: list[Any] = [given["ids"] for given in lake.manifest("features", DAY)["inputs"] if given["name"] == feed]
    return list(found[0])


@of(KNOWN)
def test_outcomes_that_land_with_the_rows_are_trained_on_up_to_the_day_before(lake: StubLake) -> None:
    built = build(tasks.Training(date=DAY))

    assert built.status == SUCCESS
    window = days(date(2026, 1, 5), BEFORE)
    assert required(tasks.FeatureEngineering(date=DAY)) == [f"events {DAY}"]
    assert required(tasks.Balancing(date=DAY)) == [f"FeatureEngineering {day}" for day in window]
    assert inputs(lake, "balanced", DAY) == dict.fromkeys(("features", "raw/events"), (str(window[0]), str(BEFORE)))
    assert lake.manifest("balanced", DAY)["settings"]["label_delay_days"] == 0


@of(KNOWN)
def test_a_training_of_outcomes_that_land_with_the_rows_waits_for_no_row_of_its_own_day(lake: StubLake) -> None:
    lake.flag("events", DAY).unlink()

    assert build(tasks.Training(date=DAY)).status == SUCCESS


@of(CORRECTED)
def test_what_becomes_known_later_counts_up_to_the_training_date(lake: StubLake) -> None:
    build(tasks.Training(date=DAY))

    first, last = date(2026, 1, 3), date(2026, 1, 9)
    assert required(tasks.Balancing(date=DAY)) == [
        *(f"FeatureEngineering {day}" for day in days(first, last)),
        f"corrections {DAY}",
    ]
    assert inputs(lake, "balanced", DAY) == {
        "features": (str(first), str(last)),
        "raw/events": (str(first), str(last)),
        "raw/corrections": (str(first), str(DAY)),
    }


@pytest.mark.parametrize(("lake", "feed"), [(CORRECTED, "corrections"), (REMEMBERED, "outcomes")], indirect=["lake"])
def test_features_look_back_on_outcomes_of_the_days_before_and_serving_on_those_of_its_day(
    lake: StubLake, feed: str
) -> None:
    lake.flag(feed, DAY).unlink()
    built = build(tasks.FeatureEngineering(date=DAY), tasks.ServingFeatures(date=BEFORE))

    assert built.status == SUCCESS
    assert required(tasks.FeatureEngineering(date=DAY)) == [f"events {DAY}", f"{feed} {BEFORE}"]
    assert required(tasks.ServingFeatures(date=BEFORE)) == [f"events {BEFORE}", f"{feed} {BEFORE}"]
    assert inputs(lake, "features", DAY) == {
        "raw/events": (str(FIRST), str(DAY)),
        f"raw/{feed}": (str(FIRST), str(BEFORE)),
    }
    assert set(inputs(lake, "serving", BEFORE).values()) == {(str(FIRST), str(BEFORE))}


@of(REMEMBERED)
def test_on_the_first_day_there_is_no_outcome_to_look_back_on(lake: StubLake) -> None:
    built = build(tasks.FeatureEngineering(date=FIRST))

    assert built.status == SUCCESS
    assert required(tasks.FeatureEngineering(date=FIRST)) == [f"events {FIRST}"]
    assert inputs(lake, "features", FIRST) == {"raw/events": (str(FIRST), str(FIRST))}


@of(REMEMBERED)
def test_outcomes_of_the_day_before_are_waited_for(lake: StubLake) -> None:
    flag = lake.flag("outcomes", BEFORE)
    flag.unlink()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert (built.status, built.ended) == (MISSING, [])
    assert built.refused == [
        f"raw feed outcomes of {BEFORE}: wanted the flag {flag}; found none yet. "
        "Next: land the day's files, then its flag, and run again"
    ]


@of(REMEMBERED)
def test_a_hole_in_the_outcomes_of_earlier_days_is_an_error_that_names_it(lake: StubLake) -> None:
    hole = date(2026, 1, 5)
    lake.flag("outcomes", hole).unlink()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert built.status == FAILED
    assert built.refused == [
        f"raw feed outcomes: wanted every day from 2026-01-01 to {BEFORE}; found no flag '_SUCCESS' on {hole}, as in "
        f"{lake.flag('outcomes', hole).parent}. Next: land the missing days (a flagged day may be empty), or set [pipeline] "
        "first_date to the first day that exists"
    ]


@of(REMEMBERED)
def test_a_training_waits_for_outcomes_that_its_features_look_back_on(lake: StubLake) -> None:
    awaited = date(2026, 1, 5)
    lake.flag("outcomes", awaited).unlink()

    built = build(tasks.Training(date=DAY))

    assert built.status == MISSING
    assert built.ended == [f"FeatureEngineering {day}" for day in days(date(2026, 1, 3), date(2026, 1, 4))]
    assert [reason.partition(":")[0] for reason in built.refused] == [f"raw feed outcomes of {awaited}"]


@of(REMEMBERED)
def test_a_change_of_earlier_outcomes_is_another_input_of_features_and_one_of_the_day_is_none(lake: StubLake) -> None:
    def again(changed: date) -> list[str]:
        (lake.flag("outcomes", changed).parent / "part-1.parquet").write_bytes(b"more")
        forced = tasks.FeatureEngineering(date=DAY)
        forced.force = True
        assert build(forced).status == SUCCESS
        return ids(lake, "raw/outcomes")

    build(tasks.FeatureEngineering(date=DAY))
    before = ids(lake, "raw/outcomes")

    assert again(DAY) == before
    assert [one == other for one, other in zip(before, again(BEFORE), strict=True)] == [True] * 10 + [False]


@of(CORRECTED)
def test_the_days_of_each_feed_of_outcomes_are_shown_beside_what_is_built_from_them(lake: StubLake) -> None:
    lake.flag("corrections", DAY).unlink()
    build(tasks.FeatureEngineering(date=DAY))

    found = status.report(configured(), BEFORE, DAY)

    shown = [
        (cells["events"].text, cells["corrections"].text, cells["features"].text) for cells in found.cells.values()
    ]
    assert shown == [("landed", "landed", "missing"), ("landed", "waiting", "0")]


@of(KNOWN)
def test_partitions_of_other_settings_are_named_where_outcomes_land_with_the_rows(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tasks.Training(date=DAY))
    prepare(monkeypatch, lake.root, "[training]\nseed = 3\n", KNOWN)
    build(tasks.Training(date=DAY))

    assert stale.note().startswith(
        "2 partitions are stale and stay as they are: balanced of 2026-01-12 "
        "(settings: seed 0, now 3); model of 2026-01-12 (settings: seed 0, now 3). To build them again: daystone rebuild balanced "
    )


@pytest.mark.parametrize("feed", ["events", "corrections"])
def test_how_the_csv_of_each_feed_of_outcomes_is_written_is_recorded(
    feed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = prepare(monkeypatch, tmp_path / "lake", f"[raw.{feed}]\nformat = csv\n", CORRECTED)
    lake.land(DAY, feeds=FEEDS[CORRECTED])

    build(tasks.Training(date=DAY))

    for dataset, day in (("features", date(2026, 1, 9)), ("balanced", DAY)):
        assert lake.manifest(dataset, day)["settings"][f"raw.{feed}.separator"] == ","
