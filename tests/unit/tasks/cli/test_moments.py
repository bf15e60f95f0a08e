"""When a schedule runs: what cron and systemd read from it, by parsers of others."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib.errors import ScheduleError
from tasks.cli import moments
from tasks.cli.moments import Moments

EXPRESSIONS = [
    "05:00", "23:59", "@daily", "@weekly", "@hourly", "30 6 * * mon-fri", "*/20 4-6 * * *", "0 0 1,15 * *", "0 12 1 * 1",
    "15 3 */2 * *", "0 0 */2 * 1", "0 5 * jan,jul sun", "0 5 * * 7", "0 5 29 2 *", "0 5 31 1-12/2 *", "5 4 10-20/5 * 2,4",
]  # fmt: skip
BEGIN = datetime(2026, 12, 29, 17, 23, tzinfo=UTC)


def of_ours(found: Moments, begin: datetime, number: int) -> list[datetime]:
    """The next moments, by looking at each minute of the calendar."""
    days = (begin.date() + timedelta(days=offset) for offset in range(50_000))
    every = (
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        for day in days
        if day.month in found.months and is_day(found, day.day, day.isoweekday() % 7)
        for hour in found.hours
        for minute in found.minutes
    )
    return list(islice((at for at in every if at > begin), number))


def is_day(found: Moments, day: int, weekday: int) -> bool:
    both = (day in found.days, weekday in found.weekdays)
    return all(both) if found.any_day or found.any_weekday else any(both)


def read_by_another(expression: str) -> croniter:
    """A field that begins with a star bounds no days by itself, as in the crons of Debian and Red Hat."""
    return croniter(expression, BEGIN, implement_cron_bug=True)


def of_systemd(calendars: list[str], begin: datetime, number: int) -> list[datetime]:
    """The next moments as systemd computes them."""
    program = shutil.which("systemd-analyze")
    assert program, "no systemd-analyze. Debian: sudo apt-get install systemd"
    found: set[datetime] = set()
    for calendar in calendars:
        said = subprocess.run(
            [program, "calendar", calendar, f"--iterations={number}", f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC"],
            capture_output=True,
            text=True,
            check=True,
            env={"TZ": "UTC", "SYSTEMD_COLORS": "0"},
        ).stdout
        shown = re.findall(r"(?:Next elapse|Iter(?:ation|\.) #\d+): \w+ ([\d-]+ [\d:]+) UTC", said)
        found |= {datetime.fromisoformat(each).replace(tzinfo=UTC) for each in shown}
    return sorted(found)[:number]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_cron_and_this_module_mean_the_same_moments(text: str) -> None:
    found = moments.parse(text, "UTC")

    others = read_by_another(found.expression)

    assert of_ours(found, BEGIN, 30) == [others.get_next(datetime) for _ in range(30)]


@pytest.mark.processes
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_systemd_and_this_module_mean_the_same_moments(text: str) -> None:
    found = moments.parse(text, "UTC")

    assert of_systemd(found.calendars, BEGIN, 8) == of_ours(found, BEGIN, 8)


FIELD = st.one_of(
    st.just("*"),
    st.integers(1, 6).map(str),
    st.tuples(st.integers(1, 3), st.integers(4, 6)).map(lambda two: f"{two[0]}-{two[1]}"),
    st.integers(1, 6).map(lambda step: f"*/{step}"),
    st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(lambda many: ",".join(map(str, many))),
)


@settings(max_examples=150)
@given(st.tuples(FIELD, FIELD, FIELD, FIELD, FIELD))
def test_drawn_expressions_mean_what_another_parser_reads(fields: tuple[str, ...]) -> None:
    found = moments.parse(" ".join(fields), "UTC")

    others = read_by_another(found.expression)

    assert of_ours(found, BEGIN, 5) == [others.get_next(datetime) for _ in range(5)]


@pytest.mark.processes
def test_systemd_reads_the_time_zone() -> None:
    found = moments.parse("06:30", "Europe/Berlin")
    begin = datetime(2027, 3, 26, 12, tzinfo=UTC)

    shown = of_systemd(found.calendars, begin, 4)

    assert [at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") for at in shown] == ["06:30"] * 4
    assert [at.hour for at in shown] == [5, 4, 4, 4]  # the summer time begins on the second day


def test_times_that_summer_time_leaves_out_or_repeats_are_named() -> None:
    found = moments.parse("02:30", "Europe/Berlin").odd(datetime(2027, 1, 1, tzinfo=UTC))

    assert found == ["2027-03-28 has no 02:30 in Europe/Berlin", "2027-10-31 has 02:30 twice in Europe/Berlin"]
    assert moments.parse("04:30", "Europe/Berlin").odd(datetime(2027, 1, 1, tzinfo=UTC)) == []
    assert moments.parse("02:30", "UTC").odd(datetime(2027, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "24:00",
            "--at: wanted HH:MM, @daily, @weekly, @hourly or a cron expression of five fields (minute, hour, day of month, "
            "month, day of week); found '24:00'. Next: correct it",
        ),
        (
            "@yearly",
            "--at: wanted HH:MM, @daily, @weekly, @hourly or a cron expression of five fields (minute, hour, day of month, "
            "month, day of week); found '@yearly'. Next: correct it",
        ),
        ("60 5 * * *", "--at: wanted the minute from 0 to 59, as *, 5, 1-5, */15 or 1,3; found '60'. Next: correct it"),
        ("0 5-3 * * *", "--at: wanted the hour from 0 to 23, as *, 5, 1-5, */15 or 1,3; found '5-3'. Next: correct it"),
        (
            "0 5 0 * *",
            "--at: wanted the day of month from 1 to 31, as *, 5, 1-5, */15 or 1,3; found '0'. Next: correct it",
        ),
        (
            "0 5 * 5/2 *",
            "--at: wanted the month from 1 to 12, as *, 5, 1-5, */15 or 1,3; found '5/2'. Next: correct it",
        ),
        (
            "0 5 * * */0",
            "--at: wanted the day of week from 0 to 7, as *, 5, 1-5, */15 or 1,3; found '*/0'. Next: correct it",
        ),
        (
            "0 5 30 2 *",
            "--at: wanted a day that there is; found '0 5 30 2 *'. Next: correct the day of month or the month",
        ),
    ],
)
def test_a_moment_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        moments.parse(text, "UTC")

    assert str(refused.value) == message


def test_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ScheduleError) as refused:
        moments.parse("05:00", "Europe/Atlantis")

    assert str(refused.value) == (
        "--timezone: wanted a time zone that this machine knows, as Europe/Berlin; found 'Europe/Atlantis'. Next: correct it"
    )
