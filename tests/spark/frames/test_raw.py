"""Raw days are taken as declared or refused with the file or the day, what was wanted and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.frames import landing
from spark_lib.frames import raw as raw_feeds
from spark_lib.frames.files import unreadable_files_named
from spark_lib.lake import RawFeed
from spark_lib.use_case import Feed
from tests.spark.lakes import AFTER, BEFORE, DAY, break_page, feed, land, noon

EVENTS = Feed("id STRING, amount DOUBLE, at TIMESTAMP", key="id")
COLUMNS = {"id": pa.string(), "amount": pa.float64(), "at": pa.timestamp("us", tz="UTC")}


def events(*ids: str | None, **changed: Any) -> pa.Table:
    """Events at noon, each of amount 1.5; ``changed`` replaces columns."""
    values = {"id": list(ids), "amount": [1.5] * len(ids), "at": [noon()] * len(ids)} | changed
    arrays = {name: v if isinstance(v, pa.Array) else pa.array(v, COLUMNS.get(name)) for name, v in values.items()}
    return pa.table({name: array for name, array in arrays.items() if len(array)})


def read(spark: SparkSession, raw: RawFeed, first: date = DAY, last: date = DAY, declared: Feed = EVENTS) -> DataFrame:
    return raw_feeds.read(spark, raw.history(first, last), declared)


def refusal(spark: SparkSession, raw: RawFeed, declared: Feed = EVENTS) -> str:
    with pytest.raises(BadData) as caught:
        read(spark, raw, declared=declared)
    return str(caught.value)


def checked(spark: SparkSession, raw: RawFeed, never_null: Sequence[str] = (), first: date = DAY) -> dict[date, int]:
    days = raw.history(first, DAY)
    return raw_feeds.check(days, EVENTS, raw_feeds.read(spark, days, EVENTS), never_null)


# -- what is read


def test_rows_have_the_declared_columns_and_the_day_they_landed_and_others_are_ignored(
    spark: SparkSession, tmp_path: Path
) -> None:
    raw = feed(tmp_path)
    land(raw, BEFORE, events("e1"), events("e2", amount=[None]))
    land(
        raw,
        DAY,
        events("e3", extra=["ignored"], landed=["ignored too"]).select(["extra", "at", "landed", "amount", "id"]),
    )
    frame = read(spark, raw, BEFORE)
    assert frame.columns == ["id", "amount", "at", "landed"]
    assert sorted((row.id, row.amount, row.landed) for row in frame.collect()) == [
        ("e1", 1.5, BEFORE),
        ("e2", None, BEFORE),
        ("e3", 1.5, DAY),
    ]


def test_days_without_files_and_files_without_rows_are_days_without_rows(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, BEFORE)
    land(raw, DAY, events("e").slice(0, 0))
    assert checked(spark, raw, first=BEFORE) == {BEFORE: 0, DAY: 0}
    assert read(spark, raw, BEFORE, BEFORE).collect() == []


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_days_that_were_made_of_a_table_are_read_as_they_were_in_it(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    raw = replace(feed(tmp_path), format=kind)
    table = events("e1", "e2", amount=[None, 0.1], at=[noon() - timedelta(days=3), noon()])
    pq.write_table(table, tmp_path / "events.parquet")

    landing.land(raw, EVENTS, [str(tmp_path / "events.parquet")], landing.ByColumn("at"))

    found = read(spark, raw, DAY - timedelta(days=3)).orderBy("id").toArrow()
    assert found.drop_columns("landed").to_pylist() == table.to_pylist()
    assert found["landed"].to_pylist() == [DAY - timedelta(days=3), DAY]


def test_a_file_that_was_not_listed_is_not_read(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1"))
    listed = raw.history(DAY, DAY)
    land(raw, DAY, events("e1"), events("e2"))
    assert [row.id for row in raw_feeds.read(spark, listed, EVENTS).collect()] == ["e1"]


@pytest.mark.parametrize(
    "path",
    [
        "{root}/in/{feed}/{date:%Y}/{date:%m}/{date:%d}",
        "{root}/date=2020-01-01/{date:year=%Y/month=%m/day=%d}/files",
        "{root}/{use_case}/{feed}-{date:%Y%m%d}",
        "{root}/two words/[a-z]*/50%25 käse=x#/{date:%d.%m.%Y}",
    ],
)
def test_any_path_template_tells_the_day_on_which_a_row_landed(spark: SparkSession, tmp_path: Path, path: str) -> None:
    raw = feed(tmp_path / "a root=1 [ü] 100%", path=path)
    for day in (BEFORE, DAY, AFTER):
        land(raw, day, events(f"e {day}"))
    rows = read(spark, raw, BEFORE, AFTER).collect()
    assert sorted((row.id, row.landed) for row in rows) == [(f"e {day}", day) for day in (BEFORE, DAY, AFTER)]


def test_narrower_numbers_and_timestamps_of_any_writer_are_read_without_loss(
    spark: SparkSession, tmp_path: Path
) -> None:
    """What ``ddl.readable_as`` and ``_spark_name`` take, Spark has to read."""
    declared = Feed(
        "id STRING, b1 BIGINT, b2 BIGINT, b4 BIGINT, i1 INT, i2 INT, d4 DOUBLE, ms TIMESTAMP, day DATE", "id"
    )
    at = datetime(2026, 3, 1, 12, 30, 15, 123_000, tzinfo=UTC)
    narrow = {
        "id": pa.array(["a", "b"]).dictionary_encode(),
        "b1": pa.array([-128, None], pa.int8()),
        "b2": pa.array([-(2**15), None], pa.int16()),
        "b4": pa.array([-(2**31), None], pa.int32()),
        "i1": pa.array([127, None], pa.int8()),
        "i2": pa.array([2**15 - 1, None], pa.int16()),
        "d4": pa.array([0.1, None], pa.float32()),
        "ms": pa.array([at, None], pa.timestamp("ms", tz="Europe/Paris")),
        "day": pa.array([date(1600, 2, 29), None], pa.date32()),
    }
    raw = feed(tmp_path)
    land(raw, DAY, pa.table(narrow))
    first, second = read(spark, raw, declared=declared).orderBy("id").toArrow().to_pylist()
    numbers = {"b1": -128, "b2": -(2**15), "b4": -(2**31), "i1": 127, "i2": 2**15 - 1, "d4": 0.10000000149011612}
    assert first == {"id": "a", **numbers, "ms": at, "day": date(1600, 2, 29), "landed": DAY}
    assert second == dict.fromkeys(first) | {"id": "b", "landed": DAY}


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()])
def test_text_of_any_layout_of_arrow_is_text(spark: SparkSession, tmp_path: Path, kind: pa.DataType) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1", id=pa.array(["e1"], kind)))
    assert [row.id for row in read(spark, raw).collect()] == ["e1"]


def test_timestamps_as_sparks_defaults_write_them_are_read(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, DAY, events("e1"))
    pq.write_table(events("e1"), path, use_deprecated_int96_timestamps=True)
    assert read(spark, raw).toArrow()["at"].to_pylist() == [noon()]


# -- files that are refused


def test_a_missing_column_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, DAY, events("e1").drop_columns(["amount"]))
    assert refusal(spark, raw) == (
        f"raw feed parcels: {path}: wanted a column 'amount' of type double; found only id, at. "
        "Next: land the file again with the column"
    )


def test_a_column_in_another_case_is_missing(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1").rename_columns(["id", "Amount", "at"]))
    assert "wanted a column 'amount' of type double; found only id, Amount, at." in refusal(spark, raw)


@pytest.mark.parametrize(
    ("name", "values", "wanted", "found"),
    [
        ("amount", pa.array(["1.5"]), "double", "string"),
        ("amount", pa.array([1], pa.int64()), "double", "bigint"),
        ("amount", pa.nulls(1), "double", "void"),
        ("amount", pa.array([[1.5]]), "double", "array<double>"),
        ("at", pa.array([noon()], pa.timestamp("ns", tz="UTC")), "timestamp", "timestamp[ns, tz=UTC]"),
        ("at", pa.array([noon().replace(tzinfo=None)], pa.timestamp("us")), "timestamp", "timestamp_ntz"),
        ("at", pa.array([DAY]), "timestamp", "date"),
        ("id", pa.array([1], pa.int64()), "string", "bigint"),
        ("id", pa.array([b"e1"], pa.binary()), "string", "binary"),
    ],
)
def test_a_column_of_another_type_is_refused(
    spark: SparkSession, tmp_path: Path, name: str, values: pa.Array, wanted: str, found: str
) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, DAY, events("e1", **{name: values}))
    assert refusal(spark, raw) == (
        f"raw feed parcels: {path}: wanted a column {name!r} of type {wanted}; found type {found}. "
        "Next: land the file again with the declared type"
    )


@pytest.mark.parametrize(
    ("declared", "landed"),
    [("INT", pa.int64()), ("SMALLINT", pa.int32()), ("FLOAT", pa.float64()), ("DECIMAL(10,2)", pa.decimal128(12, 2))],
)
def test_a_wider_type_than_declared_is_refused(
    spark: SparkSession, tmp_path: Path, declared: str, landed: pa.DataType
) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, pa.table({"id": ["e1"], "x": pa.array([None], landed)}))
    assert f"wanted a column 'x' of type {declared.lower()}" in refusal(
        spark, raw, Feed(f"id STRING, x {declared}", "id")
    )


@pytest.mark.parametrize(
    ("cut", "found"),
    [
        (lambda content: b"", "Parquet file size is 0 bytes"),
        (lambda content: b"not a Parquet file, but long enough", "Parquet magic bytes not found in footer. "),
        (lambda content: content[: len(content) // 2], "Parquet magic bytes not found in footer. "),
    ],
    ids=["empty", "without a footer", "truncated"],
)
def test_a_corrupt_file_is_refused(spark: SparkSession, tmp_path: Path, cut: Any, found: str) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, DAY, events("e1"))
    Path(path).write_bytes(cut(Path(path).read_bytes()))
    message = refusal(spark, raw)
    assert message.startswith(f"raw feed parcels: {path}: wanted a Parquet file; found {found}")
    assert message.endswith("Next: land the file again")


def test_a_file_of_an_earlier_day_is_looked_at_too(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, BEFORE, "text")
    land(raw, DAY, events("e1"))
    with pytest.raises(BadData, match=f"raw feed parcels: {path}: wanted a Parquet file"):
        read(spark, raw, BEFORE)


def test_a_file_that_was_landed_again_is_looked_at_again(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1"))
    read(spark, raw)
    land(raw, DAY, events("e1").drop_columns(["at"]))
    assert "wanted a column 'at' of type timestamp" in refusal(spark, raw)


def test_a_broken_data_page_behind_a_good_footer_is_named(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    _, path = land(raw, DAY, events("e1"), events("e2"))
    break_page(path)
    with pytest.raises(BadData) as caught, unreadable_files_named():
        checked(spark, raw)
    assert str(caught.value) == (
        f"{path}: wanted a file that Spark can read by its schema; "
        "found TProtocolException: don't know what type: 15. Next: land the day again with a good file, then run again"
    )


# -- days that are refused


def day_refusal(spark: SparkSession, raw: RawFeed, never_null: Sequence[str] = (), first: date = DAY) -> str:
    with pytest.raises(BadData) as caught:
        checked(spark, raw, never_null, first)
    return str(caught.value)


def test_a_null_in_the_key_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1", None, None))
    assert day_refusal(spark, raw) == (
        f"raw feed parcels of 2026-03-10: {feed(tmp_path).directory(DAY)}: wanted no null in 'id'; "
        "found 2 of 3 rows. Next: land the day again, then run again"
    )


def test_a_null_where_none_may_be_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1", "e2", at=[noon(), None], amount=[None, None]))
    assert checked(spark, raw) == {DAY: 2}
    assert "wanted no null in 'at'; found 1 of 2 rows." in day_refusal(spark, raw, ["at"])


def test_a_doubled_key_is_refused_with_an_example(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e2", "e2", "e1"), events("e1", "e1", "e3"))
    assert day_refusal(spark, raw) == (
        f"raw feed parcels of 2026-03-10: {feed(tmp_path).directory(DAY)}: wanted each 'id' once; "
        "found 3 rows too many, as 'e1' 3 times. Next: land the day again, then run again"
    )


def test_two_keys_that_share_a_hash_are_two_keys(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, pa.table({"shop": pa.array([1, 2]), "receipt": pa.array([1, 196_073_448_242_816_449])}))
    declared = Feed("shop BIGINT, receipt BIGINT", key=("shop", "receipt"))
    rows = read(spark, raw, declared=declared)

    assert len({row[0] for row in rows.selectExpr("xxhash64(shop, receipt)").collect()}) == 1
    assert raw_feeds.check(raw.history(DAY, DAY), declared, rows) == {DAY: 2}


def test_a_key_may_land_again_on_another_day(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    land(raw, BEFORE, events("e1"))
    land(raw, DAY, events("e1", "e2"))
    assert checked(spark, raw, first=BEFORE) == {BEFORE: 1, DAY: 2}


def test_fewer_rows_than_min_rows_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path, min_rows=1_000)
    land(raw, DAY, events("e1", "e2"))
    assert day_refusal(spark, raw) == (
        f"raw feed parcels of 2026-03-10: {feed(tmp_path).directory(DAY)}: "
        "wanted at least 1,000 rows ([raw.parcels] min_rows); found 2. Next: land the whole day, or lower min_rows"
    )


def test_a_day_without_files_has_fewer_rows_than_min_rows(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path, min_rows=1)
    land(raw, DAY)
    assert "wanted at least 1 rows ([raw.parcels] min_rows); found 0." in day_refusal(spark, raw)


def test_the_oldest_bad_day_is_named(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    for day in (BEFORE, DAY):
        land(raw, day, events(None))
    assert day_refusal(spark, raw, first=BEFORE).startswith("raw feed parcels of 2026-03-09: ")


# -- CSV

HEADER = "id,amount,at\n"


def csv(tmp_path: Path, *texts: str | bytes) -> tuple[RawFeed, list[str]]:
    raw = feed(tmp_path, format="csv")
    return raw, land(raw, DAY, *texts)


def csv_refusal(spark: SparkSession, raw: RawFeed, declared: Feed = EVENTS) -> BadData:
    """What the job that reads the files is refused with, on the driver."""
    with pytest.raises(BadData) as caught, unreadable_files_named():
        read(spark, raw, declared=declared).collect()
    return caught.value


def test_columns_of_csv_are_found_by_name_in_each_file(spark: SparkSession, tmp_path: Path) -> None:
    raw, _ = csv(
        tmp_path,
        "\ufeffat,extra,id,amount\n2026-03-10T12:00:00Z,x,e1,1.5\n",
        HEADER + "e2,,2026-03-10 13:00:00+01:00\r\ne3,-1e3,2026-03-10 12:00:00Z\n",
        HEADER,
    )
    frame = read(spark, raw)
    assert frame.columns == ["id", "amount", "at", "landed"]
    rows = frame.orderBy("id").toArrow().to_pylist()
    assert [(row["id"], row["amount"]) for row in rows] == [("e1", 1.5), ("e2", None), ("e3", -1000.0)]
    assert {row["at"] for row in rows} == {noon()}
    assert {row["landed"] for row in rows} == {DAY}


def test_csv_of_many_days_tells_the_day_on_which_a_row_landed(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path, format="csv")
    for day in (BEFORE, DAY, AFTER):
        land(raw, day, f"{HEADER}a {day},1,2026-03-10T12:00:00Z\n", f"{HEADER}b {day},1,2026-03-10T12:00:00Z\n")
    rows = read(spark, raw, BEFORE, AFTER).collect()
    assert sorted((row.id, row.landed) for row in rows) == sorted(
        (f"{file} {day}", day) for day in (BEFORE, DAY, AFTER) for file in "ab"
    )


def test_every_declared_type_comes_out_of_csv_as_spark_has_it(spark: SparkSession, tmp_path: Path) -> None:
    declared = Feed(
        "s STRING, b BOOLEAN, t TINYINT, h SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, n DECIMAL(12,3), y DATE, "
        "z TIMESTAMP, u TIMESTAMP_NTZ",
        key="s",
    )
    raw, _ = csv(
        tmp_path,
        "s,b,t,h,i,l,f,d,n,y,z,u\n"
        "a,true,-128,-32768,-2147483648,-9223372036854775808,0.1,0.1,-1.5,1600-02-29,2026-03-10T13:00:00.25+01:00,2026-03-10 12:00:00\n"
        '"",,,,,,,,,,,\n',
    )
    first, second = read(spark, raw, declared=declared).orderBy(F.desc("s")).toArrow().drop(["landed"]).to_pylist()
    assert first == {
        "s": "a",
        "b": True,
        "t": -(2**7),
        "h": -(2**15),
        "i": -(2**31),
        "l": -(2**63),
        "f": 0.10000000149011612,
        "d": 0.1,
        "n": Decimal("-1.500"),
        "y": date(1600, 2, 29),
        "z": noon() + timedelta(seconds=0.25),
        "u": noon().replace(tzinfo=None),
    }
    assert second == dict.fromkeys(first) | {"s": ""}


def test_a_refused_value_of_csv_reaches_the_driver_with_file_row_column_and_text(
    spark: SparkSession, tmp_path: Path
) -> None:
    raw, (_, path) = csv(
        tmp_path,
        HEADER + "e1,1,2026-03-10T12:00:00Z\n",
        f'{HEADER}e2,2,2026-03-10T12:00:00Z\n"e\n3",much,2026-03-10T12:00:00Z\n',
    )
    refused = csv_refusal(spark, raw)
    assert str(refused) == (
        f"raw feed parcels: {path}, row 2 (line 3), column 'amount': wanted double: a double number like -12.5 or 1.5e-3, "
        "within its range; found 'much'. "
        "Next: land the file again, or say how it is written: [raw.parcels] decimal_mark"
    )
    assert refused.file == path


def test_a_csv_file_that_a_job_cannot_use_is_refused_by_it(spark: SparkSession, tmp_path: Path) -> None:
    raw, paths = csv(tmp_path, HEADER + "e1,1,2026-03-10T12:00:00Z\n", "id,at\ne2,2026-03-10T12:00:00Z\n")
    assert str(csv_refusal(spark, raw)) == (
        f"raw feed parcels: {paths[1]}: wanted a column 'amount' of type double; found only id, at. "
        "Next: land the file again with the column"
    )


def test_a_type_that_csv_cannot_hold_is_refused_before_any_file_is_read(spark: SparkSession, tmp_path: Path) -> None:
    raw, _ = csv(tmp_path, "id,parts\n")
    with pytest.raises(ConfigurationError) as caught:
        read(spark, raw, declared=Feed("id STRING, parts ARRAY<INT>", key="id"))
    assert str(caught.value) == (
        "column 'parts' of raw feed parcels: wanted a type that CSV can hold: string, boolean, whole numbers, float, double, "
        "decimal, date or timestamp; found array<int>. "
        "Next: declare another type in the feed's schema, or land Parquet ([raw.parcels] format)"
    )


def test_names_that_differ_by_case_alone_are_refused_where_one_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path)
    (path,) = land(raw, DAY, events("e1", Amount=["x"]))
    assert refusal(spark, raw) == (
        f"raw feed parcels: {path}: wanted one column 'amount' of type double; found 'amount' and 'Amount', which both fit. "
        "Next: land the file again with one of them"
    )


def test_names_that_differ_by_case_alone_are_nobodys_business_where_none_is_declared(
    spark: SparkSession, tmp_path: Path
) -> None:
    raw = feed(tmp_path)
    land(raw, DAY, events("e1", remark=["x"], Remark=["y"]))
    assert [row.id for row in read(spark, raw).collect()] == ["e1"]
