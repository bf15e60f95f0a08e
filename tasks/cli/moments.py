"""When a run begins: a time of day, ``@daily``, ``@weekly``, ``@hourly`` or a cron expression, in a time zone; and the same as
cron and systemd write it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from spark_lib.errors import ScheduleError
from tasks.config import check

PRESETS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0"}
WANTED = "HH:MM, @daily, @weekly, @hourly or a cron expression of five fields (minute, hour, day of month, month, day of week)"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: The first and the last value of each field, and the names that stand for numbers. 7 is Sunday, too.
_FIELDS: Sequence[tuple[str, int, int, Sequence[str]]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("day of week", 0, 7, _DAYS),
)
_SUNDAY_TOO = 7
#: The most days of a month, February's in a leap year.
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LOOKED_AT_DAYS = 400


@dataclass(frozen=True)
class Moments:
    """The moments at which a run begins: sets of minutes, hours, days of month, months and days of week (0 is Sunday), in a
    time zone. Where both kinds of days are bounded, a day of either kind counts, as in cron."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    #: As cron has it.
    expression: str
    #: Whether the days of month, and the days of week, begin with a star, so that they bound nothing by themselves.
    any_day: bool
    any_weekday: bool
    zone: str

    @property
    def calendars(self) -> list[str]:
        """As systemd has it in OnCalendar: one, or two where a day of either kind counts."""
        months = "*" if len(self.months) == len(_MONTHS) else ",".join(f"{each:02d}" for each in self.months)
        days = "*" if len(self.days) == max(_LONGEST) else ",".join(f"{each:02d}" for each in self.days)
        hours = "*" if len(self.hours) == 24 else ",".join(f"{each:02d}" for each in self.hours)
        minutes = "*" if len(self.minutes) == 60 else ",".join(f"{each:02d}" for each in self.minutes)
        every = len(self.weekdays) == len(_DAYS)
        weekdays = "" if every else ",".join(_DAYS[each].capitalize() for each in self.weekdays) + " "
        clock = f"{hours}:{minutes}:00 {self.zone}"
        if self._either:
            return [f"{weekdays}*-{months}-* {clock}", f"*-{months}-{days} {clock}"]
        return [f"{weekdays}*-{months}-{days} {clock}"]

    @property
    def _either(self) -> bool:
        return not self.any_day and not self.any_weekday

    def odd(self, since: datetime) -> list[str]:
        """What summer time does to these moments in the next 400 days, in words: a time of day that a day does not have, or
        has twice."""
        if self.zone == "UTC":
            return []
        zone, found = ZoneInfo(self.zone), []
        first = since.astimezone(zone).date()
        times = [time(hour, minute) for hour in self.hours for minute in self.minutes]
        for day in (first + timedelta(days=offset) for offset in range(_LOOKED_AT_DAYS)):
            for at in times:
                local = datetime.combine(day, at, zone)
                if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
                    found.append(f"{day} has no {at:%H:%M} in {self.zone}")
                elif local.utcoffset() != local.replace(fold=1).utcoffset():
                    found.append(f"{day} has {at:%H:%M} twice in {self.zone}")
        return found


def parse(text: str, zone: str) -> Moments:
    """The moments that a text says. Raises ScheduleError."""
    if not check.is_zone(zone):
        raise ScheduleError(
            "--timezone", "a time zone that this machine knows, as Europe/Berlin", repr(zone), "correct it"
        )
    if check.is_time(text):
        text = f"{int(text[3:])} {int(text[:2])} * * *"
    fields = PRESETS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError("--at", WANTED, repr(text), "correct it")
    minutes, hours, days, months, weekdays = (
        _values(field, *kind) for field, kind in zip(fields, _FIELDS, strict=True)
    )
    weekdays = tuple(sorted({each % _SUNDAY_TOO for each in weekdays}))
    found = Moments(
        *(minutes, hours, days, months, weekdays, " ".join(fields)),
        any_day=fields[2].startswith("*"),
        any_weekday=fields[4].startswith("*"),
        zone=zone,
    )
    if found.any_weekday and not any(day <= _LONGEST[month - 1] for day in days for month in months):
        raise ScheduleError("--at", "a day that there is", repr(text), "correct the day of month or the month")
    return found


def _values(field: str, name: str, first: int, last: int, names: Sequence[str]) -> tuple[int, ...]:
    """The numbers that a field of a cron expression means. A step is of a star or a range only, as every cron has it."""
    found: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", part, re.ASCII)
        star, low, high, step = match.groups() if match else (None,) * 4
        begin, end = (first, last) if star else (_number(low, names), _number(high or low, names))
        stride = int(step or 1)
        is_stepped_alone = step and not (star or high)
        if is_stepped_alone or begin is None or end is None or not first <= begin <= end <= last or stride < 1:
            wanted = f"the {name} from {first} to {last}, as *, 5, 1-5, */15 or 1,3"
            raise ScheduleError("--at", wanted, repr(field), "correct it")
        found |= set(range(begin, end + 1, stride))
    return tuple(sorted(found))


def _number(text: str | None, names: Sequence[str]) -> int | None:
    """The number of a text; None where it is none."""
    if text is None:
        return None
    if text.isdigit():
        return int(text)
    return names.index(text.lower()) if text and text.lower() in names else None
