"""Exports a scikit-learn classifier, or a pipeline that ends in one, to ONNX. skl2onnx lays it out; the converters are
ours.

Everything is computed as scikit-learn does it on a float32 matrix: transformers give float32, and boosted trees and
logistic regression compute in doubles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models.export.graph import OPSET, Graph, converter, finished, of_margin, set_probabilities
from spark_lib.models.export.refusals import check_kinds, check_two_classes, check_width, refused
from spark_lib.models.export.trees import boosted, forest
from spark_lib.models.model import INPUT

if TYPE_CHECKING:
    import pyarrow as pa


def check_estimator(estimator: Any) -> None:
    """Raise ModelError for an estimator, fitted or not, of a kind or with a setting that ONNX cannot carry."""
    steps = _steps(estimator)
    check_kinds(steps, _kind, CLASSIFIERS, TRANSFORMERS, ("scikit-learn", "step"))
    for step in steps:
        _check_settings(step)


def check(model: Any, n_features: int) -> None:
    """Raise ModelError for a fitted model that ``export`` would refuse by its kind, settings, classes or features."""
    check_estimator(model)
    *before, classifier = _steps(model)
    for step in (*before, classifier):
        check_width(step, step.n_features_in_, n_features)
    check_two_classes(len(classifier.classes_))


def export(model: Any, n_features: int) -> bytes:
    """The ONNX of a fitted model, with the same inputs and outputs as by ``spark_lib.models.export.export``. The same
    model gives the same bytes.

    Raises ModelError for what ``check`` refuses.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.pipeline import make_pipeline

    check(model, n_features)
    steps = _steps(model)
    kinds = {type(step): CLASSIFIERS.get(type(step).__name__) or TRANSFORMERS[type(step).__name__] for step in steps}
    shapes = dict.fromkeys(kinds, _keep_shape) | {type(steps[-1]): set_probabilities}
    converted = convert_sklearn(
        make_pipeline(*steps),
        name="model",
        initial_types=[(INPUT, FloatTensorType([None, n_features]))],
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        options={type(steps[-1]): {"zipmap": False}},
        custom_conversion_functions={kind: converter(convert) for kind, convert in kinds.items()},
        custom_shape_calculators=shapes,
    )
    return finished(converted, "label", "probabilities")


def logistic_regression(graph: Graph, model: Any) -> str:
    margin = graph.add("MatMul", graph.double(), model.coef_.astype(np.float64).T)
    return of_margin(graph, graph.add("Add", margin, model.intercept_.astype(np.float64)))


def averaged(graph: Graph, model: Any) -> str:
    """A random forest, extremely random trees, or one tree."""
    trees = [tree.tree_ for tree in getattr(model, "estimators_", [model])]
    return forest(graph, _table(_of_tree(tree) for tree in trees))


def gradient_boosting(graph: Graph, model: Any) -> str:
    trees = [tree.tree_ for tree in model.estimators_[:, 0]]
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32)).item()
    factor = 2.0 if model.loss == "exponential" else 1.0
    weights = np.full(len(trees), factor * model.learning_rate)
    return boosted(graph, _table(_of_tree(tree) for tree in trees), weights, factor * start)


def hist_gradient_boosting(graph: Graph, model: Any) -> str:
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    start = model._baseline_prediction.item()
    return boosted(graph, _table(_of_nodes(found) for found in nodes), np.ones(len(nodes)), start)


def standard_scaler(graph: Graph, model: Any) -> str:
    x = graph.x
    if model.with_mean:
        x = graph.add("Sub", x, model.mean_.astype(np.float32))
    if model.with_std:
        x = graph.add("Div", x, model.scale_.astype(np.float32))
    return x


def min_max_scaler(graph: Graph, model: Any) -> str:
    x = _in_place(graph, "Add", _in_place(graph, "Mul", graph.x, model.scale_), model.min_)
    if model.clip:
        x = graph.add("Clip", x, *(np.array(end, np.float32) for end in model.feature_range))
    return x


def simple_imputer(graph: Graph, model: Any) -> str:
    return graph.add("Where", graph.add("IsNaN", graph.x), model.statistics_.astype(np.float32), graph.x)


CLASSIFIERS: dict[str, Callable[[Graph, Any], str]] = {
    "DecisionTreeClassifier": averaged,
    "ExtraTreesClassifier": averaged,
    "GradientBoostingClassifier": gradient_boosting,
    "HistGradientBoostingClassifier": hist_gradient_boosting,
    "LogisticRegression": logistic_regression,
    "RandomForestClassifier": averaged,
}
TRANSFORMERS: dict[str, Callable[[Graph, Any], str]] = {
    "MinMaxScaler": min_max_scaler,
    "SimpleImputer": simple_imputer,
    "StandardScaler": standard_scaler,
}


def _in_place(graph: Graph, kind: str, x: str, values: np.ndarray) -> str:
    """An operation of numpy in place on float32. It is computed in doubles where ``values`` are doubles, and its result
    is a float32 again."""
    from onnx import TensorProto

    if values.dtype == np.float32:
        return graph.add(kind, x, values)
    wide = graph.add(kind, graph.add("Cast", x, to=TensorProto.DOUBLE), values.astype(np.float64))
    return graph.add("Cast", wide, to=TensorProto.FLOAT)


def _of_tree(tree: Any) -> dict[str, np.ndarray]:
    """The columns of a node table for a tree of scikit-learn's ``tree`` module."""
    return {
        "left": tree.children_left,
        "right": tree.children_right,
        "feature": tree.feature,
        "threshold": tree.threshold,
        "nan_left": tree.missing_go_to_left.astype(bool),
        "prediction": tree.value[:, 0, 0],
        "negatives": tree.value[:, 0, 0],
        "positives": tree.value[:, 0, -1],
    }


def _of_nodes(nodes: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a node table for a tree of histogram-based boosting."""
    leaf = nodes["is_leaf"] == 1
    return {
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
        "right": nodes["right"].astype(np.int64),
        "feature": nodes["feature_idx"].astype(np.int64),
        "threshold": nodes["num_threshold"],
        "nan_left": nodes["missing_go_to_left"] == 1,
        "categories": np.where(nodes["is_categorical"] == 1, 0, -1),
        "prediction": nodes["value"],
    }


def _table(trees: Iterable[dict[str, np.ndarray]]) -> pa.Table:
    import pyarrow as pa

    parts = []
    for number, columns in enumerate(trees):
        size = len(columns["left"])
        own = {"tree": np.full(size, number), "node": np.arange(size), "categories": np.full(size, -1)}
        parts.append(pa.table(own | columns))
    return pa.concat_tables(parts)


def _steps(estimator: Any) -> list[Any]:
    """The steps of a Pipeline, with those of pipelines inside it and without those that do nothing; or the estimator
    alone."""
    if type(estimator).__module__ != "sklearn.pipeline" or type(estimator).__name__ != "Pipeline":
        return [estimator]
    steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [inner for step in steps for inner in _steps(step)] or [estimator]


def _kind(step: Any) -> str | None:
    return type(step).__name__ if type(step).__module__.startswith("sklearn.") else None


def _check_settings(step: Any) -> None:
    name = type(step).__name__
    if name == "SimpleImputer":
        if step.add_indicator or not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
            raise refused(
                "a SimpleImputer of NaN, without indicators",
                f"missing_values={step.missing_values!r}, add_indicator={step.add_indicator}",
                "leave these settings as they are by default",
            )
        if np.isnan(getattr(step, "statistics_", np.zeros(1)).astype(np.float64)).any():
            raise refused(
                "a value to put in for each feature", "a feature that has none in training", "leave the feature out"
            )
    if name == "GradientBoostingClassifier" and step.init not in (None, "zero"):
        raise refused("init None or 'zero'", f"init={type(step.init).__name__}", "leave init as it is by default")
    if name == "HistGradientBoostingClassifier" and (
        step.categorical_features not in (None, "from_dtype") or getattr(step, "is_categorical_", None) is not None
    ):
        raise refused(
            "splits of continuous features only", "categorical_features", "encode these features as 0/1 columns"
        )


def _keep_shape(operator: Any) -> None:
    operator.outputs[0].type = operator.inputs[0].type
