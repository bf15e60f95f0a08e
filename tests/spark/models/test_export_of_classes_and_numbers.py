"""The exported model of several classes or of a number says what Spark says, for every kind that can be carried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    GBTClassifier,
    LogisticRegression,
    RandomForestClassifier,
)
from pyspark.ml.feature import StandardScaler
from pyspark.ml.functions import vector_to_array
from pyspark.ml.regression import (
    DecisionTreeRegressor,
    GBTRegressor,
    GeneralizedLinearRegression,
    LinearRegression,
    RandomForestRegressor,
)
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.models import export, model
from spark_lib.scoring import engine
from spark_lib.scoring.rows import scored_by
from spark_lib.use_case import Feature
from tests.spark.models.exported_rows import K, hard_rows, pipeline, training_matrix, vectors
from tests.support.onnx_models import of_columns
from tests.support.refusals import MADE_OF_THESE, refusal

CLASSES, NUMBER = 4, 0

#: What is carried: the estimator, the classes that it tells apart, and the kinds of its nodes.
KINDS: dict[str, tuple[Callable[[], Any], int, str]] = {
    "forest of classes": (
        lambda: RandomForestClassifier(numTrees=5, maxDepth=4, seed=3),
        CLASSES,
        "TreeEnsembleClassifier",
    ),
    "tree of classes": (lambda: DecisionTreeClassifier(maxDepth=4), CLASSES, "TreeEnsembleClassifier"),
    "logistic": (
        lambda: LogisticRegression(maxIter=5, family="multinomial"),
        CLASSES,
        "Cast MatMul Add Softmax Cast",
    ),
    "lasso of classes": (
        lambda: LogisticRegression(maxIter=5, regParam=0.05, elasticNetParam=1.0),
        CLASSES,
        "Cast Gather MatMul Add Gather MatMul Add Gather MatMul Add Gather MatMul Add Concat Softmax Cast",
    ),
    "forest of a number": (
        lambda: RandomForestRegressor(numTrees=5, maxDepth=4, seed=3),
        NUMBER,
        "Cast TreeEnsembleRegressor",
    ),
    "tree of a number": (lambda: DecisionTreeRegressor(maxDepth=4), NUMBER, "Cast TreeEnsembleRegressor"),
    "boosted trees of a number": (
        lambda: GBTRegressor(maxIter=2, maxDepth=3, seed=3),
        NUMBER,
        "Cast TreeEnsembleRegressor",
    ),
    "standard, linear": (
        lambda: pipeline(StandardScaler(withMean=True), LinearRegression(maxIter=5)),
        NUMBER,
        "Cast Sub Mul MatMul Add Cast",
    ),
    "elastic net": (
        lambda: LinearRegression(maxIter=5, regParam=1e5, elasticNetParam=0.9),
        NUMBER,
        "Cast Gather MatMul Add Cast",
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
    if classes:  # of an infinite margin Spark makes NaN for most classes, and the export for all
        wanted = np.where(np.isnan(wanted).any(axis=1, keepdims=True), np.nan, wanted)
    found = model.score(model.load(exported), matrix)
    with np.errstate(over="ignore"):  # a float32 that is too great is infinite
        tolerance = {"rtol": 0, "atol": 1e-6} if classes else {"rtol": 5e-7, "atol": 5e-7}
        np.testing.assert_allclose(found, wanted.astype(np.float32), **tolerance, equal_nan=True)
    assert np.ptp(wanted[:2_000]) > (0.1 if classes else 1e5)
    assert " ".join(node.op_type for node in onnx.load_from_string(exported).graph.node) == nodes
    made = engine.of(exported)
    assert (made.forest is not None) == ("TreeEnsemble" in nodes)
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


# -- what is refused


BEHIND_TRANSFORMERS = (
    ", alone or as the last stage of a Pipeline after transformers that it can carry "
    "(ElementwiseProduct, MaxAbsScaler, MinMaxScaler, Normalizer, PCA, StandardScaler or VectorSlicer)"
)
CARRIED_CLASSES = (
    "a classifier of Spark ML that ONNX can carry for 4 classes (DecisionTreeClassifier, LogisticRegression or "
    "RandomForestClassifier)" + BEHIND_TRANSFORMERS
)
CARRIED_NUMBERS = (
    "a regressor of Spark ML that ONNX can carry (DecisionTreeRegressor, GBTRegressor, LinearRegression or "
    "RandomForestRegressor)" + BEHIND_TRANSFORMERS
)


def test_another_kind_than_wanted_is_refused_before_it_is_trained(spark: SparkSession) -> None:
    for estimator, classes, wanted in (
        (GBTClassifier(), CLASSES, CARRIED_CLASSES),
        (RandomForestRegressor(), CLASSES, CARRIED_CLASSES),
        (RandomForestClassifier(), NUMBER, CARRIED_NUMBERS),
        (GeneralizedLinearRegression(), NUMBER, CARRIED_NUMBERS),
    ):
        found = refusal(export.check_estimator, estimator, classes)
        assert found == (wanted, type(estimator).__name__, MADE_OF_THESE)
    wanted, found, next_step = refusal(export.check_estimator, pipeline(StandardScaler(), LinearRegression()))
    assert wanted.startswith("a classifier of Spark ML that ONNX can carry (DecisionTreeClassifier, GBTClassifier, ")
    assert (found, next_step) == ("LinearRegression as stage 2 of 2", MADE_OF_THESE)


def test_the_binomial_family_is_refused_where_several_classes_are_wanted(spark: SparkSession) -> None:
    assert refusal(export.check_estimator, LogisticRegression(family="binomial"), CLASSES) == (
        "a logistic regression of the multinomial family",
        "family 'binomial'",
        "leave family at 'auto'",
    )


def test_another_number_of_classes_than_wanted_is_refused(rows: DataFrame) -> None:
    fitted = DecisionTreeClassifier(maxDepth=1).fit(rows)
    assert refusal(export.check, fitted, K, 5) == (
        "5 classes",
        "4",
        "let the training rows hold the labels 0 to 4, each of them",
    )
