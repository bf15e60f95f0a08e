"""Measures what the export of a random forest to ONNX costs: ours, against onnxmltools as it comes.

    python -m benchmarks.export [--trees 100] [--pairs 3] [--keep]

Both export the same forest from one session, in turn, after one of ours to warm up. ``make bench`` runs it too. Figures
of other forests than the goal's are printed only.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from typing import Any

from pyspark.ml.classification import RandomForestClassificationModel, RandomForestClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.result import Result, judge, run
from spark_lib.models import export
from spark_lib.session.session import session

TREES = 100
DEPTH = 8
PAIRS = 3
ROWS = 20_000
FEATURES = 20
#: At most 3 s, where onnxmltools took 28 s on the machine that the goal was set on.
GOAL = 3 / 28


def results(trees: int = TREES, pairs: int = PAIRS) -> list[Result]:
    """Measure and print."""
    spark = session(conf={"spark.ui.enabled": "false"})
    try:
        fitted = forest(spark, trees)
        ours(spark, fitted)
        taken = [
            (seconds(lambda: ours(spark, fitted)), seconds(lambda: onnxmltools(spark, fitted))) for _ in range(pairs)
        ]
        return [judge(f"exporting {trees} trees of depth {DEPTH} to ONNX / onnxmltools alone", taken, goal=GOAL)]
    finally:
        spark.stop()


def forest(spark: SparkSession, trees: int) -> RandomForestClassificationModel:
    """A forest that is fitted to rows of noise, so that its trees are as full as they can be."""
    names = [f"f{seed}" for seed in range(FEATURES)]
    rows = spark.range(ROWS).select(*(F.rand(seed).alias(name) for seed, name in enumerate(names)))
    rows = rows.withColumn("label", (F.col("f0") + F.col("f1") + F.rand(FEATURES) > 1.5).cast("double"))
    assembled = VectorAssembler(inputCols=names, outputCol="features").transform(rows)
    fitted = RandomForestClassifier(numTrees=trees, maxDepth=DEPTH, seed=1).fit(assembled)
    print(f"{trees} trees of depth {DEPTH}, {fitted.totalNumNodes:,} nodes")
    # The training summary is no part of a model that is exported.
    return fitted.copy()


def ours(spark: SparkSession, fitted: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as scratch:
        export.export(fitted, FEATURES, scratch, spark)


def onnxmltools(spark: SparkSession, fitted: Any) -> None:
    from onnxmltools import convert_sparkml
    from onnxmltools.convert.common.data_types import FloatTensorType

    with contextlib.redirect_stdout(io.StringIO()):
        convert_sparkml(fitted, initial_types=[("features", FloatTensorType([None, FEATURES]))], spark_session=spark)


def seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    run(__doc__, results, PAIRS, trees=TREES)


if __name__ == "__main__":
    main()
