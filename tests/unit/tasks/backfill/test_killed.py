"""A backfill that is killed again and again, or runs twice at once, ends with what each day is alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from luigi.task_register import Register

import tasks
from spark_lib.lake import days
from spark_lib.lake.stores.local import LocalStore
from tests.unit.stubs.stublake import TOGETHER, StubLake, build, prepare
from tests.unit.tasks.backfill.test_backfill import backfill, contents

pytestmark = pytest.mark.slow

FIRST, LAST = date(2026, 1, 12), date(2026, 1, 20)
KILLS, KILLED = 20, 137
#: What a process asks of the store: it is killed before one of these, or after it.
STEPS = ("create", "adopt", "persist", "list", "read", "checksum")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    """A lake on which every day was built by a run of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lake = prepare(monkeypatch, tmp_path / "alone", use_case=TOGETHER)
    lake.land(LAST)
    for day in days(FIRST, LAST):
        Register.clear_instance_cache()
        build(tasks.BatchInference(date=day))
    return lake


@pytest.fixture
def lake(alone: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    lake = prepare(monkeypatch, tmp_path / "lake", use_case=TOGETHER)
    lake.land(LAST)
    return lake


def forked(work: Callable[[], int]) -> int:
    """Begin ``work`` in a process of its own, and return its number."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)
    return process


def code_of(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_at(step: int, before: bool) -> Callable[[], int]:
    """A backfill whose process is gone at its so many-th step."""

    def work() -> int:
        left = step

        def counted(method: Any) -> Any:
            def call(*given: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left <= 0 and before:
                    os._exit(KILLED)
                found = method(*given, **more)
                if left <= 0:
                    os._exit(KILLED)
                return found

            return call

        for name in STEPS:
            setattr(LocalStore, name, counted(getattr(LocalStore, name)))
        return some()

    return work


def some(*options: str) -> int:
    return backfill(FIRST, LAST, "--stage", "predictions", "--max-days-per-job", 5, *options).exit_code


def test_killed_twenty_times_on_the_way_it_ends_with_what_each_day_is_alone(alone: StubLake, lake: StubLake) -> None:
    random = Random(0)
    codes = [code_of(forked(killed_at(random.randint(1, 120), random.random() < 0.5))) for _ in range(KILLS)]
    assert codes.count(KILLED) > KILLS / 2
    half_way = {dataset: lake.published(dataset) for dataset in ("features", "predictions")}

    assert some() == 0

    assert contents(lake) == contents(alone)
    for dataset, runs in half_way.items():
        assert runs.items() <= lake.published(dataset).items(), "a day was published a second time"


def test_two_processes_at_once_from_both_ends_publish_each_day_once(alone: StubLake, lake: StubLake) -> None:
    both = [forked(lambda order=order: some("--order", order)) for order in ("oldest", "newest")]

    assert [code_of(process) for process in both] == [0, 0]
    assert contents(lake) == contents(alone)
    assert len(lake.runs("features")) == len(lake.published("features")), "the run that lost was not removed"
