"""A day under cron: no locale, and a lake whose name is not written in ASCII."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from spark_lib.lake import Lake
from tests.chain.chains import Chain, write_sample


def test_a_lake_with_an_umlaut_is_found_without_a_locale(tmp_path: Path) -> None:
    root = tmp_path / "Münchner Daten" / "lake"
    write_sample(root, days=2, rows_per_day=20)
    notebook = {
        "PYSPARK_SUBMIT_ARGS": "--master local[2]",
        "PYSPARK_DRIVER_PYTHON": "jupyter",
        "SPARK_CONF_DIR": "/nowhere",
    }

    ran = Chain(root, tmp_path / "Läufe").luigi(
        "FeatureEngineering", "--date", "2026-01-02", env={"LC_ALL": "C", "LANG": "", **notebook}
    )

    assert ran.code == 0, ran.stderr
    assert Lake(str(root), "credit_risk").is_published("features", date(2026, 1, 2))
