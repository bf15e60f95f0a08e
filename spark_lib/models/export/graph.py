"""Tools with which the converters of Daystone build ONNX, and through which onnxmltools and skl2onnx call them.

A converter of ours is a function of a `Graph` and a fitted stage. It adds the nodes that compute what the stage does,
and returns the name of the last node's result. The arithmetic is that of the library that trained the stage, with
doubles where it has doubles. The converters of onnxmltools and skl2onnx round every parameter and every step to
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spark_lib.models.model import OUTPUT, PREDICTION, check_safe

#: The versions of ONNX's operators (IR version 8) and of its operators for trees. They are fixed, so that a newer onnx
#: does not change the bytes of the same model.
OPSET = 15
ML = "ai.onnx.ml"
_ML_OPSET = 3


class Graph:
    """The place of one stage in the graph. ``x`` is the name of the stage's input: the features, float32 [n, k], or the
    result of the stage before it."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._container = scope, container
        self.x: str = operator.inputs[0].full_name
        self.is_double = type(operator.inputs[0].type).__name__ == "DoubleTensorType"

    def double(self) -> str:
        """``x`` as doubles."""
        from onnx import TensorProto

        return self.x if self.is_double else self.add("Cast", self.x, to=TensorProto.DOUBLE)

    def add(self, kind: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Add a node, and return the name of its result. An input is the name of a result, or an array, which becomes a
        constant."""
        (result,) = self._add(kind, inputs, 1, "", OPSET, attributes)
        return result

    def add_ml(self, kind: str, results: int, x: str, **attributes: Any) -> list[str]:
        """Add a node of ONNX's operators for machine learning, and return the names of its results."""
        return self._add(kind, (x,), results, ML, _ML_OPSET, attributes)

    def _add(
        self, kind: str, inputs: tuple[Any, ...], results: int, domain: str, version: int, attributes: dict[str, Any]
    ) -> list[str]:
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        made: list[str] = [self._scope.get_unique_variable_name(kind.lower()) for _ in range(results)]
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, names, made, op_domain=domain, op_version=version, name=name, **attributes)
        return made

    def _constant(self, values: np.ndarray) -> str:
        from onnx.helper import np_dtype_to_tensor_dtype

        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(
            name, np_dtype_to_tensor_dtype(values.dtype), list(values.shape), values.ravel().tolist()
        )
        return name


def of_margin(graph: Graph, margin: str) -> str:
    """Probabilities of both classes, float32 [n, 2], from a margin of doubles [n, 1] by the logistic function."""
    from onnx import TensorProto

    positive = graph.add("Sigmoid", margin)
    both = graph.add("Concat", graph.add("Sub", np.array([1.0]), positive), positive, axis=1)
    return graph.add("Cast", both, to=TensorProto.FLOAT)


def of_margins(graph: Graph, margins: str) -> str:
    """Probabilities of all classes, float32 [n, classes], from margins of doubles [n, classes] by the softmax."""
    from onnx import TensorProto

    return graph.add("Cast", graph.add("Softmax", margins, axis=1), to=TensorProto.FLOAT)


def converter(build: Callable[[Graph, Any], str]) -> Callable[[Any, Any, Any], None]:
    """A conversion function for ``build``, which takes a graph and a fitted stage. What ``build`` returns becomes the
    last output of the operator."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        graph = Graph(scope, operator, container)
        result, wanted = build(graph, operator.raw_operator), operator.outputs[-1].full_name
        if result == graph.x:
            container.add_node("Identity", result, wanted, op_version=OPSET, name=wanted)
            return
        _rename(container.nodes[-1], result, wanted)

    return convert


def set_width(width_of: Callable[[Any, int], int]) -> Callable[[Any], None]:
    """A shape calculator of onnxmltools for a transformer. ``width_of`` says how many doubles it makes of how many
    values."""

    def set_shape(operator: Any) -> None:
        from onnxmltools.convert.common.data_types import DoubleTensorType

        width = width_of(operator.raw_operator, operator.inputs[0].type.shape[1])
        operator.outputs[0].type = DoubleTensorType([None, width])

    return set_shape


def set_result(classes: int) -> Callable[[Any], None]:
    """The shape calculator for a model of so many classes, or of a number (0). A classifier has a label, which no node
    makes, and the probabilities."""

    def set_shape(operator: Any) -> None:
        from onnxmltools.convert.common.data_types import FloatTensorType, Int64TensorType

        *label, result = operator.outputs
        for output in label:
            output.type = Int64TensorType([None])
        result.type = FloatTensorType([None, classes or 1])

    return set_shape


def finished(converted: Any, result: str, classes: int) -> bytes:
    """The bytes of a converted model whose only output is ``result``: probabilities, or a number. The label of a
    classifier is removed, because it is decided by uncalibrated probabilities, which is of no use."""
    graph = converted.graph
    for output in [output for output in graph.output if output.name != result]:
        graph.output.remove(output)
    name = OUTPUT if classes else PREDICTION
    graph.output[0].name = name
    _rename(next(node for node in graph.node if result in node.output), result, name)
    imports = sorted(converted.opset_import, key=lambda used: used.domain)  # from a set, whose order is by chance
    del converted.opset_import[:]
    converted.opset_import.extend(imports)
    converted.ClearField("producer_version")
    exported: bytes = converted.SerializeToString(deterministic=True)
    check_safe(exported)
    return exported


def _rename(node: Any, result: str, name: str) -> None:
    node.output[list(node.output).index(result)] = name
