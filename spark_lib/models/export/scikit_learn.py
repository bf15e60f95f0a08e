"""Exports a model of scikit-learn, or a pipeline that ends in one, to ONNX. skl2onnx lays it out; the converters are
ours.

Everything is computed as scikit-learn does it on a float32 matrix: transformers give float32, and boosted trees,
trees of numbers, logistic and linear regression compute in doubles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models.export.graph import OPSET, Graph, converter, finished, of_margin, of_margins, set_result
from spark_lib.models.export.refusals import check_classes, check_kinds, check_width, labels, refused
from spark_lib.models.export.trees import averaged, boosted, boosted_classes, forest, sums
from spark_lib.models.model import INPUT

if TYPE_CHECKING:
    import pyarrow as pa


def check_estimator(estimator: Any, classes: int) -> None:
    """Raise ModelError for an estimator, fitted or not, of a kind or with a setting that ONNX cannot carry."""
    steps = _steps(estimator)
    last = CLASSIFIERS if classes else REGRESSORS
    check_kinds(steps, _kind, last, TRANSFORMERS, ("scikit-learn", "step"), classes)
    for step in steps:
        _check_settings(step)


def check(model: Any, n_features: int, classes: int) -> None:
    """Raise ModelError for a fitted model that ``export`` would refuse by its kind, settings, classes or features."""
    check_estimator(model, classes)
    *before, last = _steps(model)
    for step in (*before, last):
        check_width(step, step.n_features_in_, n_features)
    _check_outputs(last)
    if classes:
        check_classes(len(last.classes_), classes)
    if classes > 2 and not np.array_equal(last.classes_, np.arange(classes)):
        raise refused(
            f"the labels 0 to {classes - 1}",
            ", ".join(str(label) for label in last.classes_),
            f"let the training rows hold {labels(classes)}",
        )


def export(model: Any, n_features: int, classes: int) -> bytes:
    """The ONNX of a fitted model, with the same inputs and outputs as by ``spark_lib.models.export.export``. The same
    model gives the same bytes.

    Raises ModelError for what ``check`` refuses.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.pipeline import make_pipeline

    check(model, n_features, classes)
    steps = _steps(model)
    last, converters = type(steps[-1]), TRANSFORMERS | (CLASSIFIERS if classes else REGRESSORS)
    kinds = {type(step): converters[type(step).__name__] for step in steps}
    shapes = dict.fromkeys(kinds, _keep_shape) | {last: set_result(classes)}
    converted = convert_sklearn(
        make_pipeline(*steps),
        name="model",
        initial_types=[(INPUT, FloatTensorType([None, n_features]))],
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        options={last: {"zipmap": False}} if classes else None,
        custom_conversion_functions={kind: converter(convert) for kind, convert in kinds.items()},
        custom_shape_calculators=shapes,
    )
    return finished(converted, "probabilities" if classes else "variable", classes)


def said(model: Any, matrix: np.ndarray, classes: int) -> np.ndarray:
    """As ``spark_lib.models.export.said_by_sklearn``."""
    *before, last = _steps(model)
    for step in before:
        matrix = step.transform(matrix)
    wide = matrix.astype(np.float64)
    if not classes:
        return np.asarray(last.predict(wide)).reshape(len(wide))
    probabilities = np.asarray(last.predict_proba(wide))
    return probabilities[:, 1] if classes == 2 else probabilities


def logistic_regression(graph: Graph, model: Any) -> str:
    margins = graph.add("MatMul", graph.double(), model.coef_.astype(np.float64).T)
    of_classes = of_margin if len(model.classes_) == 2 else of_margins
    return of_classes(graph, graph.add("Add", margins, model.intercept_.astype(np.float64)))


def linear_regression(graph: Graph, model: Any) -> str:
    from onnx import TensorProto

    products = graph.add("MatMul", graph.double(), np.reshape(model.coef_, (-1, 1)).astype(np.float64))
    found = graph.add("Add", products, np.reshape(model.intercept_, 1).astype(np.float64))
    return graph.add("Cast", found, to=TensorProto.FLOAT)


def forest_of_classes(graph: Graph, model: Any) -> str:
    """A random forest, extremely random trees, or one tree."""
    return forest(graph, _table(_of_tree(tree) for tree in _members(model)))


def forest_of_a_number(graph: Graph, model: Any) -> str:
    """A random forest, extremely random trees, or one tree."""
    return averaged(graph, _table(_of_tree(tree) for tree in _members(model)))


def gradient_boosting(graph: Graph, model: Any) -> str:
    trees = _table(_of_tree(tree.tree_) for tree in np.ravel(model.estimators_))
    starts = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]
    factor = 2.0 if model.loss == "exponential" else 1.0
    weights = np.full(model.estimators_.size, factor * model.learning_rate)
    if not hasattr(model, "classes_"):
        return sums(graph, trees, weights, starts)
    if len(starts) > 1:
        return boosted_classes(graph, trees, weights, starts)
    return boosted(graph, trees, weights, factor * starts.item())


def hist_gradient_boosting(graph: Graph, model: Any) -> str:
    nodes = [predictor.nodes for predictors in model._predictors for predictor in predictors]
    trees, weights = _table(_of_nodes(found) for found in nodes), np.ones(len(nodes))
    starts = np.ravel(model._baseline_prediction).astype(np.float64)
    if not hasattr(model, "classes_"):
        return sums(graph, trees, weights, starts)
    if len(starts) > 1:
        return boosted_classes(graph, trees, weights, starts)
    return boosted(graph, trees, weights, starts.item())


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
    "DecisionTreeClassifier": forest_of_classes,
    "ExtraTreesClassifier": forest_of_classes,
    "GradientBoostingClassifier": gradient_boosting,
    "HistGradientBoostingClassifier": hist_gradient_boosting,
    "LogisticRegression": logistic_regression,
    "RandomForestClassifier": forest_of_classes,
}
REGRESSORS: dict[str, Callable[[Graph, Any], str]] = {
    "DecisionTreeRegressor": forest_of_a_number,
    "ElasticNet": linear_regression,
    "ExtraTreesRegressor": forest_of_a_number,
    "GradientBoostingRegressor": gradient_boosting,
    "HistGradientBoostingRegressor": hist_gradient_boosting,
    "Lasso": linear_regression,
    "LinearRegression": linear_regression,
    "RandomForestRegressor": forest_of_a_number,
    "Ridge": linear_regression,
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


def _members(model: Any) -> list[Any]:
    return [tree.tree_ for tree in getattr(model, "estimators_", [model])]


def _of_tree(tree: Any) -> dict[str, np.ndarray]:
    """The columns of a node table for a tree of scikit-learn's ``tree`` module."""
    return {
        "left": tree.children_left,
        "right": tree.children_right,
        "feature": tree.feature,
        "threshold": tree.threshold,
        "nan_left": tree.missing_go_to_left.astype(bool),
        "prediction": tree.value[:, 0, 0],
        "counts": tree.value[:, 0, :],
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
    """The node table of all trees, as `spark_lib.models.export.trees` reads it."""
    import pyarrow as pa

    parts = []
    for number, columns in enumerate(trees):
        size = len(columns["left"])
        own = {"tree": np.full(size, number), "node": np.arange(size), "categories": np.full(size, -1)}
        parts.append(pa.table(own | {name: _arrow(values) for name, values in columns.items()}))
    return pa.concat_tables(parts)


def _arrow(values: np.ndarray) -> pa.Array:
    """A column of numbers, or of lists where the values are [n, m]."""
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


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
    boosting = name.removesuffix("Classifier").removesuffix("Regressor")
    if boosting == "GradientBoosting" and step.init not in (None, "zero"):
        raise refused("init None or 'zero'", f"init={type(step.init).__name__}", "leave init as it is by default")
    if boosting in {"GradientBoosting", "HistGradientBoosting"} and name in REGRESSORS and step.loss != "squared_error":
        raise refused("the loss 'squared_error'", f"loss={step.loss!r}", "leave loss as it is by default")
    if boosting == "HistGradientBoosting" and (
        step.categorical_features not in (None, "from_dtype") or getattr(step, "is_categorical_", None) is not None
    ):
        raise refused(
            "splits of continuous features only", "categorical_features", "encode these features as 0/1 columns"
        )


def _check_outputs(last: Any) -> None:
    """Raise ModelError for a model that gives several classes or numbers to each row."""
    found = getattr(last, "n_outputs_", 1)
    if not hasattr(last, "classes_") and np.ndim(getattr(last, "coef_", 0)) == 2:
        found = len(last.coef_)
    if found != 1:
        raise refused("one label for each row", f"{found}", "train on labels [n] in place of [n, m]")


def _keep_shape(operator: Any) -> None:
    operator.outputs[0].type = operator.inputs[0].type
