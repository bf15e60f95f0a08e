"""Spark's random forest as ONNX: the converter that Daystone hands to onnxmltools.

onnxmltools saves and re-reads every tree by itself and rounds thresholds to the nearest float32, which sends rows that
lie on a threshold the wrong way. This one reads the node table of the whole forest once and rounds thresholds down.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError
from spark_lib.files import reader_path
from spark_lib.model import INPUT, OUTPUT

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_FOREST = "pyspark.ml.classification.RandomForestClassificationModel"
_LABEL = "label"
#: Fixed, so that a newer onnx does not change the bytes of the same forest. It only picks the IR version (8).
_OPSET = 15


def export(model: Any, n_features: int, scratch_url: str, spark: SparkSession) -> bytes:
    """The ONNX of a binary RandomForestClassificationModel: float32 ``features`` [n, n_features] to float32
    ``probabilities`` [n, 2], the second column being that of label 1, uncalibrated.

    The same forest gives the same bytes: no uid, random name or time is in them. The model is saved to
    ``<scratch_url>/forest``, replacing what is there; nothing is left open, so that the caller may delete it.
    Raises ModelError for another kind of model, other than two classes, another number of features, a categorical
    split or an empty leaf.
    """
    import onnx
    from onnxmltools import convert_sparkml
    from onnxmltools.convert.common.data_types import FloatTensorType

    check(model, n_features)
    # onnxmltools names the graph's ends after the columns of the model, which are the use case's business.
    named = model.copy({model.featuresCol: INPUT, model.predictionCol: _LABEL, model.probabilityCol: OUTPUT})
    nodes = _read_nodes(model, scratch_url.rstrip("/") + "/forest", spark)
    converted = convert_sparkml(
        named,
        name="random_forest",
        initial_types=[(INPUT, FloatTensorType([None, n_features]))],
        target_opset=_OPSET,
        custom_conversion_functions={_FOREST: partial(_convert, node_attributes(nodes, model.getNumTrees))},
        custom_shape_calculators={_FOREST: _set_shapes},
        spark_session=spark,
    )
    # The label at 0.5 of an uncalibrated probability is nobody's decision: only the probabilities leave the graph.
    converted.graph.output.remove(next(output for output in converted.graph.output if output.name == _LABEL))
    onnx.checker.check_model(converted, full_check=True)
    exported: bytes = converted.SerializeToString(deterministic=True)
    return exported


def check(model: Any, n_features: int) -> None:
    """Raise ModelError for a fitted model that ``export`` would refuse by its kind, classes or number of features."""
    from pyspark.ml.classification import RandomForestClassificationModel

    if not isinstance(model, RandomForestClassificationModel):
        raise _refused(
            "a RandomForestClassificationModel, the only kind that is supported",
            f"a {type(model).__name__}",
            "let the use case's estimator be a RandomForestClassifier",
        )
    if model.numClasses != 2:
        raise _refused("two classes", f"{model.numClasses}", "let the training rows hold labels 0 and 1, both of them")
    if model.numFeatures != n_features:
        raise _refused(
            f"{n_features} features", f"{model.numFeatures}", "train on the features that the use case declares"
        )


def round_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64 threshold.

    For every float32 x, ``x <= round_down(t)`` exactly where Spark, which compares doubles, has ``x <= t``.
    """
    with np.errstate(over="ignore"):  # beyond float32: infinity, which the next line brings back below the threshold
        nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def node_attributes(nodes: pa.Table, n_trees: int) -> dict[str, list[Any]]:
    """The attributes of ONNX's TreeEnsembleClassifier for a node table sorted by ``tree`` and ``node``.

    A leaf votes with its class counts divided by their total, and a forest averages the votes of its trees (Spark's
    ``RandomForestClassificationModel.predictRaw``). Columns: tree, node, left, right, feature, threshold,
    categories, negatives, positives. Raises ModelError for a categorical split or an empty leaf.
    """
    column = {name: nodes[name].to_numpy() for name in nodes.column_names}
    leaf = column["left"] < 0
    categorical = ~leaf & (column["categories"] != -1)
    if categorical.any():
        raise _refused(
            "splits of continuous features only",
            f"categorical splits of the features at {np.unique(column['feature'][categorical]).tolist()}",
            "drop the nominal attributes (VectorIndexer, StringIndexer) of the vector, or encode them as 0/1 columns",
        )
    totals = (column["negatives"] + column["positives"])[leaf]
    if not (totals > 0).all():
        raise _refused(
            "leaves that hold training rows",
            f"{np.count_nonzero(~(totals > 0))} leaves of no weight",
            "train without rows of weight 0",
        )
    votes = np.stack([column["negatives"][leaf], column["positives"][leaf]], axis=1) / totals[:, None] / n_trees
    attributes = {
        "nodes_treeids": column["tree"],
        "nodes_nodeids": column["node"],
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "nodes_featureids": np.where(leaf, 0, column["feature"]),
        "nodes_values": round_down(np.where(leaf, 0.0, column["threshold"])),
        "nodes_truenodeids": np.where(leaf, 0, column["left"]),
        "nodes_falsenodeids": np.where(leaf, 0, column["right"]),
        "class_treeids": np.repeat(column["tree"][leaf], 2),
        "class_nodeids": np.repeat(column["node"][leaf], 2),
        "class_ids": np.tile([0, 1], len(totals)),
        "class_weights": votes.ravel(),
    }
    return {name: values.tolist() for name, values in attributes.items()}


def _read_nodes(model: Any, url: str, spark: SparkSession) -> pa.Table:
    """The nodes of every tree, in an order that does not depend on how Spark laid them out in files."""
    from pyspark.sql import functions as F

    model.write().overwrite().save(url)
    # F.get and not [0]: a leaf has no threshold, which in ANSI mode would be an error.
    nodes = spark.read.parquet(reader_path(f"{url}/data")).select(
        F.col("treeID").alias("tree"),
        F.col("nodeData.id").alias("node"),
        F.col("nodeData.leftChild").alias("left"),
        F.col("nodeData.rightChild").alias("right"),
        F.col("nodeData.split.featureIndex").alias("feature"),
        F.get("nodeData.split.leftCategoriesOrThreshold", F.lit(0)).alias("threshold"),
        F.col("nodeData.split.numCategories").alias("categories"),
        F.get("nodeData.impurityStats", F.lit(0)).alias("negatives"),
        F.get("nodeData.impurityStats", F.lit(1)).alias("positives"),
    )
    return nodes.toArrow().sort_by([("tree", "ascending"), ("node", "ascending")])


def _convert(attributes: dict[str, list[Any]], scope: Any, operator: Any, container: Any) -> None:
    """The conversion function that onnxmltools calls for a forest."""
    container.add_node(
        "TreeEnsembleClassifier",
        operator.input_full_names,
        operator.output_full_names,
        op_domain="ai.onnx.ml",
        name=scope.get_unique_operator_name("forest"),
        classlabels_int64s=[0, 1],
        post_transform="NONE",
        **attributes,
    )


def _set_shapes(operator: Any) -> None:
    """The shape calculator that onnxmltools calls for a forest."""
    from onnxmltools.convert.common.data_types import FloatTensorType, Int64TensorType

    label, probabilities = operator.outputs
    label.type = Int64TensorType([None])
    probabilities.type = FloatTensorType([None, 2])


def _refused(wanted: str, found: str, next_step: str) -> ModelError:
    return ModelError("export to ONNX", wanted, found, next_step)
