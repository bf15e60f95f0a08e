"""Attempts at a task of which Spark takes none, or only one of two: their files are nobody's. On a cluster, where a
speculative twin runs on another host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_lib.lake import Lake, Partition, tables
from spark_lib.session import java
from tests.spark import dying_tasks
from tests.spark.lakes import AFTER, CASE, Chain, rows_of
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.s3 import free_port, listens

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2, which other systems have not")


@contextmanager
def cluster(home: Path) -> Iterator[str]:
    """Spark's own master with a worker of one core on each of two hosts; where the master is."""
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    with ExitStack() as running:
        running.enter_context(_daemon(home, "master.Master", "127.0.0.1", "--port", str(port)))
        deadline = monotonic() + PATIENCE
        while not listens(port):
            assert monotonic() < deadline, (home / "master.Master-127.0.0.1.log").read_text()
            sleep(0.05)
        for host in ("127.0.0.1", "127.0.0.2"):
            size = ("--cores", "1", "--memory", "1g", "--work-dir", str(home / host))
            running.enter_context(_daemon(home, "worker.Worker", host, *size, master))
        yield master


@contextmanager
def _daemon(home: Path, name: str, host: str, *arguments: str) -> Iterator[None]:
    command = [f"{java.spark_home()}/bin/spark-class", f"org.apache.spark.deploy.{name}"]
    environment = environment_of_spark() | {"SPARK_LOCAL_IP": host, "SPARK_DAEMON_MEMORY": "256m"}
    with (home / f"{name}-{host}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", host, "--webui-port", "0", *arguments], stdout=log, stderr=log, env=environment
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def environment_of_spark() -> dict[str, str]:
    """Without what the session of this process has set for its own workers, which import from this checkout."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    return kept | {"PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable}


@pytest.fixture(scope="module")
def scratch(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``dying_tasks`` has scored, in each of its ways."""
    home = tmp_path_factory.mktemp("dying")
    with cluster(home) as master:
        ran = subprocess.run(
            [sys.executable, dying_tasks.__file__, master, str(home / "log"), chain.lake.root, str(home)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment_of_spark() | {"SPARK_LOCAL_IP": "127.0.0.1"},
            cwd=home,
        )
    assert ran.returncode == 0, ran.stderr[-5_000:]
    return home


def published(scratch: Path, name: str) -> Partition:
    (found,) = Lake(str(scratch / name), CASE).require("predictions", AFTER)
    assert found.manifest.metrics["engine"] == "forest"
    return found


def by_task(paths: list[str]) -> Counter[str]:
    """How many files each task has, by the beginning of its files' names."""
    return Counter(Path(path).name[: len("part-00000")] for path in paths)


def lying_there(partition: Partition) -> list[str]:
    """The whole files in the run's directory, whoever wrote them. One that an attempt did not end is hidden by a dot."""
    return [str(path) for path in Path(partition.files()[0]).parent.iterdir() if not path.name.startswith(".")]


def test_a_cluster_scores_as_a_local_session_does(
    spark: SparkSession, chain: Chain, scratch: Path, tmp_path: Path
) -> None:
    local = Lake(str(tmp_path), CASE)
    dying_tasks.score(spark, chain.lake, local)

    on_cluster = published(scratch, "undisturbed")
    (here,) = local.require("predictions", AFTER)

    assert here.manifest.metrics["engine"] == "onnxruntime"
    assert rows_of(on_cluster) == rows_of(here)
    assert on_cluster.manifest.metrics["scores"] == here.manifest.metrics["scores"]
    assert by_task(lying_there(on_cluster)) == {"part-00000": 1, "part-00001": 1}


@pytest.mark.parametrize("name", ["dies", "twin", "zombie"])
def test_of_two_attempts_that_wrote_one_is_published(scratch: Path, name: str) -> None:
    found = published(scratch, name)

    written = by_task(lying_there(found))
    assert written.keys() == {"part-00000", "part-00001"}
    # A machine under load may give either task one more attempt.
    assert 1 <= written["part-00000"] <= 2
    assert 2 <= written["part-00001"] <= 3
    assert by_task(found.files()) == {"part-00000": 1, "part-00001": 1}
    assert found.verify() == ([], 0)
    assert rows_of(found) == rows_of(published(scratch, "undisturbed"))


def test_each_way_went_as_its_name_says(scratch: Path) -> None:
    def marks(name: str) -> set[str]:
        return {path.name.partition("-")[0] for path in (scratch / f"{name}.marks").iterdir()}

    assert marks("dies") == {"died", "published"}
    assert len(list((scratch / "twin.marks").glob("wrote-*"))) == 2
    assert marks("zombie") == {"late", "published", "wrote"}


def test_what_a_zombie_wrote_is_no_readers_and_is_younger_than_the_manifest(scratch: Path) -> None:
    found = published(scratch, "zombie")
    nobodys = max(set(lying_there(found)) - set(found.files()), key=lambda path: Path(path).stat().st_mtime_ns)

    manifest = Path(found.store.url(f"{found.prefix}/_SUCCESS"))
    assert Path(nobodys).stat().st_mtime_ns > manifest.stat().st_mtime_ns
    (its_twins,) = [path for path in found.files() if Path(path).name.startswith("part-00001")]
    assert by_task([nobodys]) == {"part-00001": 1}
    assert pq.read_table(nobodys, partitioning=None).equals(pq.read_table(its_twins, partitioning=None))
    frame = tables.read_arrow(Lake(str(scratch / "zombie"), CASE), "predictions", AFTER)
    assert frame.num_rows == 500
