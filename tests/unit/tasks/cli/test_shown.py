"""What a run says of how far it is."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
from luigi.configuration import get_config
from rich.console import Console

import tasks
from spark_lib.errors import BadData
from spark_lib.lake import days
from tasks.cli import render
from tasks.cli import run as runner
from tests.unit.stubs.stublake import StubLake, prepare

FIRST = date(2026, 1, 1)
DAYS = days(FIRST, date(2026, 2, 8))  # 39


@pytest.fixture(autouse=True)
def lake(tmp_path, monkeypatch: pytest.MonkeyPatch) -> StubLake:  # type: ignore[no-untyped-def]
    return prepare(monkeypatch, tmp_path / "lake")


def features(day: date) -> tasks.FeatureEngineering:
    return tasks.FeatureEngineering(date=day)


def test_a_line_has_the_place_the_day_and_an_estimate_once_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    lines = render.Lines()
    for day in DAYS:
        lines.due(features(day))

    for day, seconds in zip(DAYS, [9.0, 3.0, 3.0, 4.0], strict=False):
        lines.built(features(day), "500 rows", seconds)
    lines.refused(features(DAYS[4]), BadData("a", "b", "c", "d"))

    assert capsys.readouterr().err.splitlines() == [
        "  features 1 of 39        2026-01-01  500 rows (9.0 s)",
        "  features 2 of 39        2026-01-02  500 rows (3.0 s), about 2 min left",
        "  features 3 of 39        2026-01-03  500 rows (3.0 s), about 2 min left",
        "  features 4 of 39        2026-01-04  500 rows (4.0 s), about 2 min left",
        "  features                2026-01-05  not done: BadData",
    ]


def test_the_last_day_of_a_dataset_has_nothing_left_and_datasets_are_counted_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = render.Lines()
    for day in DAYS[:3]:
        lines.due(features(day))
    lines.due(tasks.Balancing(date=FIRST))

    for day in DAYS[:3]:
        lines.built(features(day), "500 rows", 20.0)
    lines.built(tasks.Balancing(date=FIRST), "900 rows", 20.0)

    assert capsys.readouterr().err.splitlines() == [
        "  features 1 of 3         2026-01-01  500 rows (20.0 s)",
        "  features 2 of 3         2026-01-02  500 rows (20.0 s), about 20 s left",
        "  features 3 of 3         2026-01-03  500 rows (20.0 s)",
        "  balanced 1 of 1         2026-01-01  900 rows (20.0 s)",
    ]


def test_a_day_that_was_never_announced_counts_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    lines = render.Lines()

    lines.built(features(FIRST), "500 rows", 1.0)

    assert capsys.readouterr().err == "  features 1 of 1         2026-01-01  500 rows (1.0 s)\n"


def test_bars_show_place_and_time_left() -> None:
    bars = render.Bars()
    for day in DAYS:
        bars.due(features(day))
    for day in DAYS[:12]:
        bars.progress(features(day), 50, "engineering")
        bars.built(features(day), "500 rows", 300.0)

    console = Console(file=io.StringIO(), width=120)
    console.print(bars.render())

    (line,) = [line for line in console.file.getvalue().splitlines() if "features" in line]  # type: ignore[attr-defined]
    assert line.split(maxsplit=2)[2].strip() == "12 of 39  about 2 h 15 min left  2026-01-12  engineering"


def test_bars_show_what_a_stage_says_as_it_says_it() -> None:
    bars = render.Bars()
    bars.due(features(FIRST))
    bars.progress(features(FIRST), 50, "[training] constant_columns = warn [/]")
    bars.refused(tasks.Balancing(date=FIRST), BadData("a", "b", "c", "d"))

    console = Console(file=io.StringIO(), width=120)
    console.print(bars.render())

    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].endswith("0 of 1    2026-01-01  [training] constant_columns = warn [/]")
    assert lines[1].split() == ["balanced", "2026-01-01", "not", "done:", "BadData"]


@pytest.mark.parametrize("said", [None, "false"])
def test_a_run_leaves_luigis_logging_as_it_was_configured(tmp_path: Path, said: str | None) -> None:
    get_config().remove_option("core", "no_configure_logging")
    if said is not None:
        get_config().set("core", "no_configure_logging", said)

    with runner.chatter_in(tmp_path / "log"):
        during = get_config().get("core", "no_configure_logging", None)

    assert (during, get_config().get("core", "no_configure_logging", None)) == ("true", said)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (0.6, "1 s"), (59.4, "59 s"), (60, "1 min"), (110, "2 min"), (3540, "59 min"), (3600, "1 h 0 min"), (8100, "2 h 15 min")],
)  # fmt: skip
def test_durations_are_no_more_exact_than_an_estimate(seconds: float, words: str) -> None:
    assert render.duration(seconds) == words


def test_an_exception_while_luigi_schedules_is_named_with_its_task_and_its_day() -> None:
    seen = runner._Seen(runner.Watcher())

    seen._on_broken(features(FIRST), ZeroDivisionError("division by zero"))

    assert [str(error) for error in seen.errors] == [
        "scheduling of FeatureEngineering of 2026-01-01: wanted no exception; found ZeroDivisionError: division by zero. "
        "Next: read the traceback in the log of the run"
    ]
