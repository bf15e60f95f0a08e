"""One Spark session for every test that needs a real one: the product's own, with its own settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from spark_lib.session import session
from tests.spark.lakes import Chain, build_chain


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    started = session(
        master="local[2]",
        driver_memory="1g",
        shuffle_partitions=2,
        conf={"spark.ui.enabled": "false"},
        log_file=str(tmp_path_factory.mktemp("spark") / "spark.log"),
    )
    yield started
    started.stop()


@pytest.fixture(scope="session")
def chain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A small lake from raw days to a pinned model. Tests read it; one that changes files copies it first."""
    return build_chain(spark, str(tmp_path_factory.mktemp("chain") / "lake"))
