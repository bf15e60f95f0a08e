"""Exports Spark's tree models to ONNX, from one read of the node table of all their trees.

onnxmltools saves and reads every tree by itself. It rounds thresholds to the nearest float32, which sends rows that lie
on a threshold the wrong way. Here thresholds are rounded down for trees that read float32 features, and stay doubles
for trees that read doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models.export.graph import Graph, of_margin
from spark_lib.models.export.refusals import refused
from spark_lib.models.matrix import round_down
from spark_lib.session.paths import reader_path

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

Attributes = dict[str, np.ndarray]
#: Up to this number of trees ONNX Runtime adds up their votes in float32, which is a quarter faster. With 100 trees the
#: result was up to 4e-7 away from the sum. More trees would come too near to the limit of parity, 1e-6.
FLOAT_TREES = 100


def forest(graph: Graph, nodes: pa.Table) -> str:
    """A random forest, or a decision tree as a forest of one: the average of the votes of the trees."""
    doubles = graph.is_double or len(nodes["tree"].unique()) > FLOAT_TREES
    attributes = typed(tree_attributes(nodes) | votes(nodes), doubles)
    x = graph.double() if doubles else graph.x
    _, probabilities = graph.add_ml(
        "TreeEnsembleClassifier", 2, x, classlabels_int64s=[0, 1], post_transform="NONE", **attributes
    )
    return probabilities


def boosted(graph: Graph, nodes: pa.Table, weights: np.ndarray, start: float = 0.0) -> str:
    """Gradient boosted trees: the logistic function of ``start`` and the weighted sum of the predictions of the trees.

    All is computed in doubles, but ONNX gives the sum as a float32.
    """
    from onnx import TensorProto

    attributes = typed(tree_attributes(nodes) | predictions(nodes, weights), doubles=True)
    (margin,) = graph.add_ml("TreeEnsembleRegressor", 1, graph.double(), n_targets=1, **attributes)
    wide = graph.add("Cast", margin, to=TensorProto.DOUBLE)
    return of_margin(graph, graph.add("Add", wide, np.array([start])) if start else wide)


def tree_attributes(nodes: pa.Table) -> Attributes:
    """The attributes ``nodes_`` of ONNX's tree ensembles for a node table as `read_nodes` gives it.

    Raises ModelError for a categorical split.
    """
    column, leaf = _columns(nodes)
    categorical = ~leaf & (column["categories"] != -1)
    if categorical.any():
        raise refused(
            "splits of continuous features only",
            f"categorical splits of the features at {np.unique(column['feature'][categorical]).tolist()}",
            "drop the nominal attributes (VectorIndexer, StringIndexer) of the vector, or encode them as 0/1 columns",
        )
    attributes = {
        "nodes_treeids": column["tree"],
        "nodes_nodeids": column["node"],
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "nodes_featureids": np.where(leaf, 0, column["feature"]),
        "nodes_values": np.where(leaf, 0.0, column["threshold"]),
        "nodes_truenodeids": np.where(leaf, 0, column["left"]),
        "nodes_falsenodeids": np.where(leaf, 0, column["right"]),
    }
    if "nan_left" in column:  # without it NaN goes right, like any value above the threshold
        attributes["nodes_missing_value_tracks_true"] = np.where(leaf, 0, column["nan_left"])
    return attributes


def votes(nodes: pa.Table) -> Attributes:
    """The attributes ``class_``: a leaf votes with its class counts divided by their total, and by the number of trees
    (Spark's ``RandomForestClassificationModel.predictRaw``). Raises ModelError for an empty leaf."""
    column, leaf = _columns(nodes)
    counts = np.stack([column["negatives"][leaf], column["positives"][leaf]], axis=1)
    totals = counts.sum(axis=1)
    if not (totals > 0).all():
        raise refused(
            "leaves that hold training rows",
            f"{np.count_nonzero(~(totals > 0))} leaves of no weight",
            "train without rows of weight 0",
        )
    return {
        "class_treeids": np.repeat(column["tree"][leaf], 2),
        "class_nodeids": np.repeat(column["node"][leaf], 2),
        "class_ids": np.tile([0, 1], len(totals)),
        "class_weights": (counts / totals[:, None] / len(np.unique(column["tree"]))).ravel(),
    }


def predictions(nodes: pa.Table, weights: np.ndarray) -> Attributes:
    """The attributes ``target_``: a leaf's prediction times the weight of its tree."""
    column, leaf = _columns(nodes)
    trees = column["tree"][leaf]
    return {
        "target_treeids": trees,
        "target_nodeids": column["node"][leaf],
        "target_ids": np.zeros_like(trees),
        "target_weights": column["prediction"][leaf] * weights[trees],
    }


def typed(attributes: Attributes, doubles: bool) -> dict[str, Any]:
    """Thresholds and weights in the type of the ensemble's input: doubles, or float32 with the thresholds rounded
    down."""
    from onnx import numpy_helper

    found: dict[str, Any] = {}
    for name, values in attributes.items():
        if values.dtype != np.float64:
            found[name] = values.tolist()
        elif doubles:
            found[f"{name}_as_tensor"] = numpy_helper.from_array(values, name)
        else:
            found[name] = (round_down(values) if name == "nodes_values" else values).tolist()
    return found


def read_nodes(model: Any, url: str, spark: SparkSession) -> pa.Table:
    """The nodes of every tree, in an order that does not depend on how Spark wrote them to files: tree, node, left,
    right, feature, threshold, categories, prediction, negatives, positives. To read them, the model is saved to
    ``url``."""
    from pyspark.sql import functions as F

    model.write().overwrite().save(url)
    saved = spark.read.parquet(reader_path(f"{url}/data"))
    if "treeID" not in saved.columns:  # a single tree is saved as its nodes
        saved = saved.select(F.lit(0).alias("treeID"), F.struct(*saved.columns).alias("nodeData"))
    # F.get and not [0]: a leaf has no threshold, which in ANSI mode would be an error.
    nodes = saved.select(
        F.col("treeID").alias("tree"),
        F.col("nodeData.id").alias("node"),
        F.col("nodeData.leftChild").alias("left"),
        F.col("nodeData.rightChild").alias("right"),
        F.col("nodeData.split.featureIndex").alias("feature"),
        F.get("nodeData.split.leftCategoriesOrThreshold", F.lit(0)).alias("threshold"),
        F.col("nodeData.split.numCategories").alias("categories"),
        F.col("nodeData.prediction").alias("prediction"),
        F.get("nodeData.impurityStats", F.lit(0)).alias("negatives"),
        F.get("nodeData.impurityStats", F.lit(1)).alias("positives"),
    )
    return nodes.toArrow().sort_by([("tree", "ascending"), ("node", "ascending")])


def _columns(nodes: pa.Table) -> tuple[Attributes, np.ndarray]:
    """The table as arrays, and which of its nodes are leaves."""
    column = {name: nodes[name].to_numpy() for name in nodes.column_names}
    return column, column["left"] < 0
