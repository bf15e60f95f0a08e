"""What exported models of Spark ML are compared on: rows to train on, and rows on which exports go wrong."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Pipeline
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.models.matrix import round_down

K = 8
ROWS = 10_000
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, -1e-45, 3e38, -3e38], np.float32)


def pipeline(*stages: Any) -> Pipeline:
    """The stages, each reading what the one before it writes."""
    linked, column = [], "features"
    for at, stage in enumerate(stages[:-1]):
        linked.append(stage.copy({stage.inputCol: column, stage.outputCol: f"made_{at}"}))
        column = f"made_{at}"
    return Pipeline(stages=[*linked, stages[-1].copy({stages[-1].featuresCol: column})])


def vectors(spark: SparkSession, matrix: np.ndarray) -> DataFrame:
    """One row for each row of the matrix: ``row``, ``features`` (a vector of doubles)."""
    table = pa.table({"row": np.arange(len(matrix)), "values": matrix.astype(np.float64).tolist()})
    return spark.createDataFrame(table).select("row", array_to_vector(F.col("values")).alias("features"))


def training_matrix() -> np.ndarray:
    """The first feature 0 or 1, the last constant, the others multiples of 0.001, so that thresholds fall on none."""
    matrix = np.round(np.random.default_rng(0).random((2_000, K)), 3).astype(np.float32)
    matrix[:, 0] = matrix[:, 0] > 0.5
    matrix[:, -1] = 3
    return matrix


def splits(fitted: Any) -> tuple[np.ndarray, np.ndarray]:
    """The feature and the float64 threshold of every split, as Spark prints them."""
    found = re.findall(r"If \(feature (\d+) <= (\S+)\)", fitted.toDebugString)
    return np.array([int(k) for k, _ in found]), np.array([float(t) for _, t in found])


def hard_rows(fitted: Any) -> np.ndarray:
    """10,000 rows of float32: real ones; NaN, infinities, both zeros and the least and greatest numbers, alone and in
    company; and each value that meets a split of a tree exactly, or one float32 step beside it."""
    random = np.random.default_rng(1)
    matrix = random.random((ROWS, K), dtype=np.float32) * 1.2 - np.float32(0.1)
    matrix[:2_000] = training_matrix()
    matrix[np.arange(2_000, 4_000), random.integers(0, K, 2_000)] = random.choice(SPECIAL, 2_000)
    matrix[4_000:4_500] = random.choice(SPECIAL, (500, K))
    matrix[4_500] = 0
    if hasattr(fitted, "toDebugString"):
        features, thresholds = splits(fitted)
        below = round_down(thresholds)
        assert (thresholds.astype(np.float32) > thresholds).any(), "no threshold that the nearest float32 would raise"
        placed = np.concatenate([below, thresholds.astype(np.float32), np.nextafter(below, np.float32(np.inf))])
        matrix[5_000 : 5_000 + len(placed)][np.arange(len(placed)), np.tile(features, 3)] = placed
    return matrix
