"""One Spark session for every test that needs a real one, the product's own; a small chain; and another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_lib.session.session import session
from tests.spark import other_process
from tests.spark.lakes import Chain, build_chain
from tests.support.patience import PATIENCE

#: Of a process that ends in two minutes: compiling well, and collecting garbage on several threads, costs more than it saves.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    started = session(
        master="local[2]",
        driver_memory="1g",
        shuffle_partitions=2,
        conf={"spark.ui.enabled": "false", "spark.driver.extraJavaOptions": QUICK_JAVA},
        log_file=str(tmp_path_factory.mktemp("spark") / "spark.log"),
    )
    yield started
    started.stop()


@pytest.fixture(scope="session")
def chain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A small lake from raw days to a pinned model. Tests read it; one that changes files copies it first."""
    return build_chain(spark, str(tmp_path_factory.mktemp("chain") / "lake"))


@dataclass(frozen=True)
class Elsewhere:
    """What a process of its own left on its terminal, and what it found."""

    stdout: str
    stderr: str
    log: str
    found: dict[str, Any]


@pytest.fixture(scope="session")
def elsewhere(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """``other_process.py``, in Los Angeles, with one core."""
    place = tmp_path_factory.mktemp("another process")
    report, log = place / "report.json", str(place / "the log.txt")
    checkout = Path(other_process.__file__).parents[2]
    path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Without what the session of this process has set for its own workers.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    ran = subprocess.run(
        [sys.executable, other_process.__file__, str(report), log, chain.lake.root, str(place)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment | {"TZ": "America/Los_Angeles", "PYTHONPATH": path},
        cwd=place,
    )
    assert ran.returncode == 0, ran.stderr
    return Elsewhere(ran.stdout, ran.stderr, log, json.loads(report.read_text()))
