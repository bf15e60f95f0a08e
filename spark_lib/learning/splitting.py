"""Which side of a split a row is on. By entity it is a pure function of the entity's name, so that nobody ever moves when
rows are added; by time it is the place of the landing day in the window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.models.training_set import CALIBRATION, SIDES, TRAIN, VALIDATION

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

GROUP, GROUPS = "_group", 200
_BITS = 52  # of SHA-256, as many as a double holds exactly: 13 hexadecimal digits


def unit_interval(salt: str, entity: str) -> Column:
    """``u`` in [0, 1): the first 52 bits of SHA-256(salt ":" entity), over 2^52. ``entity`` names a column."""
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{salt}:"), F.col(entity).cast("string")), 256)
    return F.conv(F.substring(digest, 1, _BITS // 4), 16, 10).cast("bigint") / F.lit(2**_BITS)


def group(entity: str) -> Column:
    """Which of ``GROUPS`` groups an entity is in, as ``GROUP``. The bootstrap resamples whole groups of entities,
    because the rows of an entity are alike. By another hash than the split's."""
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(F.col(entity).cast("string")), F.lit(GROUPS)).alias(GROUP)


def side(place: Column, settings: Mapping[str, Any]) -> Column:
    """``validation`` where ``place`` in [0, 1) is at least p, ``calibration`` from p - c on, else ``train``.

    p is ``train_validation_split_proportion``, c ``calibration_proportion``.
    """
    from pyspark.sql import functions as F

    p, c = settings["train_validation_split_proportion"], settings["calibration_proportion"]
    trained = round(p - c, 12)  # 0.8 - 0.1 is not 0.7, which the seventh day of ten has
    return F.when(place >= p, VALIDATION).when(place >= trained, CALIBRATION).otherwise(TRAIN)


def split(rows: DataFrame, salt: str, entity: str, settings: Mapping[str, Any], first: date, days: int) -> DataFrame:
    """``rows`` with their ``side``, no entity on two of them.

    ``split`` of the settings is ``entity`` or ``time``; then a row's place is that of its ``landed`` day in the window of
    ``days`` from ``first`` on, and an entity that is on several sides stays on the latest only: the earlier rows of it get
    no side (null), so that the validation rows are still everybody who landed then.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if settings["split"] == "entity":
        return rows.withColumn("side", side(unit_interval(salt, entity), settings))
    of_row = side(F.date_diff("landed", F.lit(first)) / F.lit(days), settings)
    rank = F.array_position(F.array(*map(F.lit, SIDES)), of_row)
    latest = F.max(rank).over(Window.partitionBy(entity))
    return rows.withColumn("side", F.when(rank == latest, of_row))
