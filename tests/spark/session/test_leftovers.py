"""What a finished job leaves in a session is taken away."""

from __future__ import annotations

import os

import pytest
from pyspark.sql import SparkSession

from spark_lib.session import leftovers


def cached(spark: SparkSession) -> int:
    jvm = spark.sparkContext._jsc
    assert jvm is not None
    return int(jvm.getPersistentRDDs().size())


def test_caches_broadcast_variables_and_their_files_are_gone(spark: SparkSession) -> None:
    leftovers.remove(spark)  # what tests before this one have cached
    frame = spark.range(10).persist()
    assert frame.count() == 10
    carried = leftovers.broadcast(spark, list(range(1_000)))
    directory = spark.sparkContext._temp_dir
    assert (cached(spark), bool(os.listdir(directory))) == (1, True)

    leftovers.remove(spark)

    assert (cached(spark), os.listdir(directory)) == (0, [])
    with pytest.raises(Exception, match="destroyed"):
        spark.sparkContext.parallelize([1]).map(lambda row: carried.value).collect()


def test_a_session_without_leftovers_is_left_as_it_is(spark: SparkSession) -> None:
    for _ in range(leftovers.JOBS_A_COLLECTION):
        leftovers.remove(spark)

    assert spark.range(3).count() == 3
