"""Takes away what a finished job leaves in a session, so that a process of many jobs stays as small as one of few."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

#: Jobs after which Java collects its garbage. Spark removes the files of a shuffle when nothing refers to it any more,
#: and finds that out in no other way.
JOBS_A_COLLECTION = 10

_broadcast: list[Broadcast[Any]] = []
_jobs = 0


def broadcast(spark: SparkSession, value: Any) -> Broadcast[Any]:
    """A broadcast variable that lives until ``remove``."""
    made = spark.sparkContext.broadcast(value)
    _broadcast.append(made)
    return made


def remove(spark: SparkSession) -> None:
    """Remove caches, broadcast variables and temporary files of the jobs that have ended. No frame that was made before
    can be computed after that."""
    global _jobs
    spark.catalog.clearCache()
    while _broadcast:
        _broadcast.pop().destroy()
    directory = str(getattr(spark.sparkContext, "_temp_dir", ""))  # of PySpark's own, for what it broadcasts
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        with suppress(OSError):
            os.unlink(os.path.join(directory, name))
    _jobs += 1
    if _jobs % JOBS_A_COLLECTION == 0:
        jvm = spark.sparkContext._jvm
        assert jvm is not None  # a running session has one
        jvm.java.lang.System.gc()
