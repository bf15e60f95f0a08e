"""Lakes to run the chain on. One is built a test session; tests change copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3
from tests.chain.chains import Chain, write_sample
from tests.chain.observed import Observed, observe

#: A day that the sample lake has predictions of; its model is of the first Monday from day 49 of the data on.
DAY = "2026-03-01"


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Raw days from 2026-01-01 to 2026-03-05 and all that ``BatchInference`` of DAY needs, built with every default."""
    home = tmp_path_factory.mktemp("sample")
    chain = Chain(home / "lake", home / "scratch")
    write_sample(chain.root, days=64, rows_per_day=150)
    chain.succeeds("BatchInference", "--date", DAY)
    return chain


@pytest.fixture
def chain(sample_lake: Chain, tmp_path: Path) -> Chain:
    """Commands on a copy of the sample lake that the test may change."""
    shutil.copytree(sample_lake.root, tmp_path / "lake")
    return Chain(tmp_path / "lake", tmp_path / "scratch")


@pytest.fixture(scope="session")
def observed(versitygw: s3.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A run of the chain on S3 that was watched all along."""
    with observe(versitygw, tmp_path_factory.mktemp("observed")) as seen:
        yield seen
