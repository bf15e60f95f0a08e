"""The exported forest is Spark's forest, on thresholds too, and always the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression, RandomForestClassificationModel, RandomForestClassifier
from pyspark.ml.feature import VectorIndexer
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib import model, onnx_forest
from spark_lib.errors import ModelError

K = 4


def vectors(spark: SparkSession, matrix: np.ndarray) -> DataFrame:
    """One row for each row of the matrix: ``row``, ``features`` (a vector of doubles)."""
    table = pa.table({"row": np.arange(len(matrix)), "values": matrix.astype(np.float64).tolist()})
    return spark.createDataFrame(table).select("row", array_to_vector(F.col("values")).alias("features"))


def training_rows(spark: SparkSession) -> DataFrame:
    """2,000 rows, the first feature 0 or 1 and the others multiples of 0.001, so that thresholds fall on none."""
    random = np.random.default_rng(0)
    matrix = np.round(random.random((2_000, K)), 3).astype(np.float32)
    matrix[:, 0] = matrix[:, 0] > 0.5
    noisy = F.element_at(vector_to_array(F.col("features")), 2) + F.pmod(F.col("row"), F.lit(7)) / 10 > 0.8
    return (
        vectors(spark, matrix)
        .withColumn("label", noisy.cast("double"))
        .repartition(2, "row")
        .sortWithinPartitions("row")
    )


def train(rows: DataFrame, **settings: Any) -> RandomForestClassificationModel:
    forest: RandomForestClassificationModel = RandomForestClassifier(numTrees=10, maxDepth=5, seed=3, **settings).fit(
        rows
    )
    return forest


def spark_scores(spark: SparkSession, forest: Any, matrix: np.ndarray) -> np.ndarray:
    scored = forest.transform(vectors(spark, matrix)).select("row", vector_to_array(F.col("probability"))[1].alias("p"))
    probabilities: np.ndarray = scored.toArrow().sort_by("row")["p"].to_numpy()
    return probabilities


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return training_rows(spark).cache()


@pytest.fixture(scope="module")
def forest(rows: DataFrame) -> RandomForestClassificationModel:
    return train(rows)


@pytest.fixture(scope="module")
def export(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    def run(trained: Any, n_features: int = K) -> bytes:
        return onnx_forest.export(trained, n_features, str(tmp_path_factory.mktemp("scratch")), spark)

    return run


@pytest.fixture(scope="module")
def exported(forest: RandomForestClassificationModel, export: Callable[..., bytes]) -> bytes:
    return export(forest)


@pytest.fixture(scope="module")
def splits(spark: SparkSession, forest: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """The feature and the float64 threshold of every split, read from Spark and not from what was exported."""
    path = str(tmp_path_factory.mktemp("splits"))
    forest.write().overwrite().save(path)
    split = F.col("nodeData.split")
    nodes = spark.read.parquet(f"{path}/data").where("nodeData.leftChild >= 0")
    table = nodes.select(split["featureIndex"].alias("k"), split["leftCategoriesOrThreshold"][0].alias("t")).toArrow()
    return table["k"].to_numpy(), table["t"].to_numpy()


def test_random_rows_get_sparks_probabilities(spark: SparkSession, forest: Any, exported: bytes) -> None:
    matrix = np.random.default_rng(1).random((5_000, K), dtype=np.float32)
    model.check_parity(exported, matrix, spark_scores(spark, forest, matrix))


def test_rows_on_and_beside_every_threshold_get_sparks_probabilities(
    spark: SparkSession, forest: Any, exported: bytes, splits: tuple[np.ndarray, np.ndarray]
) -> None:
    features, thresholds = splits
    below = onnx_forest.round_down(thresholds)
    above = np.nextafter(below, np.float32(np.inf))
    assert (thresholds.astype(np.float32) > thresholds).any(), "no threshold that the nearest float32 would raise"
    matrix = np.random.default_rng(2).random((3 * len(thresholds), K), dtype=np.float32)
    placed = np.concatenate([below, thresholds.astype(np.float32), above])
    matrix[np.arange(len(matrix)), np.tile(features, 3)] = placed

    model.check_parity(exported, matrix, spark_scores(spark, forest, matrix))


def test_nan_and_infinities_go_where_spark_sends_them(spark: SparkSession, forest: Any, exported: bytes) -> None:
    matrix = np.random.default_rng(3).random((600, K), dtype=np.float32)
    matrix[np.arange(600), np.arange(600) % K] = np.repeat([np.nan, np.inf, -np.inf], 200)
    model.check_parity(exported, matrix, spark_scores(spark, forest, matrix))


def test_a_threshold_is_rounded_to_the_largest_float32_not_above_it() -> None:
    largest = np.finfo(np.float32).max
    thresholds = np.array([0.1, 0.3, 0.5, -0.1, 0.0, 1e300, -1e300, 1e-60, -1e-60, largest])
    found = onnx_forest.round_down(thresholds)
    assert found.dtype == np.float32
    assert (found <= thresholds).all()
    with np.errstate(over="ignore"):
        assert (np.nextafter(found, np.float32(np.inf)) > thresholds).all()
    assert (found[2], found[4], found[5], found[9]) == (0.5, 0.0, largest, largest)


def test_training_on_the_same_rows_twice_gives_the_same_bytes(
    spark: SparkSession, exported: bytes, export: Callable[..., bytes]
) -> None:
    again = train(training_rows(spark), featuresCol="features")
    assert export(again) == exported


def test_the_names_of_the_models_columns_do_not_reach_the_bytes(
    rows: DataFrame, exported: bytes, export: Callable[..., bytes]
) -> None:
    settings = {"featuresCol": "inputs", "predictionCol": "guess", "probabilityCol": "chance"}
    assert export(train(rows.withColumnRenamed("features", "inputs"), **settings)) == exported


def test_the_graph_maps_float32_features_to_probabilities_and_nothing_else(exported: bytes) -> None:
    graph = onnx.load_from_string(exported).graph
    session = model.load(exported)
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [("features", "tensor(float)", [None, K])]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [("probabilities", "tensor(float)", [None, 2])]
    assert [node.op_type for node in graph.node] == ["TreeEnsembleClassifier"]


def test_nothing_is_kept_of_the_scratch_directory(spark: SparkSession, forest: Any, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    first = onnx_forest.export(forest, K, str(scratch), spark)
    assert [entry.name for entry in scratch.iterdir()] == ["forest"]
    assert onnx_forest.export(forest, K, f"{scratch}/", spark) == first
    shutil.rmtree(scratch)
    assert model.score(model.load(first), np.zeros((1, K), np.float32)).shape == (1,)


def test_a_forest_that_is_a_single_leaf_scores_every_row_alike(
    spark: SparkSession, rows: DataFrame, export: Callable[..., bytes]
) -> None:
    stump = RandomForestClassifier(numTrees=1, maxDepth=0, seed=3).fit(rows)
    matrix = np.zeros((3, K), np.float32)
    model.check_parity(export(stump), matrix, spark_scores(spark, stump, matrix))


def message(caught: pytest.ExceptionInfo[ModelError]) -> str:
    return str(caught.value)


def test_another_kind_of_model_is_refused_by_name(rows: DataFrame, export: Callable[..., bytes]) -> None:
    with pytest.raises(ModelError) as caught:
        export(LogisticRegression(maxIter=1).fit(rows))
    assert message(caught) == (
        "export to ONNX: wanted a RandomForestClassificationModel, the only kind that is supported; "
        "found a LogisticRegressionModel. Next: let the use case's estimator be a RandomForestClassifier"
    )


def test_a_categorical_split_is_refused_with_its_features(rows: DataFrame, export: Callable[..., bytes]) -> None:
    indexer = VectorIndexer(inputCol="features", outputCol="indexed", maxCategories=2)
    pipeline = Pipeline(stages=[indexer, RandomForestClassifier(featuresCol="indexed", numTrees=10, seed=3)])
    with pytest.raises(ModelError) as caught:
        export(pipeline.fit(rows).stages[-1])
    assert message(caught) == (
        "export to ONNX: wanted splits of continuous features only; found categorical splits of the features at [0]. "
        "Next: drop the nominal attributes (VectorIndexer, StringIndexer) of the vector, or encode them as 0/1 columns"
    )


def test_three_classes_are_refused(rows: DataFrame, export: Callable[..., bytes]) -> None:
    with pytest.raises(ModelError) as caught:
        export(train(rows.withColumn("label", F.pmod("row", F.lit(3)).cast("double"))))
    assert message(caught) == (
        "export to ONNX: wanted two classes; found 3. Next: let the training rows hold labels 0 and 1, both of them"
    )


def test_another_number_of_features_is_refused(forest: Any, export: Callable[..., bytes]) -> None:
    with pytest.raises(ModelError) as caught:
        export(forest, n_features=5)
    assert message(caught) == (
        "export to ONNX: wanted 5 features; found 4. Next: train on the features that the use case declares"
    )


def test_a_leaf_of_no_weight_is_refused() -> None:
    leaf = {"tree": 0, "node": 0, "left": -1, "right": -1, "feature": -1, "threshold": None, "categories": -1}
    with pytest.raises(ModelError) as caught:
        onnx_forest.node_attributes(pa.Table.from_pylist([leaf | {"negatives": 0.0, "positives": 0.0}]), 1)
    assert message(caught) == (
        "export to ONNX: wanted leaves that hold training rows; found 1 leaves of no weight. "
        "Next: train without rows of weight 0"
    )


def test_one_process_loads_a_model_once_and_on_one_thread(exported: bytes) -> None:
    session = model.load(exported)
    assert model.load(bytes(bytearray(exported)), model.digest(exported)) is session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_a_walk_past_many_models_keeps_the_last_few(exported: bytes) -> None:
    variant = onnx.load_from_string(exported)
    first = model.load(exported)
    for version in range(1, 5):
        variant.model_version = version
        model.load(variant.SerializeToString())
    assert model.load(exported) is not first


def test_bytes_that_differ_from_their_digest_are_not_loaded() -> None:
    wanted, found = model.digest(b"trained"), model.digest(b"damaged")
    with pytest.raises(ModelError) as caught:
        model.load(b"damaged", wanted)
    assert message(caught) == (
        f"model.onnx: wanted the SHA-256 of its card, {wanted}; found {found}. "
        "Next: restore the file that was trained, or train again; do not score with this one"
    )


def test_bytes_that_are_no_model_are_an_error_of_the_model() -> None:
    with pytest.raises(ModelError, match=r"wanted an ONNX model that onnxruntime \S+ loads; found .*protobuf.*\. Next"):
        model.load(b"not a model")


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        (np.zeros((2, 3), np.float32), "float32 [2, 3]"),
        (np.zeros((2, K)), "float64 [2, 4]"),
        (np.zeros(K, np.float32), "float32 [4]"),
    ],
)
def test_a_matrix_of_another_type_or_width_is_refused(exported: bytes, matrix: np.ndarray, found: str) -> None:
    with pytest.raises(ModelError) as caught:
        model.score(model.load(exported), matrix)
    assert message(caught) == (
        f"scoring: wanted a float32 matrix [n, 4]; found {found}. "
        "Next: make the matrix with spark_lib.matrix, from the features of the model's card"
    )


def test_no_rows_get_no_scores(exported: bytes) -> None:
    scores = model.score(model.load(exported), np.zeros((0, K), np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


def test_a_disagreement_with_spark_names_its_rows_and_size(exported: bytes) -> None:
    matrix = np.random.default_rng(4).random((10, K), dtype=np.float32)
    probabilities = model.score(model.load(exported), matrix).astype(np.float64)
    probabilities[[2, 5]] += [0.25, -1e-5]
    with pytest.raises(ModelError) as caught:
        model.check_parity(exported, matrix, probabilities)
    assert message(caught) == (
        "parity of model.onnx with Spark: wanted probabilities that differ by at most 1e-06; "
        "found 2 of 10 rows beyond it, the largest difference 0.25. "
        "Next: do not publish this model; report the forest as a bug of spark_lib/onnx_forest.py"
    )
    probabilities[2] = np.nan
    with pytest.raises(ModelError, match="found 2 of 10 rows beyond it, the largest difference nan"):
        model.check_parity(exported, matrix, probabilities)


def test_parity_on_no_rows_or_of_other_rows_is_refused(exported: bytes) -> None:
    for rows, shape in ((0, (0,)), (3, (1,)), (3, (3, 1))):
        with pytest.raises(ModelError) as caught:
            model.check_parity(exported, np.zeros((rows, K), np.float32), np.zeros(shape))
        assert message(caught) == (
            "parity of model.onnx with Spark: wanted at least one row, and one probability of Spark for each; "
            f"found {rows} rows and probabilities {list(shape)}. Next: compare on the rows of the validation split"
        )
