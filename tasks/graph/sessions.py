"""Starts the Spark session that the configuration asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.config import resolve
from tasks.config.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.session.sizes import Sized


def start(settings: Settings, root: str, reads: Iterable[Sized] = (), what: str = "") -> SparkSession:
    """The process's session for a lake, started on first use. Its numbers of partitions are set to what is read, and its
    executors have the code of the use case. Spark's page shows ``what`` the jobs that follow are for.

    Raises ConfigurationError, JavaMissing.
    """
    from spark_lib.session import shipping, sizes
    from spark_lib.session.session import session

    values = settings.spark
    conf = dict(values.conf)
    if values.shuffle_partitions is not None:
        conf["spark.sql.shuffle.partitions"] = str(values.shuffle_partitions)
    started = session(
        ways=settings.ways(root),
        quick_start=values.quick_start,
        master=values.master,
        driver_memory=values.driver_memory,
        conf=conf,
        log_file=str(resolve.log_file()),
    )
    if values.ship_code:
        shipping.ship(started, type(settings.case).__module__)
    sizes.fit(started, reads, conf)
    started.sparkContext.setJobDescription(what)
    return started


def tidy() -> None:
    """Take away what finished jobs have left in the process's session. Nothing happens where none was started."""
    if "pyspark" not in sys.modules:
        return
    from spark_lib.session import leftovers
    from spark_lib.session.session import started

    running = started()
    if running is not None:
        leftovers.remove(running)
