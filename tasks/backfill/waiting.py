"""Waits for raw days that are late, and goes on as soon as one of them has landed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from spark_lib.lake import RawFeed

#: Seconds between two looks for the flags.
POLL_SECONDS = 30.0
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Awaited = Sequence[tuple[RawFeed, date]]


class Patience:
    """What is left of the time for which somebody is ready to wait. ``say`` is told what is awaited, once for each
    wait."""

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._deadline = time.monotonic() + seconds
        self._say = say

    def until_landed(self, awaited: Awaited) -> bool:
        """Wait until one of the raw days has landed. False where the time is over before that."""
        said = False
        while not any(feed.has_landed(day) for feed, day in awaited):
            left = self._deadline - time.monotonic()
            if left <= 0:
                return False
            if not said:
                self._say(f"waiting until {_clock(left)} for {_named(awaited)}")
                said = True
            time.sleep(min(POLL_SECONDS, left))
        return True


def seconds_of(text: str) -> float | None:
    """The seconds of a time like ``4h``, ``90m`` or ``30s``; None for another text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    return float(found[1]) * _UNITS[found[2]] if found else None


def _clock(seconds: float) -> str:
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M} UTC"


def _named(awaited: Awaited) -> str:
    return ", ".join(f"raw feed {feed.name} of {day}" for feed, day in awaited)
