"""``plan``: all that it says will be built is built, and nothing else but what it says may be."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result
from luigi.configuration import get_config
from luigi.task_register import Register

import tasks
from spark_lib.lake import days
from spark_lib.use_case import loading
from tasks.cleaning import of as cleaning_of
from tasks.cli import main
from tasks.cli.place import configured
from tasks.config.sections import NO_SNAPSHOTS
from tasks.graph.staleness import Day, State
from tasks.planning import plan, standing
from tasks.planning.chain import CHAIN, of
from tasks.planning.plan import Build
from tests.unit.stubs.stublake import (
    CLEANED,
    CLEANED_STATEFUL,
    CONTESTED,
    LOANS,
    STATEFUL,
    StubLake,
    build,
    configure,
    make_features_differ,
    prepare,
)
from tests.unit.verbs import SHORT, Verbs, last_line

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 27)
MONDAYS = [date(2026, 1, day) for day in (12, 19, 26)]
DATASETS = {stage.dataset: stage for stage in CHAIN if stage is not tasks.Cleaning}
CLEAN_ONES: dict[str, type[tasks.Stage]] = {f"clean/{feed}": cleaning_of(feed) for feed in ("events", "outcomes")}
#: Lakes that each run of the tests draws; the others are for ``make test-full``.
FEW = 6
#: A seed of each lake, the cadence of its snapshots, and whether its feeds are cleaned.
DRAWN = [
    pytest.param(seed, cadence, is_cleaned, marks=[] if seed < FEW else pytest.mark.full)
    for cadence, is_cleaned in (
        (NO_SNAPSHOTS, False),
        ("weekly", False),
        ("daily", False),
        (NO_SNAPSHOTS, True),
        ("weekly", True),
    )
    for seed in range(100 if cadence == NO_SNAPSHOTS else 50)
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    return prepare(monkeypatch, tmp_path / "lake", use_case=CONTESTED)


def made(asked: list[str], first: date, last: date) -> plan.Plan:
    place = configured()
    stages = standing.todays(last, [(DATASETS | CLEAN_ONES)[dataset] for dataset in asked])
    states = standing.look(place.partitions, place.feeds, stages, dict.fromkeys(asked, (first, last)))
    return plan.make(states, asked, first, last)


def published(lake: StubLake) -> set[Day]:
    return {Day(dataset, day) for dataset in DATASETS | CLEAN_ONES for day in lake.published(dataset)}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "snapshot", "is_cleaned"), DRAWN)
def test_what_a_plan_says_will_be_built_is_built_and_nothing_but_what_it_says_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, snapshot: str, is_cleaned: bool
) -> None:
    random = Random(seed)
    lake = drawn_lake(random, monkeypatch, tmp_path, snapshot, is_cleaned)
    first, last = sorted(random.choices(days(date(2026, 1, 10), LAST), k=2))
    every = list(datasets(lake))
    asked = random.choice([["predictions"], ["model"], ["balanced"], ["serving"], every])
    planned = made(asked, first, last)
    before = published(lake)

    Register.clear_instance_cache()
    wanted = [datasets(lake)[dataset](date=day) for dataset, cells in planned.cells.items() for day in cells]
    build(*random.sample(wanted, len(wanted)))

    built = published(lake) - before
    will = {day for day, kind in planned.builds.items() if kind is Build.WILL}
    assert will <= built, sorted(will - built)
    assert built <= planned.builds.keys(), sorted(built - planned.builds.keys())


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "snapshot", "is_cleaned"), DRAWN)
def test_what_a_plan_says_of_stale_partitions_that_are_rebuilt_holds_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, snapshot: str, is_cleaned: bool
) -> None:
    random = Random(seed)
    lake = drawn_lake(random, monkeypatch, tmp_path, snapshot, is_cleaned)
    change(random, monkeypatch, lake, snapshot)
    first, last = sorted(random.choices(days(date(2026, 1, 10), LAST), k=2))
    every = list(datasets(lake))
    asked = random.choice([["predictions"], ["model"], ["balanced"], every])
    planned = made(asked, first, last)
    before = runs(lake)

    Register.clear_instance_cache()
    asked_for = [datasets(lake)[dataset](date=day) for dataset, cells in planned.cells.items() for day in cells]
    wanted = [stage for stage in asked_for if stage.on_demand or stage.is_due(stage.date, stage.settings)]
    build(*random.sample(wanted, len(wanted)))

    built = {day for day, run in runs(lake).items() if before.get(day) != run}
    will = {day for day, kind in planned.builds.items() if kind is Build.WILL}
    assert will <= built, sorted(will - built)
    assert built <= planned.builds.keys(), sorted(built - planned.builds.keys())


def drawn_lake(
    random: Random, monkeypatch: pytest.MonkeyPatch, home: Path, snapshot: str, is_cleaned: bool
) -> StubLake:
    """A lake of a drawn use case, or of the one that has a state, as ``drawn`` leaves it."""
    use_case = random.choice([LOANS, CONTESTED]) if snapshot == NO_SNAPSHOTS else STATEFUL
    if is_cleaned:
        use_case = CLEANED if snapshot == NO_SNAPSHOTS else CLEANED_STATEFUL
    lake = prepare(monkeypatch, home / "lake", f"[features]\nsnapshot = {snapshot}\n", use_case)
    drawn(random, lake, used(lake, snapshot))
    return lake


def datasets(lake: StubLake) -> dict[str, type[tasks.Stage]]:
    """The stages of a lake by their datasets."""
    return {stage.dataset: stage for stage in of(loading.load(lake.use_case))}


def used(lake: StubLake, snapshot: str) -> list[type[tasks.Stage]]:
    """The stages that a lake has."""
    return [stage for stage in datasets(lake).values() if stage is not tasks.Snapshot or snapshot != NO_SNAPSHOTS]


def change(random: Random, monkeypatch: pytest.MonkeyPatch, lake: StubLake, snapshot: str) -> None:
    """Let raw days land again, change settings, and let all stages rebuild what is stale, or all but some."""
    if random.random() < 0.5:
        make_features_differ(monkeypatch)
    for day in random.sample(days(FIRST, LAST), random.randint(0, 2)):
        if lake.flag("events", day).exists():
            lake.flag("events", day).with_name("part-0").write_text("again")
    others = "".join(
        f", {dataset}: {random.choice(['keep', 'warn', 'fail'])}"
        for dataset in dict.fromkeys(stage.dataset.partition("/")[0] for stage in used(lake, snapshot))
        if random.random() < 0.1
    )
    training = random.choice(["", "trees = 3\n", "balancing = smote\n", "champion_margin = 0.03\n", "seed = 3\n"])
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = rebuild{others}\nask_above = 1000\n"
        f"[pipeline]\nuse_case = {lake.use_case}\n[features]\nsnapshot = {snapshot}\n[training]\n{training}",
    )


def runs(lake: StubLake) -> dict[Day, str]:
    return {Day(dataset, day): run for dataset in DATASETS | CLEAN_ONES for day, run in lake.published(dataset).items()}


def drawn(random: Random, lake: StubLake, stages: list[type[tasks.Stage]]) -> None:
    """Let days land, but not all, and let some be built, rejected, removed or damaged."""
    lake.land(LAST)
    for day in MONDAYS:
        if random.random() < 0.4:
            lake.judge(day, "gate", "low")
    lake.let_lose(*random.sample(MONDAYS, random.randint(0, 2)))
    before = [
        random.choice(stages)(date=random.choice(days(date(2026, 1, 10), LAST))) for _ in range(random.randint(0, 3))
    ]
    build(*before)
    for found in sorted(published(lake)):
        if random.random() < 0.15:
            lake.delete(found.name, found.date)
        elif random.random() < 0.03:
            lake.damage(found.name, found.date)
    for feed in ("events", "outcomes"):
        if random.random() < 0.5:
            for day in days(random.choice(days(date(2026, 1, 8), LAST)), LAST):
                lake.flag(feed, day).unlink()
        elif random.random() < 0.3:
            lake.flag(feed, random.choice(days(FIRST, LAST))).unlink()


def test_predictions_behind_models_that_are_still_to_be_trained_may_be_built(lake: StubLake) -> None:
    lake.land(LAST)

    found = made(["predictions"], date(2026, 1, 20), date(2026, 1, 20)).builds

    assert {day.name for day, kind in found.items() if kind is Build.MAY} == {"selection", "predictions"}
    assert [day for day in found if day.name == "model"] == [Day("model", day) for day in MONDAYS[:2]]
    assert sum(day.name == "features" for day in found) == 7 + 7 + 1


def test_a_selection_may_be_built_where_a_newer_model_may_stay_stale_although_an_older_one_serves(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday, day = MONDAYS[1], date(2026, 1, 20)
    let_a_model_stay_stale(monkeypatch, lake, monday, day)
    before = runs(lake)

    found = made(["selection"], day, day).builds
    build(tasks.ModelSelection(date=day))

    assert found == dict.fromkeys([Day("balanced", monday), Day("model", monday), Day("selection", day)], Build.MAY)
    assert runs(lake) == before


def test_an_older_model_may_be_built_where_the_walk_may_stop_at_a_newer_one(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, monday, day = *MONDAYS[:2], date(2026, 1, 20)
    let_a_model_stay_stale(monkeypatch, lake, monday, day)
    lake.delete("model", older)
    before = runs(lake)

    found = made(["selection"], day, day).builds
    build(tasks.ModelSelection(date=day))

    assert found[Day("model", older)] is Build.MAY
    assert runs(lake) == before


def let_a_model_stay_stale(monkeypatch: pytest.MonkeyPatch, lake: StubLake, monday: date, day: date) -> None:
    """Let a lake without the selection of ``day`` have a model of ``monday`` whose rows are stale, and are not built
    again: features before them are stale, too, which is an error."""
    without(lake, Day("selection", day))
    for feed, again in (("events", date(2026, 1, 13)), ("outcomes", monday)):
        lake.flag(feed, again).with_name("part-0").write_text("again")
    rebuild(monkeypatch, lake, ", features: fail")


def test_a_selection_may_be_built_where_the_rows_that_models_are_compared_on_cannot(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday, day = MONDAYS[1], date(2026, 1, 20)
    without(lake, Day("selection", day), Day("balanced", monday))
    lake.flag("events", date(2026, 1, 13)).with_name("part-0").write_text("again")
    rebuild(monkeypatch, lake, ", features: fail, model: keep")

    found = made(["selection"], day, day).builds
    before = runs(lake)
    build(tasks.ModelSelection(date=day))

    assert found == dict.fromkeys([Day("balanced", monday), Day("selection", day)], Build.MAY)
    assert runs(lake) == before


def test_what_was_built_from_a_day_that_is_gone_may_be_rebuilt_once_that_day_is_built_again(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday, day, gone = MONDAYS[1], date(2026, 1, 20), date(2026, 1, 13)
    without(lake, Day("selection", day), Day("features", gone))
    make_features_differ(monkeypatch)
    rebuild(monkeypatch, lake)

    found = made(["features", "selection"], gone, day).builds
    before = runs(lake)
    build(tasks.FeatureEngineering(date=gone), tasks.ModelSelection(date=day))

    assert (found[Day("features", gone)], found[Day("selection", day)]) == (Build.WILL, Build.WILL)
    assert (found[Day("balanced", monday)], found[Day("model", monday)]) == (Build.MAY, Build.MAY)
    assert runs(lake)[Day("balanced", monday)] != before[Day("balanced", monday)]


def test_a_selection_may_be_built_where_a_model_may_turn_stale_and_cannot_be_built_again(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday, day, gone = MONDAYS[1], date(2026, 1, 20), date(2026, 1, 13)
    without(lake, Day("selection", day), Day("features", gone))
    lake.flag("outcomes", monday).unlink()
    make_features_differ(monkeypatch)
    rebuild(monkeypatch, lake)

    found = made(["features", "selection"], gone, day).builds
    build(tasks.FeatureEngineering(date=gone), tasks.ModelSelection(date=day))

    assert (found[Day("features", gone)], found[Day("selection", day)]) == (Build.WILL, Build.MAY)
    assert gone in lake.published("features") and not lake.published("selection")


@pytest.mark.parametrize("seed", [0, 3])
def test_a_selection_whose_model_is_gone_is_built_again_where_it_is_stale_and_an_error_where_it_is_not(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monday, day = MONDAYS[1], date(2026, 1, 20)
    lake.land(LAST)
    build(tasks.ModelSelection(date=day))
    pinned = lake.manifest("selection", day)["metrics"]["model_date"]
    lake.delete("model", date.fromisoformat(pinned))
    rebuild(monkeypatch, lake)
    get_config().set("training", "seed", str(seed))

    found = made(["selection"], day, day)
    before = runs(lake)
    build(tasks.ModelSelection(date=day))

    is_stale = seed != 0
    assert found.cells["selection"][day].state is (State.STALE if is_stale else State.DAMAGED)
    assert (Day("selection", day) in found.builds) == is_stale
    assert (runs(lake)[Day("selection", day)] != before[Day("selection", day)]) == is_stale
    assert pinned == str(monday)


def without(lake: StubLake, selection: Day, *others: Day) -> None:
    """Build a selection and all that is behind it, and remove it and some others."""
    lake.land(LAST)
    build(tasks.ModelSelection(date=selection.date))
    for gone in (selection, *others):
        lake.delete(gone.name, gone.date)


def rebuild(monkeypatch: pytest.MonkeyPatch, lake: StubLake, others: str = "") -> None:
    """Go on as a new process does, which rebuilds what is stale; ``others`` has the policies of datasets."""
    Register.clear_instance_cache()
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = rebuild{others}\n[pipeline]\nuse_case = {lake.use_case}\n",
    )


def shown(*arguments: object) -> Result:
    """What ``daystone`` prints, in this process."""
    return CliRunner().invoke(main.main, list(map(str, arguments)))


def test_a_plan_has_a_line_for_days_that_are_alike_and_says_what_it_takes(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.land(date(2026, 1, 21))
    build(tasks.BatchInference(date=date(2026, 1, 19)))
    size = sum(path.stat().st_size for path in lake.partition("features", date(2026, 1, 19)).rglob("rows.txt"))
    prepare(monkeypatch, lake.root, "[training]\ntrees = 3\n", CONTESTED)

    result = shown("plan", "--from", "2026-01-19", "--to", "2026-01-22", "--why")

    assert result.exit_code == 0, result.output
    *table, will, may = result.stdout.splitlines()
    assert table == [
        "features     2026-01-19                   1 day  done",
        "features     2026-01-20 to 2026-01-21    2 days  missing, will be built",
        "features     2026-01-22                   1 day  waiting for raw/events of 2026-01-22",
        "balanced     2026-01-19                   1 day  done",
        "model        2026-01-19                   1 day  stale (settings)",
        "               settings: trees 20, now 3",
        "selection    2026-01-19                   1 day  done",
        "selection    2026-01-20 to 2026-01-22    3 days  missing, will be built",
        "predictions  2026-01-19                   1 day  done",
        "predictions  2026-01-20 to 2026-01-21    2 days  missing, will be built",
        "predictions  2026-01-22                   1 day  blocked by features of 2026-01-22",
    ]
    assert will.startswith("will be built: 7 partitions, a job each; about ")
    assert size and will.endswith(" bytes by earlier days")
    assert may == "may be built: nothing"


def test_a_plan_for_a_stage_names_earlier_days_that_it_needs_and_what_nobody_knows(lake: StubLake) -> None:
    lake.land(date(2026, 1, 12))

    result = shown("plan", "--from", "2026-01-12", "--to", "2026-01-12", "--stage", "model")

    assert result.stdout.splitlines() == [
        "features     2026-01-03 to 2026-01-09    7 days  missing, will be built",
        "balanced     2026-01-12                   1 day  missing, will be built",
        "model        2026-01-12                   1 day  missing, will be built",
        "will be built: 9 partitions, a job each; how long is not known, for none of features, balanced, model is "
        "published",
        "may be built: nothing",
    ]


def test_a_plan_as_json_has_every_cell_with_its_reasons(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.land(date(2026, 1, 12))
    build(tasks.Training(date=date(2026, 1, 12)))
    prepare(monkeypatch, lake.root, "[training]\ntrees = 3\n", CONTESTED)

    found: dict[str, Any] = json.loads(shown("plan", "--from", "2026-01-12", "--to", "2026-01-12", "--json").stdout)

    cells = {cell.pop("dataset"): cell for cell in found["cells"]}
    assert cells["model"] == {
        "date": "2026-01-12",
        "state": "stale",
        "reasons": [{"reason": "settings", "name": "trees", "then": 20, "now": 3}],
    }
    assert found["will"] == [{"name": name, "date": "2026-01-12"} for name in ("features", "predictions", "selection")]
    assert (found["may"], found["estimate"]["will"]["unknown"]) == ([], ["predictions", "selection"])


@pytest.mark.processes
def test_a_plan_starts_no_java_writes_nothing_and_refuses_a_range_that_is_none(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 12)
    before = daystone.contents()

    planned = daystone("plan", "--from", "2026-01-12", "--to", "2026-01-13", *SHORT, JAVA_HOME="/nowhere")
    refused = daystone("plan", "--from", "2026-01-13", "--to", "2026-01-12")

    assert (planned.code, refused.code) == (0, 31)
    assert "predictions  2026-01-13                   1 day  blocked by features of 2026-01-13" in planned.stdout
    assert last_line(refused) == (
        "Error: plan: wanted a first day that is not after the last; found 2026-01-13 to 2026-01-12. Next: correct "
        "--from, --to"
    )
    assert daystone.contents() == before
