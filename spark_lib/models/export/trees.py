"""Exports Spark's tree models to ONNX, from one read of the node table of all their trees.

onnxmltools saves and reads every tree by itself. It rounds thresholds to the nearest float32, which sends rows that lie
on a threshold the wrong way. Here thresholds are rounded down for trees that read float32 features, and stay doubles
for trees that read doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models.export.graph import Graph, of_margin, of_margins
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
    leaves = votes(nodes)
    attributes = typed(tree_attributes(nodes) | leaves, doubles)
    x = graph.double() if doubles else graph.x
    labels = list(range(int(leaves["class_ids"].max()) + 1))
    _, probabilities = graph.add_ml(
        "TreeEnsembleClassifier", 2, x, classlabels_int64s=labels, post_transform="NONE", **attributes
    )
    return probabilities


def sums(graph: Graph, nodes: pa.Table, weights: np.ndarray, starts: np.ndarray) -> str:
    """The start of each of m sums and the weighted predictions of its trees, float32 [n, m]. The trees belong to the sums in
    turn, and ``starts`` are doubles [m].

    All is added up in doubles, and rounded to float32 once. So a sum that is small because great numbers cancel out is
    still as exact as a float32 can be.
    """
    attributes = typed(tree_attributes(nodes) | predictions(nodes, weights, starts), doubles=True)
    (found,) = graph.add_ml("TreeEnsembleRegressor", 1, graph.double(), n_targets=len(starts), **attributes)
    return found


def averaged(graph: Graph, nodes: pa.Table) -> str:
    """A random forest of a number, or a tree as a forest of one: the mean of the predictions of the trees."""
    trees = len(nodes["tree"].unique())
    return sums(graph, nodes, np.full(trees, 1 / trees), np.zeros(1))


def boosted_classes(graph: Graph, nodes: pa.Table, weights: np.ndarray, starts: np.ndarray) -> str:
    """Gradient boosted trees of 3 or more classes: the softmax, in doubles, of the sums of the classes."""
    from onnx import TensorProto

    margins = sums(graph, nodes, weights, starts)
    return of_margins(graph, graph.add("Cast", margins, to=TensorProto.DOUBLE))


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
    counts = _counts(nodes)[leaf]
    classes = counts.shape[1]
    totals = counts.sum(axis=1)
    if not (totals > 0).all():
        raise refused(
            "leaves that hold training rows",
            f"{np.count_nonzero(~(totals > 0))} leaves of no weight",
            "train without rows of weight 0",
        )
    return {
        "class_treeids": np.repeat(column["tree"][leaf], classes),
        "class_nodeids": np.repeat(column["node"][leaf], classes),
        "class_ids": np.tile(np.arange(classes), len(totals)),
        "class_weights": (counts / totals[:, None] / len(np.unique(column["tree"]))).ravel(),
    }


def predictions(nodes: pa.Table, weights: np.ndarray, starts: np.ndarray | None = None) -> Attributes:
    """The attributes ``target_``: a leaf's prediction times the weight of its tree. Where ``starts`` [m] are given, the
    trees belong to m targets in turn, and the first tree of each has its start in every leaf."""
    column, leaf = _columns(nodes)
    trees = column["tree"][leaf]
    values = column["prediction"][leaf] * weights[trees]
    if starts is not None:
        values = np.where(trees < len(starts), starts[trees % len(starts)] + values, values)
    return {
        "target_treeids": trees,
        "target_nodeids": column["node"][leaf],
        "target_ids": np.zeros_like(trees) if starts is None else trees % len(starts),
        "target_weights": values,
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
    right, feature, threshold, categories, prediction, counts. The ``counts`` of a classifier's node are the weights of
    its training rows by class. To read the nodes, the model is saved to ``url``."""
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
        F.col("nodeData.impurityStats").alias("counts"),
    )
    return nodes.toArrow().sort_by([("tree", "ascending"), ("node", "ascending")])


def _columns(nodes: pa.Table) -> tuple[Attributes, np.ndarray]:
    """The table as arrays, without the counts, and which of its nodes are leaves."""
    column = {name: nodes[name].to_numpy() for name in nodes.column_names if name != "counts"}
    return column, column["left"] < 0


def _counts(nodes: pa.Table) -> np.ndarray:
    """The counts of every node, float64 [nodes, classes]."""
    counts: np.ndarray = nodes["counts"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return counts.reshape(len(nodes), -1)
