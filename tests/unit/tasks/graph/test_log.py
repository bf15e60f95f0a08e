"""What Luigi's command logs of many tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tasks.graph import log
from tests.support.processes import Commands
from tests.unit.stubs.stublake import CONTESTED, StubLake

LAST = "2026-02-20"  # the 39th day after the first training
RANGE = ("--module", "tests.unit.stubs.quick", "RangeDaily", "--of", "BatchInference", "--stop", LAST)
REPEATED = "Informed scheduler that task "
INFORMED = (REPEATED + "  %s   has status   %s", ("Training_2026_01_12", "DONE"))


def luigis(level: int, message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(log.LUIGI, level, __file__, 1, message, values, None)


@pytest.fixture
def at_level(request: pytest.FixtureRequest) -> Iterator[logging.Filter]:
    luigi = logging.getLogger(log.LUIGI)
    before = luigi.level
    luigi.setLevel(request.param)
    (found,) = [known for known in luigi.filters if isinstance(known, log.WithoutRepetitions)]
    yield found
    luigi.setLevel(before)


@pytest.mark.parametrize("at_level", [logging.INFO], indirect=True)
def test_what_luigi_repeats_for_every_task_is_left_out(at_level: logging.Filter) -> None:
    assert not at_level.filter(luigis(logging.INFO, INFORMED[0], *INFORMED[1]))
    assert at_level.filter(luigis(logging.INFO, "Done scheduling tasks"))
    assert at_level.filter(luigis(logging.WARNING, INFORMED[0], *INFORMED[1]))


@pytest.mark.parametrize("at_level", [logging.DEBUG], indirect=True)
def test_who_asks_for_debug_gets_everything(at_level: logging.Filter) -> None:
    assert at_level.filter(luigis(logging.INFO, INFORMED[0], *INFORMED[1]))


def test_the_filter_is_installed_once() -> None:
    log.install()

    assert sum(isinstance(known, log.WithoutRepetitions) for known in logging.getLogger(log.LUIGI).filters) == 1


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    lake = StubLake(tmp_path / "lake", CONTESTED)
    lake.land(date.fromisoformat(LAST))
    return Commands(tmp_path)


def build(commands: Commands, first: str, *more: str, config: str = "") -> str:
    range_ = (*RANGE, "--start", first, "--pipeline-use-case", CONTESTED, "--lake-root", str(commands.cwd / "lake"))
    result = commands.luigi(*range_, *more, config=config)
    assert result.code == 0, result.stderr
    return result.stderr


@pytest.mark.processes
def test_the_log_of_39_days_has_a_few_lines_for_each_partition(commands: Commands) -> None:
    logged = build(commands, "2026-01-12")

    assert REPEATED not in logged
    published = sum(
        len(StubLake(commands.cwd / "lake", CONTESTED).published(dataset))
        for dataset in ("features", "balanced", "model", "selection", "predictions")
    )
    assert published > 130
    assert len(logged.splitlines()) < 3 * published


@pytest.mark.processes
def test_a_logging_file_of_the_users_own_is_quiet_too_and_debug_is_not(commands: Commands) -> None:
    (commands.cwd / "logging.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=out\n[formatters]\nkeys=\n[logger_root]\nlevel=INFO\nhandlers=out\n"
        "[handler_out]\nclass=StreamHandler\nargs=()\n"
    )

    of_a_file = build(commands, "2026-02-19", config=f"[core]\nlogging_conf_file = {commands.cwd / 'logging.ini'}\n")
    of_debug = build(commands, "2026-02-18", "--log-level", "DEBUG")

    assert "Done scheduling tasks" in of_a_file
    assert REPEATED not in of_a_file
    assert REPEATED in of_debug
