"""A training set larger than the driver's heap: rows of a Spark model never go there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.lake import Lake, Rows
from spark_lib.use_case import Feature
from tests.spark.lakes import Parcels, publish
from tests.support.checkout import ROOT

DAY = date(2026, 3, 10)
COLUMNS, ROWS_OF_A_FILE, FILES = 40, 125_000, 20
#: Of the driver, in MiB. The rows as doubles are 763 MiB.
HEAP = 512

TRAIN = """
import json, sys
from datetime import date
from spark_lib.stages import training
from spark_lib.lake import Lake
from spark_lib.session.session import session
from tests.spark.session.test_small_driver import DAY, HEAP, Wide
from tests.spark.lakes import SETTINGS, silent

root, log = sys.argv[1:]
spark = session(
    master="local-cluster[1,2,3072]",
    driver_memory=f"{HEAP}m",
    shuffle_partitions=4,
    conf={
        "spark.ui.enabled": "false",
        "spark.executor.memory": "3g",
        "spark.driver.maxResultSize": "32m",
    },
    log_file=log,
)
(balanced,) = Lake(root, "wide").require("balanced", DAY)
settings = dict(SETTINGS) | {"trees": 2, "depth": 4, "min_area_under_roc": 0.5}
documents = training.build(spark, Wide(), balanced, settings, root + "/scratch", silent)
print(json.dumps(documents.metrics["verdict"]))
spark.stop()
"""


class Wide(Parcels):
    """Many columns, of which the first says something."""

    features = {f"x{number}": Feature("DOUBLE") for number in range(COLUMNS)}


def section(url: str, name: str, files: int, seed: int) -> int:
    """Rows of which the first column says something about the label; how many there are."""
    directory = Path(url, name)
    directory.mkdir(parents=True)
    for number in range(files):
        random = np.random.default_rng([seed, number])
        values = random.normal(size=(COLUMNS, ROWS_OF_A_FILE))
        labels = (values[0] + random.normal(size=ROWS_OF_A_FILE) > 0).astype(np.int32)
        keys = [f"{name}-{number}-{row}" for row in range(ROWS_OF_A_FILE)]
        table = pa.table(
            {
                "parcel": keys,
                **{f"x{column}": values[column] for column in range(COLUMNS)},
                "label": labels,
                "copy": np.zeros(ROWS_OF_A_FILE, np.int32),
            }
        )
        pq.write_table(table, directory / f"part-{number}.parquet", compression="none")
    return files * ROWS_OF_A_FILE


@pytest.mark.full
def test_a_training_set_larger_than_the_drivers_heap_is_trained_on(tmp_path: Path) -> None:
    def write(url: str) -> Rows:
        rows = {name: section(url, name, files, seed) for seed, (name, files) in enumerate(sizes.items())}
        half = {name: {"positive": rows[name] // 2, "negative": rows[name] // 2} for name in rows}
        figures = {
            "train": half["train"],
            "calibration": half["calibration"],
            "validation": half["validation/unbalanced"],
            "balanced": half["train"],
            "weights": {"positive": 1.0, "negative": 1.0},
            "prevalences": {},
            "labelled": sum(rows.values()),
            "unlabelled": 0,
            "on_two_sides": 0,
            "by_day": {},
        }
        schema = (
            ("parcel", "string"),
            *((f"x{n}", "double") for n in range(COLUMNS)),
            ("label", "int"),
            ("copy", "int"),
        )
        return Rows(rows, schema, figures)

    sizes = {"train": FILES, "calibration": 1, "validation/unbalanced": 1, "validation/balanced": 1}
    balanced = publish(Lake(str(tmp_path), "wide"), "balanced", DAY, write)
    assert balanced.manifest.rows("train") * COLUMNS * 8 > 1.4 * HEAP * 2**20
    assert sum(file.size for file in balanced.section("train")) > 1.4 * HEAP * 2**20

    ran = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path), str(tmp_path / "spark.log")],
        capture_output=True,
        text=True,
        timeout=1_800,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))},
    )

    assert ran.returncode == 0, ran.stderr[-5_000:]
    assert json.loads(ran.stdout.splitlines()[-1]) == {"approved": True, "reason": "", "detail": ""}
