"""Luigi's RangeDaily over our stages: every day asked for, each once, by one listing."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.tools.range import RangeDaily

import tasks
from spark_lib.errors import ConfigurationError
from spark_lib.lake import days
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Entry
from tests.support.processes import Commands
from tests.unit.stubs.stages import Leaf
from tests.unit.stubs.stublake import CARDS, LOANS, StubLake, build, prepare

pytestmark = pytest.mark.processes

FIRST, STOP = date(2017, 1, 1), date(2017, 3, 15)
DAYS = days(FIRST, date(2017, 3, 14))
RANGE = ("--module", "tests.unit.stubs.quick", "RangeDaily", "--of", "Leaf", "--pipeline-use-case", LOANS)
WHOLE = (*RANGE, "--start", str(FIRST), "--stop", str(STOP))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which the whole range was built, by one process."""
    directory = tmp_path_factory.mktemp("range")
    result = Commands(directory).luigi(*WHOLE)
    assert result.code == 0, result.stderr
    return directory / "lake"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    return prepare(monkeypatch, tmp_path / "lake")


def range_of(first: date, stop: date, **of: Any) -> RangeDaily:
    return RangeDaily(of=Leaf, start=first, stop=stop, of_params=of)


def test_every_day_is_built_though_longer_ago_and_more_than_luigi_would(built: Path) -> None:
    assert list(StubLake(built).published("leaf")) == DAYS


def test_a_second_run_builds_nothing_and_writes_nothing(built: Path) -> None:
    before = StubLake(built).written()

    result = Commands(built.parent).luigi(*WHOLE)

    assert result.code == 0
    assert "Did not run any tasks" in result.stderr
    assert StubLake(built).written() == before


def test_a_damaged_day_is_named_and_the_others_are_built(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "lake", symlinks=True)
    lake = StubLake(tmp_path / "lake")
    file = lake.damage("leaf", date(2017, 2, 1))
    lake.delete("leaf", date(2017, 1, 31))
    lake.delete("leaf", date(2017, 2, 2))
    before = lake.published("leaf")

    result = Commands(tmp_path).luigi(*WHOLE)

    assert (result.code, result.last_error) == (
        35,
        f"Leaf of 2017-02-01: leaf of 2017-02-01: {file}: wanted 6 bytes; found no file. "
        "Next: restore the file, or build the day anew (daystone rebuild leaf --date 2017-02-01)",
    )
    assert list(lake.published("leaf")) == DAYS
    assert lake.published("leaf").items() >= before.items()


def test_killed_halfway_and_run_again_each_day_is_published_once(tmp_path: Path) -> None:
    lake, commands = StubLake(tmp_path / "lake"), Commands(tmp_path)

    commands.luigi_killed_when(lambda: len(lake.published("leaf")) >= 10, *WHOLE)
    killed = lake.published("leaf")
    again = commands.luigi(*WHOLE)
    after = lake.published("leaf")
    third = commands.luigi(*WHOLE)

    assert 10 <= len(killed) < len(DAYS)
    assert (again.code, list(after)) == (0, DAYS)
    assert after.items() >= killed.items()
    assert (third.code, lake.published("leaf")) == (0, after)
    assert "Did not run any tasks" in third.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--start", "2017-01-01"],
            30,
            "RangeDaily: wanted both --start and --stop (exclusive); found an open end. Next: give both: luigi --module tasks "
            "RangeDaily --of BatchInference --start 2026-03-01 --stop 2026-03-11",
        ),
        (
            ["--start", "2017-01-02", "--stop", "2017-01-01"],
            30,
            "RangeDaily: wanted a --stop (exclusive) after --start 2017-01-02; found 2017-01-01. Next: correct one of them",
        ),
        (
            ["--start", "2017-01-01", "--stop", "2017-01-01"],
            30,
            "RangeDaily: wanted a --stop (exclusive) after --start 2017-01-01; found 2017-01-01. Next: correct one of them",
        ),
        (
            ["--start", "2017-02-30", "--stop", "2017-03-01"],
            2,
            "--start: wanted a day like 2026-11-20; found '2017-02-30'",
        ),
        (
            ["--start", "2017-01-01", "--stop", "2017-01-02", "--of-params", '{"use_cas": "x"}'],
            2,
            "Leaf: unknown parameter use_cas",
        ),
        (
            ["--start", "2017-01-01", "--stop", "2017-01-02", "--training-trees", "0"],
            30,
            "--training-trees: wanted a value of at least 1; found 0. Next: correct it",
        ),
    ],
    ids=["open end", "stop before start", "no day", "no such day", "unknown parameter", "bad configuration"],
)
def test_a_range_that_cannot_be_meant_is_refused(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = Commands(tmp_path).luigi(*RANGE, *arguments)

    assert (result.code, result.last_error) == (code, message)
    assert not (tmp_path / "lake").exists()


def test_in_a_program_an_open_end_is_an_exception(lake: StubLake) -> None:
    with pytest.raises(ConfigurationError, match="found an open end"):
        RangeDaily(of=Leaf, start=FIRST, of_params={}).complete()


def test_of_params_choose_the_use_case_and_the_lake(lake: StubLake, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"

    built = build(range_of(FIRST, date(2017, 1, 4), use_case=CARDS, lake=str(elsewhere)))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert list(StubLake(elsewhere, CARDS).published("leaf")) == days(FIRST, date(2017, 1, 3))
    assert not lake.root.exists()


def test_a_range_of_predictions_chooses_for_each_day_as_the_day_itself_would(lake: StubLake) -> None:
    lake.land(date(2026, 1, 31))

    built = build(RangeDaily(of=tasks.BatchInference, start=date(2026, 1, 16), stop=date(2026, 1, 23), of_params={}))

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert len(lake.runs("predictions")) == 7
    assert [
        lake.manifest("predictions", day)["metrics"]["model_date"] for day in days(date(2026, 1, 16), date(2026, 1, 22))
    ] == ["2026-01-12"] * 3 + ["2026-01-19"] * 4


def test_an_empty_range_is_refused(lake: StubLake) -> None:
    with pytest.raises(ConfigurationError) as caught:
        range_of(FIRST, FIRST).complete()

    assert str(caught.value) == (
        "RangeDaily: wanted a --stop (exclusive) after --start 2017-01-01; found 2017-01-01. Next: correct one of them"
    )


# bulk_complete


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The listings that the store is asked for."""
    asked: list[tuple[str, str, str]] = []
    real = LocalStore.list

    def counted(store: LocalStore, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        asked.append((prefix, first, last))
        return real(store, prefix, first, last)

    monkeypatch.setattr(LocalStore, "list", counted)
    return asked


def test_a_range_is_planned_by_one_listing_bounded_to_its_days(
    lake: StubLake, listings: list[tuple[str, str, str]]
) -> None:
    build(Leaf(date=date(2017, 1, 2)))
    listings.clear()

    required = range_of(FIRST, date(2017, 12, 31)).requires()

    assert listings == [(f"{lake.name}/leaf", "date=2017-01-01", "date=2017-12-30")]
    assert [task.date for task in required] == [
        day for day in days(FIRST, date(2017, 12, 30)) if day.day != 2 or day.month != 1
    ]


def test_bulk_complete_answers_with_the_whole_days_only(lake: StubLake) -> None:
    for day in days(FIRST, date(2017, 1, 5)):
        build(Leaf(date=day))
    lake.damage("leaf", date(2017, 1, 2))
    lake.delete("leaf", date(2017, 1, 4))

    found = Leaf.bulk_complete(days(date(2016, 12, 30), date(2017, 1, 5)))

    assert found == [date(2017, 1, 1), date(2017, 1, 3), date(2017, 1, 5)]


def test_bulk_complete_takes_what_luigis_ranges_give_it(lake: StubLake) -> None:
    build(Leaf(date=FIRST, use_case=CARDS))
    bound = functools.partial(Leaf, use_case=CARDS)

    found = Leaf.bulk_complete.__func__(bound, map(date.fromisoformat, ["2017-01-01", "2017-01-02"]))

    assert found == [FIRST]


def test_bulk_complete_of_no_days_asks_nobody(lake: StubLake, listings: list[tuple[str, str, str]]) -> None:
    assert (Leaf.bulk_complete([]), listings) == ([], [])
