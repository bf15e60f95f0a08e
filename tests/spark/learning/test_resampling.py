"""Rows that are drawn and rows that are repeated: how many, which, and the same ones for the same seed."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_lib.learning.resampling import drawn, repeated

ROWS = 10


@pytest.fixture(scope="module")
def parcels(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(f"p{number}",) for number in range(ROWS)], "parcel STRING").coalesce(1).cache()


def names(frame: DataFrame) -> list[str]:
    return sorted(row["parcel"] for row in frame.collect())


def by_digest(seed: int) -> list[str]:
    return sorted((f"p{number}" for number in range(ROWS)), key=lambda name: digest(f"{seed}:{name}"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_rows_are_drawn_in_the_order_of_the_digests_of_seed_and_key(parcels: DataFrame) -> None:
    assert names(drawn(parcels, "parcel", 4, seed=7)) == sorted(by_digest(7)[:4])


@pytest.mark.parametrize(("size", "found"), [(0, 0), (ROWS, ROWS), (ROWS + 1, ROWS)])
def test_no_row_is_drawn_where_none_is_wanted_and_each_once_where_all_or_more_are(
    parcels: DataFrame, size: int, found: int
) -> None:
    assert names(drawn(parcels, "parcel", size, seed=7)) == sorted(by_digest(7)[:found])


@pytest.mark.parametrize("more", [3, ROWS, 2 * ROWS + 3])
def test_each_row_is_repeated_equally_often_and_some_that_are_drawn_once_more(parcels: DataFrame, more: int) -> None:
    each, rest = divmod(more, ROWS)
    copies = {name: each + (name in by_digest(7)[:rest]) for name in by_digest(7)}

    made = repeated(parcels, "parcel", more, ROWS, seed=7).collect()

    assert Counter((row["parcel"], row["copy"]) for row in made) == {
        (name, copy): 1 for name, count in copies.items() for copy in range(1, count + 1)
    }
