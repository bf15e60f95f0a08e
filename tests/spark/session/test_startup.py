"""The class-data archive, by real JVMs: made, used, and left alone where only a part of it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE

#: Whether the JVM of a session has the archive mapped into its memory, and what a job finds.
ASKED = """
import sys
from spark_lib.session.session import session
spark = session(master="local[2]", shuffle_partitions=2, log_file=sys.argv[1], quick_start=sys.argv[2] == "true")
java = spark.sparkContext._jvm.java.lang
with open(f"/proc/{java.ProcessHandle.current().pid()}/maps") as maps:
    mapped = ".jsa" in "".join(line for line in maps if "/daystone/classes-" in line)
collector = java.management.ManagementFactory.getGarbageCollectorMXBeans().get(0).getName()
print(mapped, collector, spark.range(1000).count())
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache with an archive in it."""
    cache = tmp_path_factory.mktemp("cache")
    made = ran(cache, "-m", "spark_lib.session.startup")
    assert made.returncode == 0, made.stderr
    assert [path.suffix for path in (cache / "daystone").iterdir()] == [".jsa"]
    assert "MB of class data for Spark's JVM in " in made.stdout
    return cache


def test_a_session_maps_the_archive_and_collects_serially_unless_told_otherwise(cache: Path, tmp_path: Path) -> None:
    assert asked(cache, tmp_path) == "True Copy 1000"
    assert asked(cache, tmp_path, quick_start="false") == "False G1 Young Generation 1000"


def test_a_part_of_an_archive_is_left_alone(cache: Path, tmp_path: Path) -> None:
    (archive,) = (cache / "daystone").iterdir()
    whole = archive.read_bytes()
    archive.unlink()
    archive.write_bytes(whole[: len(whole) // 2])

    assert asked(cache, tmp_path) == "False Copy 1000"


def test_a_spark_that_does_not_start_leaves_no_archive_and_says_what_to_do(tmp_path: Path) -> None:
    failed = ran(tmp_path, "-m", "spark_lib.session.startup", SPARK_HOME="/nowhere")

    assert failed.returncode == 31
    assert "Next: " in failed.stderr
    assert list((tmp_path / "daystone").iterdir()) == []


def asked(cache: Path, scratch: Path, quick_start: str = "true") -> str:
    answer = ran(cache, "-c", ASKED, str(scratch / "spark.log"), quick_start)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def ran(cache: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, with a cache of its own, without what this process's session has set for its workers."""
    environment: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**environment, "XDG_CACHE_HOME": str(cache), **more},
        check=False,
    )
