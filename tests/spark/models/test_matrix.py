"""The float32 matrix is the same whether Spark makes it for training or Arrow for scoring."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_lib.errors import BadData
from spark_lib.models import matrix
from spark_lib.use_case import Feature

FEATURES = {
    "owns": Feature("BOOLEAN", fill=0.5),
    "loans": Feature("BIGINT", fill=-1),
    "amount": Feature("DOUBLE", fill=0.1),
    "rate": Feature("FLOAT", fill=0),
    "price": Feature("DECIMAL(20,4)", fill=1e10),
    "age": Feature("INT"),
    "small": Feature("TINYINT"),
}
NAN = float("nan")
ROWS: list[tuple[Any, ...]] = [
    (True, 2**53 + 1, 0.1, 0.1, Decimal("0.1"), 30, 1),
    (False, 16_777_217, NAN, NAN, Decimal("1234567890123456.7891"), 16_777_217, -128),
    (None, None, None, None, None, -7, 127),
    (True, -(2**63), 1e300, 3.4e38, Decimal("-0.0001"), 0, 0),
    (True, 2**63 - 1, -1e-46, float("-inf"), Decimal("16777217.0000"), 2**31 - 1, 5),
    (True, 9, float("inf"), 1e-45, Decimal("0.3333"), 1, 5),
]


def arrow(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def test_arrow_makes_bit_for_bit_the_matrix_that_spark_makes(spark: SparkSession) -> None:
    ddl = ", ".join(f"{name} {feature.type}" for name, feature in FEATURES.items())
    frame = spark.createDataFrame(ROWS, ddl)
    trained = frame.select(*matrix.columns(FEATURES))
    assert [field.dataType.simpleString() for field in trained.schema] == ["float"] * len(FEATURES)
    expected = np.stack([column.to_numpy() for column in trained.toArrow().columns], axis=1)

    found = matrix.from_arrow(frame.toArrow(), FEATURES)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_a_category_is_the_same_number_for_spark_and_arrow_and_an_empty_text_is_a_text(spark: SparkSession) -> None:
    texts = ["stew", "", "soup", None, "pie", " ", "STEW"]
    features = {
        "kind": Feature("STRING", categories=("soup", "stew")),
        "filled": Feature("STRING", fill="soup", categories=("soup", "")),
    }
    frame = spark.createDataFrame([(text, text) for text in texts], "kind STRING, filled STRING")

    found = matrix.from_arrow(frame.toArrow(), features)

    assert found[:, 0].tolist() == [1, 2, 0, 3, 2, 2, 2]  # 2 for what training did not see, 3 for null
    assert found[:, 1].tolist() == [2, 1, 0, 0, 2, 2, 2]  # the fill in the place of null
    trained = frame.select(*matrix.columns(features)).toArrow()
    np.testing.assert_array_equal(found, np.stack([column.to_numpy() for column in trained.columns], axis=1))


def test_any_decimal_and_double_is_rounded_as_spark_rounds_it(spark: SparkSession) -> None:
    random = np.random.default_rng(0)
    unscaled = random.integers(-(10 ** random.integers(1, 18, 5_000)), 10 ** random.integers(1, 18, 5_000))
    decimals = [Decimal(int(value)).scaleb(-6) for value in unscaled]
    doubles = random.standard_normal(5_000) * 10.0 ** random.integers(-50, 40, 5_000)
    table = pa.table({"exact": pa.array(decimals, pa.decimal128(20, 6)), "double": doubles})
    features = {"exact": Feature("DECIMAL(20,6)"), "double": Feature("DOUBLE")}
    trained = spark.createDataFrame(table).coalesce(1).select(*matrix.columns(features)).toArrow()

    found = matrix.from_arrow(table, features)

    for k, column in enumerate(trained.columns):
        np.testing.assert_array_equal(found[:, k].view(np.uint32), column.to_numpy().view(np.uint32))


def test_null_and_nan_become_the_fill_and_booleans_become_0_and_1() -> None:
    rows = arrow(x=pa.array([1.5, None, NAN]), flag=pa.array([True, False, None]))

    found = matrix.from_arrow(rows, {"flag": Feature("BOOLEAN", fill=0), "x": Feature("DOUBLE", fill=-9.5)})

    assert found.tolist() == [[1.0, 1.5], [0.0, -9.5], [0.0, -9.5]]


def test_columns_follow_the_order_of_the_features_and_others_are_left_out() -> None:
    rows = arrow(c=pa.array([3]), a=pa.array([1]), b=pa.array([2]))
    assert matrix.from_arrow(rows, {"a": Feature("INT"), "c": Feature("INT")}).tolist() == [[1.0, 3.0]]


def test_a_table_of_several_chunks_and_one_of_no_rows_are_read() -> None:
    table = pa.table({"x": pa.chunked_array([[1, None], [3]])})
    assert matrix.from_arrow(table, {"x": Feature("INT", fill=2)}).tolist() == [[1.0], [2.0], [3.0]]
    assert matrix.from_arrow(table.slice(0, 0), {"x": Feature("INT")}).shape == (0, 1)


UNFILLED = (
    "the model's matrix: wanted a value in every row of x, y; found null or NaN: 2 of x, 1 of y. "
    "Next: declare a `fill` for it in the use case, or repair the feature"
)


def test_scoring_names_every_column_with_gaps_and_no_fill() -> None:
    rows = arrow(x=pa.array([None, NAN, 1.0]), y=pa.array([1, None, 2]), z=pa.array([1, None, 2]))
    features = {"x": Feature("DOUBLE"), "y": Feature("INT"), "z": Feature("INT", fill=0)}
    with pytest.raises(BadData) as caught:
        matrix.from_arrow(rows, features)
    assert str(caught.value) == UNFILLED


def test_training_says_the_same_of_the_same_rows(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None, 1, 1), (NAN, None, None), (1.0, 2, 2)], "x DOUBLE, y INT, z INT")
    features = {"x": Feature("DOUBLE"), "y": Feature("INT"), "z": Feature("INT", fill=0)}
    with pytest.raises(BadData) as caught:
        matrix.check_filled(frame, features)
    assert str(caught.value) == UNFILLED
    matrix.check_filled(frame.na.drop(), features)
    matrix.check_filled(frame, {"z": features["z"]})


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (arrow(y=pa.array([1.0])), "no such column"),
        (arrow(x=pa.array(["1.0"])), "string"),
        (arrow(x=pa.array([0], pa.timestamp("us"))), "timestamp[us]"),
        (arrow(x=pa.array([[1.0]])), "list<item: double>"),
    ],
)
def test_a_column_that_is_absent_or_no_number_is_refused(rows: pa.RecordBatch, found: str) -> None:
    with pytest.raises(BadData) as caught:
        matrix.from_arrow(rows, {"x": Feature("DOUBLE")})
    assert str(caught.value) == (
        f"the model's matrix: wanted numbers or booleans in the column x; found {found}. "
        "Next: compare the features of the model's card with those of the day, and rebuild the older of the two"
    )


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (arrow(y=pa.array(["soup"])), "no such column"),
        (arrow(kind=pa.array([1])), "int64"),
        (arrow(kind=pa.array([1]).dictionary_encode()), "dictionary<values=int64, indices=int32, ordered=0>"),
    ],
)
def test_a_category_that_is_absent_or_no_text_is_refused(rows: pa.RecordBatch, found: str) -> None:
    with pytest.raises(BadData) as caught:
        matrix.from_arrow(rows, {"kind": Feature("STRING", categories=("soup", "stew"))})
    assert str(caught.value) == (
        f"the model's matrix: wanted texts in the column kind; found {found}. "
        "Next: compare the features of the model's card with those of the day, and rebuild the older of the two"
    )


def test_a_category_of_which_training_has_not_told_its_texts_is_refused() -> None:
    with pytest.raises(BadData) as caught:
        matrix.from_arrow(arrow(kind=pa.array(["soup"])), {"kind": Feature("STRING")})
    assert str(caught.value) == (
        "the model's matrix: wanted the categories of kind, as training learns them; found none. "
        "Next: score with the features of a model's card"
    )


def test_infinities_and_nan_without_a_fill_are_counted_in_the_columns_of_numbers_alone() -> None:
    rows = arrow(
        kind=pa.array(["a", "b", "c"]),
        x=pa.array([1e300, NAN, 1.0]),
        y=pa.array([NAN, 1.0, None]),
        z=pa.array([1, 2, 3]),
    )
    features = {"kind": Feature("STRING", categories=()), "x": Feature("DOUBLE"), "y": Feature("DOUBLE", fill=0)}
    assert matrix.not_finite(rows, features | {"z": Feature("INT")}) == {"x": 2}


def test_what_workers_import_brings_no_pyspark() -> None:
    check = "import sys, spark_lib.models.matrix, spark_lib.models.model; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
