"""Arrow batches as PostgreSQL's binary COPY: PostgreSQL gives back the values that went in."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_lib.lake.tables import arrow_type
from spark_lib.targets import binary_rows
from tests.support import postgres

pytestmark = pytest.mark.processes

_TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001  # hypothesis wants them so
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9),
    "boolean": st.booleans(),
    "tinyint": st.integers(-(2**7), 2**7 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "date": st.dates(),
    "timestamp": _TIMES.map(lambda time: time.replace(tzinfo=UTC)),
    "timestamp_ntz": _TIMES,
    "binary": st.binary(max_size=9),
    "decimal(18,4)": st.decimals(-(10**14) + 1, 10**14 - 1, places=4),
    "decimal(5,0)": st.decimals(-99_999, 99_999, places=0),
    "array<double>": st.lists(st.none() | st.floats(), max_size=3),
}


@pytest.fixture(scope="module")
def connection(postgres_server: postgres.Server) -> Any:
    with postgres_server.connect(postgres_server.new_database()) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


def copied(connection: Any, table: pa.Table, kinds: list[str], *, at_once: int = 7) -> list[tuple[Any, ...]]:
    """The rows that PostgreSQL has after a COPY, in the order of a first column that counts them."""
    columns = ", ".join(f"c{at} {binary_rows.sql_type(kind)}" for at, kind in enumerate(["bigint", *kinds]))
    numbered = table.add_column(0, "n", pa.array(range(len(table)), pa.int64()))
    connection.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t (constant integer, {columns})")
    with connection.cursor() as cursor:
        with cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
            copy.write(binary_rows.HEADER)
            for batch in numbered.to_batches(max_chunksize=at_once):
                copy.write(binary_rows.rows_of(batch, [(2).to_bytes(4, "big")]))
            copy.write(binary_rows.TRAILER)
        # As text a float32 comes back rounded.
        rows = cursor.execute("SELECT * FROM t ORDER BY c0", binary=True).fetchall()
    assert {row[:1] for row in rows} <= {(2,)}
    return [row[2:] for row in rows]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_come_back_as_they_were(connection: Any, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6))
    nullable = data.draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))
    cells = [VALUES[kind] | st.none() if null else VALUES[kind] for kind, null in zip(kinds, nullable, strict=True)]
    rows = data.draw(st.lists(st.tuples(*cells), max_size=20))
    arrays = [pa.array([row[at] for row in rows], arrow_type(kind)) for at, kind in enumerate(kinds)]
    table = pa.Table.from_arrays(arrays, [f"c{at}" for at in range(len(kinds))])

    found = copied(connection, table, kinds)

    assert len(found) == len(rows)
    expected = table.to_pylist()
    assert all(same(list(row.values()), list(there)) for row, there in zip(expected, found, strict=True)), found
    read = [
        binary_rows.values(row, table.schema)
        for batch in table.to_batches(max_chunksize=7)
        for row in binary_rows.each_row_of(batch)
    ]
    assert all(same(list(row.values()), there) for row, there in zip(expected, read, strict=True)), read


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_slice_of_an_array_is_laid_out_as_its_own_rows(connection: Any, kind: str) -> None:
    values = {"string": "a", "boolean": True, "date": date(2026, 1, 1), "binary": b"a", "array<double>": [1.0, 2.0]}
    values |= {"timestamp": datetime(2026, 1, 1, tzinfo=UTC), "timestamp_ntz": datetime(2026, 1, 1)}  # noqa: DTZ001  # it has no zone
    value = values.get(kind, Decimal(7) if "decimal" in kind else 7)
    table = pa.table({"c": pa.array([None, value, None, value], arrow_type(kind))}).slice(1, 2)

    assert copied(connection, table, [kind]) == [(value,), (None,)]


def test_probabilities_of_classes_come_back_to_the_last_bit(connection: Any) -> None:
    drawn = np.random.default_rng(0).random((100, 3)).tolist()
    table = pa.table({"probabilities": pa.array(drawn, arrow_type("array<double>"))})

    assert [row[0] for row in copied(connection, table, ["array<double>"])] == drawn


def test_every_type_that_a_manifest_may_name_has_its_layout() -> None:
    assert all(binary_rows.sql_type(kind) for kind in VALUES)
    assert binary_rows.sql_type("map<string,int>") is None
