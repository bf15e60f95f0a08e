"""A use case that lives outside of this repository: an installed package, and executors that get it from nowhere but the
driver."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_lib
from spark_lib.lake import Lake
from tests.chain.chains import Chain
from tests.support import s3
from tests.support.processes import ROOT

PROJECT = Path(__file__).parent / "orchard"
FIRST, DAY = date(2026, 1, 1), date(2026, 1, 3)
CRATES = 150
#: Executors that import what Daystone ships and what is installed, and nothing of the driver's own path.
CLUSTER = (
    *("--spark-master", "local-cluster[2,1,1024]", "--spark-shuffle-partitions", 2),
    *("--spark-conf", '{"spark.executorEnv.PYTHONPATH": "/nowhere"}'),
)
KILOS = {"kg": 1.0, "lb": 0.45359237, "g": 0.001}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory into which pip has installed the adopter's package, without a network."""
    home = tmp_path_factory.mktemp("adopter")
    source, target = home / "source", home / "packages"
    for file in (path for path in PROJECT.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        (source / file.relative_to(PROJECT)).parent.mkdir(parents=True, exist_ok=True)
        (source / file.relative_to(PROJECT)).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, timeout=120)
    return target


@pytest.fixture
def chain(versitygw: s3.Server, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """Three days of crates in a bucket, which is all that driver and executors share."""
    versitygw.reach(monkeypatch)
    bucket = versitygw.new_bucket()
    for day in (FIRST, FIRST + timedelta(days=1), DAY):
        directory = tmp_path / "landed" / f"date={day}"
        directory.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(crates(day), SCHEMA), directory / "part-0.parquet")
        (directory / "_SUCCESS").touch()
    versitygw.upload(tmp_path / "landed", bucket, "lake/orchard.harvest.Harvest/raw/crates")
    return Chain(tmp_path, tmp_path / "scratch", "orchard.harvest.Harvest", url=f"s3://{bucket}/lake")


SCHEMA = pa.schema([("crate", pa.string()), ("weight", pa.string()), ("note", pa.string()), ("spoilt", pa.int32())])


def crates(day: date) -> list[dict[str, object]]:
    draw = random.Random(f"{day}")
    rows = []
    for number in range(CRATES):
        soft = draw.random() < 0.5
        spoilt = int(draw.random() < (0.8 if soft else 0.2))
        weight = f"{draw.randrange(5, 30)} {draw.choice(list(KILOS))}"
        note = "Soft, Brown" if soft else "Firm, Red"
        rows.append({"crate": f"{day}-{number}", "weight": weight, "note": note, "spoilt": spoilt})
    return rows


def test_executors_get_an_installed_use_case_from_the_driver_and_the_day_is_scored(
    chain: Chain, packages: Path
) -> None:
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}
    run = ("--date", str(DAY), "--pipeline-use-case", "orchard.harvest:Harvest", *CLUSTER)

    alone = chain.luigi("FeatureEngineering", *run, "--spark-ship-code", "false", env=environment)
    chain.succeeds("BatchInference", *run, env=environment)

    assert alone.code == 30
    assert alone.last_error == (
        f"FeatureEngineering of {DAY}: Python of the executors: wanted the package 'orchard', as on the driver; found no "
        "module of that name. Next: leave [spark] ship_code = true for the use case's own package, and install others "
        'where executors run (docs/operations.md, "Code on executors")'
    )
    lake = Lake(chain.url, "orchard.harvest.Harvest")
    sys.path.insert(0, str(packages))
    try:
        read = (chain.url, "orchard.harvest:Harvest")
        features = spark_lib.read_pandas(*read, "features", DAY).set_index("crate")
        predictions = spark_lib.read_pandas(*read, "predictions", DAY).set_index("crate")
    finally:
        sys.path.remove(str(packages))
    rows = crates(DAY)
    weights = [str(row["weight"]).split(" ") for row in rows]
    expected = [float(number) * KILOS[unit] for number, unit in weights]
    assert np.allclose(features.loc[[row["crate"] for row in rows], "kilos"], expected)
    assert set(features["note"]) == {"soft, brown", "firm, red"}
    assert len(predictions) == CRATES
    soft = features["note"].str.startswith("soft")
    assert (
        predictions.loc[soft[soft].index, "score"].mean()
        > 0.6
        > 0.4
        > predictions.loc[soft[~soft].index, "score"].mean()
    )
    assert lake.require("predictions", DAY)[0].manifest.metrics["engine"] == "scikit-learn"
