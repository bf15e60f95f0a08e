"""Small models in ONNX's own operators, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

K = 4
FEATURES = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, K])
PROBABILITIES = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
WEIGHTS = np.linspace(-1, 1, 2 * K, dtype=np.float32).reshape(K, 2)


def linear(**changes: Any) -> onnx.ModelProto:
    """A softmax of a product, whose parts a test may replace."""
    parts: dict[str, Any] = {
        "nodes": [
            helper.make_node("MatMul", ["features", "weights"], ["margins"]),
            helper.make_node("Softmax", ["margins"], ["probabilities"]),
        ],
        "inputs": [FEATURES],
        "outputs": [PROBABILITIES],
        "initializer": [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
    } | changes
    domains = sorted({node.domain for node in parts["nodes"]})
    return helper.make_model(
        helper.make_graph(name="linear", **parts),
        opset_imports=[helper.make_opsetid(domain, 15) for domain in domains],
        ir_version=8,
    )


def of_columns(name: str, width: int) -> bytes:
    """A model whose output ``name`` is the first ``width`` features as they are."""
    made = linear(
        nodes=[helper.make_node("Gather", ["features", "places"], [name], axis=1)],
        outputs=[helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])],
        initializer=[onnx.numpy_helper.from_array(np.arange(width), "places")],
    )
    return bytes(made.SerializeToString())
