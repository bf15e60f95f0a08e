"""Lakes to run the chain on, each built once a test session; tests that change one change a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chain.chains import FEW_DAYS, MONDAY, USE_CASES, Chain, ended, write_sample
from tests.chain.observed import Observed, observe
from tests.support import s3
from tests.support.processes import ROOT

#: A day that the sample lake has predictions of, by the model of MONDAY.
DAY = "2026-02-01"
LATER = Path(__file__).parent / "later"


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Raw days from 2026-01-01 to 2026-02-05 and all that ``BatchInference`` of DAY needs, of models of few days."""
    home = tmp_path_factory.mktemp("sample")
    chain = Chain(home / "lake", home / "scratch", own=FEW_DAYS)
    write_sample(chain.root, days=36, rows_per_day=500)
    chain.succeeds("BatchInference", "--date", DAY)
    return chain


@pytest.fixture
def chain(sample_lake: Chain, tmp_path: Path) -> Chain:
    """Commands on a copy of the sample lake that the test may change."""
    shutil.copytree(sample_lake.root, tmp_path / "lake")
    return Chain(tmp_path / "lake", tmp_path / "scratch", own=FEW_DAYS)


@pytest.fixture(scope="session")
def observed(versitygw: s3.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """Two use cases on S3 that were watched all along."""
    with observe(versitygw, tmp_path_factory.mktemp("observed")) as seen:
        yield seen


@dataclass(frozen=True)
class Place:
    """An environment, and options that must not matter."""

    env: Mapping[str, str]
    options: tuple[str, ...] = ()


#: Two places as far apart as places are. The clock of `later` is Python's, in the driver and its workers; what Spark's
#: own could do is ruled out by the last test of test_determinism.py, since the JVM's clock cannot be set from here.
EAST = Place({"TZ": "Pacific/Kiritimati"})
WEST_LATER_ON_ONE_CORE = Place(
    {"TZ": "America/Los_Angeles", "PYTHONPATH": f"{LATER}:{ROOT}:{USE_CASES}"},
    ("--spark-master", "local[1]", "--spark-shuffle-partitions", "3"),
)


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> list[Chain]:
    """Every dataset of MONDAY, built once in each place. Tests read them."""
    found, running = [], []
    for place in (EAST, WEST_LATER_ON_ONE_CORE):
        home = tmp_path_factory.mktemp("place")
        write_sample(home / "lake", days=26, rows_per_day=500)
        found.append(Chain(home / "lake", home / "scratch", own=FEW_DAYS))
        task = ["Everything", "--date", MONDAY, *place.options]
        running.append(found[-1].start(*task, module="everything", env=place.env))
    with ended(*running):
        for one in running:
            result = one.wait()
            assert result.code == 0, result.stderr[-10_000:]
    return found
