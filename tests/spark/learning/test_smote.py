"""SMOTE-NC on Spark: the same synthetic rows whatever the partitioning, in the columns and types of the minority."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import date

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import ConfigurationError
from spark_lib.learning import smote
from spark_lib.use_case import Feature

FEATURES = {
    "amount": Feature("DOUBLE", fill=0),
    "rate": Feature("FLOAT"),
    "price": Feature("DECIMAL(20,4)"),
    "loans": Feature("BIGINT"),
    "kind": Feature("TINYINT", nominal=True),
    "owns": Feature("BOOLEAN"),
}
#: Two full chunks and eight rows of a third one.
THREE_CHUNKS = 2 * smote._CHUNK + 8


def minority(spark: SparkSession, rows: int = THREE_CHUNKS) -> DataFrame:
    """Rows with values of all types, nulls among them."""
    u = [F.rand(seed) for seed in range(6)]
    return spark.range(0, rows, 1, 3).select(
        F.concat(F.lit("k"), F.col("id")).alias("row"),
        (F.col("id") % 50).alias("entity"),
        F.lit(date(2026, 3, 1)).alias("landed"),
        F.when(u[0] > 0.1, F.exp(4 * u[0])).alias("amount"),
        (u[1] * 10).cast("float").alias("rate"),
        (u[2] * 1e9).cast("decimal(20,4)").alias("price"),
        (u[3] * 20).cast("bigint").alias("loans"),
        (u[4] * 4).cast("tinyint").alias("kind"),
        F.when(u[5] > 0.2, u[5] > 0.6).alias("owns"),
    )


def sorted_rows(frame: DataFrame) -> pa.Table:
    return frame.toArrow().combine_chunks().sort_by([("row", "ascending"), ("copy", "ascending")]).combine_chunks()


def test_the_same_rows_give_the_same_synthetic_rows_whatever_the_partitioning(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = minority(spark).persist()
    expected = sorted_rows(smote.synthesised(rows, "row", FEATURES, 17_000, seed=7))
    assert expected.num_rows == 17_000
    others = {
        "one partition": rows.coalesce(1),
        "another order": rows.orderBy(F.rand(1)),
        "many partitions": rows.repartition(7, "entity"),
    }
    for name, other in others.items():
        assert sorted_rows(smote.synthesised(other, "row", FEATURES, 17_000, seed=7)).equals(expected), name
    for tasks in (1, 3):
        monkeypatch.setattr(type(spark.sparkContext), "defaultParallelism", tasks)
        frame = smote.synthesised(rows, "row", FEATURES, 17_000, seed=7)
        assert frame.rdd.getNumPartitions() == tasks
        assert sorted_rows(frame).equals(expected), tasks
    assert not sorted_rows(smote.synthesised(rows, "row", FEATURES, 17_000, seed=8)).equals(expected)
    rows.unpersist()


def test_synthetic_rows_have_the_columns_and_types_of_the_minority_and_what_is_no_feature_from_their_row(
    spark: SparkSession,
) -> None:
    rows = minority(spark, 500)
    made = smote.synthesised(rows, "row", FEATURES, 1250, seed=0)
    assert made.schema.fields == [*rows.schema.fields, *made.schema.fields[-1:]]
    assert made.schema["copy"].dataType.simpleString() == "int"
    found = made.toArrow().to_pylist()
    entities = {row["row"]: row["entity"] for row in rows.collect()}
    assert Counter(Counter(row["row"] for row in found).values()) == {2: 250, 3: 250}
    assert {(row["row"], row["entity"], row["landed"]) for row in found} == {
        (row, entity, date(2026, 3, 1)) for row, entity in entities.items()
    }


def test_no_rows_and_none_that_are_wanted_make_none(spark: SparkSession) -> None:
    rows = minority(spark, 20)
    for made in (
        smote.synthesised(rows.limit(0), "row", FEATURES, 5, seed=0),
        smote.synthesised(rows, "row", FEATURES, 0, seed=0),
    ):
        assert made.columns == [*rows.columns, "copy"]
        assert made.count() == 0


def test_more_rows_than_an_exact_search_takes_are_searched_by_faiss_and_just_as_reproducible(
    spark: SparkSession,
) -> None:
    wide = {f"x{column}": Feature("DOUBLE") for column in range(16)}
    rows = spark.range(0, 10_000, 1, 3).select(
        F.col("id").alias("row"), *(F.randn(seed).alias(name) for seed, name in enumerate(wide))
    )

    def made(frame: DataFrame, exact_up_to: int) -> pa.Table:
        return sorted_rows(smote.synthesised(frame, "row", wide, 4_000, seed=7, exact_up_to=exact_up_to))

    approximate, exact = made(rows, 9_999), made(rows, 10_000)
    assert approximate.equals(made(rows.repartition(5, "x0"), 9_999))
    same = (approximate["x0"].to_numpy() == exact["x0"].to_numpy()).mean()
    assert 0.8 < same < 1, "without order in the data, a few of the nearest are not found"


def test_a_faiss_that_is_missing_is_said_before_anything_is_searched(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigurationError) as caught:
        smote.synthesised(minority(spark, 20), "row", FEATURES, 5, seed=0, exact_up_to=19)
    assert str(caught.value) == (
        "balancing by smote: wanted faiss, to search neighbours among more than 19 minority rows; "
        'found 20 minority rows, and no faiss. Next: pip install "daystone[approximate]" wherever Spark\'s Python runs, '
        "or balance by another strategy"
    )
