"""Raw files that a stage of this process was refused for: the next one that needs them fails at once, for the same reason.

Without this a single bad value would let a run read on through every later day of a window, only to meet it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spark_lib.errors import BadData
from spark_lib.lake import RawDay, RawDays


@dataclass
class _Refusal:
    error: BadData
    stages: int = 1


#: By the landed day as it was listed: one that is landed again is looked at again.
_refusals: dict[RawDay, _Refusal] = {}


def remember(error: BadData, read: Iterable[RawDays]) -> None:
    """Keep what a stage that ``read`` these days was refused for, where it is one of their files."""
    for day in (day for days in read for day in days.days if error.file in day.files):
        _refusals.setdefault(day, _Refusal(error))


def check(raw: RawDays) -> None:
    """Raise BadData where one of the days has a file that a stage was refused for; it counts the stages."""
    for day in raw.days:
        if day in _refusals:
            refusal = _refusals[day]
            refusal.stages += 1
            of = refusal.error
            found = f"{of.found} ({refusal.stages} stages of this run need the file)"
            raise BadData(of.where, of.wanted, found, of.next_step, of.file)
