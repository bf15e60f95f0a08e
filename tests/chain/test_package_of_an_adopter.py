"""Use cases that live outside of this repository, in an installed package: one of classes, whose executors get it from
nowhere but the driver, and one of a number. Both have their lake on S3."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_lib
from spark_lib.lake import Lake
from tests.chain.chains import Chain
from tests.support import s3
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT

PROJECT = Path(__file__).parent / "orchard"
FIRST, DAY = date(2026, 1, 1), date(2026, 1, 3)
CRATES = 150
#: Executors that import what Daystone ships and what is installed, and nothing of the driver's own path.
CLUSTER = (
    *("--spark-master", "local-cluster[2,1,1024]", "--spark-shuffle-partitions", 2, "--spark-scores-from-mb", 0),
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
    subprocess.run([*command, "--target", str(target), str(source)], check=True, timeout=PATIENCE)
    return target


@pytest.fixture
def chain(
    request: pytest.FixtureRequest, versitygw: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Chain:
    """Three days of crates in a bucket, which is all that driver and executors share."""
    case = f"orchard.harvest.{request.param}"
    versitygw.reach(monkeypatch)
    bucket = versitygw.new_bucket()
    for day in (FIRST, FIRST + timedelta(days=1), DAY):
        directory = tmp_path / "landed" / f"date={day}"
        directory.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(crates(day), SCHEMA), directory / "part-0.parquet")
        (directory / "_SUCCESS").touch()
    versitygw.upload(tmp_path / "landed", bucket, f"lake/{case}/raw/crates")
    return Chain(tmp_path, tmp_path / "scratch", case, url=f"s3://{bucket}/lake")


@pytest.fixture
def imported(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package can be imported here, too, to read what was built."""
    monkeypatch.syspath_prepend(str(packages))


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("crate", "weight", "note", "grade")] + [("weeks", pa.int32())],
)


def crates(day: date) -> list[dict[str, object]]:
    """Soft ones are mostly spoilt; the heavier a crate is, the longer it keeps."""
    draw = random.Random(f"{day}")
    rows = []
    for number in range(CRATES):
        soft = draw.random() < 0.5
        grade = ("spoilt" if soft else "sound") if draw.random() < 0.7 else "bruised"
        weight, unit = draw.randrange(5, 30), draw.choice(list(KILOS))
        weeks = min(30, round(weight * KILOS[unit]) + draw.randrange(2))
        note = "Soft, Brown" if soft else "Firm, Red"
        values = {"crate": f"{day}-{number}", "weight": f"{weight} {unit}", "note": note}
        rows.append(values | {"grade": grade, "weeks": weeks})
    return rows


@pytest.mark.parametrize("chain", ["Harvest"], indirect=True)
@pytest.mark.usefixtures("imported")
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
    read = (chain.url, "orchard.harvest:Harvest")
    features = spark_lib.read_pandas(*read, "features", DAY).set_index("crate")
    predictions = spark_lib.read_pandas(*read, "predictions", DAY).set_index("crate")
    rows = crates(DAY)
    weights = [str(row["weight"]).split(" ") for row in rows]
    expected = [float(number) * KILOS[unit] for number, unit in weights]
    assert np.allclose(features.loc[[row["crate"] for row in rows], "kilos"], expected)
    assert set(features["note"]) == {"soft, brown", "firm, red"}
    assert len(predictions) == CRATES
    likeliest = features["note"].str.startswith("soft").map({True: "spoilt", False: "sound"})
    assert (predictions["prediction"] == likeliest.reindex(predictions.index)).all()
    assert lake.require("predictions", DAY)[0].manifest.metrics["engine"] == "scikit-learn"


@pytest.mark.parametrize("chain", ["Keeping"], indirect=True)
@pytest.mark.usefixtures("imported")
def test_a_number_is_predicted_with_its_interval(chain: Chain, packages: Path) -> None:
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}

    chain.succeeds(
        "BatchInference", "--date", str(DAY), "--pipeline-use-case", "orchard.harvest:Keeping", env=environment
    )

    predictions = spark_lib.read_pandas(chain.url, "orchard.harvest:Keeping", "predictions", DAY).set_index("crate")
    weeks = pd.Series({row["crate"]: row["weeks"] for row in crates(DAY)}).reindex(predictions.index)
    assert len(predictions) == CRATES
    assert predictions["prediction"].sub(weeks).abs().mean() < 2
    assert weeks.between(predictions["lower"], predictions["upper"]).mean() > 0.7
