"""What ``daystone sql`` prints of an answer, and that it lists the views without Spark."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from spark_lib.errors import QueryError
from tasks.cli import sql
from tasks.cli.main import main
from tasks.cli.sql import Answer
from tests.unit.stubs.stublake import FIRST_TRAINING
from tests.unit.tasks.conftest import Predicted


def answer(**columns: list[Any]) -> Answer:
    return Answer(list(columns), list(columns.values()))


EVERY = answer(
    text=["a;b", None, 'say "x", y', "", "two\nlines"],
    number=[1.5, None, float("nan"), 1e-9, -0.0],
    exact=[Decimal("12.50"), None, Decimal(0), Decimal("1E-7"), Decimal(3)],
    flag=[True, None, False, True, True],
    day=[date(2026, 3, 1), None, date(2026, 3, 1), date(1, 1, 1), date(2026, 3, 2)],
    at=[datetime(2026, 3, 1, 12, tzinfo=UTC), None, datetime.fromisoformat("2026-03-01T12:00:00.000005"), None, None],
    inner=[[1, None], None, {"x": date(2026, 3, 1)}, [("k", 1.0)], b"\x00\xff"],
)


def test_json_is_read_back_with_a_type_for_each_value_that_json_has() -> None:
    found = json.loads("\n".join(sql.as_json(EVERY)))

    assert len(found) == 5
    assert found[0] == {
        "text": "a;b",
        "number": 1.5,
        "exact": "12.50",
        "flag": True,
        "day": "2026-03-01",
        "at": "2026-03-01T12:00:00Z",
        "inner": [1, None],
    }
    assert set(found[1].values()) == {None}
    assert found[2]["number"] == "nan"
    assert found[2]["at"] == "2026-03-01T12:00:00.000005"
    assert [row["inner"] for row in found[2:]] == [{"x": "2026-03-01"}, [["k", 1.0]], "00ff"]


def test_an_answer_without_rows_is_an_empty_array() -> None:
    assert json.loads("\n".join(sql.as_json(answer(a=[])))) == []


def test_csv_is_read_back_and_tells_a_null_from_an_empty_text() -> None:
    lines = "\n".join(sql.as_csv(EVERY))
    found = list(csv.reader(io.StringIO(lines)))

    assert found[0] == EVERY.names
    assert [row[0] for row in found[1:]] == ["a;b", "", 'say "x", y', "", "two\nlines"]
    assert found[1][1:] == ["1.5", "12.50", "true", "2026-03-01", "2026-03-01T12:00:00Z", "[1, null]"]
    assert list(sql.as_csv(answer(a=[None, ""], b=[1, 2]))) == ["a,b", ",1", '"",2']


def test_a_table_has_a_line_a_row_and_numbers_to_the_right() -> None:
    shown = list(sql.as_table(answer(name=["a", "long\nname", None], rows=[1, None, 1000])))

    assert shown == [
        "name        rows",
        "a              1",
        "long\\nname  null",
        "null        1000",
    ]


def test_two_columns_of_one_name_are_no_json() -> None:
    twice = Answer(["score", "score"], [[1], [2]])

    with pytest.raises(QueryError) as refused:
        list(sql.as_json(twice))

    assert str(refused.value) == (
        "the query: wanted another name for each column; found 'score' twice. Next: rename one of them with AS"
    )
    assert list(sql.as_csv(twice)) == ["score,score", "1,2"]


def test_without_a_query_the_views_are_listed_and_no_java_is_started(predicted: Predicted) -> None:
    predicted(FIRST_TRAINING)
    loaded = "pyspark" in sys.modules

    result = CliRunner().invoke(main, ["sql"])

    assert result.exit_code == 0, result.output
    assert "features (2026-01-03 to 2026-01-12, 8 days)\n    date date\n" in result.output
    assert "serving_features: not there, no day of serving is published\n" in result.output
    assert ("pyspark" in sys.modules) == loaded
