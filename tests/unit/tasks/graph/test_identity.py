"""What makes two tasks one to Luigi: the day, the use case and the lake, each in one spelling."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import luigi
import pytest
from luigi.parameter import MissingParameterException, ParameterVisibility

import tasks
from spark_lib.errors import ConfigurationError
from tests.unit.stubs.stages import Broken, Idle, Leaf
from tests.unit.stubs.stublake import CARDS, LOANS, StubLake, build, configure, prepare

DAY = date(2026, 1, 1)
STAGES = [
    tasks.RawPartition,
    tasks.Snapshot,
    tasks.FeatureEngineering,
    tasks.ServingFeatures,
    tasks.Balancing,
    tasks.Training,
    tasks.ModelSelection,
    tasks.BatchInference,
    tasks.Evaluation,
    tasks.Release,
    tasks.ModelImage,
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    monkeypatch.chdir(tmp_path)
    return prepare(monkeypatch, tmp_path / "lake")


@pytest.mark.parametrize(
    "spelling", ["lake", "lake/", "./lake", "x/../lake", "{cwd}/lake", "{cwd}//lake/", "file://{cwd}/lake"]
)
def test_a_lake_spelled_differently_is_one_task(lake: StubLake, tmp_path: Path, spelling: str) -> None:
    assert Leaf(date=DAY, lake=spelling.format(cwd=tmp_path)) is Leaf(date=DAY)
    assert Leaf(date=DAY, lake=spelling.format(cwd=tmp_path)).lake == str(lake.root)


def test_a_lake_below_the_home_directory_may_be_spelled_with_a_tilde(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", os.getcwd())

    assert Leaf(date=DAY, lake="~/lake") is Leaf(date=DAY)


def test_a_use_case_spelled_differently_is_one_task(lake: StubLake) -> None:
    long = tasks.FeatureEngineering(date=DAY, use_case="spark_lib.use_cases.credit_risk:CreditRisk")

    assert long is tasks.FeatureEngineering(date=DAY, use_case=" credit_risk")
    assert long.use_case == "credit_risk"


def test_a_task_moves_to_another_process_under_the_same_identity(lake: StubLake) -> None:
    task = tasks.RawPartition(date=DAY, feed="events")

    assert tasks.RawPartition.from_str_params(task.to_str_params()) is task


def test_days_use_cases_and_lakes_are_different_tasks(lake: StubLake, tmp_path: Path) -> None:
    one = Leaf(date=DAY)
    others = [
        Leaf(date=date(2026, 1, 2)),
        Leaf(date=DAY, use_case=CARDS),
        Leaf(date=DAY, lake=str(tmp_path / "another")),
    ]

    assert len({task.task_id for task in [one, *others]}) == 4


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_every_parameter_of_a_stage_counts_and_is_shown(stage: type[luigi.Task]) -> None:
    parameters = dict(stage.get_params())

    assert list(parameters) == ["date", "use_case", "lake", *(["feed"] if stage is tasks.RawPartition else [])]
    for parameter in parameters.values():
        assert parameter.significant
        assert parameter.visibility == ParameterVisibility.PUBLIC


def test_two_use_cases_are_built_for_one_date_into_directories_of_their_own(lake: StubLake) -> None:
    built = build(Leaf(date=DAY), Leaf(date=DAY, use_case=CARDS))

    assert len(built.ran) == 2
    assert [StubLake(lake.root, case).runs("leaf") != [] for case in (LOANS, CARDS)] == [True, True]


def test_a_relative_lake_is_the_one_below_the_working_directory_when_the_task_was_made(
    lake: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Leaf(date=DAY, lake="relative")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert task.partitions.root == str(tmp_path / "relative")


# What refuses to become a task


def test_a_feed_that_nobody_declares_would_be_awaited_for_ever_and_is_refused(lake: StubLake) -> None:
    with pytest.raises(ConfigurationError, match=r"^feed 'event': wanted one of events, outcomes; "):
        tasks.RawPartition(date=DAY, feed="event")


def test_in_a_program_a_missing_parameter_stays_luigis_exception(lake: StubLake) -> None:
    with pytest.raises(MissingParameterException):
        Leaf()


def test_more_workers_than_one_are_refused_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[core]\nworkers = 2\n")

    with pytest.raises(ConfigurationError) as caught:
        Leaf(date=DAY, use_case=LOANS, lake=str(tmp_path))

    assert str(caught.value) == (
        "[core] workers: wanted 1: the stages of a process share one Spark session, which does not survive Luigi's fork; found 2. "
        "Next: leave --workers out and give Spark more cores ([spark] master), or run several processes against luigid"
    )


# Ends that are none


def test_a_run_that_ends_without_having_published_has_failed(lake: StubLake) -> None:
    built = build(Idle(date=DAY))

    assert built.status == luigi.LuigiStatusCode.FAILED
    assert built.refused == [
        f"run of Idle of {DAY}: wanted no exception; found TaskException: Task finished running, but complete() is still "
        "returning false. Next: read the traceback in the log of the run"
    ]


def test_an_exception_that_is_none_of_ours_is_named_in_one_line(lake: StubLake) -> None:
    built = build(Broken(date=DAY))

    assert built.refused == [
        f"run of Broken of {DAY}: wanted no exception; found ZeroDivisionError: first line. "
        "Next: read the traceback in the log of the run"
    ]
