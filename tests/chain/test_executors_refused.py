"""Executors that may not do what the driver may: a stage that ends soon, with a true exit code and their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chain.chains import Chain, write_sample
from tests.support import s3


def test_executors_with_a_wrong_secret_fail_the_stage_by_name(
    versitygw: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versitygw.reach(monkeypatch)
    write_sample(tmp_path / "sample", days=1, rows_per_day=20)
    bucket = versitygw.new_bucket()
    versitygw.upload(tmp_path / "sample", bucket, "lake")
    chain = Chain(tmp_path, tmp_path / "scratch", url=f"s3://{bucket}/lake")
    theirs = '{"spark.executorEnv.AWS_SECRET_ACCESS_KEY": "wrong"}'

    result = chain.luigi(
        "FeatureEngineering",
        "--date",
        "2026-01-01",
        "--spark-master",
        "local-cluster[1,1,1024]",
        "--spark-conf",
        theirs,
    )

    assert result.code == 30
    assert result.last_error == (
        f"FeatureEngineering of 2026-01-01: s3://{bucket}/lake/credit_risk/raw/applications/date=2026-01-01 (Spark, in a "
        "task): wanted permission; found 403 (Forbidden). Next: check the secret and the policy (docs/operations.md has "
        "the least that suffices), where executors run"
    )
    assert chain.published() == {}
