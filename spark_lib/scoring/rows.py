"""Scores of the rows of a DataFrame: Arrow in, Arrow out, one thread a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from spark_lib.models import matrix
from spark_lib.session import leftovers
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from spark_lib.models.python_model import PythonModel
    from spark_lib.scoring.engine import Engine


def scored_with(
    runs: Engine | PythonModel,
    rows: DataFrame,
    identity: list[str],
    features: Mapping[str, Feature],
    name: str,
    classes: int,
) -> DataFrame:
    """The ``identity`` columns with what ``runs`` says, uncalibrated, as ``name``: a double, or an array of doubles of
    more than two ``classes``. Raises what ``runs`` does, and BadData for a missing value without a fill."""

    def scores(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            given = runs.of_rows(batch, features)
            matrix.refuse_missing(given.missing)
            columns = [*(batch.column(kept) for kept in identity), _column(given.scores.astype(np.float64), classes)]
            yield pa.RecordBatch.from_arrays(columns, names=[*identity, name])

    return rows.mapInArrow(scores, _schema(rows, identity, name, classes))


def scored_by(
    model: bytes,
    rows: DataFrame,
    identity: list[str],
    features: Mapping[str, Feature],
    digest: str | None = None,
    name: str = "score",
    classes: int = 2,
) -> DataFrame:
    """The ``identity`` columns with what an ONNX model says as ``name``. A worker refuses a model with another
    ``digest``.

    Nothing is calibrated. Of 2 ``classes`` it is a double, the positive class's probability; of more it is an array of
    doubles, the probabilities in the order of the labels; of a number (0) it is a double.
    """
    shipped = leftovers.broadcast(rows.sparkSession, model)

    def scores(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from spark_lib.models import model as models

        session = models.load(shipped.value, digest)
        for batch in batches:
            found = models.score(session, matrix.from_arrow(batch, features)).astype(np.float64)
            yield pa.RecordBatch.from_arrays(
                [*(batch.column(kept) for kept in identity), _column(found, classes)], names=[*identity, name]
            )

    return rows.mapInArrow(scores, _schema(rows, identity, name, classes))


def _column(found: np.ndarray, classes: int) -> pa.Array:
    """What a model says of rows as a column: doubles, or lists of doubles of more than two classes."""
    import pyarrow as pa

    if classes <= 2:
        return pa.array(found)
    ends = np.arange(0, found.size + 1, classes, dtype=np.int32)
    return pa.ListArray.from_arrays(ends, pa.array(found.ravel()))


def _schema(rows: DataFrame, identity: list[str], name: str, classes: int) -> StructType:
    from pyspark.sql.types import ArrayType, DoubleType, StructType

    added = ArrayType(DoubleType()) if classes > 2 else DoubleType()
    return StructType([rows.schema[column] for column in identity]).add(name, added)
