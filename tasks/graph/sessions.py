"""Starts the Spark session that the configuration asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.config import resolve
from tasks.config.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.session.sizes import Sized


def start(settings: Settings, root: str, reads: Iterable[Sized] = ()) -> SparkSession:
    """The process's session for a lake, started on first use. Its numbers of partitions are set to what is read, and its
    executors have the code of the use case.

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
    return started
