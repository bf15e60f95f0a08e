"""How many tasks a stage's data wants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spark_lib.session import sizes

MIB = 2**20


@pytest.mark.parametrize(
    ("size", "cores", "partitions"),
    [(0, 2, 2), (3 * MIB, 2, 2), (64 * MIB, 2, 2), (64 * MIB + 1, 2, 3), (3200 * MIB, 2, 100), (3200 * MIB, 500, 500)],
)
def test_a_shuffle_has_a_partition_for_each_32_mib_and_each_core(size: int, cores: int, partitions: int) -> None:
    assert sizes.shuffle_partitions(size, cores) == partitions


def fitted(given: dict[str, str]) -> dict[str, str]:
    """What is set for two inputs of 50 MiB on three cores."""
    found: dict[str, str] = {}
    spark: Any = SimpleNamespace(
        sparkContext=SimpleNamespace(defaultParallelism=3), conf=SimpleNamespace(set=found.__setitem__)
    )
    sizes.fit(spark, [SimpleNamespace(size=50 * MIB)] * 2, given)
    return found


def test_a_session_is_fitted_to_all_that_a_stage_reads() -> None:
    assert fitted({}) == {"spark.sql.shuffle.partitions": "4", "spark.sql.files.minPartitionNum": "6"}


def test_what_somebody_asked_for_stands() -> None:
    assert fitted({"spark.sql.shuffle.partitions": "9"}) == {"spark.sql.files.minPartitionNum": "6"}
