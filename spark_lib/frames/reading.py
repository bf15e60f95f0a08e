"""The public ways to read the lake.

    spark_lib.read(spark, "lake", "credit_risk", "predictions", date(2026, 3, 1))
    spark_lib.read_pandas("lake", "credit_risk", "predictions", date(2026, 3, 1), date(2026, 3, 7))

Each returns exactly the rows that manifests name. Other files in a directory are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.lake import Lake, Partition, tables
from spark_lib.lake.lake import common_schema
from spark_lib.release import in_force
from spark_lib.use_case import loading

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def read(
    spark: SparkSession,
    root: str,
    use_case: str,
    dataset: str,
    first: date,
    last: date | None = None,
    section: str = "",
    released: bool = False,
) -> DataFrame:
    """Rows of every day of ``[first, last]`` (one day without ``last``), with their ``date`` as the last column.

    ``use_case`` is a short name or ``module:Class``. ``section`` names a group of files where a dataset has them
    (``train``, ``validation/unbalanced``). With ``released`` the rows are those of the predictions in force, as the
    stage Release says, and not those of the runs that are published.

    Raises NotPublished where a day is missing, DamagedPartition where a day is not whole, and LakeError where the days'
    schemas differ. With ``released`` raises NotReleased where nothing is in force for a day.
    """
    return read_partitions(spark, _partitions(root, use_case, dataset, first, last, released), section)


def read_arrow(
    root: str,
    use_case: str,
    dataset: str,
    first: date,
    last: date | None = None,
    section: str = "",
    released: bool = False,
) -> pa.Table:
    """Like ``read``, but without Spark. Returns an Arrow table."""
    return tables.arrow_of(_partitions(root, use_case, dataset, first, last, released), section)


def read_pandas(
    root: str,
    use_case: str,
    dataset: str,
    first: date,
    last: date | None = None,
    section: str = "",
    released: bool = False,
) -> pd.DataFrame:
    """Like ``read``, but without Spark. Returns a pandas frame; dates are ``datetime.date``, instants are in UTC."""
    frame: pd.DataFrame = read_arrow(root, use_case, dataset, first, last, section, released).to_pandas()
    return frame


def read_partitions(spark: SparkSession, partitions: Sequence[Partition], section: str = "") -> DataFrame:
    """The rows of partitions of one dataset, with their ``date``."""
    from pyspark.sql import functions as F

    from spark_lib.frames.files import read_parquet

    schema = ", ".join(f"`{name}` {kind}" for name, kind in common_schema(list(partitions), section))
    files = [file for partition in partitions for file in partition.files(section)]
    day = F.regexp_extract(F.col("_metadata.file_path"), r".*/date=(\d{4}-\d\d-\d\d)/run=[0-9a-f]{16}/", 1)
    return read_parquet(spark, files, schema, date=F.to_date(day))


def _partitions(
    root: str, use_case: str, dataset: str, first: date, last: date | None, released: bool
) -> list[Partition]:
    lake = _lake(root, use_case)
    return in_force.require(lake, dataset, first, last) if released else lake.require(dataset, first, last)


def _lake(root: str, use_case: str) -> Lake:
    return Lake(root, loading.directory(loading.normalise(use_case)))
