"""Raw days from tables: each row on its day, the flag last, the same rows as the same bytes, or a refusal by name."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from spark_lib.errors import BadData, ConfigurationError, DaystoneError, LakeError
from spark_lib.frames import delimited
from spark_lib.frames.landing import ByColumn, Landed, Spread, land, texts
from spark_lib.lake import Dialect, RawFeed, days
from spark_lib.lake.feeds import landing
from spark_lib.use_case import Feed
from tests.support.drawn_tables import Table, tables

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

    assert landed == [Landed(date(2026, 1, 2), 1, "new"), Landed(date(2026, 1, 3), 0, "new"), Landed(LAST, 1, "new")]
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

    assert landed == [Landed(day, 0, "new") for day in days(FIRST, LAST)]
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

    assert [day.state for day in landed] == ["other", "new", "new", "new"]
    assert sorted(path.name for path in theirs.iterdir()) == ["_SUCCESS", "part.parquet"]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_second_landing_writes_nothing_and_says_which_days_have_its_rows(
    feed: RawFeed, tmp_path: Path, kind: str
) -> None:
    feed = replace(feed, format=kind)
    land(feed, ORDERS, [csv(tmp_path, *ROWS)], Spread(FIRST, FIRST, 0))
    before = feed.landed(FIRST, LAST)

    again = land(feed, ORDERS, [csv(tmp_path, *reversed(ROWS))], Spread(FIRST, FIRST, 0))
    fewer = land(feed, ORDERS, [csv(tmp_path, *ROWS[1:])], Spread(FIRST, FIRST, 0))

    assert (again, fewer) == ([Landed(FIRST, 9, "same")], [Landed(FIRST, 8, "other")])
    assert feed.landed(FIRST, LAST) == before


def test_a_landed_day_whose_file_was_damaged_since_has_other_rows_and_is_left_alone(
    feed: RawFeed, tmp_path: Path
) -> None:
    land(feed, ORDERS, [csv(tmp_path, *ROWS)], Spread(FIRST, FIRST, 0))
    Path(feed.directory(FIRST), "landed.parquet").write_bytes(b"half of a file")
    before = bytes_of(feed)

    assert land(feed, ORDERS, [csv(tmp_path, *ROWS)], Spread(FIRST, FIRST, 0)) == [Landed(FIRST, 9, "other")]
    assert bytes_of(feed) == before


def test_a_flag_that_comes_while_days_are_written_stands(
    feed: RawFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = landing.places(feed, FIRST, FIRST)
    monkeypatch.setattr(landing, "places", lambda *_: listed)
    land(feed, ORDERS, [csv(tmp_path, *ROWS)], Spread(FIRST, FIRST, 0))
    before = bytes_of(feed)

    assert land(feed, ORDERS, [csv(tmp_path)], Spread(FIRST, FIRST, 0)) == [Landed(FIRST, 0, "other")]
    assert bytes_of(feed) == before


@pytest.mark.parametrize("left", ["landed.parquet", ".landed.parquet", "landed.csv"])
def test_an_interrupted_landing_is_completed(feed: RawFeed, tmp_path: Path, left: str) -> None:
    whole = replace(feed, root=str(tmp_path / "whole"))
    land(whole, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)
    directory = Path(feed.directory(FIRST))
    directory.mkdir(parents=True)
    (directory / left).write_bytes(b"half of a")

    land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)

    assert bytes_of(feed) == bytes_of(whole)


def test_a_landing_that_fails_leaves_no_flag_and_goes_on_where_it_stopped(feed: RawFeed, tmp_path: Path) -> None:
    in_the_way = Path(feed.directory(LAST), "landed.parquet")
    in_the_way.mkdir(parents=True)

    with pytest.raises(LakeError) as stopped:
        land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)
    flagged = list(feed.landed(FIRST, LAST))
    in_the_way.rmdir()
    landed = land(feed, ORDERS, [csv(tmp_path, *ROWS)], SPREAD)

    assert str(stopped.value).startswith(f"{in_the_way}: wanted a file that can be written; found ")
    assert flagged == days(FIRST, LAST)[:-1]
    assert [day.state for day in landed] == ["same", "same", "same", "new"]
    assert sorted(path.name for path in in_the_way.parent.iterdir()) == ["_SUCCESS", "landed.parquet"]


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


# --- the formats ---


def texts_of(feed: RawFeed) -> str:
    """All rows of the days of a CSV feed, as its files have them, without headers."""
    texts = [Path(file).read_bytes().decode() for day in feed.landed(FIRST, LAST).values() for file in day.files]
    return "".join(text.removeprefix(HEADER) for text in texts)


def test_texts_of_csv_land_as_they_are_in_the_dialect_of_the_feed(feed: RawFeed, tmp_path: Path) -> None:
    dialect = Dialect(
        ";", ",", null_text="NA", date_pattern="%-d.%-m.%Y", timestamp_pattern="%d.%m.%Y %H:%M", timezone="UTC"
    )
    feed = replace(feed, format="csv", dialect=dialect)
    row = 'a;01.07.2026 09:30;0012,50;3.7.2026\n"b;""";NA;NA;NA\n'

    land(feed, ORDERS, [csv(tmp_path, row, header=HEADER.replace(",", ";"))], Spread(FIRST, FIRST, 0))

    assert texts_of(feed) == HEADER.replace(",", ";") + row


def test_values_of_parquet_land_as_csv_in_the_dialect_of_the_feed(feed: RawFeed, tmp_path: Path) -> None:
    table = {
        "order_id": ["a,b", "b"],
        "ordered_at": pa.array([datetime(2026, 7, 1, 9, 30, tzinfo=UTC), None], pa.timestamp("ms", "Asia/Tokyo")),
        "amount": pa.array([Decimal("12.50"), None], pa.decimal128(10, 2)),
        "shipped": pa.array([date(2026, 7, 3), None]),
    }
    feed = replace(feed, format="csv", dialect=Dialect(timezone="Europe/Berlin"))

    land(feed, ORDERS, [parquet(tmp_path, pa.table(table))], Spread(FIRST, FIRST, 0))

    assert texts_of(feed) == '"a,b",2026-07-01T09:30:00Z,12.50,2026-07-03\nb,,,\n'


def test_parquet_lands_with_the_declared_types(feed: RawFeed, tmp_path: Path) -> None:
    counts = Feed("id BIGINT, name STRING, share DOUBLE, at TIMESTAMP", key="id")
    table = pa.table(
        {
            "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "Asia/Tokyo")),
            "name": pa.array(["x"]).dictionary_encode(),
            "share": pa.array([0.5], pa.float32()),
            "id": pa.array([7], pa.int16()),
        }
    )

    land(feed, counts, [parquet(tmp_path, table)], Spread(FIRST, FIRST, 0))

    (file,) = feed.landed(FIRST, FIRST)[FIRST].files
    assert pq.read_schema(file) == pa.schema(
        [("id", pa.int64()), ("name", pa.string()), ("share", pa.float64()), ("at", pa.timestamp("us", "UTC"))]
    )


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()], ids=str)
def test_texts_land_as_strings_whatever_arrow_calls_them(feed: RawFeed, tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"id": pa.array([1]), "name": pa.array(["x"], kind)})

    land(feed, Feed("id BIGINT, name STRING", key="id"), [parquet(tmp_path, table)], Spread(FIRST, FIRST, 0))

    (file,) = feed.landed(FIRST, FIRST)[FIRST].files
    assert pq.read_table(file) == pa.table({"id": [1], "name": ["x"]})


def test_a_row_lands_on_the_same_day_from_csv_and_from_parquet(feed: RawFeed, tmp_path: Path) -> None:
    counts = Feed("id BIGINT, n BIGINT", key="id")
    other = replace(feed, root=str(tmp_path / "other"))
    rows = [{"id": n, "n": n % 3} for n in range(40)]

    land(feed, counts, [parquet(tmp_path, pa.Table.from_pylist(rows))], SPREAD)
    packed = tmp_path / "counts.csv.gz"
    packed.write_bytes(gzip.compress("".join(["id,n\n", *(f"0{row['id']},{row['n']}\n" for row in rows)]).encode()))
    land(other, counts, [str(packed)], SPREAD)

    assert bytes_of(other) == bytes_of(feed)


def test_a_column_that_only_says_the_day_does_not_land(feed: RawFeed, tmp_path: Path) -> None:
    outcomes = Feed("order_id STRING, state STRING", key="order_id")
    known = pa.table({"order_id": ["b"], "state": ["kept"], "known": pa.array([datetime(2026, 1, 2, tzinfo=UTC)])})
    text = csv(tmp_path, "2026-01-01,a,back\n", header="known,order_id,state\n")

    land(feed, outcomes, [text, parquet(tmp_path, known)], ByColumn("known"))

    assert rows_of(feed) == {
        FIRST: [{"order_id": "a", "state": "back"}],
        date(2026, 1, 2): [{"order_id": "b", "state": "kept"}],
    }


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_any_table_is_written_in_any_dialect_so_that_it_is_read_again(
    feed: RawFeed, tmp_path: Path, table: Table
) -> None:
    feed = replace(feed, format="csv", dialect=Dialect(**table.options))
    kinds = delimited.kinds(feed, table.columns)
    place = tmp_path / "table.csv"

    def read(text: bytes) -> list[tuple[pa.RecordBatch, pa.RecordBatch]]:
        place.write_bytes(text)
        return list(delimited.read_with_texts(feed, str(place), table.columns))

    found = read(table.text)
    as_they_are = [batch for batch, _ in found]
    from_values = [texts.of_values(values, kinds, feed.dialect) for _, values in found]

    for batches in (as_they_are, from_values):
        written = pa.Table.from_batches(batches, pa.schema([(name, pa.string()) for name in table.columns]))
        again = read(texts.document(written, feed.dialect))
        assert [row for _, values in again for row in values.to_pylist()] == table.rows


# --- refusals ---


GOOD = "a,2026-01-01T00:00:00Z,1,2026-01-01\n"
CORRECT = "Next: correct the file; nothing was landed"


@pytest.mark.parametrize(
    ("rows", "how", "reason"),
    [
        (
            [GOOD, ",2026-01-01T00:00:00Z,1,\n", GOOD, ",,,\n"],
            SPREAD,
            f", row 2, column 'order_id': wanted a value in every row; found null, and 1 more in rows 1 to 4. {CORRECT}",
        ),
        (
            [GOOD, "b,2026-01-01T00:00:00Z,1,\n"],
            ByColumn("shipped"),
            f", row 2, column 'shipped': wanted a value in every row; found null. {CORRECT}",
        ),
        (
            [GOOD, "b,,1,9999-12-31\n"],
            ByColumn("shipped"),
            ", row 2, column 'shipped': wanted a day from 1900-01-01 to 2199-12-31; found 9999-12-31. " + CORRECT,
        ),
        (
            [GOOD, "b,,1,\n", GOOD, "b,,2,\n"],
            Spread(FIRST, FIRST, 0),
            f", row 3: wanted each 'order_id' once a day; found 'a' on 2026-01-01, which is in FILE, row 1 too, and 1 "
            f"more. {CORRECT}",
        ),
        (
            [],
            ByColumn("shipped"),
            ": wanted rows, whose 'shipped' says on which days they land; found none. Next: give a table with rows, or land "
            "days without rows with --spread FROM..TO --seed N",
        ),
        (
            [GOOD, "b,,1;5,\n"],
            SPREAD,
            ", row 2 (line 3), column 'amount': wanted decimal(10,2): a number of up to 8 digits and up to 2 behind a '.'; "
            "found '1;5'. Next: land the file again, or say how it is written: [raw.orders] decimal_mark",
        ),
    ],
    ids=["null key", "null day", "odd day", "key twice", "no rows", "no value"],
)
def test_a_table_that_cannot_land_is_refused_with_its_place(
    feed: RawFeed, tmp_path: Path, rows: list[str], how: ByColumn | Spread, reason: str
) -> None:
    table = csv(tmp_path, *rows)

    refused = refusal(feed, [table], how)

    assert isinstance(refused, BadData)
    assert str(refused).replace(table, "FILE") == f"raw feed orders: FILE{reason}"


PAIRS = Feed("shop STRING, receipt INT, total DOUBLE", key=("shop", "receipt"))
PAIRED = "shop,receipt,total\n"


def test_rows_with_a_key_of_two_columns_land_by_the_hash_of_both_in_the_order_of_both(
    feed: RawFeed, tmp_path: Path
) -> None:
    keys = [(shop, number) for number in (2, 10, 1) for shop in ('b "ü"', "a")]
    quoted = [f'"{shop.replace(chr(34), chr(34) * 2)}",{number},1\n' for shop, number in keys]

    land(feed, PAIRS, [csv(tmp_path, *quoted, header=PAIRED)], SPREAD)

    found = {day: [(row["shop"], row["receipt"]) for row in rows] for day, rows in rows_of(feed).items()}
    expected: dict[date, list[tuple[str, int]]] = {day: [] for day in days(FIRST, LAST)}
    for shop, number in sorted(keys):
        text = f'7:[{json.dumps(shop, ensure_ascii=False)},"{number}"]'
        unit = int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 2**52
        expected[days(FIRST, LAST)[int(unit * 4)]].append((shop, number))
    assert found == expected


def test_a_pair_that_is_there_twice_or_has_a_null_is_refused_with_its_place(feed: RawFeed, tmp_path: Path) -> None:
    twice = csv(tmp_path, "a,1,1\n", "a,2,1\n", "b,1,1\n", "a,1,2\n", header=PAIRED)
    on_one = Spread(FIRST, FIRST, 0)

    assert str(refusal(feed, [twice], on_one, PAIRS)) == (
        f"raw feed orders: {twice}, row 4: wanted each ('shop', 'receipt') once a day; found ('a', 1) on 2026-01-01, which is "
        f"in {twice}, row 1 too. {CORRECT}"
    )
    null = csv(tmp_path, "a,1,1\n", "a,,1\n", header=PAIRED)
    assert str(refusal(feed, [null], on_one, PAIRS)) == (
        f"raw feed orders: {null}, row 2, column 'receipt': wanted a value in every row; found null. {CORRECT}"
    )


def test_a_key_may_be_there_again_on_another_day(feed: RawFeed, tmp_path: Path) -> None:
    table = csv(tmp_path, GOOD, "a,,1,2026-01-02\n")

    assert [day.rows for day in land(feed, ORDERS, [table], ByColumn("shipped"))] == [1, 1]


def test_a_key_that_is_in_two_files_is_refused_with_both(feed: RawFeed, tmp_path: Path) -> None:
    one, other = csv(tmp_path, *ROWS), csv(tmp_path, *ROWS[3:4], name="more.csv")

    assert str(refusal(feed, [one, other], Spread(FIRST, FIRST, 0))) == (
        f"raw feed orders: {other}, row 1: wanted each 'order_id' once a day; found 'o3' on 2026-01-01, which is in {one}, "
        f"row 4 too. {CORRECT}"
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "orders.csv",
            "order_id,ordered_at,amount\n",
            "wanted a column 'shipped' of type date; found only order_id, ordered_at, amount. Next: land the file again with "
            "the column",
        ),
        (
            "orders.csv",
            HEADER.replace("\n", ",note,a,b,c,d,e\n"),
            "wanted the declared columns alone; found 'note', 'a', 'b', 'c', 'd' and 1 more besides. Next: take them out of "
            "the file, or declare them in the feed's schema",
        ),
        ("orders.csv", "", "wanted a table; found an empty file. Next: give a file with columns"),
        (
            "orders.parquet",
            "PAR1 it is not",
            "wanted a Parquet file; found Parquet magic bytes not found in footer. Either the file is corrupted or this is "
            "not a parquet file. Next: write the file again",
        ),
        (
            "orders.xlsx",
            "PK",
            "wanted a name that ends with .csv, .csv.gz, .parquet, by which its format is known; found 'orders.xlsx'. Next: "
            "rename the file",
        ),
    ],
    ids=["missing column", "more columns", "empty", "no parquet", "another format"],
)
def test_a_file_that_is_no_table_of_the_feed_is_refused(
    feed: RawFeed, tmp_path: Path, name: str, content: str, reason: str
) -> None:
    table = csv(tmp_path, header=content, name=name)

    assert str(refusal(feed, [table])) == f"raw feed orders: {table}: {reason}"


def test_a_file_that_is_not_there_is_refused(feed: RawFeed, tmp_path: Path) -> None:
    assert str(refusal(feed, [f"{tmp_path}/none.csv"])) == (
        f"raw feed orders: {tmp_path}/none.csv: wanted a file that can be read; found No such file or directory. Next: correct "
        "the path, or its rights"
    )


AT, AMOUNT = datetime(2026, 1, 1, tzinfo=UTC), pa.array([Decimal("1.00")], pa.decimal128(10, 2))


def one_order(**columns: pa.Array) -> pa.Table:
    """A table of one order, with other columns in place of its own."""
    row = {"order_id": ["a"], "ordered_at": pa.array([AT]), "amount": AMOUNT, "shipped": pa.array([FIRST])}
    return pa.table(row | columns)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            {"amount": pa.array([1.0])},
            "wanted a column 'amount' of type decimal(10,2); found type double. Next: write the file with the declared type",
        ),
        (
            {"ordered_at": pa.array([AT.replace(tzinfo=None)])},
            "wanted a column 'ordered_at' of type timestamp; found type timestamp_ntz. Next: write the file with the "
            "declared type",
        ),
        (
            {"ordered_at": pa.array([1_767_225_600_000_000_001], pa.timestamp("ns", "UTC"))},
            "wanted a column 'ordered_at' of type timestamp; found Casting from timestamp[ns, tz=UTC] to timestamp[us, tz=UTC] "
            "would lose data: 1767225600000000001. Next: write the file with the declared type",
        ),
        (
            {"__index_level_0__": pa.array([0])},
            "wanted the declared columns alone; found '__index_level_0__' besides. Next: take them out of the file, or declare "
            "them in the feed's schema",
        ),
    ],
    ids=["type", "no zone", "nanoseconds", "index"],
)
def test_a_parquet_file_of_other_columns_is_refused(
    feed: RawFeed, tmp_path: Path, columns: dict[str, pa.Array], reason: str
) -> None:
    table = parquet(tmp_path, one_order(**columns))

    assert str(refusal(feed, [table])) == f"raw feed orders: {table}: {reason}"


@pytest.mark.parametrize(
    ("columns", "options", "place", "found"),
    [
        ({"order_id": ["日本"]}, {"encoding": "latin-1"}, "'order_id'", "(string); found 日本"),
        (
            {"ordered_at": pa.array([AT.replace(second=1)])},
            {"timestamp_pattern": "%Y-%m-%d %H:%M", "timezone": "UTC"},
            "'ordered_at'",
            "(timestamp); found 2026-01-01 00:00:01+00:00",
        ),
        (
            {"ordered_at": pa.array([datetime(2026, 10, 25, 0, 30, tzinfo=UTC)])},
            {"timestamp_pattern": "%Y-%m-%d %H:%M:%S", "timezone": "Europe/Berlin"},
            "'ordered_at'",
            "(timestamp); found 2026-10-25 00:30:00+00:00",
        ),
    ],
    ids=["encoding", "seconds", "two times"],
)
def test_a_value_that_the_dialect_of_the_feed_cannot_say_is_refused(
    feed: RawFeed, tmp_path: Path, columns: dict[str, Any], options: dict[str, str], place: str, found: str
) -> None:
    feed = replace(feed, format="csv", dialect=Dialect(**options))
    table = parquet(tmp_path, one_order(**columns))

    assert str(refusal(feed, [table])) == (
        f"raw feed orders: {table}, row 1, column {place}: wanted a value that can be written as the feed's CSV and read again "
        f"{found}. Next: correct the value, declare another dialect in [raw.orders], or land Parquet ([raw.orders] format)"
    )


def test_of_several_values_the_one_that_the_encoding_does_not_have_is_named(feed: RawFeed, tmp_path: Path) -> None:
    feed = replace(feed, format="csv", dialect=Dialect(encoding="latin-1"))
    table = parquet(tmp_path, pa.table({"id": [1, 2, 3], "name": ["é", None, "日本"]}))

    refused = refusal(feed, [table], declared=Feed("id BIGINT, name STRING", key="id"))

    assert str(refused).startswith(
        f"raw feed orders: {table}, row 3, column 'name': wanted a value that can be written"
    )


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("shipped", pa.scalar(-719_163, pa.date32()), "(date); found 0000-12-31"),
        ("shipped", pa.scalar(2_932_897, pa.date32()), "(date); found 10000-01-01"),
        (
            "ordered_at",
            pa.scalar(253_402_300_800_000_000, pa.timestamp("us", "UTC")),
            "(timestamp); found 10000-01-01 00:00:00.000000Z",
        ),
    ],
    ids=["a day before", "a day after", "a time after"],
)
def test_a_day_or_a_time_outside_of_the_years_1_to_9999_has_no_place_in_csv(
    feed: RawFeed, tmp_path: Path, name: str, value: pa.Scalar, found: str
) -> None:
    table = parquet(tmp_path, one_order(**{name: pa.array([value])}))

    assert str(refusal(replace(feed, format="csv"), [table])) == (
        f"raw feed orders: {table}, row 1, column {name!r}: wanted a value that can be written as the feed's CSV and read "
        f"again {found}. Next: correct the value, declare another dialect in [raw.orders], or land Parquet ([raw.orders] format)"
    )


def test_a_number_that_is_none_has_no_place_in_csv(feed: RawFeed, tmp_path: Path) -> None:
    table = parquet(tmp_path, pa.table({"id": ["a"], "share": [float("nan")]}))

    refused = refusal(replace(feed, format="csv"), [table], declared=Feed("id STRING, share DOUBLE", key="id"))

    assert "column 'share': wanted a value that can be written as the feed's CSV" in str(refused)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (
            "amount",
            "--by amount: wanted a column of type DATE or TIMESTAMP, as ordered_at, shipped; found type decimal(10,2).",
        ),
        ("day", "wanted a column 'day' of type date; found only order_id, ordered_at, amount, shipped."),
    ],
)
def test_a_column_that_says_no_day_is_refused(feed: RawFeed, tmp_path: Path, column: str, reason: str) -> None:
    assert reason in str(refusal(feed, [csv(tmp_path, *ROWS)], ByColumn(column)))


def test_a_column_of_parquet_that_only_says_the_day_has_dates(feed: RawFeed, tmp_path: Path) -> None:
    table = parquet(tmp_path, one_order(day=pa.array(["2026-01-01"])))

    assert str(refusal(feed, [table], ByColumn("day"))) == (
        f"raw feed orders: {table}: wanted a column 'day' of type date or timestamp, which --by takes days from; found type "
        "string. Next: write the file with that type, or name another column"
    )


def test_a_file_without_a_header_has_no_further_column(feed: RawFeed, tmp_path: Path) -> None:
    feed = replace(feed, dialect=Dialect(header=False))

    assert str(refusal(feed, [csv(tmp_path, *ROWS, header="")], ByColumn("day"))) == (
        "--by day: wanted a column that the feed orders declares, as its CSV files have no header; found no such column. Next: "
        "declare it in the feed's schema, or draw the days with --spread FROM..TO --seed N"
    )


def test_a_type_that_no_table_lands_is_refused(feed: RawFeed, tmp_path: Path) -> None:
    refused = refusal(feed, [csv(tmp_path)], declared=Feed("id STRING, tags ARRAY<STRING>", key="id"))

    assert str(refused) == (
        "column 'tags' of raw feed orders: wanted a type that a table can land: string, boolean, whole numbers, float, double, "
        "decimal, date, timestamp or binary; found array. Next: land the feed with the program that makes it"
    )


def test_a_spread_that_ends_before_it_begins_is_refused(feed: RawFeed, tmp_path: Path) -> None:
    assert str(refusal(feed, [csv(tmp_path)], Spread(LAST, FIRST, 0))) == (
        "--spread 2026-01-04..2026-01-01: wanted a first day that is not after the last; found 2026-01-04 after 2026-01-01. "
        "Next: swap them"
    )
