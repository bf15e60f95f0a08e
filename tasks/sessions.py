"""The Spark session as configuration wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def start(settings: config.Settings, root: str) -> SparkSession:
    """The process's session for a lake, started on first use. Raises ConfigurationError, JavaMissing."""
    from spark_lib.session import session

    values = settings.spark
    return session(
        on_s3=settings.on_s3(root),
        quick_start=values.quick_start,
        master=values.master,
        driver_memory=values.driver_memory,
        shuffle_partitions=values.shuffle_partitions,
        conf=values.conf,
        log_file=str(config.log_file()),
    )
