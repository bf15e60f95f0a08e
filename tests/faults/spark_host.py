"""A driver that takes commands: lines of JSON come in, an answer a command goes out. Run as a process of its own.

    python -m tests.faults.spark_host MASTER LOG

``build`` is one attempt at one day or many, through Spark's Python workers and the product's own functions; ``score`` is
one at the same dataset of a day, from the files that ``build`` left in another lake; ``read`` counts the rows of a
published day. Each command has a thread of its own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import DaystoneError
from spark_lib.frames.files import read_parquet, unreadable_files_named, write_parquet
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.lake.stores import s3_client
from spark_lib.problems.binary import Probability
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.engine import Engine
from spark_lib.scoring.partitions import Done, Job, Slice, attempted
from spark_lib.session.paths import spark_path
from spark_lib.session.session import session
from spark_lib.use_case import Feature

CASE, DATASET = "spark", "rows"
ROWS, PARTS = 400, 4
#: In which a task of scoring has its rows: two for each of two files.
PIECES = 4
_CORES = 2
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
    scoring.attempted = slowly  # of which tasks are told
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
    """What a Python worker does: it leaves a mark, meets another job if it is told to, and takes its time."""

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        at_work(command)
        for batch in batches:
            time.sleep(command.get("slow", 0.0))
            yield batch

    return work


def at_work(command: Mapping[str, Any]) -> None:
    """Leave a mark with this process and its executor's, and wait for another job's if the command says so."""
    marks, meet = command.get("marks"), command.get("meet", 0)
    if marks:
        status = Path(f"/proc/{os.getppid()}/stat").read_text()  # of the daemon
        executor = int(status.rpartition(")")[2].split()[1])
        Path(marks, f"{command['id']}.{os.getpid()}.{executor}").touch()
        deadline = time.monotonic() + 30
        while meet and time.monotonic() < deadline:
            if len({mark.name.split(".")[0] for mark in Path(marks).iterdir()}) >= meet:
                break
            time.sleep(0.01)


@dataclass(frozen=True)
class Slow(Engine):
    """Scores that take their time."""

    command: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, columns: np.ndarray) -> np.ndarray:
        time.sleep(self.command.get("slow", 0.0))
        found: np.ndarray = columns[0] % 1024 / 1024
        return found


def slowly(job: Job, share: Sequence[Slice], task: int) -> Done | DaystoneError:
    """A task of scoring in pieces so small that it can be struck between the row groups of a file, and between files."""
    assert isinstance(job.engine, Slow)
    at_work(job.engine.command)
    rows = ROWS // _CORES // PIECES
    with patch.object(Slow, "rows_at_once", rows), patch.object(scoring, "_GROUP_ROWS", rows):
        return attempted(job, share, task)


@unreadable_files_named()
def score(spark: SparkSession, command: dict[str, Any]) -> int:
    (day,) = (date.fromisoformat(day) for day in command["days"])
    (source,) = Lake(command["source"], CASE).require(DATASET, day)
    with Attempt(Lake(command["root"], CASE), DATASET, [day], stage="Spark") as attempt:
        job = Job(
            source.store.root,
            s3_client.connection(),
            _SCHEMA,
            {"id": Feature("bigint")},
            Slow(b"", command=command),
            Probability({"kind": "none"}),
            day,
            "none",
            attempt.lake.root,
            attempt.prefix(day),
            ROWS // PARTS,
        )
        done = scoring.run(spark, job, source.manifest.files, source.prefix)
        written = Rows(
            {"": done.scores.rows},
            (*_SCHEMA, *job.predictions.schema, *scoring.OF_THE_MODEL),
            {},
            frozenset(done.files),
        )
        return sum(manifest.rows() for manifest in attempt.commit(written).values())


@unreadable_files_named()
def read(spark: SparkSession, command: dict[str, Any]) -> int:
    asked = [date.fromisoformat(day) for day in command["days"]]
    found = Lake(command["root"], CASE).require(DATASET, asked[0], asked[-1])
    files = [file for partition in found for file in partition.files()]
    return read_parquet(spark, files, _DDL).count()


_COMMANDS = {"build": build, "score": score, "read": read}

if __name__ == "__main__":
    main(*sys.argv[1:])
