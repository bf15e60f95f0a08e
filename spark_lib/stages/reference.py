"""Makes the reference of a model: what its scores and features are on natural validation rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_lib import problems
from spark_lib.frames.reading import read_partitions
from spark_lib.models.model import digest
from spark_lib.models.python_model import PythonModel
from spark_lib.models.training_set import NATURAL
from spark_lib.release.sketch import Reference
from spark_lib.scoring import counted
from spark_lib.scoring.engine import Engine
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.lake import Partition
    from spark_lib.models.card import Card

#: The most validation rows that are brought to the driver. Of more rows, so many are drawn by a hash of the key.
MOST_ROWS = 100_000


def build(spark: SparkSession, key: Key, balanced: Partition, card: Card, model: bytes) -> Reference | None:
    """The reference of an exported ``model`` with this card. The rows are scored as a day is. None without a row."""
    from pyspark.sql import functions as F

    rows = read_partitions(spark, [balanced], NATURAL)
    if balanced.manifest.rows(NATURAL) > MOST_ROWS:
        rows = rows.orderBy(F.xxhash64(*names(key)), *names(key)).limit(MOST_ROWS)
    batches = rows.select(*card.features, "landed").toArrow().combine_chunks().to_batches()
    if not batches:
        return None
    landed = batches[0].column("landed")
    problem = problems.of_card(card)
    as_they_are = any(feature.text for feature in card.features.values())
    runs = PythonModel(model, digest(model), problem.classes) if as_they_are else Engine(model)
    given = runs.of_rows(batches[0], card.features)
    predictions = problem.predictions(card.calibration, card.decision)
    # The rows of many small values together are no population of their own.
    segments = [(each.column, each.value) for each in card.segments if not each.others and each.column in card.features]
    return counted.reference(batches[0], card.features, given, predictions, landed, segments)
