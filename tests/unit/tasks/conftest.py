"""A lake of a stub use case with predictions of one day, which is built once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from luigi.task_register import Register

import tasks
from tests.unit.stubs.stublake import LOANS, StubLake, build, prepare

Predicted = Callable[..., StubLake]


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[date, date, str], Path]:
    known: dict[tuple[date, date, str], Path] = {}

    def built(day: date, landed: date, use_case: str) -> Path:
        if (wanted := (day, landed, use_case)) not in known:
            with pytest.MonkeyPatch.context() as patch:
                lake = prepare(patch, tmp_path_factory.mktemp("built") / "lake", use_case=use_case)
                lake.land(landed)
                build(tasks.BatchInference(date=day))
            Register.clear_instance_cache()
            known[wanted] = lake.root
        return known[wanted]

    return built


@pytest.fixture
def predicted(_built: Callable[[date, date, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Predicted:
    """Say for which day, and up to which day raw data have landed."""

    def copied(day: date, landed: date = date(2026, 1, 31), use_case: str = LOANS) -> StubLake:
        shutil.copytree(_built(day, landed, use_case), tmp_path / "lake")
        return prepare(monkeypatch, tmp_path / "lake", use_case=use_case)

    return copied
