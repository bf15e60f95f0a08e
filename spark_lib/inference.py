"""Scores of a day: Arrow in, Arrow out, one thread a task and one load of the model a Python worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from spark_lib import matrix
from spark_lib.calibration import NONE, Calibration
from spark_lib.errors import BadData
from spark_lib.files import columns_of, schema_of, unreadable_files_named, write_parquet
from spark_lib.lake import Partition, Rows
from spark_lib.model import check_digest, check_safe
from spark_lib.reading import read_partitions
from spark_lib.selection import Pinned
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase


@unreadable_files_named()
def build(spark: SparkSession, case: UseCase, features: Partition, model: Pinned, url: str, file_rows: int) -> Rows:
    """Write one row for each row of ``features`` below ``url``: key, entity, event time, ``score`` (the
    probability of the positive outcome, by the calibration of the model's card), ``model_date`` and ``model_digest``.

    Raises BadData where the columns are not those of the model's card, or a value without a fill is missing;
    ModelError where the model is not the one that its card names, or is not safe to load.
    """
    from pyspark.errors import PythonException

    check_digest(model.model, model.digest)
    check_safe(model.model)
    wanted = {f["name"]: Feature(f["type"], f["fill"]) for f in model.card["features"]}
    check_columns(features, wanted)
    identity = list(dict.fromkeys([case.key, case.entity, case.event_time]))
    rows = read_partitions(spark, [features]).select(*identity, *wanted)
    scored = score(rows, identity, wanted, model)
    try:
        observed = write_parquet(scored, url, file_rows)
    except PythonException:
        matrix.check_filled(rows, wanted)  # what a worker refused: said here in words, and for the whole day
        raise
    if observed["rows"] != features.manifest.rows():
        raise BadData(
            f"predictions of {features.date}",
            f"a score for each of {features.manifest.rows():,} rows",
            f"{observed['rows']:,}",
            "run the stage again; nothing was published",
        )
    figures = {"model_date": str(model.date), "model_digest": model.digest}
    return Rows({"": observed["rows"]}, schema_of(scored), figures)


def score(rows: DataFrame, identity: list[str], features: Mapping[str, Feature], model: Pinned) -> DataFrame:
    """``identity`` columns with ``score``, ``model_date`` and ``model_digest``, a batch of rows at a time."""
    from pyspark.sql import functions as F

    return scored_by(model.model, rows, identity, features, model.card["calibration"], model.digest).select(
        *identity,
        "score",
        F.lit(model.date).alias("model_date"),
        F.lit(model.digest).alias("model_digest"),
    )


def scored_by(
    model: bytes,
    rows: DataFrame,
    identity: list[str],
    features: Mapping[str, Feature],
    back: Calibration = NONE,
    digest: str | None = None,
    name: str = "score",
) -> DataFrame:
    """``identity`` columns with the score of an ONNX model as ``name``, calibrated by ``back``. A worker refuses bytes of
    another ``digest``."""
    shipped = rows.sparkSession.sparkContext.broadcast(model)

    def scores(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from spark_lib import calibration
        from spark_lib.model import load
        from spark_lib.model import score as positive_probability

        session = load(shipped.value, digest)
        for batch in batches:
            score = calibration.apply(back, positive_probability(session, matrix.from_arrow(batch, features)))
            yield pa.RecordBatch.from_arrays(
                [*(batch.column(column) for column in identity), pa.array(score)], names=[*identity, name]
            )

    from pyspark.sql.types import DoubleType, StructType

    schema = StructType([rows.schema[column] for column in identity]).add(name, DoubleType())
    return rows.mapInArrow(scores, schema)


def check_columns(features: Partition, wanted: Mapping[str, Feature]) -> None:
    """Raise BadData where a feature of the model's card is not a column of that type."""
    found = dict(features.manifest.schema)
    for name, kind in columns_of(", ".join(f"`{name}` {feature.type}" for name, feature in wanted.items())).items():
        if found.get(name) != kind:
            raise BadData(
                f"features of {features.date}",
                f"a column {name!r} of type {kind}, as the model's card has it",
                f"type {found[name]}" if name in found else f"only {', '.join(found)}",
                "build the day's features again with the use case that the model was trained with, or train again",
            )
