"""How many tasks a stage's data wants: few for little, so that nothing waits for empty tasks, and many for much, so that none
has more than its memory holds. docs/performance.md has the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Bytes of Parquet, taken for four times as many in a shuffle, which a task then sorts in memory.
PARTITION_BYTES = 2**25
#: Tasks that read files: one that takes longer then leaves half of its core's work to others.
_SPLITS_A_CORE = 2


class Sized(Protocol):
    """What is read, and how many bytes it has in files."""

    @property
    def size(self) -> int: ...


def shuffle_partitions(size: int, cores: int) -> int:
    """Partitions of a shuffle of so many bytes of files: one a core at least; adaptive execution merges those that turn out
    small."""
    return max(cores, -(-size // PARTITION_BYTES))


def fit(spark: SparkSession, reads: Iterable[Sized], given: Mapping[str, str]) -> None:
    """Set the session's numbers of partitions to what a stage reads, but for the settings that are ``given``."""
    cores = spark.sparkContext.defaultParallelism
    wanted = {
        "spark.sql.shuffle.partitions": shuffle_partitions(sum(one.size for one in reads), cores),
        "spark.sql.files.minPartitionNum": _SPLITS_A_CORE * cores,
    }
    for name, number in wanted.items():
        if name not in given:
            spark.conf.set(name, str(number))
