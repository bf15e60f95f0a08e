"""Exports Spark's vector transformers, its logistic and its linear regression to ONNX, in doubles and step by step as
Spark computes them.

NaN and infinities give the same results as in Spark. So a constant column, and a coefficient that Spark left out, need
steps of their own, because 0 times infinity is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_lib.models.export.graph import Graph, of_margin, of_margins


def standard_scaler(graph: Graph, model: Any) -> str:
    x = graph.double()
    if model.getWithMean():
        x = graph.add("Sub", x, model.mean.toArray())
    if model.getWithStd():
        x = graph.add("Mul", x, _inverse(model.std.toArray(), of_zero=0.0))
    return x


def max_abs_scaler(graph: Graph, model: Any) -> str:
    return graph.add("Mul", graph.double(), _inverse(model.maxAbs.toArray(), of_zero=1.0))


def min_max_scaler(graph: Graph, model: Any) -> str:
    """Where a column was constant in training, Spark gives the middle of the range for every value but NaN."""
    x, least = graph.double(), model.originalMin.toArray()
    scale = model.getMax() - model.getMin()
    spread = model.originalMax.toArray() - least
    scales = np.divide(scale, spread, out=np.zeros_like(spread), where=spread != 0)
    scaled = graph.add("Add", graph.add("Mul", graph.add("Sub", x, least), scales), np.array([model.getMin()]))
    constant = scales == 0
    if not constant.any():
        return scaled
    middle = graph.add("Where", graph.add("IsNaN", x), x, np.array([(model.getMin() + model.getMax()) / 2]))
    return graph.add("Where", constant, middle, scaled)


def pca(graph: Graph, model: Any) -> str:
    return graph.add("MatMul", graph.double(), model.pc.toArray())


def normalizer(graph: Graph, model: Any) -> str:
    """Divide each row by its L1 or L2 norm. A row of zeros stays as it is."""
    x = graph.double()
    powers = graph.add("Abs", x) if model.getP() == 1 else graph.add("Mul", x, x)
    norm = graph.add("ReduceSum", powers, np.array([1]), keepdims=1)
    if model.getP() == 2:
        norm = graph.add("Sqrt", norm)
    nought = graph.add("Equal", norm, np.array([0.0]))
    return graph.add("Div", x, graph.add("Where", nought, np.array([1.0]), norm))


def vector_slicer(graph: Graph, model: Any) -> str:
    return graph.add("Gather", graph.double(), np.array(model.getIndices()), axis=1)


def elementwise_product(graph: Graph, model: Any) -> str:
    return graph.add("Mul", graph.double(), model.getScalingVec().toArray())


def logistic_regression(graph: Graph, model: Any) -> str:
    """Two classes: the logistic function of the margin."""
    return of_margin(graph, _margin(graph, graph.double(), model.coefficients, model.intercept))


def multinomial_regression(graph: Graph, model: Any) -> str:
    """Three classes or more: the softmax of their margins. Where a margin is infinite, no class has a probability (NaN).
    Spark then calls one class certain, and gives NaN to most of the others."""
    from pyspark.ml.linalg import SparseMatrix, Vectors

    x, coefficients, intercepts = graph.double(), model.coefficientMatrix, model.interceptVector.toArray()
    if not isinstance(coefficients, SparseMatrix):
        return of_margins(graph, graph.add("Add", graph.add("MatMul", x, coefficients.toArray().T), intercepts))
    rows = [Vectors.sparse(len(row), np.flatnonzero(row), row[row != 0]) for row in coefficients.toArray()]
    of_classes = [_margin(graph, x, row, intercept) for row, intercept in zip(rows, intercepts, strict=True)]
    return of_margins(graph, graph.add("Concat", *of_classes, axis=1))


def linear_regression(graph: Graph, model: Any) -> str:
    from onnx import TensorProto

    return graph.add("Cast", _margin(graph, graph.double(), model.coefficients, model.intercept), to=TensorProto.FLOAT)


def _margin(graph: Graph, x: str, coefficients: Any, intercept: float) -> str:
    """The intercept and the products of the coefficients and the features ``x``, doubles [n, 1]. Where Spark has the
    coefficients as a sparse vector, only the features that have one are read, whatever is in the others."""
    values = coefficients.toArray()
    if hasattr(coefficients, "indices"):
        x = graph.add("Gather", x, coefficients.indices.astype(np.int64), axis=1)
        values = coefficients.values
    return graph.add("Add", graph.add("MatMul", x, values[:, None]), np.array([intercept]))


def _inverse(values: np.ndarray, of_zero: float) -> np.ndarray:
    inverse: np.ndarray = np.divide(1.0, values, out=np.full_like(values, of_zero), where=values != 0)
    return inverse


@dataclass(frozen=True)
class Transformer:
    """How a fitted transformer becomes ONNX, how many values it takes (None: any) and how many it makes of k."""

    convert: Callable[[Graph, Any], str]
    takes: Callable[[Any], int | None]
    makes: Callable[[Any, int], int] = lambda model, k: k


TRANSFORMERS = {
    "ElementwiseProduct": Transformer(elementwise_product, lambda model: len(model.getScalingVec())),
    "MaxAbsScalerModel": Transformer(max_abs_scaler, lambda model: model.maxAbs.size),
    "MinMaxScalerModel": Transformer(min_max_scaler, lambda model: model.originalMin.size),
    "Normalizer": Transformer(normalizer, lambda model: None),
    "PCAModel": Transformer(pca, lambda model: model.pc.numRows, lambda model, k: model.pc.numCols),
    "StandardScalerModel": Transformer(standard_scaler, lambda model: model.mean.size),
    "VectorSlicer": Transformer(vector_slicer, lambda model: None, lambda model, k: len(model.getIndices())),
}
