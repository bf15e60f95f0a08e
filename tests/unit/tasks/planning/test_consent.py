"""``[lake] ask_above``: before a run rebuilds many stale partitions it asks, and where nobody can be asked it builds nothing."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from datetime import date
from pathlib import Path

import luigi
import pytest
from luigi.task_register import Register
from luigi.tools.range import RangeDaily

import tasks
from spark_lib.errors import NotConfirmed
from spark_lib.lake import days
from tests.support.processes import Commands
from tests.unit.stubs.stublake import LOANS, StubLake, build, configure, prepare
from tests.unit.verbs import STUBBED, Verbs, last_line

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 5)
SPAN = {"of": tasks.FeatureEngineering, "start": FIRST, "stop": date(2026, 1, 6), "of_params": {}}
COUNTED = "4 of features (input)"
REFUSED = (
    "a run that would rebuild 4 stale partitions: wanted {}; found 4 of features (input). Next: look at them (daystone plan "
    "--from 2026-01-02 --to 2026-01-05), then run again with [lake] ask_above = 4 to rebuild them, or with [lake] on_stale = "
    "warn to keep them"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    """A lake whose features of 4 days are stale."""
    lake = prepare(monkeypatch, tmp_path / "lake")
    lake.land(LAST)
    build(*(tasks.FeatureEngineering(date=day) for day in days(FIRST, LAST)))
    lake.flag("events", date(2026, 1, 2)).with_name("part-0").write_text("again")
    return lake


def under(lake: StubLake, monkeypatch: pytest.MonkeyPatch, ask_above: int, on_stale: str = "rebuild") -> None:
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = {on_stale}\nask_above = {ask_above}\n[pipeline]\nuse_case = {LOANS}\n",
    )
    Register.clear_instance_cache()


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    """Sit at a terminal and give an answer. What is returned has what the terminal shows."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


def test_without_a_terminal_a_range_fails_with_what_it_would_rebuild_and_builds_nothing(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(lake, monkeypatch, 3)
    before = lake.written()

    with pytest.raises(NotConfirmed) as caught:
        build(RangeDaily(**SPAN))

    assert str(caught.value) == REFUSED.format("at most 3 ([lake] ask_above), or a yes on a terminal")
    assert lake.written() == before


@pytest.mark.slow
def test_so_many_as_are_allowed_are_rebuilt_without_a_question(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, 4)

    built = build(RangeDaily(**SPAN))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert [name for name in built.ended if name != "RangeDaily"] == [
        f"FeatureEngineering {day}" for day in days(date(2026, 1, 2), LAST)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_on_a_terminal_a_yes_rebuilds(lake: StubLake, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    under(lake, monkeypatch, 3)
    asked = at_a_terminal(monkeypatch, answer)

    built = build(RangeDaily(**SPAN))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert asked.getvalue().startswith(f"{COUNTED}\nRebuild 4 stale partitions? [y/N] ")


@pytest.mark.parametrize("answer", ["\n", "n\n", ""])
def test_on_a_terminal_any_other_answer_builds_nothing(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    under(lake, monkeypatch, 3)
    at_a_terminal(monkeypatch, answer)
    before = lake.written()

    with pytest.raises(NotConfirmed) as caught:
        build(RangeDaily(**SPAN))

    assert str(caught.value) == REFUSED.format("a yes")
    assert lake.written() == before


def test_what_is_asked_for_by_several_tasks_counts_together(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, 1)

    class All(luigi.WrapperTask):
        def requires(self) -> list[luigi.Task]:
            return [tasks.FeatureEngineering(date=day) for day in (date(2026, 1, 4), LAST)]

    with pytest.raises(NotConfirmed, match=r"would rebuild 2 stale partitions: .* found 2 of features \(input\)\."):
        build(All())


@pytest.mark.parametrize("policy", ["keep", "warn", "fail", "rebuild, features: keep"])
def test_nothing_is_asked_where_nothing_would_be_rebuilt(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    under(lake, monkeypatch, 0, policy)

    built = build(tasks.FeatureEngineering(date=LAST))

    assert built.ran == []


def test_a_day_that_is_missing_or_forced_does_not_count(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, 0)
    lake.delete("features", LAST)
    forced = tasks.FeatureEngineering(date=date(2026, 1, 4))
    forced.force = True

    built = build(tasks.FeatureEngineering(date=LAST), forced)

    assert built.ended == ["FeatureEngineering 2026-01-04", "FeatureEngineering 2026-01-05"]


@pytest.mark.processes
def test_luigis_command_exits_with_30_and_daystone_with_43(lake: StubLake, tmp_path: Path) -> None:
    told = ("--lake-on-stale", "rebuild", "--lake-ask-above", "0", "--pipeline-use-case", LOANS)
    day = ("--module", "tests.unit.stubs.quick", "FeatureEngineering", "--date", LAST)

    by_luigi = Commands(tmp_path).luigi(*day, *told)
    by_daystone = Verbs(tmp_path).stubbed(
        "run",
        "features",
        "--date",
        LAST,
        "--use-case",
        LOANS,
        "--set",
        "lake.on_stale=rebuild",
        "--set",
        "lake.ask_above=0",
    )

    found = "a run that would rebuild 1 stale partition: wanted at most 0 ([lake] ask_above), or a yes on a terminal; found "
    assert (by_luigi.code, by_luigi.last_error.startswith(found)) == (30, True)
    assert (by_daystone.code, last_line(by_daystone).startswith(f"Error: {found}1 of features (input). Next: ")) == (
        43,
        True,
    )


@pytest.mark.processes
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", NotConfirmed.exit_code)])
def test_a_person_at_a_real_terminal_is_asked_and_obeyed(
    lake: StubLake, tmp_path: Path, answer: bytes, code: int
) -> None:
    told = ["--use-case", LOANS, "--set", "lake.on_stale=rebuild", "--set", "lake.ask_above=0"]
    command = [
        sys.executable,
        "-c",
        STUBBED,
        "run",
        "features",
        "--date",
        str(LAST),
        "--lake-root",
        str(lake.root),
        *told,
    ]
    before = lake.published("features")[LAST]
    person, terminal = pty.openpty()

    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=Commands(tmp_path).environment(),
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = read_until(person, b"[y/N] ")
        os.write(person, answer)
        shown += read_until(person)
    os.close(person)

    assert b"1 of features (input)\r\nRebuild 1 stale partition? [y/N] " in shown
    assert process.returncode == code, shown.decode()
    assert (lake.published("features")[LAST] != before) == (code == 0)


def read_until(person: int, words: bytes = b"") -> bytes:
    """What a terminal shows up to some words, or to the end of the command."""
    shown = b""
    while not (words and words in shown):
        try:
            some = os.read(person, 4096)
        except OSError:  # Linux says so where nobody writes any more
            break
        if not some:
            break
        shown += some
    return shown
