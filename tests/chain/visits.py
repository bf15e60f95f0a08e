"""The raw data of ``use_cases/churn.py``: visits to a club, and who left, as CSV in places of their owner's choice."""

from __future__ import annotations

import csv
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST, LAST = date(2026, 1, 18), date(2026, 1, 26)


def configuration(landing: Path) -> str:
    """What the adopter's own file says: which use case, and where its feeds land."""
    return f"""
[pipeline]
use_case = churn:Churn
[raw]
format = csv
flag = landed.txt
[raw.visits]
path = {landing}/{{date:%%Y/%%m/%%d}}/visits
[raw.farewells]
path = {landing}/farewells-{{date:%%Y%%m%%d}}
"""


def of_day(day: date) -> list[tuple[int, str, datetime, float]]:
    """The visits that land on a day: number, member, time, minutes."""
    draw = random.Random(day.toordinal())
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    number = day.toordinal() * 1000
    return [
        (
            number + n,
            f"member {draw.randrange(150)}",
            midnight + timedelta(minutes=17 * n),
            float(draw.randrange(5, 90)),
        )
        for n in range(80)
    ]


def land(landing: Path) -> None:
    """Land visits, and two days later whether the member left, as CSV, each day's flag last."""
    for offset in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        visits = landing / f"{day:%Y/%m/%d}" / "visits"
        # Columns are found by their names: another order, and one that nobody declared.
        rows = [(member, minutes, visit, f"{at:%Y-%m-%dT%H:%M:%SZ}", "?") for visit, member, at, minutes in of_day(day)]
        _write_csv(visits, ("member", "minutes", "visit", "at", "remark"), rows)
        left = [(visit, "yes" if minutes < 30 else "no") for visit, *_, minutes in of_day(day - timedelta(days=2))]
        _write_csv(landing / f"farewells-{day:%Y%m%d}", ("visit", "left"), left if offset >= 2 else [])


def _write_csv(directory: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    directory.mkdir(parents=True)
    with (directory / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    (directory / "landed.txt").touch()
