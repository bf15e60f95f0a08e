"""Makes the archive of Spark's classes with which a driver starts in half the time:
``python -m spark_lib.session.startup``. In a checkout ``make`` does so."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_lib.caches import user_directory
from spark_lib.errors import ConfigurationError, DaystoneError
from spark_lib.session import java, jvm

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_END_SECONDS = 300


def make() -> Path:
    """Start Spark, do once what a chain does, and store the classes that were loaded. Another process may do the same
    at the same time.

    Raises ConfigurationError where this makes no archive.
    """
    build = java.require().build
    user_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=user_directory(), prefix=".starting-") as scratch:
        new, log = Path(scratch, "classes.jsa"), Path(scratch, "spark.log")
        _record(scratch, new, log)
        if not new.is_file():
            raise ConfigurationError(
                "Spark's class-data archive",
                "a JVM that writes one as it ends",
                next((line for line in log.read_text(errors="replace").splitlines() if "cds" in line), "no file"),
                "run without it: nothing else depends on it",
            )
        older = jvm.archives(build)
        with new.open("rb") as written:
            os.fsync(written.fileno())
        made = new.rename(user_directory() / f"{jvm.name(build)}-{new.stat().st_size}.jsa")
    for kept in older:
        if kept != made:
            kept.unlink(missing_ok=True)  # a JVM that has mapped it can still use it
    return made


def _record(scratch: str, new: Path, log: Path) -> None:
    """Run this module's work in a process of its own, because a process has only one session."""
    work = [sys.executable, "-m", "spark_lib.session.startup", "--record", str(new), str(log), scratch]
    try:
        ended = subprocess.run(work, capture_output=True, text=True, timeout=_END_SECONDS, check=False)
        found = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1] if ended.returncode else ""
    except subprocess.TimeoutExpired:
        found = f"none within {_END_SECONDS} s"
    if found:
        raise ConfigurationError(
            "Spark's class-data archive", "a Spark session that starts and works", found, "run `daystone doctor`"
        )


def _recorded(new: str, log: str, scratch: str) -> None:
    from pyspark import SparkContext

    from spark_lib.session.session import session

    written = {"spark.driver.extraJavaOptions": f'"-XX:ArchiveClassesAtExit={new}" -XX:TieredStopAtLevel=1'}
    spark = session(master="local[2]", shuffle_partitions=2, conf=written, log_file=log, quick_start=False)
    _work(spark, f"{scratch}/rows")
    spark.stop()
    started: Any = SparkContext._gateway
    started.shutdown()
    started.proc.stdin.close()
    started.proc.wait(_END_SECONDS)  # it writes the archive as it ends


def _work(spark: SparkSession, path: str) -> None:
    """Do a little of each thing that a chain does, so that its classes are loaded."""
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    rows = spark.range(2000).select(
        "id",
        F.pmod(F.xxhash64("id"), F.lit(50)).cast("string").alias("entity"),
        F.timestamp_seconds(F.col("id")).alias("at"),
        (F.pmod(F.xxhash64("id", F.lit(1)), F.lit(1000)) / 7).alias("amount"),
        F.pmod(F.xxhash64("id", F.lit(2)), F.lit(2)).cast("double").alias("label"),
    )
    rows.repartitionByRange(2, "id").sortWithinPartitions("id").write.partitionBy("label").parquet(path)
    read = spark.read.schema(rows.schema).parquet(path)
    before = Window.partitionBy("entity").orderBy(F.unix_micros("at")).rangeBetween(Window.unboundedPreceding, -1)
    spread = read.withColumn("earlier", F.coalesce(F.avg("amount").over(before), F.lit(0.0)))
    counted = read.groupBy("entity").agg(F.count_if(F.col("label") == 1).alias("positives"), F.max("at").alias("last"))
    joined = spread.join(counted, "entity", "left").cache()
    columns = ["amount", "earlier", "positives"]
    vectors = VectorAssembler(inputCols=columns, outputCol="features").transform(joined)
    model = RandomForestClassifier(numTrees=2, maxDepth=3, seed=0).fit(vectors)
    model.transform(vectors).select("prediction").groupBy("prediction").count().toArrow()
    _through_python(joined.select("id", *columns)).write.parquet(f"{path}-again")


def _through_python(rows: DataFrame) -> DataFrame:
    return rows.mapInArrow(lambda batches: batches, rows.schema)


def _main() -> int:
    if sys.argv[1:2] == ["--record"]:
        _recorded(*sys.argv[2:])
        return 0
    try:
        made = make()
    except DaystoneError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{made.stat().st_size >> 20} MB of class data for Spark's JVM in {made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
