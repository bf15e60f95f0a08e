"""Exports a trained model to ONNX, and checks before and after training whether ONNX can carry it.

The graph maps float32 ``features`` [n, k] to float32 ``probabilities`` [n, classes], uncalibrated, in the order of the
labels 0, 1, ..., or to float32 ``prediction`` [n, 1] where the model gives a number. Everywhere ``classes`` says what is
wanted of a model: 2 classes, more, or a number, which is 0. onnxmltools lays out the graph. The converters are ours (``trees``, ``vectors``), because those of
onnxmltools round every parameter to float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models.export import scikit_learn, trees
from spark_lib.models.export.graph import OPSET, Graph, converter, finished, set_result, set_width
from spark_lib.models.export.refusals import check_classes, check_kinds, check_width, refused
from spark_lib.models.export.vectors import (
    TRANSFORMERS,
    linear_regression,
    logistic_regression,
    multinomial_regression,
)
from spark_lib.models.model import INPUT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Estimators of Spark ML, each with the class that ``fit`` makes of it.
CLASSIFIERS = {
    "DecisionTreeClassifier": "DecisionTreeClassificationModel",
    "GBTClassifier": "GBTClassificationModel",
    "LogisticRegression": "LogisticRegressionModel",
    "RandomForestClassifier": "RandomForestClassificationModel",
}
REGRESSORS = {
    "DecisionTreeRegressor": "DecisionTreeRegressionModel",
    "GBTRegressor": "GBTRegressionModel",
    "LinearRegression": "LinearRegressionModel",
    "RandomForestRegressor": "RandomForestRegressionModel",
}
#: Spark's boosted trees tell 2 classes apart and no more.
_BINARY = {"GBTClassifier"}
BEFORE = {
    "ElementwiseProduct": "ElementwiseProduct",
    "MaxAbsScaler": "MaxAbsScalerModel",
    "MinMaxScaler": "MinMaxScalerModel",
    "Normalizer": "Normalizer",
    "PCA": "PCAModel",
    "StandardScaler": "StandardScalerModel",
    "VectorSlicer": "VectorSlicer",
}
_ESTIMATORS = {fitted: name for name, fitted in (CLASSIFIERS | REGRESSORS | BEFORE).items()}
_LABEL = "label"
#: onnxmltools accepts only this name for the probabilities of boosted trees.
_RESULT = "probability"


def check_estimator(estimator: Any, classes: int = 2) -> None:
    """Raise ModelError for an estimator, or a fitted model, of a kind or with a setting that ONNX cannot carry.

    It may be one of Spark ML or of scikit-learn.
    """
    if type(estimator).__module__.startswith("sklearn."):
        scikit_learn.check_estimator(estimator, classes)
        return
    stages = _stages(estimator)
    last = CLASSIFIERS.keys() - (_BINARY if classes > 2 else set()) if classes else REGRESSORS.keys()
    check_kinds(stages, _kind, last, BEFORE, ("Spark ML", "stage"), classes)
    for stage in stages:
        _check_settings(stage, classes)


def check(model: Any, n_features: int, classes: int = 2) -> None:
    """Raise ModelError for a fitted model that ``export`` would refuse by its kind, settings, classes or features."""
    check_estimator(model, classes)
    *before, last = _stages(model)
    width, column = n_features, None
    for stage in before:
        _check_input(stage, stage.getInputCol(), column)
        transformer = TRANSFORMERS[type(stage).__name__]
        check_width(stage, transformer.takes(stage), width)
        width, column = transformer.makes(stage, width), stage.getOutputCol()
    _check_input(last, last.getFeaturesCol(), column)
    check_width(last, last.numFeatures, width)
    if classes:
        check_classes(last.numClasses, classes)


def without_summary(model: Any) -> Any:
    """A copy of a fitted model of Spark without its training summary.

    A summary refers to the session, which cannot be serialized once it has observed a write. A model with a summary
    could then not be applied to anything. Spark's own copy of a logistic regression still has the summary, and only
    Spark's JVM object can remove it.
    """
    copied = model.copy()
    for stage in _stages(copied):
        if getattr(stage, "hasSummary", False):
            from pyspark import SparkContext

            java: Any = SparkContext._jvm
            stage._java_obj.setSummary(java.scala.Option.empty())
    return copied


def export(model: Any, n_features: int, scratch_url: str, spark: SparkSession, classes: int = 2) -> bytes:
    """The ONNX of a fitted model, or of a PipelineModel of transformers and a model at its end.

    The same model gives the same bytes: they contain no uid, column's name, random name or time. A model of trees is
    saved to ``<scratch_url>/trees``, where it replaces what is there. The caller may delete that afterwards. Raises
    ModelError for what ``check`` refuses, for a categorical split and for an empty leaf.
    """
    from onnxmltools import convert_sparkml
    from onnxmltools.convert.common.data_types import FloatTensorType
    from pyspark.ml import PipelineModel

    check(model, n_features, classes)
    *before, last = _stages(model)
    # onnxmltools would name parts of the graph after the columns of the model, which belong to the use case.
    stages, column = [], INPUT
    for at, stage in enumerate(before, 1):
        stages.append(stage.copy({stage.inputCol: column, stage.outputCol: f"stage{at}"}))
        column = f"stage{at}"
    results = {last.predictionCol: _LABEL, last.probabilityCol: _RESULT} if classes else {last.predictionCol: _RESULT}
    stages.append(last.copy({last.featuresCol: column} | results))
    converts = {_key(stage): TRANSFORMERS[type(stage).__name__].convert for stage in before}
    shapes = {_key(stage): set_width(TRANSFORMERS[type(stage).__name__].makes) for stage in before}
    converts[_key(last)] = _converter(last, scratch_url.rstrip("/") + "/trees", spark, classes)
    converted = convert_sparkml(
        PipelineModel(stages),
        name="model",
        initial_types=[(INPUT, FloatTensorType([None, n_features]))],
        target_opset=OPSET,
        custom_conversion_functions={key: converter(convert) for key, convert in converts.items()},
        custom_shape_calculators=shapes | {_key(last): set_result(classes)},
        spark_session=spark,
    )
    return finished(converted, _RESULT, classes)


def export_sklearn(model: Any, n_features: int, classes: int = 2) -> bytes:
    """The ONNX of a fitted model of scikit-learn, or of a Pipeline that ends in one. The same model gives the same
    bytes.

    Raises ModelError for a kind or a setting that cannot be carried, for other classes than wanted, and for another
    number of features.
    """
    return scikit_learn.export(model, n_features, classes)


def said_by_sklearn(model: Any, matrix: np.ndarray, classes: int = 2) -> np.ndarray:
    """What a fitted model of scikit-learn says of the rows of a float32 matrix, for ``check_parity`` with its export.

    Transformers get float32, and the model behind them the same values as doubles, in which the export computes it. Of
    a float32 matrix scikit-learn computes a linear model in float32, and where great terms cancel out it is further
    off than any export.
    """
    return scikit_learn.said(model, matrix, classes)


def _converter(fitted: Any, scratch: str, spark: SparkSession, classes: int) -> Callable[[Graph, Any], str]:
    name = type(fitted).__name__
    if name == "LogisticRegressionModel":
        return logistic_regression if classes == 2 else multinomial_regression
    if name == "LinearRegressionModel":
        return linear_regression
    nodes = trees.read_nodes(fitted, scratch, spark)
    if name == "GBTClassificationModel":
        # Spark's probability is 1 / (1 + exp(-2 m)) (GBTClassificationModel, LogLoss).
        weights = 2 * np.array(fitted.treeWeights)
        return lambda graph, model: trees.boosted(graph, nodes, weights)
    if name == "GBTRegressionModel":
        weights = np.array(fitted.treeWeights)
        return lambda graph, model: trees.sums(graph, nodes, weights, np.zeros(1))
    if not classes:
        return lambda graph, model: trees.averaged(graph, nodes)
    return lambda graph, model: trees.forest(graph, nodes)


def _stages(estimator: Any) -> list[Any]:
    """The stages of a Pipeline or PipelineModel, with those of pipelines inside it; or the estimator alone."""
    name = type(estimator).__name__
    if not _is_sparks(estimator) or name not in {"Pipeline", "PipelineModel"}:
        return [estimator]
    stages = estimator.getStages() if name == "Pipeline" else estimator.stages
    return [inner for stage in stages for inner in _stages(stage)] or [estimator]


def _is_sparks(stage: Any) -> bool:
    return type(stage).__module__.startswith("pyspark.ml.")


def _kind(stage: Any) -> str | None:
    """The name of the estimator that a stage is, or that ``fit`` made it from."""
    name = type(stage).__name__
    return _ESTIMATORS.get(name, name) if _is_sparks(stage) else None


def _key(stage: Any) -> str:
    """The name that onnxmltools has for a kind."""
    return f"{type(stage).__module__}.{type(stage).__name__}"


def _check_settings(stage: Any, classes: int) -> None:
    name = type(stage).__name__
    wanted, other = ("binomial", "multinomial") if classes == 2 else ("multinomial", "binomial")
    if name in {"LogisticRegression", "LogisticRegressionModel"} and stage.getFamily() == other:
        raise refused(f"a logistic regression of the {wanted} family", f"family {other!r}", "leave family at 'auto'")
    if name == "Normalizer" and stage.getP() not in (1, 2):
        raise refused("a Normalizer with p 1 or 2", f"p {stage.getP():g}", "set p to 1 or 2, or leave the stage out")
    if name == "VectorSlicer" and stage.getNames():
        raise refused(
            "a VectorSlicer of indices",
            f"the names {', '.join(stage.getNames())}",
            "give the indices of these features",
        )


def _check_input(stage: Any, found: str, column: str | None) -> None:
    if column is not None and found != column:
        raise refused(
            f"a Pipeline whose stages follow each other: {type(stage).__name__} on {column!r}",
            f"{found!r}",
            "let each stage read what the one before it writes",
        )
