"""Settings that were changed after partitions were built: said once, in one line at the end, with the commands."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from luigi.configuration import get_config
from luigi.task_register import Register
from luigi.tools.range import RangeDaily

import tasks
from spark_lib.errors import ConfigurationError
from tasks.planning import runs, stale
from tests.support.processes import Commands
from tests.unit.stubs.stublake import CONTESTED, FIRST_TRAINING, StubLake, build, listed, prepare
from tests.unit.tasks.conftest import Predicted
from tests.unit.verbs import SHORT, Verbs

DAY = date(2026, 1, 20)  # whose candidates are of the 12th and the 19th
CHANGED = "[training]\ntrees = 3\n"
MODELS = (
    "2 partitions are stale and stay as they are: model of 2026-01-12, 2026-01-19 "
    "(settings: trees 20, now 3). To build them again: daystone rebuild model --date 2026-01-12 (then 2026-01-19); "
    "daystone rebuild selection --date 2026-01-20; daystone rebuild predictions --date 2026-01-20"
)

pytestmark = pytest.mark.slow


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What runs have warned of at their end."""
    found: list[str] = []
    monkeypatch.setattr(runs.logger, "warning", found.append)
    return found


@pytest.fixture
def lake(predicted: Predicted, said: list[str]) -> StubLake:
    lake = predicted(DAY, use_case=CONTESTED)
    assert said == []
    return lake


def change(lake: StubLake, monkeypatch: pytest.MonkeyPatch, settings: str = CHANGED) -> None:
    prepare(monkeypatch, lake.root, settings, CONTESTED)
    Register.clear_instance_cache()  # a new process: a range keeps what it has once found to be missing


def test_a_complete_day_says_what_behind_it_was_made_by_other_settings(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch)
    before = lake.written()

    built = build(tasks.BatchInference(date=DAY))

    assert built.ran == []
    assert said == [MODELS]
    assert lake.written() == before


def test_a_run_that_builds_a_day_says_it_of_what_it_found_and_not_of_what_it_built(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch)

    build(tasks.BatchInference(date=date(2026, 1, 27)))

    (line,) = said
    assert line.startswith("2 partitions are stale and stay as they are: ")
    assert "model of 2026-01-12, 2026-01-19 (settings: trees 20, now 3). " in line


def test_a_run_that_fails_says_it_too(lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (12, 19):
        lake.judge(date(2026, 1, day), "gate", "area under ROC 0.5")
        lake.delete("model", date(2026, 1, day))
    lake.delete("selection", DAY)
    lake.delete("predictions", DAY)
    build(tasks.BatchInference(date=DAY))
    change(lake, monkeypatch, "[training]\nmin_area_under_roc = 0.4\n")
    said.clear()

    built = build(tasks.BatchInference(date=DAY))

    assert built.refused[0].startswith("model for 2026-01-20: wanted an approved training; ")
    assert said == [
        "2 partitions are stale and stay as they are: model of 2026-01-12, 2026-01-19 "
        "(settings: min_area_under_roc 0.6, now 0.4). To build them again: daystone rebuild model --date 2026-01-12 (then 2026-01-19)"
    ]


def test_kinds_are_told_apart_and_commands_begin_with_what_others_are_built_from(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch, "[training]\ntrees = 3\ndepth = 7\nbalancing = smote\nchampion_margin = 0.5\n")

    build(tasks.BatchInference(date=DAY))

    assert said == [
        "5 partitions are stale and stay as they are: balanced of 2026-01-12, 2026-01-19 "
        "(settings: balancing undersample, now smote); model of 2026-01-12, 2026-01-19 (settings: trees 20, now 3; "
        "settings: depth 5, now 7); selection of 2026-01-20 (settings: champion_margin 0.02, now 0.5). To build them again: daystone rebuild balanced --date 2026-01-12 (then "
        "2026-01-19); daystone rebuild model --date 2026-01-12 (then 2026-01-19); daystone rebuild selection --date 2026-01-20; "
        "daystone rebuild predictions --date 2026-01-20"
    ]


def test_what_todays_settings_would_not_build_is_in_no_command(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch, "[training]\nwindow_days = 14\n")
    build(tasks.BatchInference(date=DAY))
    change(lake, monkeypatch, "[training]\nwindow_days = 28\n")
    build(tasks.BatchInference(date=DAY))

    assert [line.partition(". ")[2] for line in said] == [
        "To build them again: daystone rebuild balanced --date 2026-01-19; daystone rebuild model --date 2026-01-19; daystone "
        "rebuild selection --date 2026-01-20; daystone rebuild predictions --date 2026-01-20",
        "Today's settings ask for none of them, so there is nothing to rebuild",
    ]


def test_a_setting_that_an_older_manifest_does_not_record_is_no_reason(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (date(2026, 1, 12), date(2026, 1, 19)):
        rewrite(lake, "model", day, lambda document: document["settings"].pop("trees"))
    change(lake, monkeypatch)

    build(tasks.BatchInference(date=DAY))

    assert said == []


def test_settings_of_no_stage_upstream_are_no_reason(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch, CHANGED)

    build(tasks.FeatureEngineering(date=DAY), tasks.Balancing(date=FIRST_TRAINING))

    assert said == []


@pytest.mark.parametrize("damage", ["file", "text", "settings"])
def test_a_damaged_manifest_upstream_fails_no_complete_run_and_hides_no_other_day(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    if damage == "file":
        lake.damage("model", date(2026, 1, 19))
    elif damage == "text":
        (lake.partition("model", date(2026, 1, 19)) / "_SUCCESS").write_text("{")
    else:
        rewrite(lake, "model", date(2026, 1, 19), lambda document: document.update(settings=["trees"]))
    lake.delete("selection", DAY)  # a pinned model that is damaged is an error of its own
    change(lake, monkeypatch)

    built = build(tasks.BatchInference(date=DAY), tasks.Training(date=FIRST_TRAINING))

    assert built.refused == []
    named = [line.partition(". ")[0].partition(": ")[2] for line in said]
    assert named == ["model of 2026-01-12 (settings: trees 20, now 3)"]


def test_settings_that_nobody_can_read_are_no_reason(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (date(2026, 1, 12), date(2026, 1, 19)):
        rewrite(lake, "model", day, lambda document: document.update(settings=["trees"]))
    change(lake, monkeypatch)

    built = build(tasks.BatchInference(date=DAY))

    assert (built.ran, said) == ([], [])


def test_a_raw_day_that_landed_again_is_named_with_the_commands_for_all_that_was_built_from_it(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.flag("events", date(2026, 1, 18)).with_name("part-0").write_text("again")
    change(lake, monkeypatch, "")

    build(tasks.BatchInference(date=DAY))

    (line,) = said
    assert re.fullmatch(
        r"1 partition is stale and stays as it is: features of 2026-01-20 \(input: raw/events of 2026-01-18: \w+, now "
        r"content:\w{8}\)\. To build them again: daystone rebuild features --date 2026-01-20; daystone rebuild predictions "
        r"--date 2026-01-20",
        line,
    ), line


def test_a_dataset_that_is_kept_is_not_named(lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    change(lake, monkeypatch, f"{CHANGED}balancing = smote\n[lake.{lake.name}]\non_stale = warn, balanced: keep\n")

    build(tasks.BatchInference(date=DAY))

    assert said == [MODELS]


def test_a_manifest_of_another_format_is_left_to_those_who_read_it(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(lake, "balanced", FIRST_TRAINING, lambda document: document.update(format=99))
    change(lake, monkeypatch)

    built = build(tasks.BatchInference(date=DAY))

    assert (built.refused, said) == ([], [MODELS])


def test_a_range_of_complete_days_says_it_once_and_lists_each_dataset_once(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Register.clear_instance_cache()
    range_ = {"of": tasks.BatchInference, "start": DAY, "stop": date(2026, 1, 30), "of_params": {}}
    build(RangeDaily(**range_))
    said.clear()
    change(lake, monkeypatch)
    listings = listed(monkeypatch)

    built = build(RangeDaily(**range_))

    assert built.ran == []
    (line,) = said
    assert line.endswith(
        "(then 2026-01-19, 2026-01-26); daystone rebuild selection --date 2026-01-20 (then 2026-01-21, 2026-01-22, 2026-01-23 and "
        "6 more); daystone rebuild predictions --date 2026-01-20 (then 2026-01-21, 2026-01-22, 2026-01-23 and 6 more)"
    )
    assert [listings.count(dataset) for dataset in ("predictions", "selection", "model", "balanced", "features")] == [
        2,
        1,
        1,
        1,
        1,
    ]


def test_the_next_run_of_a_process_checks_settings_that_were_changed(lake: StubLake) -> None:
    get_config().set("training", "window_days", "-4")

    with pytest.raises(ConfigurationError) as caught:
        tasks.BatchInference(date=DAY)

    assert str(caught.value) == "[training] window_days: wanted a value of at least 1; found -4. Next: correct it"


def test_the_next_run_of_a_process_takes_settings_that_were_changed_for_a_task_of_the_last_one(
    lake: StubLake, said: list[str]
) -> None:
    day = tasks.BatchInference(date=DAY)
    build(day)
    get_config().set("training", "trees", "3")

    build(day)
    get_config().set("training", "trees", "20")

    assert said == [MODELS]
    assert stale.note() == ""


def test_the_next_run_of_a_process_counts_the_stages_of_its_own_that_need_a_refused_file(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 25)).with_name("unreadable").touch()
    days = [tasks.FeatureEngineering(date=date(2026, 1, day)) for day in (25, 26, 27)]

    first, second = build(*days), build(*days)

    assert [line.partition("found none")[2].partition(".")[0] for line in second.refused] == [
        "",
        " (2 stages of this run need the file)",
        " (3 stages of this run need the file)",
    ]
    assert second.refused == first.refused


def test_a_complete_day_costs_a_few_listings(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    change(lake, monkeypatch)
    listings = listed(monkeypatch)

    build(tasks.BatchInference(date=DAY))

    of_the_feed = ""
    assert sorted(listings) == [
        of_the_feed,
        *("balanced", "features", "model", "predictions", "predictions", "selection"),
    ]


def test_a_complete_day_costs_its_own_listing_alone_where_what_is_stale_is_kept(
    lake: StubLake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(lake, monkeypatch, f"{CHANGED}[lake.{lake.name}]\non_stale = keep\n")
    listings = listed(monkeypatch)

    build(tasks.BatchInference(date=DAY))

    assert (listings, said) == (["predictions"], [])


def rewrite(lake: StubLake, dataset: str, day: date, edit: Any) -> None:
    """Change a published manifest, as no product does."""
    manifest = lake.partition(dataset, day) / "_SUCCESS"
    document = json.loads(manifest.read_text())
    edit(document)
    manifest.write_text(json.dumps(document))


# Both commands


@pytest.mark.processes
def test_luigis_command_warns_once_and_repeats_what_its_command_line_said(tmp_path: Path) -> None:
    lake, commands = StubLake(tmp_path / "lake"), Commands(tmp_path)
    lake.land(date(2026, 1, 14))
    day = (
        "--module",
        "tests.unit.stubs.quick",
        "BatchInference",
        "--date",
        "2026-01-14",
        "--pipeline-use-case",
        lake.use_case,
    )
    first = commands.luigi(*day)

    result = commands.luigi(*day, "--training-trees", "3", "--lake-root", f"{tmp_path}/lake")

    assert (first.code, result.code) == (0, 0)
    assert "made by other settings" not in first.stderr
    repeated = f"--lake-root {tmp_path}/lake --use-case {lake.use_case} --set training.trees=3"
    assert [line for line in result.stderr.splitlines() if line.startswith("WARNING: ")] == [
        "WARNING: 1 partition is stale and stays as it is: model of 2026-01-12 (settings: trees 20, "
        f"now 3). To build them again: daystone rebuild model --date 2026-01-12 {repeated}; daystone rebuild selection --date "
        f"2026-01-14 {repeated}; daystone rebuild predictions --date 2026-01-14 {repeated}"
    ]


@pytest.mark.processes
def test_daystone_says_it_where_nothing_is_to_do_and_its_commands_work_in_their_order(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 13)
    assert "note: " not in daystone.stubbed("run", "--date", "2026-01-13", *SHORT).stderr
    anew = (*SHORT, "--set", "training.balancing=smote")

    result = daystone.stubbed("run", "--date", "2026-01-13", *anew)
    commands = re.findall(r"daystone rebuild (\w+) --date ([\d-]+) (.*?)(?:;|$)", result.stderr.strip())
    rebuilt = [daystone.stubbed("rebuild", dataset, "--date", day, *anew) for dataset, day, _ in commands]
    after = daystone.stubbed("run", "--date", "2026-01-13", *anew)

    assert result.stdout == "nothing to do: predictions of 2026-01-13 is complete\n"
    assert result.stderr.startswith(
        "note: 1 partition is stale and stays as it is: balanced of 2026-01-12 "
        "(settings: balancing undersample, now smote). To build them again: daystone rebuild balanced --date 2026-01-12 --lake-root "
    )
    options = f"--lake-root {daystone.root} --set training.window_days=7 --set training.label_delay_days=2 --set training.balancing=smote"
    assert sorted(commands[0][2].split(" --")) == sorted(options.split(" --"))
    assert [dataset for dataset, _, _ in commands] == ["balanced", "model", "selection", "predictions"]
    assert [each.code for each in rebuilt] == [0, 0, 0, 0]
    assert (after.code, after.stderr) == (0, "")
