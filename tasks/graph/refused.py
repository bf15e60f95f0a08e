"""Remembers the raw files that made a stage of this run fail. The next stage that needs one fails at once, for the
same reason.

Without this, a run with a single bad value would read on through every later day of a window, only to find it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spark_lib.errors import BadData, DaystoneError
from spark_lib.lake import RawDay, RawDays


@dataclass
class _Refusal:
    error: BadData
    stages: int = 1


#: Refusals by the landed day as it was listed. A day that is landed again has another listing, and is read again.
_refusals: dict[RawDay, _Refusal] = {}


def forget() -> None:
    """Forget everything, because a new run begins."""
    _refusals.clear()


def remember(error: BadData, read: Iterable[RawDays]) -> None:
    """Remember the error of a stage that ``read`` these days, where it names one of their files."""
    for day in (day for days in read for day in days.days if error.file in day.files):
        _refusals.setdefault(day, _Refusal(error))


def check(raw: RawDays) -> None:
    """Raise BadData where one of the days has a file that made an earlier stage fail. The message counts the stages."""
    for day in raw.days:
        if day in _refusals:
            refusal = _refusals[day]
            refusal.stages += 1
            of = refusal.error
            found = f"{of.found} ({refusal.stages} stages of this run need the file)"
            raise BadData(of.where, of.wanted, found, of.next_step, of.file)


def note(errors: list[DaystoneError], error: DaystoneError) -> bool:
    """Add an error to those of a run, and return whether it is a new reason. One for the same reason takes the place of
    the earlier one: it counts the stages that were refused."""
    for place, other in enumerate(errors):
        if _is_same(other, error):
            errors[place] = error
            return False
    errors.append(error)
    return True


def _is_same(one: DaystoneError, other: DaystoneError) -> bool:
    """Whether two errors are one reason: the same words, or the same raw file."""
    if isinstance(one, BadData) and isinstance(other, BadData) and one.file:
        return one.file == other.file
    return str(one) == str(other)
