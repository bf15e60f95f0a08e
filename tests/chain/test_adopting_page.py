"""docs/adopting.md from a clean copy of the checkout: every command is run as it stands, and every line that is shown is what is printed.

A block of the page that begins with a command or with ``>>>`` is run, and the next block that does not is what it prints. Blank
lines are between blocks.
``…`` in a shown line stands for anything, and a line of ``…`` alone for any number of lines.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import checkout
from tests.support.checkout import ROOT
from tests.support.processes import Commands
from tests.support.shared_data import shared_data

PAGE = ROOT / "docs" / "adopting.md"
COMMANDS = ("daystone", "export", "python", "awk", "zcat", ">>>")
#: The part of the page that begins at a heading, and the table that it takes: folder, file, and its name in the clone.
PARTS = {
    "A use case": ("uci_credit_default", "UCI_Credit_Card.csv.gz", "UCI_Credit_Card.csv"),
    "Small, and full of categories": ("german_credit", "german.data", "german.data"),
    "A number": ("superlender", "trainprevloans.csv.gz", "trainprevloans.csv.gz"),
    "Texts": ("produtos", "produtos.csv.gz", "produtos.csv"),
}


@dataclass(frozen=True)
class Step:
    """A command of the page, and the lines that are shown below it."""

    command: str
    shown: tuple[str, ...]


def steps(part: str) -> list[Step]:
    """What the page does in the part that begins at a heading; the first one goes on until the second."""
    headings = [re.search(rf"^#+ (\d\. )?{re.escape(name)}$", PAGE.read_text(), re.MULTILINE) for name in PARTS]
    assert all(headings), "a heading of PARTS is not on the page"
    begins = [found.start() for found in headings if found] + [len(PAGE.read_text())]
    number = list(PARTS).index(part)
    text = PAGE.read_text()[begins[number] : begins[number + 1]]
    blocks = [re.sub(r"(?m)^ {4}", "", block[0]).rstrip("\n") for block in re.finditer(r"(?m)(?:^ {4}.*\n)+", text)]
    found: list[Step] = []
    for block in blocks:
        if block.startswith(COMMANDS):
            found.append(Step(block, ()))
        else:
            assert found and not found[-1].shown, f"no command stands before what is shown: {block}"
            found[-1] = Step(found[-1].command, tuple(block.splitlines()))
    return found


def script(found: list[Step]) -> str:
    """The commands for a shell, with a mark before each, so that what one prints is known from what the next one does."""
    lines = ["set -e"]
    for number, step in enumerate(found):
        lines.append(f"echo '=== {number}'")
        if step.command.startswith(">>>"):
            source = [line.removeprefix(">>> ") for line in step.command.splitlines()]
            program = "\n".join([*source[:-1], f"print({source[-1]})"])
            lines.append(f"python - <<'EOF'\n{program}\nEOF")
        else:
            lines.append(step.command)
    return "\n".join(lines)


def differences(shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """The first shown line that is not printed at its place, or the first printed one that is not shown."""
    rest = [" ".join(line.split()) for line in printed if line.strip()]
    skipping = False
    for line in (" ".join(line.split()) for line in shown):
        if line == "…":
            skipping = True
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        while skipping and rest and not pattern.fullmatch(rest[0]):
            rest.pop(0)
        if not rest or not pattern.fullmatch(rest[0]):
            return [f"shown   {line}", f"printed {rest[0] if rest else 'nothing more'}"]
        rest.pop(0)
        skipping = False
    return [f"not shown {rest[0]}"] if rest and not skipping else []


@pytest.mark.parametrize(
    "part", [name if name == "A use case" else pytest.param(name, marks=pytest.mark.full) for name in PARTS]
)
def test_the_page_prints_what_it_shows(part: str, tmp_path: Path) -> None:
    folder, file, name = PARTS[part]
    data = shared_data(folder) / file
    clone, programs = checkout.copy(tmp_path / "clone"), tmp_path / "programs"
    content = data.read_bytes() if file == name else gzip.decompress(data.read_bytes())
    (clone / name).write_bytes(content)
    programs.mkdir()
    for program, command in {"daystone": f"{sys.executable} run.py", "python": sys.executable}.items():
        (programs / program).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / program).chmod(0o755)
    own = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "COLUMNS": "200",
    }
    found = steps(part)

    result = subprocess.run(
        ["bash", "-c", script(found)],
        cwd=clone,
        env=Commands(tmp_path).environment() | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1_800,
    )

    assert result.returncode == 0, result.stdout
    printed = [text.splitlines()[1:] for text in re.split(r"(?m)^=== ", result.stdout)[1:]]
    assert len(printed) == len(found)
    for step, lines in zip(found, printed, strict=True):
        if step.shown:
            assert differences(step.shown, lines) == [], step.command


def test_a_line_that_differs_is_found_and_dots_stand_for_anything() -> None:
    shown = ("built 3 … in … s", "…", "end")

    assert differences(shown, ["built 3 partitions in 4 s", "more", "end"]) == []
    assert differences(shown, ["built 4 partitions in 4 s"]) == [
        "shown   built 3 … in … s",
        "printed built 4 partitions in 4 s",
    ]
    assert differences(("one",), ["one", "two"]) == ["not shown two"]
    assert differences(("one", "two"), ["one"]) == ["shown   two", "printed nothing more"]
