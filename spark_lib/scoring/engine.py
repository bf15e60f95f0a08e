"""Runs a model: its trees as a compiled forest where they fit one, and ONNX Runtime for everything else.

An `Engine` is made once, on the driver, and sent to the workers. A worker never imports onnx, and it imports ONNX
Runtime only where a forest alone is not enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models import matrix, model
from spark_lib.models.model import Given
from spark_lib.scoring import forest
from spark_lib.scoring.forest import Forest, Unfit

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.use_case import Feature

#: Below this number of rows ONNX Runtime is done before numba has loaded.
LEAST_ROWS = 500_000
_SUMS = "sums"
_ENSEMBLES = {"TreeEnsembleClassifier": 1, "TreeEnsembleRegressor": 0, "TreeEnsemble": 0}  # which result is the sum


@dataclass(frozen=True)
class Engine:
    """``model`` is the ONNX model. Where its trees fit a ``forest``, this gives their sums, and ``rest`` is the model
    that turns the sums into what the model gives. ``rest`` is empty where the sums are that already, for the ``classes``
    of ``spark_lib.models.model``: of 2 classes the forest then gives the sum of the positive class alone. Where the trees
    do not fit, ``why`` gives the reason."""

    model: bytes
    forest: Forest | None = None
    rest: bytes = b""
    why: str = ""
    classes: int = 2

    #: Rows that are scored at a time. A worker holds this many.
    rows_at_once = 2**16

    @property
    def name(self) -> str:
        return "forest" if self.forest else "onnxruntime"

    def of_rows(self, rows: pa.RecordBatch, features: Mapping[str, Feature]) -> Given:
        """What `scores` returns for the rows, and nothing where values are missing. No row takes the score of an
        earlier one."""
        encoded = matrix.by_column(rows, features)
        found = np.zeros(0) if encoded.missing else self.scores(encoded.columns)
        return Given(found, encoded.missing, encoded.unseen, matrix=encoded.columns, absent=encoded.absent)

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """What ``model.score`` returns, float32 [n] or [n, classes], for float32 features by column [k, n].

        The last step is always that of ``model.score``, so that a forest gives the same bits as ONNX Runtime.
        """
        if (
            self.forest is None
            or self.forest.why_not_compiled()
            or (self.forest.sends_nan_left and np.isnan(columns).any())
        ):
            return model.score(model.load(self.model), np.ascontiguousarray(columns.T))
        sums = self.forest.sums(columns)
        if self.rest:
            return model.run(model.load(self.rest), _SUMS, sums.astype(np.float32))
        if self.classes == 2:
            return model.within_rounding(sums[:, 0].astype(np.float32))
        return model.as_scores(sums.astype(np.float32), self.classes)


def of(model_bytes: bytes, rows: int = LEAST_ROWS) -> Engine:
    """The engine for ``rows`` rows of a model that is safe to load."""
    if rows < LEAST_ROWS:
        return Engine(model_bytes, why=f"fewer than {LEAST_ROWS:,} rows")
    return _for_many_rows(model_bytes)


@lru_cache(maxsize=2)  # a backfill scores many days by one model
def _for_many_rows(model_bytes: bytes) -> Engine:
    try:
        return _with_forest(model_bytes)
    except Unfit as unfit:
        return Engine(model_bytes, why=str(unfit))


def _with_forest(model_bytes: bytes) -> Engine:
    import onnx
    from onnx import helper, numpy_helper

    loaded = onnx.load_model_from_string(model_bytes)
    graph = loaded.graph
    ensembles = [node for node in graph.node if node.op_type in _ENSEMBLES]
    if len(ensembles) != 1:
        raise Unfit(f"{len(ensembles)} ensembles of trees")
    (ensemble,) = ensembles
    before = {model.INPUT: False} | {
        node.output[0]: helper.get_node_attr_value(node, "to") == onnx.TensorProto.DOUBLE
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] == model.INPUT
    }
    if ensemble.input[0] not in before:
        raise Unfit("trees that read something else than the features")
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in ensemble.attribute}
    given = {name: _plain(value, numpy_helper) for name, value in given.items()}
    trees = forest.of_node(ensemble.op_type, given, before[ensemble.input[0]])
    sums = ensemble.output[_ENSEMBLES[ensemble.op_type]]
    rest = [node for node in graph.node if node is not ensemble and node.output[0] not in before]
    if sums == graph.output[0].name and not rest:
        classes = trees.width if sums == model.OUTPUT else 0
        return Engine(model_bytes, trees.only(1) if classes == 2 else trees, classes=classes)
    if any(name in before or (name in ensemble.output and name != sums) for node in rest for name in node.input):
        raise Unfit("more than the sums of the trees behind them")
    return Engine(model_bytes, trees, _model_of_sums(loaded, rest, sums, trees.width))


def _model_of_sums(loaded: Any, nodes: list[Any], sums: str, width: int) -> bytes:
    """The nodes that follow the ensemble, as a model of their own."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Identity", [_SUMS], [sums]), *nodes]
    given = helper.make_tensor_value_info(_SUMS, TensorProto.FLOAT, [None, width])
    graph = helper.make_graph(nodes, "rest", [given], loaded.graph.output, loaded.graph.initializer)
    rest = helper.make_model(graph, opset_imports=loaded.opset_import, ir_version=loaded.ir_version)
    found: bytes = rest.SerializeToString(deterministic=True)
    return found


def _plain(value: Any, numpy_helper: Any) -> Any:
    return numpy_helper.to_array(value) if hasattr(value, "raw_data") else value
