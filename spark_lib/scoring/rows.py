"""Scores of the rows of a DataFrame: Arrow in, Arrow out, one thread a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

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
) -> DataFrame:
    """The ``identity`` columns with the score of an ONNX model as ``name``, calibrated by ``back``. A worker refuses a
    model with another ``digest``."""
    shipped = rows.sparkSession.sparkContext.broadcast(model)

    def scores(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from spark_lib.models import calibration
        from spark_lib.models.model import load
        from spark_lib.models.model import score as positive_probability

        session = load(shipped.value, digest)
        for batch in batches:
            score = calibration.apply(back, positive_probability(session, matrix.from_arrow(batch, features)))
            yield pa.RecordBatch.from_arrays(
                [*(batch.column(column) for column in identity), pa.array(score)], names=[*identity, name]
            )

    from pyspark.sql.types import DoubleType, StructType

    schema = StructType([rows.schema[column] for column in identity]).add(name, DoubleType())
    return rows.mapInArrow(scores, schema)
