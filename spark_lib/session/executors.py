"""Tests what executors can do with a lake, by tasks that run there: their disks, environments and rights are not the
driver's."""

from __future__ import annotations

import platform
import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_lib._version import __version__
from spark_lib.errors import ConfigurationError, DaystoneError, LakeError
from spark_lib.lake import is_s3
from spark_lib.lake.stores import open_store, s3_client
from spark_lib.session import s3a
from spark_lib.session.paths import spark_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OF_THE_DRIVER, _OF_A_WORKER = "driver", "worker"
_HERE = "of the executors: this process reaches the lake"


@dataclass(frozen=True)
class Seen:
    """What one Python worker found where it runs. ``refused`` is the error where it cannot use the lake."""

    host: str
    python: str
    version: str = __version__
    credentials: str = ""
    refused: DaystoneError | None = None


def prove(spark: SparkSession, root: str) -> str:
    """Write and read a probe below ``root`` from a Python worker and by Spark, remove it, and say in words what works.

    Raises ConfigurationError, or LakeError that names who failed.
    """
    store = open_store(root)
    probe = f".probe-{secrets.token_hex(8)}"
    try:
        store.create(f"{probe}/{_OF_THE_DRIVER}", b"probe")
        seen = _ask_a_worker(spark, root, probe)
        if store.read(f"{probe}/{_OF_A_WORKER}") is None:
            raise _elsewhere(root, seen.host)
        _write_rows(spark, store.url(f"{probe}/rows"))
    finally:
        store.remove(probe)
    by = f", credentials by {seen.credentials}" if seen.credentials else ""
    return f"Python {seen.python} with daystone {seen.version} on {seen.host}{by}, and Spark write and read {root}"


def look(root: str, probe: str, connection: s3_client.Connection) -> Seen:
    """What a Python worker does: find what the driver wrote, write, list and read."""
    seen = Seen(platform.node(), platform.python_version())
    try:
        if is_s3(root):
            seen = replace(seen, credentials=s3_client.credentials_by(connection))
        store = open_store(root, connection)
        if store.read(f"{probe}/{_OF_THE_DRIVER}") is None:
            raise _elsewhere(root, seen.host)
        mine = f"{probe}/{_OF_A_WORKER}"
        store.create(mine, b"probe")
        if mine not in [entry.key for entry in store.list(probe)] or store.read(mine) is None:
            raise LakeError(root, "what was just written", "nothing", "read the log of the store")
    except DaystoneError as error:
        return replace(seen, refused=error)
    return seen


def _ask_a_worker(spark: SparkSession, root: str, probe: str) -> Seen:
    from py4j.protocol import Py4JJavaError

    connection = s3_client.connection_to(root)
    try:
        (seen,) = spark.sparkContext.parallelize([probe], 1).map(lambda name: look(root, name, connection)).collect()
    except Py4JJavaError as error:
        raise ConfigurationError(
            "Python of the executors",
            "a task that runs, with daystone and its packages",
            _last_line_of_python(str(error)),
            "install them where executors run, into the Python that PYSPARK_PYTHON names",
        ) from error
    if seen.version != __version__:
        raise ConfigurationError(
            f"Python of the executors, on {seen.host}",
            f"daystone {__version__}, as here",
            f"daystone {seen.version}",
            "install the same version where executors run",
        )
    if seen.refused is not None:
        refused = seen.refused
        raise type(refused)(
            f"{refused.where} (Python of the executors, on {seen.host})",
            refused.wanted,
            refused.found,
            f"{refused.next_step}, {_HERE}",
        )
    return seen


def _write_rows(spark: SparkSession, url: str) -> None:
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        spark.range(1).write.parquet(spark_path(url))
        rows = spark.read.parquet(spark_path(url)).count()
    except (PySparkException, Py4JJavaError) as error:
        refused = s3a.refusal(str(error))
        if refused is not None:
            raise refused from error
        raise LakeError(
            f"{url} (Spark)", "a file that is written and read", s3a.cause(str(error)), "read the log of the run"
        ) from error
    if rows != 1:
        raise LakeError(f"{url} (Spark)", "the one row that was written", str(rows), "read the log of the run")


def _elsewhere(root: str, host: str) -> LakeError:
    return LakeError(
        f"{root} on {host}",
        "the place that the driver writes to",
        "another one: what either writes the other does not find",
        "put the lake where every machine finds it: a file system that all mount at this path, or s3://",
    )


def _last_line_of_python(text: str) -> str:
    """The error of a Python worker, which Spark passes on between two traces."""
    found = re.findall(r"^(\w+(?:Error|Exception): .*)$", text, flags=re.MULTILINE)
    return found[-1] if found else s3a.cause(text)
