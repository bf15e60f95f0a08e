"""CSV by strict rules: a text is exactly a value of its declared type, or it is refused with its place."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.frames import delimited
from spark_lib.frames.delimited import records
from spark_lib.lake import Dialect, RawFeed
from tests.support import s3
from tests.support.drawn_tables import Table, tables

DAY = date(2026, 3, 10)
ORDERS = {
    "order_id": "string",
    "customer_id": "string",
    "ordered_at": "timestamp",
    "amount": "decimal(10,2)",
    "items": "int",
}
ENCODINGS = "an encoding of text that Python knows, as utf-8, latin-1, cp1252 or utf-16"
DATES = "%Y %m %-m %d %-d"
HEADER = "order_id,customer_id,ordered_at,amount,items\n"
AT = "2026-01-01T09:00:00Z"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "shop" / "raw" / "orders" / f"date={DAY}"
    directory.mkdir(parents=True)
    (directory / "_SUCCESS").touch()
    return directory / "orders.csv"


def rows(
    place: Path, content: str | bytes, columns: Mapping[str, str] = ORDERS, **options: Any
) -> list[dict[str, Any]]:
    """The rows of a file with this content."""
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    feed = RawFeed("orders", str(place.parents[4]), "shop", format="csv", dialect=Dialect(**options))
    found = delimited.read(feed, str(place), columns, DAY)
    return [row for batch in found for row in batch.drop_columns("landed").to_pylist()]


def refusal(place: Path, content: str | bytes, columns: Mapping[str, str] = ORDERS, **options: Any) -> str:
    """The refusal of a file with this content, without what names the file."""
    with pytest.raises(BadData) as caught:
        rows(place, content, columns, **options)
    assert caught.value.file == str(place)
    return str(caught.value).replace(f"raw feed orders: {place}", "FILE")


def values(place: Path, kind: str, *texts: str, **options: Any) -> list[Any]:
    """Texts of one column as values of that kind."""
    lines = "\n".join(f"{text};1" for text in texts)
    found = rows(place, f"x;k\n{lines}\n", {"x": kind, "k": "int"}, **{"separator": ";"} | options)
    return [row["x"] for row in found]


# -- what is read


def test_columns_that_nobody_declared_may_have_any_name_or_none(place: Path) -> None:
    line = f"o1,c1,{AT},1.00,1"
    (plain,) = rows(place, f"{HEADER}{line}\n")
    assert rows(place, f"{HEADER[:-1]},,\n{line},,\n") == [plain]
    assert rows(place, f"{HEADER[:-1]},comment,Comment\n{line},a,b\n") == [plain]
    assert rows(place, f'{HEADER[:-1]},"a ""quoted"", name",\x00\n{line},a,b\n') == [plain]


def test_columns_may_stand_in_any_order(place: Path) -> None:
    line = f"o1,c1,{AT},1.00,1"
    (plain,) = rows(place, f"{HEADER}{line}\n")
    turned = [",".join(reversed(text.split(","))) for text in (HEADER.rstrip(), line)]
    assert rows(place, "\n".join(turned)) == [plain]


def test_the_last_line_may_end_with_the_file_and_line_ends_may_differ_from_line_to_line(place: Path) -> None:
    text = f"{HEADER}o1,c1,{AT},1.00,1\r\no2,c1,{AT},1.00,1\no3,c1,{AT},1.00,1"
    assert [row["order_id"] for row in rows(place, text)] == ["o1", "o2", "o3"]


def test_an_empty_line_is_no_row_of_several_columns_and_a_null_of_one(place: Path) -> None:
    assert len(rows(place, f"{HEADER}\n\r\no1,c1,{AT},1.00,1\n\n")) == 1
    assert rows(place, 'x\n\n""\na\n', {"x": "string"}) == [{"x": None}, {"x": ""}, {"x": "a"}]


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n"], ids=["nothing", "an empty line", "empty lines"])
def test_a_file_of_a_header_alone_has_no_rows(place: Path, content: str) -> None:
    assert rows(place, HEADER + content) == []
    assert rows(place, HEADER.rstrip("\n") + content) == []


def test_quoted_values_keep_every_sign(place: Path) -> None:
    odd = ' "a",\r\nb\rc\\" '
    doubled = odd.replace('"', '""')
    assert rows(place, f'x,y\n"{doubled}",""\n', {"x": "string", "y": "string"}) == [{"x": odd, "y": ""}]


def test_blanks_belong_to_a_text(place: Path) -> None:
    assert values(place, "string", " a ", "\t") == [" a ", "\t"]


def test_only_the_null_text_without_quotes_is_null(place: Path) -> None:
    columns = {"x": "string", "y": "int"}
    assert rows(place, 'x,y\nNA,NA\n"NA",1\n,2\n', columns, null_text="NA") == [
        {"x": None, "y": None},
        {"x": "NA", "y": 1},
        {"x": "", "y": 2},
    ]


def test_a_file_larger_than_a_block_is_read_whole_in_order(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With quotes and line breaks at the edge of a block sooner or later."""
    monkeypatch.setattr(records, "BLOCK_BYTES", 7)
    text = "".join(f'{number},"ä""\r\n{number}",x\r\n' for number in range(200))
    found = rows(place, f"n,text,x\r\n{text}", {"n": "int", "text": "string"})
    assert found == [{"n": number, "text": f'ä"\r\n{number}'} for number in range(200)]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("tinyint", "-128", -128),
        ("int", "007", 7),
        ("bigint", "9223372036854775807", 2**63 - 1),
        ("double", "-1.5E-3", -0.0015),
        ("double", "0", 0.0),
        ("float", "0.1", 0.10000000149011612),
        ("decimal(10,2)", "-0.5", Decimal("-0.50")),
        ("decimal(10,2)", "0012", Decimal("12.00")),
        ("decimal(2,2)", "0.25", Decimal("0.25")),
        ("decimal(38,0)", "9" * 38, Decimal("9" * 38)),
        ("boolean", "True", True),
        ("boolean", "FALSE", False),
        ("date", "0001-01-01", date(1, 1, 1)),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("timestamp", "2026-01-01 09:00:00.000001+00", datetime(2026, 1, 1, 9, 0, 0, 1, UTC)),
        ("timestamp", "2026-01-01T09:00:00-0530", datetime(2026, 1, 1, 14, 30, tzinfo=UTC)),
        ("timestamp_ntz", "2026-01-01T09:00:00.5", datetime(2026, 1, 1, 9, 0, 0, 500_000, UTC).replace(tzinfo=None)),
    ],
)
def test_a_text_of_its_types_pattern_is_that_value(place: Path, kind: str, text: str, value: Any) -> None:
    assert values(place, kind, text) == [value]


@pytest.mark.processes
def test_a_file_on_s3_is_read_as_one_on_disk(versitygw: s3.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    versitygw.reach(monkeypatch)
    bucket = versitygw.new_bucket()
    for name, content in (("_SUCCESS", b""), ("a.csv", b"x,y\na,1\nb,2\n")):
        versitygw.client().put_object(Bucket=bucket, Key=f"orders/{DAY}/{name}", Body=content)
    feed = RawFeed("orders", "/lake", "shop", path=f"s3://{bucket}/orders/{{date:%Y-%m-%d}}", format="csv")
    (file,) = feed.history(DAY, DAY).files
    assert [batch.to_pydict() for batch in delimited.read(feed, file, {"x": "string", "y": "int"}, DAY)] == [
        {"x": ["a", "b"], "y": [1, 2], "landed": [DAY, DAY]}
    ]


# -- what people have otherwise


def test_a_decimal_comma_is_read_where_it_is_declared(place: Path) -> None:
    assert values(place, "decimal(10,2)", "12,5", decimal_mark=",") == [Decimal("12.50")]
    assert values(place, "double", "-1,5e-3", "7", decimal_mark=",") == [-0.0015, 7.0]
    with pytest.raises(BadData):
        values(place, "double", "1.5", decimal_mark=",")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("%d.%m.%Y", "09.02.2026"), ("%-m/%-d/%Y", "2/9/2026"), ("%Y%m%d", "20260209"), ("%d. %m. %Y", "09. 02. 2026")],
)
def test_dates_are_read_by_their_pattern(place: Path, pattern: str, text: str) -> None:
    assert values(place, "date", text, date_pattern=pattern) == [date(2026, 2, 9)]


def test_times_are_read_by_their_pattern_in_the_declared_zone(place: Path) -> None:
    berlin = {"timestamp_pattern": "%d.%m.%Y %-H:%M", "timezone": "Europe/Berlin"}
    assert values(place, "timestamp", "01.07.2026 9:30", "01.01.2026 23:05", **berlin) == [
        datetime(2026, 7, 1, 7, 30, tzinfo=UTC),
        datetime(2026, 1, 1, 22, 5, tzinfo=UTC),
    ]
    assert values(place, "timestamp", "20260701T073000.25Z", timestamp_pattern="%Y%m%dT%H%M%S.%f%z") == [
        datetime(2026, 7, 1, 7, 30, 0, 250_000, UTC)
    ]
    assert values(place, "timestamp", "2026-07-01", timestamp_pattern="%Y-%m-%d", timezone="UTC") == [
        datetime(2026, 7, 1, tzinfo=UTC)
    ]


def test_a_declared_zone_is_that_of_times_without_one(place: Path) -> None:
    texts = ("2026-07-01T09:00:00", "2026-07-01T09:00:00Z", "")
    assert values(place, "timestamp", *texts, timezone="Europe/Berlin") == [
        datetime(2026, 7, 1, 7, 0, tzinfo=UTC),
        datetime(2026, 7, 1, 9, 0, tzinfo=UTC),
        None,
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "shift_jis", "gb18030"])
def test_other_encodings_are_read_where_they_are_declared(
    place: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 5)
    names = ["Müller", "Möller"] if encoding != "shift_jis" else ["東京", "大阪"]
    text = "name,x\n" + "".join(f'"{name}",1\n' for name in names)
    found = rows(place, text.encode(encoding), {"name": "string"}, encoding=encoding)
    assert [row["name"] for row in found] == names


def test_a_byte_order_mark_is_no_part_of_the_first_name_or_value(place: Path) -> None:
    assert rows(place, "\ufeffx,y\na,b\n", {"x": "string"}) == [{"x": "a"}]
    assert rows(place, "\ufeffa,b\n", {"x": "string", "y": "string"}, header=False) == [{"x": "a", "y": "b"}]


def test_a_mark_of_byte_order_within_a_file_is_a_sign_of_its_value(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow would leave it out at the beginning of each block."""
    monkeypatch.setattr(records, "BLOCK_BYTES", 16)
    lines = "".join(f"\ufeffk{number},1\n" for number in range(30))
    found = rows(place, f"x,y\n{lines}", {"x": "string", "y": "int"})
    assert [row["x"] for row in found] == [f"\ufeffk{number}" for number in range(30)]
    assert refusal(place, "x,y\n\ufeff12,1\n", {"x": "int"}) == (
        "FILE, row 1 (line 2), column 'x': wanted int: a whole number from -2,147,483,648 to 2,147,483,647, in digits alone; "
        "found '\\ufeff12'. Next: land the file again"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_text_whose_encoding_wants_a_mark_is_refused_without_one(place: Path, encoding: str) -> None:
    assert refusal(place, "x,y\na,1\n".encode(f"{encoding}-le"), {"x": "string"}, encoding=encoding) == (
        f"FILE, line 1: wanted text in {encoding}; found the bytes x\\x00{',' if encoding == 'utf-16' else chr(92) + 'x00'}\\x00. "
        "Next: land the file again, or say how it is written: [raw.orders] encoding"
    )


def test_half_of_a_pair_of_utf_16_is_no_text(place: Path) -> None:
    assert refusal(place, b"x,y\n+2AA-,1\n", {"x": "string"}, encoding="utf-7") == (
        "FILE, row 1 (line 2), column 'x': wanted text in utf-7; found the bytes '\\ud800'. "
        "Next: land the file again, or say how it is written: [raw.orders] encoding"
    )


def test_a_file_that_is_there_no_more_is_refused(place: Path) -> None:
    feed = RawFeed("orders", str(place.parents[4]), "shop", format="csv")
    with pytest.raises(BadData) as caught:
        list(delimited.read(feed, str(place), ORDERS, DAY))
    assert str(caught.value) == (
        f"raw feed orders: {place}: wanted the file that was listed; found none any more, or a link to nothing. "
        "Next: land the day again, then run again"
    )


def test_a_link_to_nothing_is_a_file_of_its_day(place: Path) -> None:
    place.symlink_to("/nowhere/orders.csv")
    feed = RawFeed("orders", str(place.parents[4]), "shop", format="csv")
    assert feed.history(DAY, DAY).files == [str(place)]


def test_columns_of_a_file_without_a_header_are_those_of_the_schema_in_its_order(place: Path) -> None:
    assert rows(place, "a|1\n|2\n", {"x": "string", "y": "int"}, header=False, separator="|") == [
        {"x": "a", "y": 1},
        {"x": None, "y": 2},
    ]
    assert refusal(place, "a,1,2\n", {"x": "string", "y": "int"}, header=False) == (
        "FILE, row 1 (line 1): wanted 2 values, as columns are declared; found 3 in 'a,1,2'. "
        "Next: land the file again, or say how it is written: [raw.orders] separator"
    )


def test_a_tab_is_named_in_a_configuration_file(place: Path) -> None:
    assert rows(place, "x\ty\na\t1\n", {"x": "string"}, separator="tab") == [{"x": "a"}]


def test_a_file_that_is_packed_by_gzip_is_read_where_its_name_says_so(place: Path) -> None:
    packed = place.with_suffix(".csv.gz")
    assert rows(packed, gzip.compress(b"x,y\na,1\n"), {"x": "string"}) == [{"x": "a"}]
    cut = gzip.compress(b"x,y\n" + bytes(map(ord, "a,1\n")) * 1000)[:-20]
    assert refusal(packed, cut, {"x": "string"}) == (
        "FILE: wanted a whole file, packed by gzip, as its name says; found Compressed file ended before the end-of-stream "
        "marker was reached. Next: land the file again"
    )
    assert refusal(packed, b"x,y\na,1\n", {"x": "string"}) == (
        "FILE: wanted a whole file, packed by gzip, as its name says; found Not a gzipped file (b'x,'). Next: land the file again"
    )


# -- what is refused


@pytest.mark.parametrize(
    ("kind", "words", "setting", "texts"),
    [
        (
            "int",
            "a whole number from -2,147,483,648 to 2,147,483,647, in digits alone",
            "",
            ["1.0", "1e3", "+1", " 1", "1 ", "1_000", "1,000", "0x1F", "٣", "１", "2147483648", "true", "NaN", "-", "1\u00a0"],
        ),
        (
            "double",
            "a double number like -12.5 or 1.5e-3, within its range",
            "decimal_mark",
            ["1,5", ".5", "5.", "1.5d", "1f", "1e", "NaN", "Infinity", "-inf", "1e999", "1e-999", "0x1p3", "1 000", "€1", "1%", "+1.5"],
        ),
        (
            "decimal(10,2)",
            "a number of up to 8 digits and up to 2 behind a '.'",
            "decimal_mark",
            ["12,50", "12.505", "123456789", "1e2", "1.", "-", "1'000.00", "$5"],
        ),
        ("boolean", "true or false", "", ["1", "0", "yes", "t", "tRUE", "wahr", " true"]),
        (
            "date",
            "a date like 2026-01-31",
            "date_pattern",
            ["2026-02-30", "2026-2-3", "03.02.2026", "2026-02", "2026", "20260203", "0000-01-01", "2026-02-03T00:00:00", "12026-02-03"],
        ),
        (
            "timestamp",
            "a time like 2026-01-31T09:30:00 with its zone, as Z or +01:00",
            "timezone or timestamp_pattern",
            [
                "08:15:00", "2026-01-01", "2026-01-01T09:00Z", "2026-01-01T09:00:00", "2026-01-01T24:00:00Z",
                "2026-01-01T09:00:60Z", "2026-01-01T09:00:00.1234567Z", "2026-01-01T9:00:00Z", "1767254400",
                "2026-01-01T09:00:00 UTC", "2026-01-01T09:00:00+25:00", "2026-01-01T09:00:00+15:00",
                "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-01T09:00:00z", "T09:00:00Z", "today",
            ],
        ),
        (
            "timestamp_ntz",
            "a time like 2026-01-31T09:30:00 without a zone",
            "timestamp_pattern",
            ["2026-01-01T09:00:00Z", "2026-01-01T09:00:00+01:00", "2026-01-01"],
        ),
    ],
)  # fmt: skip
def test_a_text_that_is_not_exactly_a_value_of_its_type_is_refused(
    place: Path, kind: str, words: str, setting: str, texts: list[str]
) -> None:
    next_step = (
        f"land the file again, or say how it is written: [raw.orders] {setting}" if setting else "land the file again"
    )
    for text in texts:
        found = refusal(place, f"x;k\n{text};1\n", {"x": kind, "k": "int"}, separator=";")
        assert found == f"FILE, row 1 (line 2), column 'x': wanted {kind}: {words}; found {text!r}. Next: {next_step}"


def test_a_refusal_says_where_and_how_many_more_texts_are_alike(place: Path) -> None:
    text = f'{HEADER}o1,"c\n1",{AT},1.00,1\no2,c1,{AT},"12,50",3\n\no3,c1,{AT},"7,5",1\n'
    assert refusal(place, text) == (
        "FILE, row 2 (line 4), column 'amount': wanted decimal(10,2): a number of up to 8 digits and up to 2 behind a '.'; "
        "found '12,50', and 1 more in rows 1 to 3. "
        "Next: land the file again, or say how it is written: [raw.orders] decimal_mark"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [("2026-03-29T02:30:00", "skipped"), ("2026-10-25T02:30:00", "twice")],
)
def test_a_local_time_that_there_is_not_once_is_refused(place: Path, text: str, why: str) -> None:
    assert refusal(place, f"x,k\n2026-01-01T00:00:00,1\n{text},1\n", {"x": "timestamp"}, timezone="Europe/Berlin") == (
        "FILE, row 2 (line 3), column 'x': wanted timestamp: a time like 2026-01-31T09:30:00 with its zone, or one that there is "
        f"once in Europe/Berlin; found {text!r}. "
        "Next: land the file again, or say how it is written: [raw.orders] timestamp_pattern"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            f"{HEADER}o1,c1,{AT},1.00,1\no2,c1,{AT},1.00\n",
            f"FILE, row 2 (line 3): wanted 5 values, as the header has; found 4 in 'o2,c1,{AT},1.00'. "
            "Next: land the file again, or say how it is written: [raw.orders] separator",
        ),
        (
            f"{HEADER}o1,c1,{AT},1.00,1,\n",
            f"FILE, row 1 (line 2): wanted 5 values, as the header has; found 6 in 'o1,c1,{AT},1.00,1,'. "
            "Next: land the file again, or say how it is written: [raw.orders] separator",
        ),
        (
            f'{HEADER}o1,c"1,{AT},1.00,1\n',
            "FILE, row 1 (line 2), column 'customer_id': wanted a value that is quoted as a whole, its own quotes doubled, or "
            f"has no quotes; found 'o1,c\"1,{AT},1.00,1'. Next: land the file again",
        ),
        (
            f'{HEADER}o1,"c"1,{AT},1.00,1\n',
            "FILE, row 1 (line 2), column 'customer_id': wanted a value that is quoted as a whole, its own quotes doubled, or "
            f"has no quotes; found 'o1,\"c\"1,{AT},1.00,1'. Next: land the file again",
        ),
        (
            f'{HEADER}o1,"c\\"1",{AT},1.00,1\n',
            "FILE, row 1 (line 2), column 'customer_id': wanted a value that is quoted as a whole, its own quotes doubled, or "
            f'has no quotes; found \'o1,"c\\\\"1",{AT},1.00,1\'. Next: land the file again',
        ),
        (
            f'{HEADER}o1,c1,{AT},1.00,1\no2,"c1,{AT},1.00,1\no3,c1,{AT},1.00,1\n',
            "FILE, row 2 (line 3), column 'customer_id': wanted a closing quote for each opening one; "
            f"found 'o2,\"c1,{AT},1.00,1'. Next: land the file again",
        ),
        (
            f"{HEADER}o1,c1,{AT},1.00,1\ro2,c1,{AT},1.00,1\n",
            f"FILE, row 1 (line 2), column 'items': wanted lines that end with LF or CR LF; found 'o1,c1,{AT},1.00,1\\ro2,c1,{AT},1.00,1'. "
            "Next: land the file again",
        ),
        (
            f"{HEADER}o1,c1,{AT},1.00,1\n".encode() + "o2,Müller".encode("latin-1") + f",{AT},1.00,1\n".encode(),
            "FILE, row 2 (line 3), column 'customer_id': wanted text in utf-8; found the bytes \\xfc. "
            "Next: land the file again, or say how it is written: [raw.orders] encoding",
        ),
        (
            b"order_id,caf\xe9\n",
            "FILE, line 1: wanted text in utf-8; found the bytes \\xe9. "
            "Next: land the file again, or say how it is written: [raw.orders] encoding",
        ),
        (
            b"\x1f\x8b\xff\xfe",
            "FILE, line 1: wanted text in utf-8; found the bytes \\x8b. "
            "Next: land the file again, or say how it is written: [raw.orders] encoding",
        ),
        (
            "",
            "FILE: wanted a column 'order_id' of type string; found no columns. Next: land the file again with the column",
        ),
        (
            "x" * 200_000,
            "FILE, line 1: wanted a first line with the names of columns; found field larger than field limit (131072). "
            "Next: land the file again",
        ),
        (
            "x" * 600,
            f"FILE: wanted a column 'order_id' of type string; found only {'x' * 497}.... Next: land the file again with the column",
        ),
        (
            HEADER.replace("order_id", " order_id").replace("customer", "customer\x1b"),
            "FILE: wanted a column 'order_id' of type string; found only ' order_id', 'customer\\x1b_id', ordered_at, amount, items. "
            "Next: land the file again with the column",
        ),
        (
            HEADER.replace(",", ";"),
            "FILE: wanted a column 'order_id' of type string; found only order_id;customer_id;ordered_at;amount;items. "
            "Next: land the file again with the column, or say how it is written: [raw.orders] separator",
        ),
        (
            HEADER.replace(",amount", ""),
            "FILE: wanted a column 'amount' of type decimal(10,2); found only order_id, customer_id, ordered_at, items. "
            "Next: land the file again with the column",
        ),
        (
            f"{HEADER[:-1]},Amount\n",
            "FILE: wanted one column 'amount' of type decimal(10,2); found 'amount' and 'Amount', which both fit. "
            "Next: land the file again with one of them",
        ),
        (
            f"{HEADER[:-1]},items\n",
            "FILE: wanted one column 'items' of type int; found 'items' and 'items', which both fit. "
            "Next: land the file again with one of them",
        ),
    ],
)
def test_what_is_no_csv_of_the_declared_columns_is_refused_with_its_place(
    place: Path, content: str | bytes, message: str
) -> None:
    assert refusal(place, content) == message


def test_a_record_longer_than_memory_should_hold_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 2**10)
    monkeypatch.setattr(records, "LONGEST_RECORD", 2**20)
    assert refusal(place, f'{HEADER}o1,"{"x" * 2**20},\n') == (
        "FILE, row 1 (line 2), column 'customer_id': wanted records of at most 1 MiB, with a closing quote where there is an opening one; "
        f"found 'o1,\"{'x' * 72}.... Next: land the file again"
    )


# -- what a feed declares


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ",,"}, "separator: wanted one sign, as , ; | or tab; found ',,'"),
        ({"separator": ""}, "separator: wanted one sign, as , ; | or tab; found ''"),
        ({"separator": "a"}, "separator: wanted one sign, as , ; | or tab; found 'a'"),
        ({"separator": "¦"}, "separator: wanted one sign, as , ; | or tab; found '¦'"),
        ({"separator": '"'}, "separator: wanted one sign, as , ; | or tab; found '\"'"),
        ({"decimal_mark": "'"}, 'decimal_mark: wanted one of . and ,; found "\'"'),
        ({"null_text": 'N"A'}, "null_text: wanted a text without quotes, line breaks and the separator; found 'N\"A'"),
        ({"null_text": "a,b"}, "null_text: wanted a text without quotes, line breaks and the separator; found 'a,b'"),
        ({"encoding": "utf-9"}, f"encoding: wanted {ENCODINGS}; found 'utf-9'"),
        ({"encoding": "base64"}, f"encoding: wanted {ENCODINGS}; found 'base64'"),
        ({"encoding": "unicode_escape"}, f"encoding: wanted {ENCODINGS}; found 'unicode_escape'"),
        ({"timezone": "Berlin"}, "timezone: wanted a time zone's name, as UTC or Europe/Berlin; found 'Berlin'"),
        ({"timezone": "localtime"}, "timezone: wanted a time zone's name, as UTC or Europe/Berlin; found 'localtime'"),
        ({"timezone": "../etc"}, "timezone: wanted a time zone's name, as UTC or Europe/Berlin; found '../etc'"),
        ({"date_pattern": "%d.%m.%y"}, f"date_pattern: wanted a pattern of {DATES}; found '%y' in '%d.%m.%y'"),
        ({"date_pattern": "dd.MM.yyyy"}, "date_pattern: wanted T, blanks or signs like - . / : between the parts; found 'dd.MM.yyyy' in 'dd.MM.yyyy'"),
        ({"date_pattern": "%d.%m."}, "date_pattern: wanted a pattern with %Y; found none in '%d.%m.'"),
        ({"date_pattern": "%d.%m.%Y.%-d"}, "date_pattern: wanted each part once, %d too; found it 2 times in '%d.%m.%Y.%-d'"),
        ({"date_pattern": "%-d%m%Y"}, "date_pattern: wanted a sign between %-d and %m, whose widths vary; found '%-d%m%Y'"),
        ({"date_pattern": "%d.%m.%Y %H"}, f"date_pattern: wanted a pattern of {DATES}; found '%H' in '%d.%m.%Y %H'"),
        ({"date_pattern": "%d.%m.%Y%"}, f"date_pattern: wanted a pattern of {DATES}; found '%' in '%d.%m.%Y%'"),
        ({"timestamp_pattern": "%Y-%m-%d %M"}, "timestamp_pattern: wanted %H where %M is; found none in '%Y-%m-%d %M'"),
    ],
)  # fmt: skip
def test_an_option_that_no_file_can_be_read_by_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RawFeed("orders", "/lake", "shop", format="csv", dialect=Dialect(**options))
    assert str(caught.value) == f"[raw.orders] {message}. Next: correct it (docs/feeds.md has the options)"


# -- whatever is written


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_any_table_in_any_dialect_is_read_as_it_was_written(place: Path, table: Table) -> None:
    assert rows(place, table.text, table.columns, **table.options) == table.rows


@pytest.mark.full
@settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_two_thousand_tables_are_read_as_they_were_written(place: Path, table: Table) -> None:
    assert rows(place, table.text, table.columns, **table.options) == table.rows
