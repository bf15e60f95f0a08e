"""SMOTE-NC on Spark: the same synthetic rows whatever the partitioning, in the columns and types of the minority."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib import smote
from spark_lib.errors import ConfigurationError
from spark_lib.use_case import Feature

FEATURES = {
    "amount": Feature("DOUBLE", fill=0),
    "rate": Feature("FLOAT"),
    "price": Feature("DECIMAL(20,4)"),
    "loans": Feature("BIGINT"),
    "kind": Feature("TINYINT", nominal=True),
    "owns": Feature("BOOLEAN"),
}


def minority(spark: SparkSession, rows: int = 10_000) -> DataFrame:
    """Rows with values of all types, nulls among them, of three chunks."""
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
    expected = sorted_rows(smote.synthesised(rows, "row", FEATURES, 23_456, seed=7))
    assert expected.num_rows == 23_456
    others = {
        "one partition": rows.coalesce(1),
        "another order": rows.orderBy(F.rand(1)),
        "many partitions": rows.repartition(7, "entity"),
    }
    for name, other in others.items():
        assert sorted_rows(smote.synthesised(other, "row", FEATURES, 23_456, seed=7)).equals(expected), name
    for tasks in (1, 3):
        monkeypatch.setattr(type(spark.sparkContext), "defaultParallelism", tasks)
        frame = smote.synthesised(rows, "row", FEATURES, 23_456, seed=7)
        assert frame.rdd.getNumPartitions() == tasks
        assert sorted_rows(frame).equals(expected), tasks
    assert not sorted_rows(smote.synthesised(rows, "row", FEATURES, 23_456, seed=8)).equals(expected)
    rows.unpersist()
