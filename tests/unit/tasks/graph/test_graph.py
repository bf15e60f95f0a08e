"""The graph of the real stages over bodies that need no Spark: what is built, in which case, and what is left alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.scheduler import Scheduler
from luigi.worker import Worker

import tasks
from spark_lib.lake import days
from spark_lib.use_case import Feature
from tasks.planning import runs
from tests.unit.stubs.cases import Loans
from tests.unit.stubs.stublake import CONTESTED, FIRST_TRAINING, WINDOW, Built, StubLake, build, prepare

DAY = date(2026, 1, 14)
FAILED = luigi.LuigiStatusCode.FAILED
MISSING = luigi.LuigiStatusCode.MISSING_EXT
NOT_SCHEDULED = luigi.LuigiStatusCode.SCHEDULING_FAILED


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    lake = prepare(monkeypatch, tmp_path / "lake")
    lake.land(date(2026, 1, 31))
    return lake


def test_one_day_of_predictions_builds_what_it_needs_and_nothing_else(lake: StubLake) -> None:
    built = build(tasks.BatchInference(date=DAY))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert built.ended == sorted(
        [
            *(f"FeatureEngineering {day}" for day in [*WINDOW, DAY]),
            f"Balancing {FIRST_TRAINING}",
            f"Training {FIRST_TRAINING}",
            f"ModelSelection {DAY}",
            f"BatchInference {DAY}",
        ]
    )


def test_what_is_complete_is_not_built_again_and_nothing_is_written(lake: StubLake) -> None:
    build(tasks.BatchInference(date=DAY))
    before = lake.written()

    again = build(tasks.BatchInference(date=DAY))

    assert (again.status, again.ran) == (luigi.LuigiStatusCode.SUCCESS, [])
    assert lake.written() == before


def test_the_trees_of_requirements_are_those_of_the_design(lake: StubLake) -> None:
    def required(stage: luigi.Task) -> list[str]:
        return [
            f"{task.task_family} {task.date}{f' {task.feed}' if isinstance(task, tasks.RawPartition) else ''}"
            for task in stage.deps()
        ]

    assert required(tasks.FeatureEngineering(date=DAY)) == [f"RawPartition {DAY} events"]
    assert required(tasks.ServingFeatures(date=DAY)) == [f"RawPartition {DAY} events"]
    assert required(tasks.Balancing(date=DAY)) == [
        *(f"FeatureEngineering {day}" for day in days(date(2026, 1, 5), date(2026, 1, 11))),
        f"RawPartition {DAY} outcomes",
    ]
    assert required(tasks.Training(date=DAY)) == [f"Balancing {DAY}"]
    assert required(tasks.ModelSelection(date=DAY)) == []
    assert required(tasks.BatchInference(date=DAY)) == [f"FeatureEngineering {DAY}", f"ModelSelection {DAY}"]
    assert required(tasks.Release(date=DAY)) == [f"BatchInference {DAY}"]
    assert required(tasks.ModelImage(date=DAY)) == [f"ModelSelection {DAY}"]


@pytest.mark.parametrize(
    ("deleted", "asked", "rebuilt"),
    [
        (["predictions"], tasks.BatchInference, ["BatchInference"]),
        (["features", "predictions"], tasks.BatchInference, ["BatchInference", "FeatureEngineering"]),
        (["features"], tasks.BatchInference, []),
        (["features"], tasks.FeatureEngineering, ["FeatureEngineering"]),
        (["selection"], tasks.BatchInference, []),
        (["selection", "predictions"], tasks.BatchInference, ["BatchInference", "ModelSelection"]),
    ],
)
def test_of_deleted_outputs_those_are_rebuilt_that_the_asked_one_needs(
    lake: StubLake, deleted: list[str], asked: type[tasks.Stage], rebuilt: list[str]
) -> None:
    build(tasks.BatchInference(date=DAY))
    for dataset in deleted:
        lake.delete(dataset, DAY)

    again = build(asked(date=DAY))

    assert again.status == luigi.LuigiStatusCode.SUCCESS
    assert again.ended == [f"{family} {DAY}" for family in rebuilt]


def test_what_a_result_was_built_from_is_in_its_manifest(lake: StubLake) -> None:
    build(tasks.BatchInference(date=DAY))
    features, selection = lake.published("features"), lake.published("selection")

    balanced = lake.manifest("balanced", FIRST_TRAINING)
    predictions = lake.manifest("predictions", DAY)

    window, outcomes = balanced["inputs"]
    assert window == {
        "name": "features",
        "first": str(WINDOW[0]),
        "last": str(WINDOW[-1]),
        "ids": [features[day] for day in WINDOW],
        "digests": [lake.manifest("features", day)["digest"] for day in WINDOW],
    }
    assert all(window["digests"])
    assert (outcomes["name"], outcomes["first"], outcomes["last"]) == ("raw/outcomes", str(WINDOW[0]), "2026-01-12")
    assert [(given["name"], given["ids"]) for given in predictions["inputs"]] == [
        ("features", [features[DAY]]),
        ("selection", [selection[DAY]]),
    ]
    assert balanced["settings"] == {
        "window_days": 7,
        "label_delay_days": 2,
        "split": "entity",
        "train_validation_split_proportion": 0.8,
        "calibration_proportion": 0.1,
        "balancing": "undersample",
        "target_ratio": 1.0,
        "smote_neighbours": 5,
        "seed": 0,
    }
    assert balanced["stage"] == "Balancing"
    assert set(balanced["code"]) == {"result", "use_case"}


def test_each_stage_says_in_words_what_it_published(lake: StubLake) -> None:
    lake.judge(date(2026, 1, 19), "gate", "area under ROC 0.55, at least 0.6 wanted")

    built = build(tasks.BatchInference(date=date(2026, 1, 20)))

    assert "training: 1,200 rows, area under ROC 0.71" in built.said
    assert (
        "training: 1,200 rows, area under ROC 0.71, rejected: gate: area under ROC 0.55, at least 0.6 wanted"
        in built.said
    )
    assert (
        "selection: model of 2026-01-12; newer ones were rejected: 2026-01-19 gate: area under ROC 0.55, at least 0.6 wanted"
    ) in built.said
    assert "predictions: 0 rows by the model of 2026-01-12" in built.said


# The walk of a selection


def test_a_selection_trains_the_newest_candidate_only(lake: StubLake) -> None:
    built = build(tasks.ModelSelection(date=date(2026, 1, 27)))

    assert list(lake.published("model")) == [date(2026, 1, 26)]
    assert lake.manifest("selection", date(2026, 1, 27))["metrics"]["model_date"] == "2026-01-26"
    assert "selection: model of 2026-01-26" in built.said


@pytest.mark.slow
def test_rejected_candidates_are_passed_over_newest_first_with_their_reasons_kept(lake: StubLake) -> None:
    lake.judge(date(2026, 1, 26), "gate", "area under ROC 0.5")
    lake.judge(date(2026, 1, 19), "inconclusive", "one class")

    build(tasks.ModelSelection(date=date(2026, 1, 27)))

    found = lake.manifest("selection", date(2026, 1, 27))
    assert found["metrics"]["model_date"] == "2026-01-12"
    assert list(found["metrics"]["rejected"]) == ["2026-01-19", "2026-01-26"]
    assert found["metrics"]["rejected"]["2026-01-19"]["reason"] == "inconclusive"
    (file,) = lake.partition("selection", date(2026, 1, 27)).glob("run=*/selection.json")
    assert json.loads(file.read_bytes())["run"] == lake.published("model")[FIRST_TRAINING]
    assert [day for given in found["inputs"] for day in (given["first"],)] == ["2026-01-26", "2026-01-19", "2026-01-12"]


@pytest.fixture
def contested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    lake = prepare(monkeypatch, tmp_path / "lake", use_case=CONTESTED)
    lake.land(date(2026, 1, 31))
    return lake


def compared(lake: StubLake, day: date) -> list[tuple[str, str, bool]]:
    found = lake.manifest("selection", day)["metrics"]["challenges"]
    return [(each["challenger"], each["champion"], each["loses"]) for each in found]


@pytest.mark.slow
def test_each_approved_model_is_compared_with_the_one_in_force_before_it(contested: StubLake) -> None:
    contested.judge(date(2026, 1, 19), "gate", "area under ROC 0.5")

    built = build(tasks.ModelSelection(date=date(2026, 1, 27)))

    assert list(contested.published("model")) == [date(2026, 1, 12), date(2026, 1, 19), date(2026, 1, 26)]
    found = contested.manifest("selection", date(2026, 1, 27))
    assert (found["metrics"]["model_date"], found["metrics"]["rejected"]) == ("2026-01-26", {})
    assert compared(contested, date(2026, 1, 27)) == [("2026-01-26", "2026-01-12", False)]
    assert [(given["name"], given["first"]) for given in found["inputs"]] == [
        ("model", "2026-01-26"),
        ("model", "2026-01-19"),
        ("model", "2026-01-12"),
        ("balanced", "2026-01-26"),
    ]
    assert "selection: model of 2026-01-26" in built.said


@pytest.mark.slow
def test_a_new_model_that_loses_leaves_the_one_before_it_in_force_and_says_so(contested: StubLake) -> None:
    contested.let_lose(date(2026, 1, 26))

    built = build(tasks.ModelSelection(date=date(2026, 1, 27)))

    assert contested.manifest("selection", date(2026, 1, 27))["metrics"]["model_date"] == "2026-01-19"
    assert (
        "selection: model of 2026-01-19; newer ones were rejected: "
        "2026-01-26 champion: area under ROC -0.0300 against the model of 2026-01-19"
    ) in built.said
    (file,) = contested.partition("selection", date(2026, 1, 27)).glob("run=*/selection.json")
    assert json.loads(file.read_bytes())["run"] == contested.published("model")[date(2026, 1, 19)]


@pytest.mark.slow
def test_who_lost_is_no_champion_of_the_next(contested: StubLake) -> None:
    contested.let_lose(date(2026, 1, 19), date(2026, 1, 26))

    build(tasks.ModelSelection(date=date(2026, 1, 27)))

    assert contested.manifest("selection", date(2026, 1, 27))["metrics"]["model_date"] == "2026-01-12"
    assert compared(contested, date(2026, 1, 27)) == [
        ("2026-01-19", "2026-01-12", True),
        ("2026-01-26", "2026-01-12", True),
    ]


@pytest.mark.slow
def test_a_comparison_of_the_days_around_is_taken_over_as_long_as_it_was_of_the_same(contested: StubLake) -> None:
    build(tasks.ModelSelection(date=date(2026, 1, 28)))
    contested.let_lose(date(2026, 1, 19), date(2026, 1, 26))  # what another comparison would say

    for day in (27, 29):
        build(tasks.ModelSelection(date=date(2026, 1, day)))
    forced = tasks.ModelSelection(date=date(2026, 1, 29))
    forced.force = True
    build(forced)

    chosen = [contested.manifest("selection", date(2026, 1, day))["metrics"]["model_date"] for day in (27, 28, 29)]
    assert chosen == ["2026-01-26", "2026-01-26", "2026-01-12"]


def test_the_first_model_of_all_has_no_champion(contested: StubLake) -> None:
    contested.let_lose(FIRST_TRAINING)

    build(tasks.ModelSelection(date=DAY))

    assert contested.manifest("selection", DAY)["metrics"]["model_date"] == str(FIRST_TRAINING)
    assert compared(contested, DAY) == []


@pytest.mark.slow
def test_a_backfill_of_an_earlier_day_chooses_as_that_day_would_have(lake: StubLake) -> None:
    build(tasks.ModelSelection(date=date(2026, 1, 27)))

    build(tasks.ModelSelection(date=date(2026, 1, 20)))

    assert lake.manifest("selection", date(2026, 1, 20))["metrics"]["model_date"] == "2026-01-19"


def test_a_walk_looks_back_on_max_candidates_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = prepare(monkeypatch, tmp_path / "lake", "[training]\nmax_candidates = 2\n")
    lake.land(date(2026, 1, 31))
    for day in (date(2026, 1, 19), date(2026, 1, 26)):
        lake.judge(day, "gate", "area under ROC 0.5")

    built = build(tasks.ModelSelection(date=date(2026, 1, 27)))

    assert built.status == FAILED
    assert list(lake.published("model")) == [date(2026, 1, 19), date(2026, 1, 26)]
    assert built.refused == [
        "model for 2026-01-27: wanted an approved training; found 2026-01-26 gate: area under ROC 0.5; "
        "2026-01-19 gate: area under ROC 0.5. Next: read the card of each (daystone files model --date DATE), mend the data or "
        "the settings, then train anew (daystone rebuild balanced --date DATE where its rows are to change, daystone rebuild "
        "model --date DATE)"
    ]


def test_a_waiting_candidate_stops_the_walk_though_an_older_model_is_there(lake: StubLake) -> None:
    build(tasks.Training(date=FIRST_TRAINING))
    lake.flag("outcomes", date(2026, 1, 19)).unlink()

    built = build(tasks.ModelSelection(date=date(2026, 1, 20)))

    flag = lake.flag("outcomes", date(2026, 1, 19))
    assert built.status == luigi.LuigiStatusCode.NOT_RUN  # Luigi's word for a task that has asked for more
    assert built.refused == [
        f"raw feed outcomes of 2026-01-19: wanted the flag {flag}; found none yet. "
        "Next: land the day's files, then its flag, and run again"
    ]
    assert lake.published("selection") == {}


def test_a_candidate_that_fails_stops_the_walk(lake: StubLake) -> None:
    build(tasks.Training(date=FIRST_TRAINING))
    lake.flag("outcomes", date(2026, 1, 15)).unlink()

    built = build(tasks.ModelSelection(date=date(2026, 1, 20)))

    assert built.status == FAILED
    assert built.refused == [
        "raw feed outcomes: wanted every day from 2026-01-10 to 2026-01-19; found no flag '_SUCCESS' on 2026-01-15, as in "
        f"{lake.flag('outcomes', date(2026, 1, 15)).parent}. Next: land the missing days (a flagged day may be empty), or "
        "set [pipeline] first_date to the first day that exists"
    ]
    assert lake.published("selection") == {}


def test_a_damaged_candidate_stops_the_walk_and_is_not_trained_again(lake: StubLake) -> None:
    build(tasks.Training(date=FIRST_TRAINING))
    before = lake.published("model")
    size = min(lake.partition("model", FIRST_TRAINING).glob("run=*/*")).stat().st_size
    file = lake.damage("model", FIRST_TRAINING)

    built = build(tasks.ModelSelection(date=DAY))

    assert built.status == NOT_SCHEDULED
    assert set(built.refused) == {
        f"model of 2026-01-12: {file}: wanted {size} bytes; found no file. "
        "Next: restore the file, or build the day anew (daystone rebuild model --date 2026-01-12)"
    }
    assert (lake.published("model"), lake.published("selection")) == (before, {})


def test_a_pinned_model_that_differs_from_what_was_chosen_is_not_scored_with(lake: StubLake) -> None:
    build(tasks.ModelSelection(date=DAY))
    (model,) = lake.partition("model", FIRST_TRAINING).glob("run=*/model.onnx")
    right = model.read_bytes()
    model.write_bytes(b"x" * len(right))

    built = build(tasks.BatchInference(date=DAY))

    assert built.status == NOT_SCHEDULED
    (reason,) = built.refused
    assert reason.startswith(f"{model}: wanted sha256:")
    assert reason.endswith(
        "Next: restore the file; or train anew, then choose anew "
        "(daystone rebuild model --date 2026-01-12, daystone rebuild selection --date 2026-01-14)"
    )
    assert lake.published("predictions") == {}


def test_a_model_that_is_damaged_is_not_pinned(lake: StubLake) -> None:
    build(tasks.Training(date=FIRST_TRAINING))
    (model,) = lake.partition("model", FIRST_TRAINING).glob("run=*/model.onnx")
    model.write_bytes(b"x" * len(model.read_bytes()))

    built = build(tasks.ModelSelection(date=DAY))

    assert built.status == FAILED
    assert built.refused[0].startswith(f"{model}: wanted sha256:")
    assert lake.published("selection") == {}


def test_rows_that_were_balanced_by_other_settings_are_trained_on_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(runs.logger, "warning", said.append)
    lake = prepare(monkeypatch, tmp_path / "lake")
    lake.land(DAY)
    build(tasks.Balancing(date=FIRST_TRAINING))
    prepare(monkeypatch, tmp_path / "lake", "[training]\nbalancing = smote\ntrees = 3\n")

    built = build(tasks.Training(date=FIRST_TRAINING))

    assert "training: 1,200 rows, area under ROC 0.71" in built.said
    assert said == [
        "1 partition is stale and stays as it is: balanced of 2026-01-12 (settings: balancing "
        "undersample, now smote). To build them again: daystone rebuild balanced --date 2026-01-12; daystone rebuild model "
        "--date 2026-01-12"
    ]


# Columns with one value, or none

SECOND_TRAINING = date(2026, 1, 19)
NULL: dict[str, Any] = {"there": 0, "least": 0.0, "greatest": 0.0}
CONSTANT: dict[str, Any] = {"there": 1200, "least": 2.0, "greatest": 2.0}
NOTHING_LEARNT = "a model learns nothing from it"


def verdict_of(lake: StubLake, day: date) -> str:
    verdict = lake.manifest("model", day)["metrics"]["verdict"]
    return "approved" if verdict["approved"] else str(verdict["detail"]).partition(";")[0]


def inputs_of(lake: StubLake, day: date) -> list[tuple[str, list[str]]]:
    return [(given["first"], given["ids"]) for given in lake.manifest("model", day)["inputs"]]


def test_a_constant_column_is_a_warning_and_asks_for_nothing_else(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(tasks.training.logger, "warning", said.append)
    lake.let_hold(SECOND_TRAINING, **CONSTANT)

    built = build(tasks.Training(date=SECOND_TRAINING))

    words = f"amount is 2 in all 1,200 rows of the train split: {NOTHING_LEARNT}"
    assert said == [f"training: 1,200 rows, area under ROC 0.71; {words}"]
    assert said[0] in built.said
    assert verdict_of(lake, SECOND_TRAINING) == "approved"
    assert lake.manifest("model", SECOND_TRAINING)["metrics"]["warnings"] == [words]
    assert list(lake.published("balanced")) == [SECOND_TRAINING]


def test_what_was_warned_of_is_not_warned_of_again_where_the_day_is_shown(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.let_hold(FIRST_TRAINING, **CONSTANT)
    lake.judge(SECOND_TRAINING, "gate", "area under ROC 0.52")
    days = tasks.Training(date=FIRST_TRAINING), tasks.ModelSelection(date=SECOND_TRAINING)
    said: list[str] = []
    monkeypatch.setattr(tasks.training.logger, "warning", said.append)
    build(*days)
    warned = list(said)

    shown = [day.summary(day.partitions.require(day.dataset, day.date)[0].manifest) for day in days]

    assert shown == warned == said
    assert [words.partition(": ")[0] for words in said] == ["training", "selection"]


def test_a_column_that_is_null_for_the_first_time_rejects_by_the_rows_of_the_training_before(lake: StubLake) -> None:
    lake.let_hold(SECOND_TRAINING, **NULL)

    built = build(tasks.Training(date=SECOND_TRAINING))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert f"Balancing {FIRST_TRAINING}" in built.ended
    assert f"Training {FIRST_TRAINING}" not in built.ended
    assert verdict_of(lake, SECOND_TRAINING) == (
        "amount is null in all 1,200 rows of the train split, and not in the training before"
    )
    rows = lake.published("balanced")
    assert inputs_of(lake, SECOND_TRAINING) == [
        (str(SECOND_TRAINING), [rows[SECOND_TRAINING]]),
        (str(FIRST_TRAINING), [rows[FIRST_TRAINING]]),
    ]


@pytest.mark.parametrize("first", [FIRST_TRAINING, SECOND_TRAINING])
def test_a_column_that_stays_null_rejects_once_in_any_order_of_building(lake: StubLake, first: date) -> None:
    lake.let_hold(FIRST_TRAINING, SECOND_TRAINING, **NULL)

    for day in sorted([FIRST_TRAINING, SECOND_TRAINING], key=lambda day: day != first):
        build(tasks.Training(date=day))

    assert verdict_of(lake, FIRST_TRAINING) == (
        "amount is null in all 1,200 rows of the train split, and there was no training before"
    )
    assert verdict_of(lake, SECOND_TRAINING) == "approved"
    assert lake.manifest("model", SECOND_TRAINING)["metrics"]["warnings"] == [
        f"amount is null in all 1,200 rows of the train split: {NOTHING_LEARNT}"
    ]
    assert [day for day, _ in inputs_of(lake, FIRST_TRAINING)] == [str(FIRST_TRAINING)]


@pytest.mark.parametrize(
    ("choice", "verdict"), [("warn", "approved"), ("reject", "amount is null in all 1,200 rows of the train split")]
)
def test_the_training_before_is_not_asked_for_where_the_setting_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, verdict: str
) -> None:
    lake = prepare(monkeypatch, tmp_path / "lake", f"[training]\nconstant_columns = {choice}\n")
    lake.land(date(2026, 1, 31))
    lake.let_hold(SECOND_TRAINING, **NULL)

    build(tasks.Training(date=SECOND_TRAINING))

    assert verdict_of(lake, SECOND_TRAINING) == verdict
    assert list(lake.published("balanced")) == [SECOND_TRAINING]
    assert lake.manifest("model", SECOND_TRAINING)["settings"]["constant_columns"] == choice


def test_a_null_column_without_a_fill_does_not_wait_for_the_training_before(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loans, "features", {"amount": Feature("DOUBLE")})
    lake.let_hold(SECOND_TRAINING, **NULL)

    build(tasks.Training(date=SECOND_TRAINING))

    assert list(lake.published("balanced")) == [SECOND_TRAINING]


def test_a_damaged_training_set_before_names_itself(lake: StubLake) -> None:
    build(tasks.Balancing(date=FIRST_TRAINING))
    file = lake.damage("balanced", FIRST_TRAINING)
    lake.let_hold(SECOND_TRAINING, **NULL)

    built = build(tasks.Training(date=SECOND_TRAINING))

    assert set(built.refused) == {
        f"balanced of 2026-01-12: {file}: wanted 9 bytes; found no file. "
        "Next: restore the file, or build the day anew (daystone rebuild balanced --date 2026-01-12)"
    }
    assert lake.published("model") == {}


def test_a_training_that_is_built_anew_asks_for_the_one_before_again(lake: StubLake) -> None:
    lake.let_hold(SECOND_TRAINING, **NULL)
    build(tasks.Training(date=SECOND_TRAINING))
    lake.let_hold(FIRST_TRAINING, **NULL)
    for stage in (tasks.Balancing(date=FIRST_TRAINING), tasks.Training(date=SECOND_TRAINING)):
        stage.force = True
        build(stage)

    assert verdict_of(lake, SECOND_TRAINING) == "approved"


@pytest.mark.parametrize("asked", [tasks.ModelSelection, tasks.BatchInference, tasks.Balancing, tasks.Training])
def test_before_the_first_training_date_there_is_nothing_to_train_on(lake: StubLake, asked: type[tasks.Stage]) -> None:
    day = date(2026, 1, 11) if asked in (tasks.ModelSelection, tasks.BatchInference) else date(2026, 1, 9)

    built = build(asked(date=day))

    where = "training set of" if asked in (tasks.Balancing, tasks.Training) else "model for"
    assert built.status == FAILED
    assert built.refused == [
        f"{where} {day}: wanted a weekly training date whose window of 7 days, ending 2 days before it, begins on or after "
        "first_date 2026-01-01; found nothing to train on before 2026-01-12. Next: ask for a day from 2026-01-12 on, or set "
        "[training] window_days, label_delay_days or cadence"
    ]


# Days that have not landed


def test_a_missing_day_of_the_window_is_waited_for_and_days_after_it_are_not_tried(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 5)).unlink()

    built = build(tasks.Balancing(date=FIRST_TRAINING))

    assert built.status == MISSING
    assert list(lake.published("features")) == [date(2026, 1, 3), date(2026, 1, 4)]
    assert len(built.refused) == 1
    assert built.refused[0].startswith("raw feed events of 2026-01-05: wanted the flag ")


def test_a_day_of_the_window_whose_features_are_there_is_not_waited_for(lake: StubLake) -> None:
    build(*(tasks.FeatureEngineering(date=day) for day in WINDOW))
    lake.flag("events", date(2026, 1, 5)).unlink()

    built = build(tasks.Balancing(date=FIRST_TRAINING))

    assert built.status == luigi.LuigiStatusCode.SUCCESS


def test_a_hole_in_earlier_history_is_an_error_that_names_it(lake: StubLake) -> None:
    for day in days(date(2026, 1, 2), date(2026, 1, 8)):
        lake.flag("events", day).unlink()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert built.status == FAILED
    assert built.refused == [
        "raw feed events: wanted every day from 2026-01-01 to 2026-01-14; found no flag '_SUCCESS' on 2026-01-02, 2026-01-03, "
        f"2026-01-04, 2026-01-05, 2026-01-06 and 2 more, as in {lake.flag('events', date(2026, 1, 2)).parent}. Next: land "
        "the missing days (a flagged day may be empty), or set [pipeline] first_date to the first day that exists"
    ]


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("asked", [tasks.FeatureEngineering, tasks.ServingFeatures])
def test_a_day_before_the_first_one_is_refused_landed_or_not(
    lake: StubLake, asked: type[tasks.Stage], landed: bool
) -> None:
    if landed:
        lake.land(date(2025, 12, 31), date(2025, 12, 31))

    built = build(asked(date=date(2025, 12, 31)))

    assert built.status == NOT_SCHEDULED
    assert built.refused == [
        f"{asked.dataset} of 2025-12-31: wanted a day from [pipeline] first_date on, 2026-01-01; found an earlier one. "
        "Next: ask for a later day, or set [pipeline] first_date"
    ]


def test_a_flag_that_cannot_be_asked_for_is_not_called_missing(lake: StubLake) -> None:
    flag = lake.flag("events", DAY)
    flag.unlink()
    flag.mkdir()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert built.status == NOT_SCHEDULED
    assert set(built.refused) == {
        f"{flag}: wanted a file that can be read; found Is a directory. "
        "Next: check the path, its owner and rights, and the space on the disk"
    }


def test_requirements_that_cannot_be_told_say_why(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 5)).unlink()
    lake.flag("events", date(2026, 1, 5)).mkdir()

    built = build(tasks.Balancing(date=FIRST_TRAINING))

    assert built.status == NOT_SCHEDULED
    assert any("found Is a directory" in reason for reason in built.refused)


def test_a_damaged_dependency_is_named_and_what_needs_it_is_not_built(lake: StubLake) -> None:
    build(tasks.FeatureEngineering(date=DAY))
    file = lake.damage("features", DAY)

    built = build(tasks.BatchInference(date=DAY))

    assert built.status == NOT_SCHEDULED
    assert set(built.refused) == {
        f"features of 2026-01-14: {file}: wanted 18 bytes; found no file. "
        "Next: restore the file, or build the day anew (daystone rebuild features --date 2026-01-14)"
    }
    assert lake.published("predictions") == {}


# The order of days


def ran(built: Built, family: str) -> list[str]:
    """The days of a stage in the order in which they were built, each once."""
    return list(dict.fromkeys(line.split(" ")[1] for line in built.ran if line.startswith(f"{family} ")))


@pytest.mark.slow
def test_days_are_built_oldest_first_in_whatever_order_they_are_asked_for(lake: StubLake) -> None:
    asked = days(DAY, date(2026, 1, 22))

    built = build(*(tasks.BatchInference(date=day) for day in reversed(asked)))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    for family in ("BatchInference", "ModelSelection"):
        assert ran(built, family) == [str(day) for day in asked]
    assert ran(built, "Training") == ["2026-01-12", "2026-01-19"]


def test_what_a_day_needs_of_older_days_is_built_before_the_day_itself(lake: StubLake) -> None:
    built = build(tasks.BatchInference(date=DAY))

    assert ran(built, "FeatureEngineering") == [str(day) for day in [*WINDOW, DAY]]


@pytest.mark.slow
def test_the_walk_of_a_selection_stays_newest_first_and_each_window_oldest_first(contested: StubLake) -> None:
    built = build(tasks.BatchInference(date=date(2026, 1, 27)))

    assert ran(built, "Training") == ["2026-01-26", "2026-01-19", "2026-01-12"]
    newest = days(date(2026, 1, 17), date(2026, 1, 23))
    assert ran(built, "FeatureEngineering")[:7] == [str(day) for day in newest]


def test_two_processes_of_one_scheduler_share_the_days_oldest_first(lake: StubLake) -> None:
    asked = days(FIRST_TRAINING, date(2026, 1, 15))
    shared = Scheduler()
    processes = [Worker(scheduler=shared, worker_id=name) for name in ("one", "other")]
    for process in processes:
        for day in reversed(asked):
            assert process.add(tasks.FeatureEngineering(date=day))

    given = [shared.get_work(worker=name)["task_id"] for name in ("one", "other", "one", "other")]

    assert given == [tasks.FeatureEngineering(date=day).task_id for day in asked]


def test_luigis_own_reports_of_a_task_never_raise_it_above_an_older_day(lake: StubLake) -> None:
    assert tasks.BatchInference(date=date.max).priority == 0
    assert tasks.Training(date=DAY).priority > tasks.ModelSelection(date=date(2026, 1, 15)).priority
    assert tasks.ModelSelection(date=DAY).priority > tasks.FeatureEngineering(date=DAY).priority
