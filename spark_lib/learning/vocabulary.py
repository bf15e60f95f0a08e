"""Learns which texts of a category have a number of their own in the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from spark_lib.use_case import Feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def learnt(rows: DataFrame, features: Mapping[str, Feature], at_most: int) -> dict[str, Feature]:
    """``features`` with the ``categories`` that ``rows`` hold: the ``at_most`` most frequent texts of each, of equally
    frequent ones the first in the order of their bytes. Categories that the use case declares stay as they are. This
    takes one Spark job, or none."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    asked = [name for name, feature in features.items() if feature.is_category and feature.categories is None]
    if not asked:
        return dict(features)
    texts = [rows.select(F.lit(name).alias("feature"), _filled(name, features[name]).alias("text")) for name in asked]
    counts = reduce(lambda one, other: one.unionByName(other), texts).where("text IS NOT NULL")
    counts = counts.groupBy("feature", "text").count()
    place = F.row_number().over(Window.partitionBy("feature").orderBy(F.desc("count"), "text"))
    kept = counts.withColumn("place", place).where(F.col("place") <= at_most).orderBy("feature", "place").collect()
    found: dict[str, list[str]] = {name: [] for name in asked}
    for row in kept:
        found[row["feature"]].append(row["text"])
    return {
        name: replace(feature, categories=tuple(found[name])) if name in found else feature
        for name, feature in features.items()
    }


def _filled(name: str, feature: Feature) -> Column:
    from pyspark.sql import functions as F

    return F.col(name) if feature.fill is None else F.coalesce(F.col(name), F.lit(str(feature.fill)))
