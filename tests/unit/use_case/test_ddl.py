"""The columns of DDL text, told without Spark."""

from __future__ import annotations

import pytest

from spark_lib.use_case import ddl


@pytest.mark.parametrize(
    ("schema", "columns"),
    [
        ("id STRING, amount DOUBLE", [("id", "string"), ("amount", "double")]),
        ("`job-start` DATE, `a, b` INT, `back``tick` INT", [("job-start", "date"), ("a, b", "int"), ("back`tick", "int")]),
        ("date DATE, order INT, 1st INT", [("date", "date"), ("order", "int"), ("1st", "int")]),
        ("a INT NOT NULL COMMENT 'x, y', b INT COMMENT \"it's\" 'more'", [("a", "int"), ("b", "int")]),
        ("a BYTE, b SHORT, c INTEGER, d LONG, e REAL", [*zip("abcde", (*ddl.WHOLE, "float"), strict=True)]),
        ("a DECIMAL, b NUMERIC(5), c DEC ( 5 , 2 )", [("a", "decimal(10,0)"), ("b", "decimal(5,0)"), ("c", "decimal(5,2)")]),
        ("a ARRAY<INT>, b MAP<STRING, ARRAY<INT>>", [("a", "array"), ("b", "map")]),
        ("a STRUCT<x INT, `y-z`: STRUCT<q: DATE> COMMENT 'x'>, b STRUCT<>", [("a", "struct"), ("b", "struct")]),
        ("a TIMESTAMP_LTZ, b TIMESTAMP_NTZ, c TIMESTAMP WITHOUT TIME ZONE", [("a", "timestamp"), ("b", "timestamp_ntz"), ("c", "timestamp_ntz")]),
        ("a STRING COLLATE UNICODE, b INTERVAL DAY TO SECOND", [("a", "string"), ("b", "interval")]),
        ("a INT -- the first\n, b /* the second */ INT", [("a", "int"), ("b", "int")]),
        ("`` INT", [("", "int")]),
    ],
)  # fmt: skip
def test_columns_are_told_as_spark_tells_them(schema: str, columns: list[tuple[str, str]]) -> None:
    assert [(column.name, column.kind) for column in ddl.columns(schema)] == columns


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("", "an empty text"),
        (" \n", "an empty text"),
        ("a INT,", "nothing beside a comma"),
        ("a", "no type of the column 'a'"),
        ("a INT, b", "no type of the column 'b'"),
        ("job-start INT", "- after 'job'"),
        ("größe INT", "ö after 'gr'"),
        ("'a' INT", "'a' where the name of a column belongs"),
        ("a: INT", ": after 'a'"),
        ("a INT b INT", "b INT after the type of the column 'a'"),
        ("a INT;", "; after the type of the column 'a'"),
        ("a STRNG", "the type STRNG of the column 'a' (did you mean 'STRING'?)"),
        ("a VARCHAR(20)", "the type VARCHAR of the column 'a'"),
        ("a ARRAY<STRNG>", "the type STRNG of the column 'a' (did you mean 'STRING'?)"),
        ("a ARRAY", "ARRAY as the type of the column 'a'"),
        ("a MAP<INT>", "MAP<INT> as the type of the column 'a'"),
        ("a STRUCT<x>", "no type of the column 'x'"),
        ("a ARRAY<INT", "no '>' at the end"),
        ("a INT>", "'>' that closes nothing"),
        ("a INT(5)", "INT(5) as the type of the column 'a'"),
        ("a DECIMAL(x)", "DECIMAL(x) as the type of the column 'a'"),
        ("a DECIMAL(10 2)", "DECIMAL(102) as the type of the column 'a'"),
        ("a DECIMAL(39,2)", "DECIMAL(39,2) as the type of the column 'a'"),
        ("a DECIMAL(4,5)", "DECIMAL(4,5) as the type of the column 'a'"),
    ],
)
def test_what_spark_would_not_read_is_no_ddl_and_says_where(schema: str, found: str) -> None:
    with pytest.raises(ddl.NotDDL) as caught:
        ddl.columns(schema)

    assert str(caught.value) == found


@pytest.mark.parametrize(
    ("name", "plain"),
    [("amount", True), ("job-start", True), ("a b", True), ("ä (€)", True), ("a.b", False), ("a`b", False), ("*", False), (" ", False)],
)  # fmt: skip
def test_a_dot_or_a_backtick_makes_a_name_more_than_that_of_a_column(name: str, plain: bool) -> None:
    assert ddl.is_plain(name) == plain
