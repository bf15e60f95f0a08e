"""Lakes to run the chain on. One is built a test session; tests change copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chain.chains import Chain, write_sample

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
