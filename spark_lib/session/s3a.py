"""Spark on S3: the jars that it needs, and the settings by which it writes whole files or none.

Spark's own resolver finds the jars once, and after that they are passed by path. They are resolved by ``make jars``, by
``python -m spark_lib.session.s3a``, or by the first session that needs them.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spark_lib.caches import user_directory
from spark_lib.errors import ConfigurationError, DaystoneError, LakeError
from spark_lib.lake.feeds import buckets
from spark_lib.lake.feeds.buckets import Way
from spark_lib.lake.stores import s3_client, s3_settings
from spark_lib.lake.stores.s3 import PART_BYTES
from spark_lib.session import environment, java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PACKAGES = (
    "org.apache.hadoop:hadoop-aws:3.4.2",
    "org.apache.spark:spark-hadoop-cloud_2.13:4.1.2",
    "software.amazon.awssdk:s3:2.29.52",
    "software.amazon.awssdk:s3-transfer-manager:2.29.52",
    "software.amazon.awssdk:sts:2.29.52",
)
#: Jars that are not needed: AWS's SDK as one jar of 600 MB, what Spark brings itself, and the clients of other clouds.
EXCLUDED = (
    "software.amazon.awssdk:bundle",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.hadoop:hadoop-cloud-storage",
    "org.apache.hadoop:hadoop-azure",
    "org.apache.hadoop:hadoop-azure-datalake",
    "org.apache.hadoop:hadoop-gcp",
    "org.apache.hadoop:hadoop-huaweicloud",
    "org.apache.hadoop:hadoop-tos",
    "com.google.cloud.bigdataoss:gcs-connector",
)
_LISTED = "jars.txt"
_OF_HADOOP = "spark.hadoop."


@dataclass
class _Told:
    """What Spark was told in this process, which has one session. ``base`` is how it reaches the buckets that have no
    settings of their own, ``ways`` how it reaches each bucket. Spark keeps the client of a bucket that it has once
    asked.
    """

    base: Way | None = None
    ways: dict[str, Way] = field(default_factory=dict)


_TOLD = _Told()


def jars(directory: Path | None = None) -> list[str]:
    """The paths of the jars. They are resolved into ``directory`` (default: below the user's cache) where they are not
    there yet.

    Raises ConfigurationError where the jars are not to be had.
    """
    found = directory or default_directory()
    if not (found / _LISTED).is_file():
        _resolve(found)
    paths = [str(found / name) for name in (found / _LISTED).read_text().split()]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise ConfigurationError(
            f"Spark's jars for S3 in {found}", "every jar that was resolved", f"no {missing[0]}", f"remove {found}"
        )
    return paths


def default_directory() -> Path:
    """The directory for the jars of exactly these versions, one for each user."""
    version = hashlib.sha256("\n".join([*PACKAGES, *EXCLUDED]).encode()).hexdigest()[:12]
    return user_directory() / f"jars-{version}"


def settings(paths: Iterable[str]) -> dict[str, str]:
    """Spark's settings for S3A and the magic committer, which makes a file appear whole when its job commits it.

    No credential is among them: the driver and each executor ask AWS's own chain where they run.
    """
    _TOLD.base = buckets.way(s3_client.configured())
    committed = "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
    return {
        "spark.jars": ",".join(paths),
        "spark.hadoop.fs.s3a.aws.credentials.provider": (
            "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
        ),
        "spark.hadoop.fs.s3a.committer.name": "magic",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": committed,
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
        # With Hadoop's own figures one unanswered request lasts for minutes; with these it lasts 45 seconds.
        "spark.hadoop.fs.s3a.attempts.maximum": "3",
        "spark.hadoop.fs.s3a.retry.limit": "4",
        "spark.hadoop.fs.s3a.connection.establish.timeout": "5s",
        # A second job below the same dataset must not abort the uploads of the first; gc removes what is left over.
        "spark.hadoop.fs.s3a.committer.abort.pending.uploads": "false",
        # With a known size of parts, a file's etag can be computed again from its content.
        "spark.hadoop.fs.s3a.multipart.size": str(PART_BYTES),
    } | {f"{_OF_HADOOP}fs.s3a.{name}": value for name, value in _server(_TOLD.base.connection).items()}


def bucket_settings(ways: Mapping[str, Way], local: bool) -> dict[str, str]:
    """Spark's settings, as it starts, for those buckets that are reached in another way than ``settings`` says. All
    ways are remembered, for a session that is started after one that was stopped.

    A profile is only named. Its credentials are read where they are needed: where Spark is ``local``, from the very
    file that Python reads. Raises ConfigurationError for a bucket that this process has told Spark to reach in another
    way, and for one that Spark would ask at the server of the others.
    """
    _check_as_before(ways)
    found = _of_buckets(_TOLD.ways | dict(ways), local)
    _TOLD.ways.update(ways)
    return found


def is_loaded() -> bool:
    """Whether Spark of this process was started with the jars for S3. Its JVM loads no more jars, and outlives a
    session."""
    return _TOLD.base is not None


def tell(spark: SparkSession, ways: Mapping[str, Way], local: bool) -> None:
    """Let a running session reach more buckets; those that it knows are not set again. Raises ConfigurationError as
    ``bucket_settings`` does."""
    _check_as_before(ways)
    new = {bucket: way for bucket, way in ways.items() if bucket not in _TOLD.ways}
    more, context = _of_buckets(new, local), spark.sparkContext._jsc
    for name, value in more.items() if context is not None else ():
        context.hadoopConfiguration().set(name.removeprefix(_OF_HADOOP), value)
    _TOLD.ways.update(new)


def refusal(text: str) -> LakeError | None:
    """The refusal of S3 in the text of Spark's error, with who was refused and what to do. None for any other error."""
    status = re.search(r"S3Exception: (.*?) \(Service: S3, Status Code: (\d+)[^)]*\)(?::(\w+))?", text)
    alone = "NoAuthWithAWSException" in text or "Unable to load credentials from any of the providers" in text
    unreachable = re.search(r"Unable to execute HTTP request: ([^\n]*?)(?:: {2,}software\.|\n|$)", text)
    bucket = re.search(r"s3a://([^/\s:,]+)", text)
    way = _TOLD.ways.get(bucket[1]) if bucket else None
    over = way.connection if way else None
    if alone:
        (wanted, next_step), found = s3_client.no_credentials(over), "none"
    elif status:
        code = status[3] if status[3] and status[3] != "null" else status[2]
        (wanted, next_step), found = s3_client.remedy(code, over), f"{code} ({status[1]})"
    elif unreachable:
        server = s3_client.server(over)
        wanted, next_step = f"an answer from {server.name}", f"check {server.suspect}, then run again"
        found = unreachable[1]
    else:
        return None
    who, there = _who(text)
    place = re.search(r"s3a://[^\s:,]+?(?=/__magic|/part-|[\s:,])", text)
    where = f"s3://{place[0].removeprefix('s3a://')} ({who})" if place else who
    return LakeError(where, wanted, found, next_step + there)


def _check_as_before(ways: Mapping[str, Way]) -> None:
    """Raise ConfigurationError for a bucket that this process has told Spark to reach in another way."""
    for bucket, way in ways.items():
        before = _TOLD.ways.get(bucket, way)
        if before.place != way.place:
            raise ConfigurationError(
                f"bucket {bucket!r} in Spark's session",
                f"one server and one profile in one process, as before: {before}",
                str(way),
                "run what reads the other one by a command of its own",
            )


def _of_buckets(ways: Mapping[str, Way], local: bool) -> dict[str, str]:
    """What ``bucket_settings`` gives, for these buckets alone."""
    found: dict[str, str] = {}
    for bucket, way in ways.items():
        if _TOLD.base is None or way.place != _TOLD.base.place:
            named = _server(way.connection) | _credentials(way.connection.profile.value, local)
            if "endpoint" not in named:
                raise ConfigurationError(
                    way.connection.profile.by or f"bucket {bucket!r}",
                    "an endpoint that Spark can be told for this bucket alone",
                    "FIPS endpoints of AWS, which have no other name there",
                    "name the url, as in [raw.<feed>] endpoint = https://s3-fips.us-gov-west-1.amazonaws.com",
                )
            found |= {f"{_OF_HADOOP}fs.s3a.bucket.{bucket}.{name}": value for name, value in named.items()}
    return found


def _server(connection: s3_client.Connection) -> dict[str, str]:
    """Settings of S3A for a server and its region, without the beginning of their names."""
    found = {"endpoint.region": s3_client.region(connection)}
    endpoint = s3_client.endpoint(connection)
    if endpoint:
        tls = str(endpoint.startswith("https://")).lower()
        found |= {"endpoint": endpoint, "path.style.access": "true", "connection.ssl.enabled": tls}
    elif "fips" not in s3_client.address(connection):
        # AWS's SDK for Java finds an endpoint of FIPS by itself, and accepts no other one beside it. Every other
        # endpoint is set explicitly: S3A would otherwise follow AWS_ENDPOINT_URL, also that of an executor's
        # environment, even where that is to be ignored.
        found["endpoint"] = s3_client.address(connection)
    return found


def _credentials(profile: str, local: bool) -> dict[str, str]:
    """Settings of S3A for a profile: its name, and never what is in it."""
    if not profile:
        return {}
    found = {
        "aws.credentials.provider": "org.apache.hadoop.fs.s3a.auth.ProfileAWSCredentialsProvider",
        "auth.profile.name": profile,
    }
    return found | ({"auth.profile.file": s3_settings.credentials_file()} if local else {})


def _who(text: str) -> tuple[str, str]:
    """Whose request failed, and where to act. Executors have credentials and a network of their own."""
    task = re.search(r"\(TID \d+\) \((\S+) executor (\d+)\)", text)
    if task:
        return f"Spark, executor {task[2]} on {task[1]}", ", where executors run"
    # Where a task failed to read a file, Spark does not name the executor.
    return ("Spark, in a task", ", where executors run") if "Executor$TaskRunner" in text else ("Spark, the driver", "")


def cause(text: str) -> str:
    """The innermost cause that the text of a Java error names, else its first line."""
    causes = re.findall(r"^Caused by: \S*?(\w+(?:Exception|Error): .*)$", text, flags=re.MULTILINE)
    return str(causes[-1] if causes else text.strip().splitlines()[0])


def _resolve(directory: Path) -> None:
    environment.check_spark_is_there()
    java.require()
    sys.stderr.write("Resolving Spark's jars for S3 (22 MB, once): about half a minute\n")
    sys.stderr.flush()
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The jars come into a directory of their own, which is then renamed once. So two processes may resolve at the same
    # time, and neither finds only a part of the jars.
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".resolving-") as scratch:
        nothing = Path(scratch, "nothing.py")
        nothing.write_text("")
        command = [str(Path(java.spark_home(), "bin", "spark-submit")), "--master", "local[1]"]
        command += ["--packages", ",".join(PACKAGES), "--exclude-packages", ",".join(EXCLUDED)]
        command += ["--conf", f"spark.jars.ivy={scratch}/ivy", str(nothing)]
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env=environment.for_spark("local")
        )
        resolved = sorted(Path(scratch, "ivy", "jars").glob("*.jar"))
        if answer.returncode or not resolved:
            told = [line.strip() for line in answer.stderr.splitlines() if "unresolved" in line or "Exception" in line]
            raise ConfigurationError(
                "Spark's jars for S3",
                "Maven Central, or a mirror that Ivy is told of",
                told[0] if told else f"exit code {answer.returncode} of spark-submit",
                f"run `make jars` where there is a network, and copy {directory} here",
            )
        ready = Path(scratch, "ready")
        ready.mkdir()
        for jar in resolved:
            jar.rename(ready / jar.name)
        (ready / _LISTED).write_text("\n".join(jar.name for jar in resolved) + "\n")
        try:
            ready.rename(directory)
        except OSError:
            if not (directory / _LISTED).is_file():  # else another process was faster
                raise


def _main() -> int:
    try:
        found = jars()
    except DaystoneError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{len(found)} jars of Spark for S3 in {default_directory()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
