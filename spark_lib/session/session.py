"""Starts the one Spark session of a process, when it is first needed. It is quiet on the terminal, and takes no default
of the machine that could change a result."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from spark_lib.session import environment, interrupts, java, jvm, s3a

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.lake.feeds.buckets import Way

LOG4J = Path(__file__).with_name("log4j2.properties")
LOOPBACK = "127.0.0.1"

_started: tuple[int, SparkSession] | None = None  # the process that started it, and the session


def session(
    *,
    master: str = "local[*]",
    driver_memory: str = "2g",
    shuffle_partitions: int = 64,
    conf: Mapping[str, str] | None = None,
    log_file: str = os.devnull,
    on_s3: bool = False,
    ways: Mapping[str, Way] | None = None,
    quick_start: bool = True,
) -> SparkSession:
    """The session of this process. The arguments count when it is started; ``ways``, how each bucket is reached, counts
    later, too. ``on_s3`` says that the session will read or write on S3, as ``ways`` do. ``quick_start`` gives the JVM
    of a local master options for a quick start (``spark_lib.session.jvm``).

    Raises ConfigurationError where the session does not start, or the environment would change it; for a bucket that
    Spark cannot reach; where S3 is wanted of a JVM that was started without it; and in a process that was forked after
    the start, because a JVM does not survive a fork.
    """
    global _started
    on_s3 = on_s3 or bool(ways)
    if _started is not None:
        pid, spark = _started
        if pid != os.getpid():
            raise ConfigurationError(
                "Spark session",
                f"to be used by the process that started it, {pid}",
                f"the forked process {os.getpid()}",
                "run with --workers 1",
            )
        if on_s3 and not s3a.is_loaded():
            raise ConfigurationError(
                "Spark session",
                "a JVM that was started with the jars for S3",
                "one that was started without them, for places that are not on S3",
                "run what reads or writes on S3 by a command of its own",
            )
        if spark.sparkContext._jsc is not None:  # not stopped by somebody
            s3a.tell(spark, ways or {}, environment.is_local(master))
            return spark
    environment.check(master)
    more = s3a.settings(s3a.jars()) if on_s3 else {}
    more |= s3a.bucket_settings(ways or {}, environment.is_local(master)) | dict(conf or {})
    quick = jvm.options(master, more.get("spark.driver.extraJavaOptions", "")) if quick_start else ""
    _started = os.getpid(), _start(master, driver_memory, shuffle_partitions, more, log_file, quick)
    return _started[1]


def started() -> SparkSession | None:
    """The session of this process, where one runs."""
    if _started is None or _started[0] != os.getpid() or _started[1].sparkContext._jsc is None:
        return None
    return _started[1]


def _start(
    master: str, driver_memory: str, shuffle_partitions: int, conf: Mapping[str, str], log_file: str, quick: str
) -> SparkSession:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    # Java would otherwise take these from the machine: how times, numbers and capital letters are written, and how
    # texts are encoded.
    everywhere = "-Duser.timezone=UTC -Duser.language=en -Duser.country=US -Dfile.encoding=UTF-8"
    settings = {
        "spark.driver.memory": driver_memory,
        # Spark has two settings for this. This one leaves `extraJavaOptions` to the user.
        "spark.driver.defaultJavaOptions": (
            f'{everywhere} -Dlog4j2.configurationFile={LOG4J.as_uri()} "-Ddaystone.log={log_file}" {quick}'
        ),
        "spark.executor.defaultJavaOptions": everywhere,
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        # A result depends on the data, not on where or when it is computed.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        # The manifest says what is done, so Hadoop need not write its own mark.
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        # Every file is given by name, so no Spark job has to look for files.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        # What Spark's page shows of jobs that have ended. A backfill has thousands, and each is kept in memory.
        "spark.ui.retainedJobs": "200",
        "spark.ui.retainedStages": "200",
        "spark.ui.retainedTasks": "2000",
        "spark.sql.ui.retainedExecutions": "100",
        # The rows that scoring moves at a time: enough to pay, and few enough to stay in a cache.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    }
    settings |= _within_reach(master)
    builder = SparkSession.builder.master(master).appName("daystone")
    for name, value in (settings | dict(conf)).items():
        builder = builder.config(name, str(value))
    java.require()
    begun = os.path.getsize(log_file) if os.path.isfile(log_file) else 0
    try:
        with _terminal_spared(log_file), interrupts.kept(), environment.of_spark(master):
            spark = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise ConfigurationError(
            "Spark session",
            f"one that starts, with the master {master!r}",
            _reason(error, log_file, begun),
            f"correct [spark], or read {log_file}{jvm.options_of_environment()}"
            + (f"; {jvm.SUSPECT}" if jvm.OPTION in quick else ""),
        ) from error
    _write_no_checksum_files(spark)
    # PySpark also prints what it raises, with its trace as JSON. The exception is enough.
    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True
    return spark


def _within_reach(master: str) -> dict[str, str]:
    """The settings that limit who can connect.

    Spark's page has no password. It binds to the address in SPARK_LOCAL_IP, or to every interface. A driver whose
    executors are on other machines has to be reachable, but its page can be switched off.
    """
    if environment.is_local(master):
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        return {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
    return {} if "SPARK_LOCAL_IP" in os.environ else {"spark.ui.enabled": "false"}


@contextmanager
def _terminal_spared(log_file: str) -> Iterator[None]:
    """Send standard output and error to the log file inside the block. The JVM, and the Python workers that it starts,
    inherit that."""
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(log)


def _reason(error: Exception, log_file: str, begun: int) -> str:
    """Why Spark did not start, in one line. A JVM that gives up at once says so only on its own standard error."""
    said = ""
    if os.path.isfile(log_file):
        with open(log_file, encoding="utf-8", errors="replace") as log:
            log.seek(begun)
            said = log.read()
    for line in f"{error}\n{said}".splitlines():
        if re.search(r"(Exception|Error): ", line) and "JAVA_GATEWAY_EXITED" not in line:
            return line.strip()
    return str(error).splitlines()[0]


def _write_no_checksum_files(spark: SparkSession) -> None:
    """Let Hadoop write no ``.part-*.crc`` files beside its own, because manifests have checksums."""
    jvm, context = spark.sparkContext._jvm, spark.sparkContext._jsc
    if jvm is None or context is None:
        return
    local = jvm.org.apache.hadoop.fs.FileSystem.get(jvm.java.net.URI("file:///"), context.hadoopConfiguration())
    local.setWriteChecksum(False)
