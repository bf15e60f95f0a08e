"""docs/models.md on the sample, as it stands: every command of its example is run, and what it shows is what is printed."""

from __future__ import annotations

import getpass
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Commands, Result

PAGE = ROOT / "docs" / "models.md"


@dataclass(frozen=True)
class Step:
    """A command of the page, and the lines that are shown below it; none where nothing is."""

    command: str
    shown: tuple[str, ...] = ()


def blocks() -> list[str]:
    """The indented blocks of the example, one of settings first. Settings go on behind a blank line."""
    example = PAGE.read_text(encoding="utf-8").partition("\n## An example\n")[2].partition("\n## ")[0]
    found = re.finditer(r"(?m)(?:^ {4}.*\n|^\n(?= {4}\[))+", example)
    return [re.sub(r"(?m)^ {4}", "", block[0]).strip("\n") for block in found]


def steps() -> Iterator[Step]:
    """The commands in their order; what is shown below several is what the last of them prints."""
    there = blocks()[1:]
    for place, block in enumerate(there):
        if block.startswith("daystone "):
            *before, last = block.splitlines()
            below = there[place + 1] if place + 1 < len(there) else ""
            yield from map(Step, before)
            yield Step(last, () if below.startswith("daystone ") else tuple(below.splitlines()))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Step, Result]]:
    home: Path = tmp_path_factory.mktemp("models")
    done = []
    for step in steps():
        program = [sys.executable, str(ROOT / "run.py"), *shlex.split(step.command)[1:]]
        done.append((step, Commands(home).run(program, config=blocks()[0], timeout=PATIENCE)))
    return done


def test_every_command_ends_as_the_page_says(walk: list[tuple[Step, Result]]) -> None:
    wrong = [
        (step.command, result.code, result.stderr[-2_000:])
        for step, result in walk
        if result.code != (50 if step.shown and step.shown[-1].startswith("Error: ") else 0)
    ]

    assert not wrong
    assert len(walk) == 14


def test_what_the_page_shows_is_what_is_printed(walk: list[tuple[Step, Result]]) -> None:
    for step, result in walk:
        printed = result.stdout.splitlines() + [line for line in result.stderr.splitlines() if line.startswith("Error")]
        if step.shown:
            assert [_alike(line) for line in step.shown] == [_alike(line) for line in printed], step.command


def _alike(line: str) -> str:
    """A line without what depends on who runs it: the name, and the widths of the columns that hold it."""
    return " ".join(line.replace(f"by {getpass.getuser()}", "by operator").split())
