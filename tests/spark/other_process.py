"""What a process of its own finds: run by the fixture ``elsewhere`` in another time zone, with one core.

    python other_process.py REPORT LOG LAKE SCRATCH

It writes what it found to REPORT, as JSON, and must leave the terminal alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import ConfigurationError
from spark_lib.frames.files import write_parquet
from spark_lib.lake import Lake
from spark_lib.session.session import session
from spark_lib.stages import training
from tests.spark.lakes import CASE, DAY, SETTINGS, Estimated, Parcels, other_estimators, silent
from tests.support.processes import listening


def main(report: str, log: str, lake: str, scratch: str) -> None:
    found: dict[str, Any] = {"refused": refused(log)}
    conf = {
        "spark.driver.extraJavaOptions": "-Dmine=kept -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.ui.port": "0",
    }
    spark = session(master="local[1]", driver_memory="1g", shuffle_partitions=3, conf=conf, log_file=log)
    found["same_session"] = session(master="local[7]") is spark
    found["zones"] = zones(spark)
    found["mine"] = java(spark).getProperty("mine")
    found["files"] = files_of_a_write(spark, f"{scratch}/out")
    noise(spark)
    found["listening"] = listening(family())
    balanced = Lake(lake, CASE).require("balanced", DAY)[0]
    trained = training.build(spark, Parcels(), balanced, SETTINGS, f"{scratch}/model", silent)
    found["model_digest"] = trained.metrics["model_digest"]
    found["digests"] = {
        name: training.build(spark, Estimated(estimator), balanced, SETTINGS, f"{scratch}/{name}", silent).metrics[
            "model_digest"
        ]
        for name, estimator in other_estimators().items()
    }
    Path(report).write_text(json.dumps(found))


def refused(log: str) -> str:
    try:
        session(master="nowhere", log_file=log)
    except ConfigurationError as error:
        return str(error)
    return ""


def java(spark: SparkSession) -> Any:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    return jvm.java.lang.System


def zones(spark: SparkSession) -> dict[str, str]:
    """One instant and one date, as each part of Spark sees them, and the zone of Python itself."""
    instant = F.timestamp_seconds(F.lit(0))
    row = spark.range(1).select(
        instant.cast("string").alias("session"), instant.cast("date").cast("string").alias("date")
    )
    values = row.collect()[0].asDict()
    local = datetime.fromtimestamp(0)  # noqa: DTZ006  (the zone of the process is what is asked for)
    return values | {"jvm": java(spark).getProperty("user.timezone"), "python": str(local)}


def files_of_a_write(spark: SparkSession, url: str) -> list[str]:
    write_parquet(spark.range(10).withColumn("day", F.lit(date(2026, 3, 1))), url, 100)
    return sorted(path.name for path in Path(url).rglob("*"))


def noise(spark: SparkSession) -> None:
    """All that usually reaches a terminal: prints of workers, failed tasks with their traces, warnings."""

    def talkative(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        print("worker's print", flush=True)
        print("worker's complaint", file=sys.stderr, flush=True)
        yield from batches

    spark.range(3).mapInArrow(talkative, "id BIGINT").collect()
    try:
        spark.range(3).select(F.lit(1) / F.col("id")).collect()
    except PySparkException:
        pass
    else:
        raise AssertionError("a division by zero went through")


def family() -> list[int]:
    """This process and all below it."""
    parents: dict[int, list[int]] = {}
    for line in subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        pid, parent = map(int, line.split())
        parents.setdefault(parent, []).append(pid)
    found = [os.getpid()]
    for pid in found:
        found += parents.get(pid, [])
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
