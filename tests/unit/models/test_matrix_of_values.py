"""Rows of Python become the matrix that the same rows become in Arrow, bit by bit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spark_lib.errors import BadData
from spark_lib.lake.tables import arrow_schema
from spark_lib.models import matrix
from spark_lib.models.matrix import Encoder
from spark_lib.use_case import Feature

TYPES = {
    "double": st.floats(allow_nan=False),
    "float": st.floats(allow_nan=False, width=32),
    "tinyint": st.integers(-(2**7), 2**7 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "decimal(12,3)": st.integers(-(10**12) + 1, 10**12 - 1).map(lambda number: Decimal(number).scaleb(-3)),
    "string": st.sampled_from(["soup", "pie", "stew", ""]),
}
WITHOUT_FILL = {kind: Feature(kind, categories=("pie", "soup") if kind == "string" else None) for kind in TYPES}
FILLED = {
    f"{kind} filled": Feature(kind, fill, categories=("pie", "soup") if kind == "string" else None)
    for kind, fill in ((kind, "soup" if kind == "string" else 0.1) for kind in TYPES)
}
FEATURES = WITHOUT_FILL | FILLED | {"odd fill": Feature("string", "goulash", categories=("pie",))}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | TYPES[feature.type] for name, feature in FEATURES.items()}), max_size=4
)


def as_arrow(rows: list[dict[str, Any]]) -> pa.Table:
    schema = arrow_schema(tuple((name, feature.type) for name, feature in FEATURES.items()))
    return pa.Table.from_pylist(rows, schema)


@pytest.mark.slow
@given(ROWS)
# A double of this number lies in the middle between two floats, and it does not.
@example([dict.fromkeys(FEATURES) | {"bigint": 2**60 + 2**36 + 1}])
@example([dict.fromkeys(FEATURES) | {"decimal(12,3)": Decimal("16777217.001")}])
def test_the_same_rows_are_the_same_matrix_and_the_same_counts(rows: list[dict[str, Any]]) -> None:
    found = Encoder(FEATURES).encoded(rows)

    expected = matrix.by_column(as_arrow(rows), FEATURES)
    assert found.columns.dtype == np.float32
    np.testing.assert_array_equal(found.columns.view(np.uint32), expected.columns.view(np.uint32))
    assert (found.missing, found.unseen, found.absent) == (expected.missing, expected.unseen, expected.absent)


def test_a_double_beyond_float32_is_infinite_as_in_the_batch() -> None:
    assert Encoder({"x": Feature("double")}).encoded([{"x": -1e300}]).columns.tolist() == [[-np.inf]]


def test_no_rows_are_a_matrix_without_rows() -> None:
    assert Encoder({"x": Feature("double"), "y": Feature("int")}).encoded([]).columns.shape == (2, 0)


def test_categories_that_nobody_has_learnt_are_refused() -> None:
    with pytest.raises(BadData, match="the categories of x, as training learns them"):
        Encoder({"x": Feature("string")})
