"""Clean days by real processes: killed while they clean, and two at once. Nothing is there by half, nothing is lost, and the
next run gives what an undisturbed one gives."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_lib.lake import QUARANTINE, Lake, Partition, days
from spark_lib.lake.tables import read_arrow
from tests.support.processes import Commands, Result

pytestmark = [pytest.mark.processes, pytest.mark.full]

CASE, NAME = "tests.chain.use_cases.kitchen:Kitchen", "tests.chain.use_cases.kitchen.Kitchen"
FIRST, DAY = date(2026, 1, 1), date(2026, 1, 3)
ASKED = ("--module", "tasks", "FeatureEngineering", "--date", DAY, "--pipeline-use-case", CASE)
PLATES = 400


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three days of plates: bad prices, plates that are there twice, and some of the day before."""
    draw = random.Random(0)
    for number, day in enumerate(days(FIRST, DAY)):
        names = [f"p{number * PLATES + place - 5}" for place in range(PLATES)]
        lines = [
            f"{name},g{draw.randrange(50)},{day}T12:00:00Z,{draw.choice(['5.00', '7.25', '12.50'])}" for name in names
        ]
        lines += [f"bad{number},g1,{day}T12:00:00Z,free", f"zero{number},g1,{day}T12:00:00Z,0"]
        lines += [line.replace("T12", "T13") for line in lines[:7]]
        landed(tmp_path, "plates", day).joinpath("plates.csv").write_text(
            "\n".join(["plate,guest,served,price", *lines, ""])
        )
        for feed in ("plates", "returned"):
            (landed(tmp_path, feed, day) / "_SUCCESS").touch()
    return tmp_path


def landed(home: Path, feed: str, day: date) -> Path:
    directory = home / "lake" / NAME / "raw" / feed / f"date={day}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def published(home: Path, lake: str) -> dict[date, Partition]:
    return Lake.require_whole(Lake(str(home / lake), NAME).find("clean/plates", FIRST, DAY))


def rows(home: Path, lake: str, section: str) -> Counter[Any]:
    table = read_arrow(Lake(str(home / lake), NAME), "clean/plates", FIRST, DAY, section)
    return Counter(tuple(map(str, row.values())) for row in table.to_pylist())


def undisturbed(home: Path) -> str:
    """A lake of the same raw days on which nothing happened."""
    place = "{root}/../lake/{use_case}/raw/{feed}/date={date:%Y-%m-%d}"
    done = Commands(home).luigi(*ASKED, "--lake-root", "other", "--raw-path", place)
    assert done.code == 0, done.stderr
    return "other"


def is_there(place: Path, pattern: str) -> bool:
    """Whether a file is below a directory in which others come and go."""
    with suppress(OSError):
        return any(place.rglob(pattern))
    return False


def check(home: Path) -> None:
    """What is there is whole, is what an undisturbed run gives, and every row that landed is somewhere."""
    other = undisturbed(home)
    for section in ("", QUARANTINE):
        assert rows(home, "lake", section) == rows(home, other, section)
    assert {day: found.manifest.rows() for day, found in published(home, "lake").items()} == dict.fromkeys(
        days(FIRST, DAY), PLATES + 2 + 7
    )
    assert {found.manifest.digest for found in published(home, "lake").values()} == {
        found.manifest.digest for found in published(home, other).values()
    }


@pytest.mark.parametrize("moment", ["part-*", f"section={QUARANTINE}", "date=*/_SUCCESS"])
def test_a_process_that_is_killed_while_it_cleans_leaves_days_whole_or_absent_and_the_next_run_finishes(
    home: Path, moment: str
) -> None:
    place = home / "lake" / NAME / "clean" / "plates"
    commands = Commands(home)

    commands.luigi_killed_when(lambda: is_there(place, moment), *ASKED, "--lake-root", "lake")

    for found in published(home, "lake").values():
        assert found.verify()[0] == []
    again = commands.luigi(*ASKED, "--lake-root", "lake")
    assert again.code == 0, again.stderr
    check(home)


def test_two_processes_that_clean_the_same_days_at_once_both_end_well_and_publish_each_day_once(home: Path) -> None:
    def cleans(number: int) -> Result:
        # Luigi's lock of a command line lies among the temporary files: two machines do not share it.
        temporary = home / f"of machine {number}"
        temporary.mkdir()
        return Commands(home).luigi(*ASKED, "--lake-root", "lake", env={"TMPDIR": str(temporary)})

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(cleans, range(2)))

    assert [each.code for each in done] == [0, 0], [each.last_error for each in done]
    check(home)
