"""Raw days from tables: each row on its day, the flag last, the same rows as the same bytes, or a refusal by name."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import ConfigurationError, DaystoneError
from spark_lib.frames.landing import ByColumn, Landed, Spread, land
from spark_lib.lake import RawFeed, days
from spark_lib.use_case import Feed

ORDERS = Feed("order_id STRING, ordered_at TIMESTAMP, amount DECIMAL(10,2), shipped DATE", key="order_id")
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 4)
SPREAD = Spread(FIRST, LAST, seed=7)
HEADER = "order_id,ordered_at,amount,shipped\n"
ROWS = [f"o{n},2026-01-0{1 + n % 3}T0{n}:00:00Z,{n}.50,2026-01-0{1 + n % 4}\n" for n in range(9)]


@pytest.fixture
def feed(tmp_path: Path) -> RawFeed:
    return RawFeed("orders", str(tmp_path / "lake"), "shop")


def csv(tmp_path: Path, *rows: str, name: str = "orders.csv", header: str = HEADER) -> str:
    """A table of CSV, as an absolute path."""
    path = tmp_path / name
    path.write_text(header + "".join(rows))
    return str(path)


def parquet(tmp_path: Path, table: pa.Table, name: str = "orders.parquet") -> str:
    pq.write_table(table, tmp_path / name)
    return str(tmp_path / name)


def bytes_of(feed: RawFeed) -> dict[str, bytes]:
    """Every file below the root by its path."""
    root = Path(feed.root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows_of(feed: RawFeed, first: date = FIRST, last: date = LAST) -> dict[date, list[dict[str, Any]]]:
    """The rows of each landed day of a Parquet feed, as they lie in its files."""
    return {
        day: [row for file in landed.files for row in pq.read_table(file).to_pylist()]
        for day, landed in feed.landed(first, last).items()
    }


def refusal(feed: RawFeed, files: list[str], how: ByColumn | Spread = SPREAD, declared: Feed = ORDERS) -> DaystoneError:
    """The refusal of a landing, before which nothing was written."""
    before = bytes_of(feed)
    with pytest.raises(DaystoneError) as refused:
        land(feed, declared, files, how)
    assert bytes_of(feed) == before
    return refused.value


# --- days ---


def test_a_row_lands_on_the_day_that_the_hash_of_seed_and_key_names(feed: RawFeed, tmp_path: Path) -> None:
    land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)

    found = {row["order_id"]: day for day, rows in rows_of(feed).items() for row in rows}

    units = {f"o{n}": int(hashlib.sha256(f"7:o{n}".encode()).hexdigest()[:13], 16) / 2**52 for n in range(9)}
    assert found == {key: days(FIRST, LAST)[int(unit * 4)] for key, unit in units.items()}


def test_both_ends_of_a_spread_get_their_share_of_the_rows(feed: RawFeed, tmp_path: Path) -> None:
    rows = [f"o{n},2026-01-01T00:00:00Z,1,\n" for n in range(4_000)]

    landed = land(feed, ORDERS, [csv(tmp_path, *rows)], SPREAD)

    assert [day.date for day in landed] == days(FIRST, LAST)
    assert sum(day.rows for day in landed) == 4_000
    assert all(900 < day.rows < 1_100 for day in landed)


def test_a_row_lands_on_the_date_of_its_column_and_days_between_without_rows_land_too(
    feed: RawFeed, tmp_path: Path
) -> None:
    table = csv(tmp_path, "a,2026-01-01T00:00:00Z,1,2026-01-04\n", "b,2026-01-02T00:00:00Z,2,2026-01-02\n")

    landed = land(feed, ORDERS, [table], ByColumn("shipped"))

    assert landed == [Landed(date(2026, 1, 2), 1, True), Landed(date(2026, 1, 3), 0, True), Landed(LAST, 1, True)]
    assert {day: [row["order_id"] for row in rows] for day, rows in rows_of(feed).items()} == {
        date(2026, 1, 2): ["b"],
        date(2026, 1, 3): [],
        LAST: ["a"],
    }


def test_a_timestamp_lands_on_its_day_in_utc(feed: RawFeed, tmp_path: Path) -> None:
    late, early = "late,2026-01-01T23:30:00-01:00,1,\n", "early,2026-01-02T00:30:00+01:00,1,\n"

    land(feed, ORDERS, [csv(tmp_path, late, early)], ByColumn("ordered_at"))

    assert {row["order_id"]: day for day, rows in rows_of(feed).items() for row in rows} == {
        "late": date(2026, 1, 2),
        "early": FIRST,
    }


def test_a_day_without_rows_is_flagged_and_has_the_declared_columns(feed: RawFeed, tmp_path: Path) -> None:
    landed = land(feed, ORDERS, [csv(tmp_path)], SPREAD)

    assert landed == [Landed(day, 0, True) for day in days(FIRST, LAST)]
    (file,) = feed.landed(FIRST, FIRST)[FIRST].files
    assert pq.read_schema(file).names == ["order_id", "ordered_at", "amount", "shipped"]


# --- what lands ---


def test_values_of_csv_land_as_parquet_of_the_declared_types(feed: RawFeed, tmp_path: Path) -> None:
    land(feed, ORDERS, [csv(tmp_path, "a,2026-01-01T09:00:00+01:00,2.5,2026-01-03\n")], SPREAD)

    assert [row for rows in rows_of(feed).values() for row in rows] == [
        {
            "order_id": "a",
            "ordered_at": datetime(2026, 1, 1, 8, tzinfo=UTC),
            "amount": Decimal("2.50"),
            "shipped": date(2026, 1, 3),
        }
    ]


def test_the_same_rows_give_the_same_bytes_in_whatever_order_of_files_and_rows(feed: RawFeed, tmp_path: Path) -> None:
    other = replace(feed, root=str(tmp_path / "other"))

    land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)
    halves = [csv(tmp_path, *ROWS[:3:-1], name="b.csv"), csv(tmp_path, *ROWS[:4], name="a.csv")]
    land(other, ORDERS, halves, SPREAD)

    assert bytes_of(other) == bytes_of(feed)


def test_rows_of_a_day_are_in_the_order_of_their_keys(feed: RawFeed, tmp_path: Path) -> None:
    land(feed, ORDERS, [csv(tmp_path, *reversed(ROWS))], Spread(FIRST, FIRST, 0))

    assert [row["order_id"] for row in rows_of(feed)[FIRST]] == sorted(f"o{n}" for n in range(9))


def test_a_landing_imports_no_spark(feed: RawFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)

    assert land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)


# --- days that are there ---


def test_a_flagged_day_is_left_alone_and_reported(feed: RawFeed, tmp_path: Path) -> None:
    theirs = Path(feed.directory(FIRST))
    theirs.mkdir(parents=True)
    (theirs / "part.parquet").write_bytes(b"theirs")
    (theirs / "_SUCCESS").touch()

    landed = land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)

    assert [day.is_new for day in landed] == [False, True, True, True]
    assert sorted(path.name for path in theirs.iterdir()) == ["_SUCCESS", "part.parquet"]


def test_a_second_landing_of_the_same_rows_writes_nothing(feed: RawFeed, tmp_path: Path) -> None:
    table = csv(tmp_path, *ROWS)
    land(feed, ORDERS, [table], SPREAD)
    before = feed.landed(FIRST, LAST)

    landed = land(feed, ORDERS, [table], SPREAD)

    assert not any(day.is_new for day in landed)
    assert feed.landed(FIRST, LAST) == before


@pytest.mark.parametrize("left", ["landed.parquet", ".landed.parquet", "landed.csv"])
def test_an_interrupted_landing_is_completed(feed: RawFeed, tmp_path: Path, left: str) -> None:
    whole = replace(feed, root=str(tmp_path / "whole"))
    land(whole, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)
    directory = Path(feed.directory(FIRST))
    directory.mkdir(parents=True)
    (directory / left).write_bytes(b"half of a")

    land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)

    assert bytes_of(feed) == bytes_of(whole)


def test_a_day_without_a_flag_that_has_files_of_others_is_refused(feed: RawFeed, tmp_path: Path) -> None:
    directory = Path(feed.directory(LAST))
    directory.mkdir(parents=True)
    for name in ("part-0.parquet", "part-1.parquet", ".hidden"):
        (directory / name).write_bytes(b"theirs")

    refused = refusal(feed, [csv(tmp_path, *ROWS)])

    assert isinstance(refused, ConfigurationError)
    assert str(refused) == (
        f"raw feed orders of 2026-01-04: {directory}: wanted no files, or those of a landing that was interrupted; found "
        "'part-0.parquet' and 1 more, without the flag '_SUCCESS'. Next: remove these files, or wait for the flag of whoever "
        "lands there; nothing was landed"
    )
