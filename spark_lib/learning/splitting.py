"""Decides on which side of a split a row is.

By entity, the side depends only on the name of the entity, so that no entity moves when rows are added. By time, it
depends on the place of the landing day in the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib.models.training_set import CALIBRATION, SIDES, TRAIN, VALIDATION
from spark_lib.problems.problem import GROUP, GROUPS
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_BITS = 52  # bits of SHA-256, as many as a double holds exactly: 13 hexadecimal digits


def text_of(key: Key) -> Column:
    """What is hashed of a row: the column ``key`` as text; of several columns the JSON array of their texts, so that
    ("a", "bc") is not ("ab", "c")."""
    from pyspark.sql import functions as F

    if isinstance(key, str):
        return F.col(key).cast("string")
    return F.to_json(F.array(*(F.col(name).cast("string") for name in key)))


def unit_interval(salt: str, entity: Key) -> Column:
    """``u`` in [0, 1): the first 52 bits of SHA-256(salt ":" entity), over 2^52. ``entity`` names its columns."""
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{salt}:"), text_of(entity)), 256)
    return F.conv(F.substring(digest, 1, _BITS // 4), 16, 10).cast("bigint") / F.lit(2**_BITS)


def group(entity: Key) -> Column:
    """Which of ``GROUPS`` groups an entity is in, as ``GROUP``. The bootstrap resamples whole groups of entities,
    because the rows of an entity are alike. The hash is another one than that of the split."""
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(text_of(entity)), F.lit(GROUPS)).alias(GROUP)


def side(place: Column, settings: Mapping[str, Any]) -> Column:
    """``validation`` where ``place`` in [0, 1) is at least p, ``calibration`` from p - c on, else ``train``.

    p is ``train_validation_split_proportion``, c ``calibration_proportion``.
    """
    from pyspark.sql import functions as F

    p, c = settings["train_validation_split_proportion"], settings["calibration_proportion"]
    trained = round(p - c, 12)  # in doubles 0.8 - 0.1 is not 0.7, which is the place of day 7 of 10
    return F.when(place >= p, VALIDATION).when(place >= trained, CALIBRATION).otherwise(TRAIN)


def split(rows: DataFrame, salt: str, entity: Key, settings: Mapping[str, Any], first: date, days: int) -> DataFrame:
    """Add their ``side`` to ``rows``, so that no entity is on two sides.

    ``split`` of the settings is ``entity`` or ``time``. By time, the place of a row is that of its ``landed`` day in
    the window of ``days`` days from ``first`` on. An entity with rows on several sides stays on the latest one only:
    its earlier rows get no side (null). So the validation rows are still those of everybody who landed then.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if settings["split"] == "entity":
        return rows.withColumn("side", side(unit_interval(salt, entity), settings))
    of_row = side(F.date_diff("landed", F.lit(first)) / F.lit(days), settings)
    rank = F.array_position(F.array(*map(F.lit, SIDES)), of_row)
    latest = F.max(rank).over(Window.partitionBy(*names(entity)))
    return rows.withColumn("side", F.when(rank == latest, of_row))
