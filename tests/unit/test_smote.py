"""SMOTE-NC without Spark: where synthetic values lie, what is never mixed, and which rows they are made from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from spark_lib import smote
from spark_lib.neighbours import EXACT_UP_TO
from spark_lib.use_case import Feature

NAN, INF = float("nan"), float("inf")


def made(
    columns: Mapping[str, pa.Array], features: Mapping[str, Feature], count: int, seed: int = 0, neighbours: int = 5
) -> pa.Table:
    """All synthetic rows of a table with these columns, and a ``key`` 0, 1, ... of its rows."""
    rows = len(next(iter(columns.values())))
    table = pa.table({"key": pa.array(range(rows)), **columns})
    chunks = range(rows // smote._CHUNK + 1)
    found = smote.synthesise(table, features, count, seed, neighbours, EXACT_UP_TO, chunks)
    schema = table.schema.append(pa.field("copy", pa.int32()))
    return pa.Table.from_batches(list(found), schema)


def test_a_number_lies_between_a_row_and_one_of_its_nearest_at_one_gap_for_all_columns() -> None:
    x = np.arange(40.0) ** 2
    found = made({"x": pa.array(x), "y": pa.array(3 - 2 * x)}, {n: Feature("DOUBLE") for n in "xy"}, 4000, neighbours=2)
    own, between = x[found["key"].to_numpy()], found["x"].to_numpy()
    np.testing.assert_allclose(found["y"].to_numpy(), 3 - 2 * between, atol=1e-9)
    for base in range(1, 39):
        mine = between[own == x[base]]
        lower = max(base - 2, 0) if base > 1 else 0
        assert len(mine) == 100
        assert x[lower] <= mine.min() and mine.max() <= x[base + 1]
    gaps = (between - own)[own == x[0]]
    assert gaps.min() >= 0 and gaps.max() < x[2] and gaps.max() > x[1]
