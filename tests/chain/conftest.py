"""Lakes to run the chain on, each built once a test session; tests that change one change a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.chains import FEW_DAYS, MONDAY, USE_CASES, Chain, write_sample
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


@pytest.fixture(scope="session")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Every dataset of MONDAY in a local lake, built as far as can be from where ``observed`` was: in the east, with a clock
    that is ahead, on two cores. The clock is Python's, in the driver and its workers; what Spark's own could do is ruled out by
    the last test of test_determinism.py, since the JVM's clock cannot be set from here. Tests read it."""
    home = tmp_path_factory.mktemp("on-disk")
    write_sample(home / "lake", days=26, rows_per_day=500)
    chain = Chain(home / "lake", home / "scratch", own=FEW_DAYS)
    place = {"TZ": "Pacific/Kiritimati", "PYTHONPATH": f"{LATER}:{ROOT}:{USE_CASES}"}
    chain.succeeds("Everything", "--date", MONDAY, module="everything", env=place)
    return chain


@pytest.fixture
def on_s3(on_disk: Chain, versitygw: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The same raw days in a bucket, and nothing else."""
    versitygw.reach(monkeypatch)
    bucket = versitygw.new_bucket()
    versitygw.upload(on_disk.root / "credit_risk" / "raw", bucket, "lake/credit_risk/raw")
    return Chain(tmp_path, tmp_path / "scratch", url=f"s3://{bucket}/lake", own=FEW_DAYS)
