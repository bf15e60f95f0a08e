"""Scores of the rows of a DataFrame: Arrow in, Arrow out, one thread a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from spark_lib.models import matrix
from spark_lib.models.calibration import NONE, Calibration
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


def scored_by(
    model: bytes,
    rows: DataFrame,
    identity: list[str],
    features: Mapping[str, Feature],
    back: Calibration = NONE,
    digest: str | None = None,
    name: str = "score",
    classes: int = 2,
) -> DataFrame:
    """The ``identity`` columns with what an ONNX model says as ``name``. A worker refuses a model with another
    ``digest``.

    Of 2 ``classes`` it is a double, the positive class's probability calibrated by ``back``. Others are not calibrated:
    of more classes it is an array of doubles, the probabilities in the order of the labels, and of a number (0) a
    double.
    """
    shipped = rows.sparkSession.sparkContext.broadcast(model)

    def scores(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from spark_lib.models import calibration
        from spark_lib.models import model as models

        session = models.load(shipped.value, digest)
        for batch in batches:
            found = models.score(session, matrix.from_arrow(batch, features)).astype(np.float64)
            if classes > 2:
                ends = np.arange(0, found.size + 1, classes, dtype=np.int32)
                column: pa.Array = pa.ListArray.from_arrays(ends, pa.array(found.ravel()))
            else:
                column = pa.array(calibration.apply(back, found) if classes == 2 else found)
            yield pa.RecordBatch.from_arrays(
                [*(batch.column(kept) for kept in identity), column], names=[*identity, name]
            )

    from pyspark.sql.types import ArrayType, DoubleType, StructType

    added = ArrayType(DoubleType()) if classes > 2 else DoubleType()
    schema = StructType([rows.schema[column] for column in identity]).add(name, added)
    return rows.mapInArrow(scores, schema)
