"""A driver that takes commands: lines of JSON come in, an answer a command goes out. Run as a process of its own.

    python -m tests.faults.spark_host MASTER LOG

``build`` is one attempt at one day or many, through Spark's Python workers and the product's own functions; ``read``
counts the rows of a published day. Each command has a thread of its own.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import DaystoneError
from spark_lib.files import read_parquet, spark_path, unreadable_files_named, write_parquet
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.session import session

CASE, DATASET = "spark", "rows"
ROWS, PARTS = 400, 4
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
_CONF = {
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": _QUICK,
    "spark.executor.extraJavaOptions": _QUICK,
    "spark.hadoop.fs.s3a.attempts.maximum": "2",
    "spark.hadoop.fs.s3a.retry.interval": "50ms",
    "spark.hadoop.fs.s3a.retry.throttle.interval": "50ms",
}
_SCHEMA = (("id", "bigint"), ("text", "string"))
_DDL = ", ".join(" ".join(column) for column in _SCHEMA)


def main(master: str, log: str) -> None:
    spark = session(master=master, driver_memory="1g", shuffle_partitions=2, conf=_CONF, log_file=log, on_s3=True)
    spark.range(2).mapInArrow(lambda batches: batches, "id BIGINT").count()  # workers and imports, once
    answer({"id": "ready"})
    for line in sys.stdin:
        threading.Thread(target=obey, args=[spark, json.loads(line)], daemon=True).start()


def obey(spark: SparkSession, command: dict[str, Any]) -> None:
    """An error of ours has its exit code, any other one that of a traceback."""
    told = {"id": command["id"], "code": 0, "said": ""}
    try:
        told["rows"] = _COMMANDS[command["do"]](spark, command)
    except DaystoneError as error:
        told |= {"code": error.exit_code, "said": str(error)}
    except Exception:  # whatever it is, whoever asked is told, as a command of ours would end
        told |= {"code": 1, "said": traceback.format_exc()}
    answer(told)


def answer(told: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


@unreadable_files_named()
def build(spark: SparkSession, command: dict[str, Any]) -> int:
    asked = [date.fromisoformat(day) for day in command["days"]]
    with Attempt(Lake(command["root"], CASE), DATASET, asked, stage="Spark") as attempt:
        # A job that meets another one leaves room for it.
        first, parts = asked[0].toordinal(), 1 if command.get("meet") else PARTS
        ids = spark.range(first * ROWS, (first + len(asked)) * ROWS, numPartitions=parts)
        worked = ids.mapInArrow(worker(command), "id BIGINT")
        number = F.expr(f"CAST(id DIV {ROWS} AS INT) - {first}")
        dated = worked.withColumn("date", F.get(F.array(*map(F.lit, asked)), number))
        rows = dated.select("id", F.format_string("%d of %s", "id", "date").alias("text"), "date")
        return sum(manifest.rows() for manifest in attempt.commit(write(attempt, rows)).values())


def write(attempt: Attempt, rows: DataFrame) -> dict[date, Rows]:
    if not attempt.partition_by:
        observed = write_parquet(rows.drop("date"), attempt.destination, ROWS)
        return {attempt.days[0]: Rows({"": observed["rows"]}, _SCHEMA)}
    from pyspark.sql import Observation

    seen = Observation()
    counts = [F.count_if(F.col("date") == F.lit(day)).alias(str(day)) for day in attempt.days]
    columns = rows.withColumn("run", F.lit(attempt.run)) if "run" in attempt.partition_by else rows
    # On S3 every job writes below the dataset's own directory, which others have written to.
    writer = columns.observe(seen, *counts).write.mode("append").partitionBy(*attempt.partition_by)
    writer.parquet(spark_path(attempt.destination))
    return {day: Rows({"": seen.get[str(day)]}, _SCHEMA) for day in attempt.days}


def worker(command: dict[str, Any]) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a Python worker does: it leaves a mark with its process, meets another job if it is told to, and takes its
    time."""
    marks, name, slow, meet = command.get("marks"), command["id"], command.get("slow", 0.0), command.get("meet", 0)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import os
        import time
        from pathlib import Path

        if marks:
            daemon = os.getppid()
            status = Path(f"/proc/{daemon}/stat").read_text()
            executor = int(status.rpartition(")")[2].split()[1])
            Path(marks, f"{name}.{os.getpid()}.{executor}").touch()
            deadline = time.monotonic() + 30
            while meet and time.monotonic() < deadline:
                if len({mark.name.split(".")[0] for mark in Path(marks).iterdir()}) >= meet:
                    break
                time.sleep(0.01)
        for batch in batches:
            time.sleep(slow)
            yield batch

    return work


@unreadable_files_named()
def read(spark: SparkSession, command: dict[str, Any]) -> int:
    asked = [date.fromisoformat(day) for day in command["days"]]
    found = Lake(command["root"], CASE).require(DATASET, asked[0], asked[-1])
    files = [file for partition in found for file in partition.files()]
    return read_parquet(spark, files, _DDL).count()


_COMMANDS = {"build": build, "read": read}

if __name__ == "__main__":
    main(*sys.argv[1:])
