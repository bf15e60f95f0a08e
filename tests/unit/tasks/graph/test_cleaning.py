"""Clean days in the graph: what asks for them, what makes them stale and what does not, and what the verbs say of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import luigi
import pytest
from click.testing import CliRunner

import spark_lib.stages.cleaning
import tasks
from spark_lib.errors import ConfigurationError
from spark_lib.lake import days
from tasks import cleaning
from tasks.cli import main
from tasks.planning import chain
from tasks.planning.chain import CHAIN
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import (
    CLEANED,
    CLEANED_STATEFUL,
    CLEANED_TOGETHER,
    LOANS,
    StubLake,
    build,
    configure,
    prepare,
)

pytestmark = pytest.mark.slow

FIRST, DAY = date(2026, 1, 1), date(2026, 1, 6)
EVENTS = cleaning.of("events")
SUCCESS = luigi.LuigiStatusCode.SUCCESS


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    return landed(monkeypatch, tmp_path, CLEANED)


def landed(monkeypatch: pytest.MonkeyPatch, home: Path, use_case: str) -> StubLake:
    """Every day of events has a file, of which the first line counts."""
    lake = prepare(monkeypatch, home / "lake", use_case=use_case)
    lake.land(date(2026, 1, 31))
    for day in days(FIRST, date(2026, 1, 31)):
        land(lake, day, f"{day}\nas it landed")
    return lake


def land(lake: StubLake, day: date, content: str) -> None:
    lake.flag("events", day).with_name("part-0").write_text(content)


def under(monkeypatch: pytest.MonkeyPatch, lake: StubLake, on_stale: str) -> None:
    """Go on as a new process does."""
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = {on_stale}\n[pipeline]\nuse_case = {lake.use_case}\n",
    )
    luigi.task_register.Register.clear_instance_cache()


def said(*given: str) -> str:
    return CliRunner().invoke(main.main, list(given)).output


def inputs(lake: StubLake, dataset: str, day: date) -> list[tuple[str, str, str]]:
    return [(given["name"], given["first"], given["last"]) for given in lake.manifest(dataset, day)["inputs"]]


def test_features_ask_for_all_clean_days_that_are_missing_and_one_job_builds_them(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    of_days = spark_lib.stages.cleaning.build_days
    monkeypatch.setattr(
        spark_lib.stages.cleaning, "build_days", lambda *given: jobs.append(given[3].days) or of_days(*given)
    )
    build(EVENTS(date=date(2026, 1, 3)))

    built = build(tasks.FeatureEngineering(date=DAY))

    assert jobs == [tuple(day for day in days(FIRST, DAY) if day != date(2026, 1, 3))]
    assert list(lake.published("clean/events")) == days(FIRST, DAY)
    assert lake.published("clean/outcomes") == {}  # features do not look back on outcomes
    assert f"Cleaning {DAY}" in built.ran and f"CleaningRange {DAY}" in built.ran
    assert inputs(lake, "features", DAY) == [("clean/events", str(FIRST), str(DAY))]
    assert inputs(lake, "clean/events", DAY) == [("raw/events", "2026-01-04", str(DAY))]


def test_a_day_before_which_history_has_fewer_days_is_made_from_those(lake: StubLake) -> None:
    build(EVENTS(date=date(2026, 1, 2)))

    assert inputs(lake, "clean/events", date(2026, 1, 2)) == [("raw/events", str(FIRST), "2026-01-02")]


def test_a_training_set_is_made_from_clean_outcomes_of_its_window(lake: StubLake) -> None:
    build(tasks.Balancing(date=date(2026, 1, 12)))

    assert inputs(lake, "balanced", date(2026, 1, 12)) == [
        ("features", "2026-01-03", "2026-01-09"),
        ("clean/outcomes", "2026-01-03", "2026-01-12"),
    ]
    assert list(lake.published("clean/outcomes")) == days(date(2026, 1, 3), date(2026, 1, 12))


@pytest.mark.parametrize("stage", [tasks.ServingFeatures, tasks.FeatureEngineering])
def test_whatever_reads_a_feed_with_rules_reads_its_clean_days(lake: StubLake, stage: type[tasks.Stage]) -> None:
    build(stage(date=DAY))

    assert inputs(lake, stage.dataset, DAY)[0] == ("clean/events", str(FIRST), str(DAY))


def test_a_snapshot_is_made_from_clean_days_and_stands_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = landed(monkeypatch, tmp_path, CLEANED_STATEFUL)
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\n[pipeline]\nuse_case = {CLEANED_STATEFUL}\n[features]\nsnapshot = weekly\n",
    )
    luigi.task_register.Register.clear_instance_cache()
    build(tasks.FeatureEngineering(date=DAY))

    assert inputs(lake, "features", DAY)[0] == ("clean/events", str(FIRST), str(DAY))
    assert ("snapshots", "2026-01-05", "2026-01-05") in inputs(lake, "features", DAY)
    assert inputs(lake, "snapshots", date(2026, 1, 5))[0] == ("clean/events", str(FIRST), "2026-01-05")
    assert "clean/events" in said("lineage", "--stage", "features", "--date", str(DAY))
    assert build(tasks.FeatureEngineering(date=DAY)).ran == []


def test_a_raw_day_that_lands_again_makes_stale_the_clean_days_that_look_at_it_and_features_only_where_rows_differ(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tasks.FeatureEngineering(date=DAY))
    before = {name: lake.published(name) for name in ("clean/events", "features")}
    land(lake, date(2026, 1, 3), "2026-01-03\nwritten otherwise")
    under(monkeypatch, lake, "rebuild")

    assert "stale (input)" in said(
        "why", "clean/events", "--date", "2026-01-05"
    ) or "input: raw/events of 2026-01-03" in said("why", "clean/events", "--date", "2026-01-05")
    assert build(tasks.FeatureEngineering(date=DAY)).status is SUCCESS

    now = lake.published("clean/events")
    assert [day for day in now if now[day] != before["clean/events"][day]] == days(date(2026, 1, 3), date(2026, 1, 5))
    assert lake.published("features") == before["features"]  # the clean days came out equal

    land(lake, date(2026, 1, 3), "other rows")
    under(monkeypatch, lake, "rebuild")
    build(tasks.FeatureEngineering(date=DAY))
    assert lake.published("features") != before["features"]


def test_rules_are_settings_so_that_another_rule_makes_a_clean_day_stale_and_other_code_does_not(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(EVENTS(date=DAY))
    manifest = lake.manifest("clean/events", DAY)
    assert manifest["code"] == {"result": "1"}
    assert manifest["settings"]["rules"] == {"amount is positive": "amount > 0"}

    other = dict(cases.CLEANED)
    other["events"] = type(other["events"])(
        other["events"].schema, "id", rules={"amount is positive": "amount >= 1"}, unique_days=2
    )
    monkeypatch.setattr(cases.Cleaned, "feeds", other)
    under(monkeypatch, lake, "warn")

    assert "settings: rules {'amount is positive': 'amount > 0'}, now {'amount is positive': 'amount >= 1'}" in said(
        "why", "clean/events", "--date", str(DAY)
    )


def test_a_bad_day_has_its_own_error_and_the_good_days_before_it_are_there(lake: StubLake) -> None:
    bad = lake.flag("events", date(2026, 1, 4)).with_name("unreadable")
    bad.write_text("x")

    built = build(tasks.FeatureEngineering(date=DAY))

    assert built.refused == [f"{bad}: wanted a file that can be read; found none. Next: land it again"]
    assert list(lake.published("clean/events")) == days(FIRST, date(2026, 1, 3))


def test_a_raw_day_that_has_not_landed_is_awaited_by_features(lake: StubLake) -> None:
    lake.flag("events", DAY).unlink()
    for day in days(date(2026, 1, 7), date(2026, 1, 31)):
        lake.flag("events", day).unlink()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert built.status is luigi.LuigiStatusCode.MISSING_EXT
    assert [line for line in built.refused if f"raw feed events of {DAY}: wanted the flag" in line]


def test_a_backfill_builds_clean_days_by_one_job_and_features_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = landed(monkeypatch, tmp_path, CLEANED_TOGETHER)

    done = said("backfill", "--from", str(FIRST), "--to", str(DAY), "--stage", "features")

    assert list(lake.published("clean/events")) == list(lake.published("features")) == days(FIRST, DAY)
    assert len(set(lake.published("clean/events").values())) == 1
    assert "clean/events" in done


def test_every_verb_knows_the_dataset_of_a_feed(lake: StubLake) -> None:
    build(tasks.FeatureEngineering(date=DAY))

    assert "clean/events" in said("status", "--to", str(DAY))
    assert f"clean/events of {DAY}  done" in said("why", "clean/events", "--date", str(DAY))
    assert "used by       features of 2026-01-06" in said("why", "clean/events", "--date", str(DAY))
    assert said("files", "clean/events", "--date", str(DAY)).endswith("is published and has no rows, hence no files\n")
    assert "1 file read and held against the manifests" in said("status", "--verify", "--to", str(DAY))
    assert "nothing to do: clean/events of 2026-01-06 is complete" in said("run", "clean/events", "--date", str(DAY))
    assert "clean/events  2026-01-07" in said(
        "plan", "--from", "2026-01-07", "--to", "2026-01-07", "--stage", "clean/events"
    )
    assert "raw/events" in said("lineage", "--stage", "clean/events", "--date", str(DAY))
    assert said("gc").startswith("0 pieces of garbage")
    removed = said("clean", "clean/events", "--from", str(DAY), "--to", str(DAY), "--downstream", "--yes")
    assert "features" in removed and DAY not in lake.published("clean/events") and not lake.published("features")


def test_a_feed_without_rules_has_no_clean_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = landed(monkeypatch, tmp_path, LOANS)
    build(tasks.FeatureEngineering(date=DAY))

    assert chain.of(cases.Loans()) == tuple(stage for stage in CHAIN if stage is not tasks.Cleaning)
    assert inputs(lake, "features", DAY) == [("raw/events", str(FIRST), str(DAY))]
    with pytest.raises(ConfigurationError) as caught:
        tasks.Cleaning(date=DAY, feed="events")
    assert str(caught.value) == (
        f"clean/events of {DAY}: wanted a feed that is cleaned: this use case declares none; found 'events', which declares "
        "no rules and is read as it landed. Next: name another, or declare rules, duplicates or unique_days of the feed"
    )
    assert "wanted a feed that declares rules: none is declared; found 'events', which is read as it landed" in said(
        "plan", "--from", str(DAY), "--to", str(DAY), "--stage", "clean/events"
    )
    assert "no stage or dataset 'clean'; there are Cleaning (clean/FEED), Snapshot" in said(
        "files", "clean", "--date", str(DAY)
    )


def test_the_task_of_a_feed_is_one_task_however_it_is_named(lake: StubLake) -> None:
    named, of_feed = tasks.Cleaning(date=DAY, feed="events"), EVENTS(date=DAY)

    assert named == of_feed
    assert named.task_id == of_feed.task_id and named.task_family == "Cleaning"
    assert (type(named), named.dataset, named.feed) == (EVENTS, "clean/events", "events")
    assert named.clone(cleaning.of("outcomes")).feed == "outcomes"
    assert luigi.task_register.Register.get_task_cls("Cleaning") is tasks.Cleaning


def test_one_policy_holds_for_all_clean_days(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, lake, "warn, clean: rebuild")

    assert EVENTS(date=DAY).on_stale.value == "rebuild"
    assert tasks.FeatureEngineering(date=DAY).on_stale.value == "warn"
