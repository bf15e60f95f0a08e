"""The exported model of several classes or of a number says what Spark says, for every kind that can be carried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.functions import vector_to_array
from pyspark.ml.regression import (
    RandomForestRegressor,
)
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.models import export, model
from spark_lib.scoring import engine
from spark_lib.scoring.rows import scored_by
from spark_lib.use_case import Feature
from tests.spark.models.exported_rows import K, hard_rows, training_matrix, vectors
from tests.support.onnx_models import of_columns

CLASSES, NUMBER = 4, 0

#: What is carried: the estimator, the classes that it tells apart, and the kinds of its nodes.
KINDS: dict[str, tuple[Callable[[], Any], int, str]] = {
    "forest of classes": (
        lambda: RandomForestClassifier(numTrees=5, maxDepth=4, seed=3),
        CLASSES,
        "TreeEnsembleClassifier",
    ),
    "forest of a number": (
        lambda: RandomForestRegressor(numTrees=5, maxDepth=4, seed=3),
        NUMBER,
        "Cast TreeEnsembleRegressor",
    ),
}


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Four classes, and numbers around a million of which some are near 0."""
    noisy = F.element_at(vector_to_array(F.col("features")), 2) + F.pmod(F.col("row"), F.lit(7)) / 10
    labelled = vectors(spark, training_matrix()).select(
        "row",
        "features",
        F.least(F.floor(noisy * 3), F.lit(CLASSES - 1)).cast("double").alias("label"),
        F.when(noisy > 0.3, noisy * 1e6).otherwise(0).alias("number"),
    )
    return labelled.repartition(2, "row").sortWithinPartitions("row").cache()


def said_by_spark(spark: SparkSession, fitted: Any, matrix: np.ndarray, classes: int) -> np.ndarray:
    said = vector_to_array(F.col("probability")) if classes else F.col("prediction")
    found = fitted.transform(vectors(spark, matrix)).select("row", said.alias("said")).toArrow().sort_by("row")
    values: pa.ChunkedArray = found["said"]
    if not classes:
        return np.asarray(values.to_numpy())
    return np.asarray(values.combine_chunks().flatten()).reshape(-1, classes)


@pytest.mark.parametrize("kind", KINDS)
def test_hard_rows_get_what_spark_says_of_them_from_onnx_runtime_and_from_the_engine(
    spark: SparkSession, rows: DataFrame, tmp_path: Path, kind: str
) -> None:
    make, classes, nodes = KINDS[kind]
    export.check_estimator(make(), classes)
    fitted = export.without_summary(make().fit(rows if classes else rows.withColumn("label", F.col("number"))))

    exported = export.export(fitted, K, str(tmp_path), spark, classes)

    matrix = hard_rows(fitted)
    wanted = said_by_spark(spark, fitted, matrix, classes)
    found = model.score(model.load(exported), matrix)
    unit = 1 if classes else np.maximum(1, np.abs(wanted))
    np.testing.assert_allclose(found / unit, wanted / unit, rtol=0, atol=1e-6, equal_nan=True)
    assert np.ptp(wanted[:2_000]) > (0.1 if classes else 1e5)
    assert " ".join(node.op_type for node in onnx.load_from_string(exported).graph.node) == nodes
    made = engine.of(exported)
    assert (made.forest is not None) == ("tree" in kind or "forest" in kind)
    np.testing.assert_array_equal(made.scores(np.ascontiguousarray(matrix.T)), found)


def test_rows_of_a_frame_get_an_array_of_doubles_for_classes_and_a_double_for_a_number(spark: SparkSession) -> None:
    matrix = np.array([[0.25, 0.5, 0.25, 9], [1.0000001, 0, 0, 9], [-7, 0, 0, 9]], np.float32)
    features = {f"x{at}": Feature("FLOAT") for at in range(4)}
    columns = {name: matrix[:, at] for at, name in enumerate(features)}
    frame = spark.createDataFrame(pa.table({"id": [1, 2, 3], **columns}))

    of_classes = scored_by(of_columns("probabilities", 3), frame, ["id"], features, name="all", classes=3)
    of_a_number = scored_by(of_columns("prediction", 1), frame, ["id"], features, classes=0)

    assert of_classes.dtypes == [("id", "bigint"), ("all", "array<double>")]
    assert of_classes.toArrow().sort_by("id")["all"].to_pylist() == [[0.25, 0.5, 0.25], [1, 0, 0], [-7, 0, 0]]
    assert of_a_number.dtypes == [("id", "bigint"), ("score", "double")]
    assert of_a_number.toArrow().sort_by("id")["score"].to_pylist() == [0.25, float(np.float32(1.0000001)), -7]
