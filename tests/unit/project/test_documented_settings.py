"""Every configuration that README.md and docs/ show is accepted, and each block of settings is found."""

from __future__ import annotations

import configparser
import re
import textwrap

import pytest

from spark_lib.use_case import Feed
from tasks.config import check, luigi_settings
from tasks.config.settings import Settings
from tests.support.checkout import ROOT
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import configure

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: A fenced block of settings.
FENCED = re.compile(r"^```ini\n([^`]*)^```$", re.MULTILINE)
#: A block that is indented and begins with the name of a section; it goes on as long as its lines are empty or indented so.
INDENTED = re.compile(r"^(?: *\n)(( +)\[[\w.]+\]\n(?:(?:\2.*)?\n)*)", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The settings that a page shows, without their indentation."""
    indented = [block for block, _ in INDENTED.findall(text)]
    return [textwrap.dedent(block) for block in [*FENCED.findall(text), *indented]]


SHOWN = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page.read_text(encoding="utf-8")))
]


def use_case_of(text: str) -> cases.Loans:
    """A use case that declares each feed that the settings name."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    named = [section.removeprefix("raw.") for section in parser.sections() if section.startswith("raw.")]
    case = cases.Loans()
    case.feeds = dict(case.feeds) | {feed: Feed("id STRING, at TIMESTAMP, on DATE", key="id") for feed in named}
    return case


@pytest.mark.parametrize("text", SHOWN)
def test_settings_that_a_page_shows_are_accepted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, text)

    luigi_settings.check()
    Settings("shown", use_case_of(text)).check()

    assert list(map(str, check.refused_values())) == []


def test_each_section_that_a_page_shows_is_in_a_block_that_is_checked() -> None:
    section = re.compile(r"^ *\[[\w.]+\]$", re.MULTILINE)

    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        checked = [found for block in blocks(text) for found in section.findall(block)]

        assert sorted(checked) == sorted(found.strip() for found in section.findall(text)), page.name
    assert len(SHOWN) >= 10
