"""docs/notification.md: what it shows is what is printed and sent."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.messages_sent import Receiver
from tests.unit.verbs import SHORT, Verbs

pytestmark = pytest.mark.processes

PAGE = (ROOT / "docs" / "notification.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """The indented blocks of the page."""
    found = re.findall(r"^(?:    .*\n(?:\n(?=    (?!\$)))?)+", PAGE, re.MULTILINE)
    return [textwrap.dedent(block).rstrip("\n") for block in found]


def shown(message: dict[str, str], daystone: Verbs) -> str:
    """A message as the page has it: another place, and another time."""
    text = f"{message['title']}\n\n{message['body']}".replace(str(daystone.root), "/srv/lake")
    return re.sub(r"since \S+ \S+ UTC", "since 2026-01-15 05:00 UTC", text)


def test_the_messages_of_the_page_are_those_that_are_sent(tmp_path: Path, webhook: Receiver) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 13)
    tell = {"DAYSTONE_NOTIFY_URLS": webhook.url}
    daystone.stubbed("run", "--date", "2026-01-13", *SHORT)
    (daystone.root / "credit_risk/features/date=2026-01-13/_SUCCESS").write_text("{}")

    daystone.stubbed("backfill", "--from", "2026-01-13", "--to", "2026-01-14", *SHORT, **tell)
    daystone.land("2026-01-14", 1)
    daystone.stubbed("rebuild", "features", "--date", "2026-01-13", *SHORT, **tell)

    messages = [block for block in blocks() if block.startswith("Daystone, ")]
    assert [shown(message, daystone) for message in webhook.received] == messages


def test_the_test_message_of_the_page_is_what_is_printed(tmp_path: Path, webhook: Receiver, mail: Receiver) -> None:
    daystone = Verbs(tmp_path)

    result = daystone("notify", "--test", DAYSTONE_NOTIFY_URLS=f"{webhook.url} {mail.url}")

    assert f"$ daystone notify --test --lake-root lake\n{result.stdout.rstrip()}" in blocks()
    assert len(webhook.received) == len(mail.received) == 1


def test_a_record_lies_where_the_page_says(tmp_path: Path, webhook: Receiver) -> None:
    daystone = Verbs(tmp_path)
    daystone.land("2026-01-01", 13)

    daystone.stubbed("run", "--date", "2026-01-14", *SHORT, DAYSTONE_NOTIFY_URLS=webhook.url)

    path = next(block for block in blocks() if "/notices/" in block)
    assert (tmp_path / path).is_file()
