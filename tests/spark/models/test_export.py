"""The exported model is Spark's model, for every kind that can be carried, and always the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    GBTClassifier,
    LinearSVC,
    LogisticRegression,
    NaiveBayes,
    RandomForestClassifier,
)
from pyspark.ml.feature import (
    PCA,
    ElementwiseProduct,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    StandardScaler,
    VectorIndexer,
    VectorSlicer,
)
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.models import export, model
from tests.spark.models.exported_rows import K, hard_rows, pipeline, training_matrix, vectors
from tests.support.refusals import MADE_OF_THESE, refusal


def forest(**settings: Any) -> RandomForestClassifier:
    return RandomForestClassifier(numTrees=5, maxDepth=4, seed=3, **settings)


def tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(maxDepth=4)


def boosted() -> GBTClassifier:
    return GBTClassifier(maxIter=2, maxDepth=3, seed=3)


def logistic(**settings: Any) -> LogisticRegression:
    return LogisticRegression(maxIter=5, **settings)


def nested(flat: Pipeline) -> Pipeline:
    """The same with all stages but the first in a pipeline of their own."""
    first, *others = flat.getStages()
    return Pipeline(stages=[first, Pipeline(stages=others)])


#: What is carried, each with the kinds of its nodes. The features are 8, of which the last is constant.
KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "forest": (forest, "TreeEnsembleClassifier"),
    "tree": (tree, "TreeEnsembleClassifier"),
    "boosted": (boosted, "Cast TreeEnsembleRegressor Cast Sigmoid Sub Concat Cast"),
    "logistic": (logistic, "Cast MatMul Add Sigmoid Sub Concat Cast"),
    "lasso": (
        lambda: logistic(regParam=0.1, elasticNetParam=1.0),
        "Cast Gather MatMul Add Sigmoid Sub Concat Cast",
    ),
    "lasso of nothing": (
        lambda: logistic(regParam=9.0, elasticNetParam=1.0),
        "Cast Gather MatMul Add Sigmoid Sub Concat Cast",
    ),
    "standard, logistic": (
        lambda: pipeline(StandardScaler(withMean=True), logistic()),
        "Cast Sub Mul MatMul Add Sigmoid Sub Concat Cast",
    ),
    "standard, forest": (
        lambda: pipeline(StandardScaler(withMean=True), forest()),
        "Cast Sub Mul TreeEnsembleClassifier",
    ),
    "standard of nothing, tree": (
        lambda: pipeline(StandardScaler(withStd=False), tree()),
        "Cast TreeEnsembleClassifier",
    ),
    "min-max, boosted": (
        lambda: pipeline(MinMaxScaler(min=-1, max=2), boosted()),
        "Cast Sub Mul Add IsNaN Where Where TreeEnsembleRegressor Cast Sigmoid Sub Concat Cast",
    ),
    "max-abs, product, tree": (
        lambda: pipeline(MaxAbsScaler(), ElementwiseProduct(scalingVec=Vectors.dense(range(1, K + 1))), tree()),
        "Cast Mul Mul TreeEnsembleClassifier",
    ),
    "slicer, components, logistic": (
        lambda: pipeline(VectorSlicer(indices=[4, 1, 3]), PCA(k=2), logistic()),
        "Cast Gather MatMul MatMul Add Sigmoid Sub Concat Cast",
    ),
    "norm, forest": (
        lambda: pipeline(Normalizer(), forest()),
        "Cast Mul ReduceSum Sqrt Equal Where Div TreeEnsembleClassifier",
    ),
    "norm of one, two scalers in a pipeline within, logistic": (
        lambda: nested(pipeline(Normalizer(p=1.0), StandardScaler(), MaxAbsScaler(), logistic())),
        "Cast Abs ReduceSum Equal Where Div Mul Mul MatMul Add Sigmoid Sub Concat Cast",
    ),
}


def training_rows(spark: SparkSession) -> DataFrame:
    noisy = F.element_at(vector_to_array(F.col("features")), 2) + F.pmod(F.col("row"), F.lit(7)) / 10 > 0.8
    rows = vectors(spark, training_matrix()).withColumn("label", noisy.cast("double"))
    return rows.repartition(2, "row").sortWithinPartitions("row")


def spark_scores(spark: SparkSession, fitted: Any, matrix: np.ndarray) -> np.ndarray:
    scored = fitted.transform(vectors(spark, matrix)).select("row", vector_to_array(F.col("probability"))[1].alias("p"))
    probabilities: np.ndarray = scored.toArrow().sort_by("row")["p"].to_numpy()
    return probabilities


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return training_rows(spark).cache()


@pytest.fixture(scope="module")
def exporting(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    def run(fitted: Any, n_features: int = K) -> bytes:
        return export.export(fitted, n_features, str(tmp_path_factory.mktemp("scratch")), spark)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_hard_rows_get_sparks_probabilities(
    spark: SparkSession, rows: DataFrame, exporting: Callable[..., bytes], kind: str
) -> None:
    estimator, nodes = KINDS[kind][0](), KINDS[kind][1]
    export.check_estimator(estimator)
    fitted = estimator.fit(rows)

    exported = exporting(fitted)

    matrix = hard_rows(fitted)
    wanted = spark_scores(spark, fitted, matrix)
    found = model.score(model.load(exported), matrix)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6, equal_nan=True)
    assert np.ptp(wanted[np.isfinite(wanted)]) > 0.1 or kind == "lasso of nothing"
    assert " ".join(node.op_type for node in onnx.load_from_string(exported).graph.node) == nodes


@pytest.fixture(scope="module")
def fitted(rows: DataFrame) -> Any:
    return forest().fit(rows)


@pytest.fixture(scope="module")
def exported(fitted: Any, exporting: Callable[..., bytes]) -> bytes:
    return exporting(fitted)


def test_the_graph_maps_float32_features_to_probabilities_and_nothing_else(exported: bytes) -> None:
    session = model.load(exported)
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [("features", "tensor(float)", [None, K])]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [("probabilities", "tensor(float)", [None, 2])]
    found = onnx.load_from_string(exported)
    assert (found.ir_version, [(used.domain, used.version) for used in found.opset_import]) == (8, [("ai.onnx.ml", 3)])


def test_the_operators_that_a_graph_uses_are_listed_in_one_order(
    rows: DataFrame, exporting: Callable[..., bytes]
) -> None:
    found = onnx.load_from_string(exporting(boosted().fit(rows)))
    assert [(used.domain, used.version) for used in found.opset_import] == [("", 15), ("ai.onnx.ml", 3)]
    assert found.producer_version == ""


@pytest.mark.parametrize("estimator", [forest, boosted, lambda: pipeline(StandardScaler(), PCA(k=3), logistic())])
def test_training_on_the_same_rows_twice_gives_the_same_bytes(
    spark: SparkSession, rows: DataFrame, exporting: Callable[..., bytes], estimator: Callable[[], Any]
) -> None:
    assert exporting(estimator().fit(training_rows(spark))) == exporting(estimator().fit(rows))


def test_the_names_of_the_models_columns_do_not_reach_the_bytes(
    rows: DataFrame, exported: bytes, exporting: Callable[..., bytes]
) -> None:
    renamed = rows.withColumnRenamed("features", "inputs")
    settings = {"featuresCol": "inputs", "predictionCol": "guess", "probabilityCol": "chance"}
    assert exporting(forest(**settings).fit(renamed)) == exported

    named = [StandardScaler(inputCol="inputs", outputCol="scaled"), logistic(featuresCol="scaled")]
    plain = pipeline(StandardScaler(), logistic()).fit(rows)
    assert exporting(Pipeline(stages=named).fit(renamed)) == exporting(plain)


def test_nothing_is_kept_of_the_scratch_directory(spark: SparkSession, fitted: Any, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    first = export.export(fitted, K, str(scratch), spark)
    assert [entry.name for entry in scratch.iterdir()] == ["trees"]
    assert export.export(fitted, K, f"{scratch}/", spark) == first
    shutil.rmtree(scratch)
    assert model.score(model.load(first), np.zeros((1, K), np.float32)).shape == (1,)


def test_a_tree_that_is_a_single_leaf_scores_every_row_alike(
    spark: SparkSession, rows: DataFrame, exporting: Callable[..., bytes]
) -> None:
    matrix = np.zeros((3, K), np.float32)
    for stump in (DecisionTreeClassifier(maxDepth=0), GBTClassifier(maxIter=1, maxDepth=0)):
        fitted = stump.fit(rows)
        model.check_parity(exporting(fitted), matrix, spark_scores(spark, fitted, matrix))


# -- what is refused


CARRIED = (
    "a classifier of Spark ML that ONNX can carry (DecisionTreeClassifier, GBTClassifier, LogisticRegression or "
    "RandomForestClassifier), alone or as the last stage of a Pipeline after transformers that it can carry "
    "(ElementwiseProduct, MaxAbsScaler, MinMaxScaler, Normalizer, PCA, StandardScaler or VectorSlicer)"
)


def test_an_estimator_that_onnx_cannot_carry_is_refused_before_it_is_trained(spark: SparkSession) -> None:
    assert refusal(export.check_estimator, NaiveBayes()) == (CARRIED, "NaiveBayes", MADE_OF_THESE)
    in_pipeline = pipeline(StandardScaler(), LinearSVC())
    assert refusal(export.check_estimator, in_pipeline) == (CARRIED, "LinearSVC as stage 2 of 2", MADE_OF_THESE)
    indexer = VectorIndexer(inputCol="features", outputCol="indexed")
    before = Pipeline(stages=[StandardScaler(), Pipeline(stages=[indexer, forest()])])
    assert refusal(export.check_estimator, before) == (CARRIED, "VectorIndexer as stage 2 of 3", MADE_OF_THESE)
    assert refusal(export.check_estimator, Pipeline(stages=[])) == (CARRIED, "Pipeline", MADE_OF_THESE)
    assert refusal(export.check_estimator, StandardScaler()) == (CARRIED, "StandardScaler", MADE_OF_THESE)


def test_an_estimator_of_another_library_is_refused_although_its_name_is_known(spark: SparkSession) -> None:
    class LogisticRegression:
        pass

    assert refusal(export.check_estimator, LogisticRegression())[:2] == (CARRIED, "LogisticRegression")


@pytest.mark.parametrize(
    ("estimator", "wanted", "found", "next_step"),
    [
        (
            lambda: logistic(family="multinomial"),
            "a logistic regression of the binomial family",
            "family 'multinomial'",
            "leave family at 'auto'",
        ),
        (
            lambda: pipeline(Normalizer(p=float("inf")), forest()),
            "a Normalizer with p 1 or 2",
            "p inf",
            "set p to 1 or 2, or leave the stage out",
        ),
        (
            lambda: pipeline(VectorSlicer(names=["age", "income"]), forest()),
            "a VectorSlicer of indices",
            "the names age, income",
            "give the indices of these features",
        ),
    ],
)
def test_a_setting_that_onnx_cannot_carry_is_refused_before_training(
    spark: SparkSession, estimator: Callable[[], Any], wanted: str, found: str, next_step: str
) -> None:
    assert refusal(export.check_estimator, estimator()) == (wanted, found, next_step)


def test_a_model_that_onnx_cannot_carry_is_refused_by_name(rows: DataFrame, exporting: Callable[..., bytes]) -> None:
    fitted = pipeline(MaxAbsScaler(), NaiveBayes()).fit(rows)
    assert refusal(exporting, fitted)[:2] == (CARRIED, "NaiveBayesModel as stage 2 of 2")


def test_stages_that_do_not_follow_each_other_are_refused(rows: DataFrame, exporting: Callable[..., bytes]) -> None:
    scaler = StandardScaler(inputCol="features", outputCol="scaled")
    assert refusal(exporting, Pipeline(stages=[scaler, forest()]).fit(rows)) == (
        "a Pipeline whose stages follow each other: RandomForestClassificationModel on 'scaled'",
        "'features'",
        "let each stage read what the one before it writes",
    )


def test_a_categorical_split_is_refused_with_its_features(rows: DataFrame, exporting: Callable[..., bytes]) -> None:
    indexer = VectorIndexer(inputCol="features", outputCol="indexed", maxCategories=2)
    indexed = Pipeline(stages=[indexer, RandomForestClassifier(featuresCol="indexed", numTrees=10, seed=3)])
    assert refusal(exporting, indexed.fit(rows).stages[-1]) == (
        "splits of continuous features only",
        "categorical splits of the features at [0]",
        "drop the nominal attributes (VectorIndexer, StringIndexer) of the vector, or encode them as 0/1 columns",
    )


def test_three_classes_are_refused(rows: DataFrame, exporting: Callable[..., bytes]) -> None:
    three = rows.withColumn("label", F.pmod("row", F.lit(3)).cast("double"))
    for estimator in (tree(), logistic()):
        assert refusal(exporting, estimator.fit(three)) == (
            "two classes",
            "3",
            "let the training rows hold labels 0 and 1, both of them",
        )


def test_another_number_of_features_is_refused(rows: DataFrame, fitted: Any, exporting: Callable[..., bytes]) -> None:
    scaled = pipeline(StandardScaler(), PCA(k=2), logistic()).fit(rows)
    for trained, at in ((fitted, "RandomForestClassificationModel"), (scaled, "StandardScalerModel")):
        assert refusal(exporting, trained, K + 1) == (
            f"9 features for {at}",
            "8",
            "train on the features that the use case declares",
        )
