"""Decides how many tasks a stage's data needs. Little data gets few tasks, so that nothing waits for empty ones. Much
data gets many, so that none has more than its memory holds. docs/performance.md has the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Bytes of Parquet for one task of a shuffle. In the shuffle they count as four times as many, which the task sorts in
#: memory.
PARTITION_BYTES = 2**25
#: Tasks for each core that read files. So a slow task leaves half of its core's work to others.
_SPLITS_A_CORE = 2


class Sized(Protocol):
    """Something to be read, with its bytes in files."""

    @property
    def size(self) -> int: ...


def shuffle_partitions(size: int, cores: int) -> int:
    """The partitions of a shuffle of ``size`` bytes of files: at least one for each core. Adaptive execution merges
    those that turn out small."""
    return max(cores, -(-size // PARTITION_BYTES))


def fit(spark: SparkSession, reads: Iterable[Sized], given: Mapping[str, str]) -> None:
    """Set the session's numbers of partitions to what a stage reads, except for the settings that are ``given``."""
    cores = spark.sparkContext.defaultParallelism
    wanted = {
        "spark.sql.shuffle.partitions": shuffle_partitions(sum(one.size for one in reads), cores),
        "spark.sql.files.minPartitionNum": _SPLITS_A_CORE * cores,
    }
    for name, number in wanted.items():
        if name not in given:
            spark.conf.set(name, str(number))
