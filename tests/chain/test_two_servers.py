"""Raw feeds on one S3 server and the lake on another, in one run: two real servers, neither of which knows the other's keys."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import spark_lib
from spark_lib.lake import Lake
from tests.chain.chains import USE_CASES, Chain
from tests.support import s3
from tests.support.processes import ROOT, Commands

DAY = "2026-01-18"
NOON, MORNING = datetime(2026, 1, 18, 12, tzinfo=UTC), datetime(2026, 1, 18, 9, tzinfo=UTC)
ORDERS: dict[str, Any] = {"order": [1, 2], "customer": ["ada", "bob"], "at": [NOON, NOON], "amount": [12.5, 7.0]}
VISITS: dict[str, Any] = {"visit": [1, 2, 3], "visitor": ["ada", "ada", "bob"], "then": [MORNING, MORNING, NOON]}
#: Of each order of the day, how often its customer looked before.
LOOKED = [("ada", 12.5, 2), ("bob", 7.0, 0)]


@dataclass(frozen=True)
class Landed:
    """A day of two feeds in two buckets of a server and on this disk, and what a run is told of it."""

    server: s3.Server
    bucket: str
    other_bucket: str
    disk: Path
    credentials: Path

    def configuration(self, profile: str = "landing") -> str:
        return f"""
[pipeline]
use_case = shop:Orders
[raw]
endpoint = {self.server.endpoint}
profile = {profile}
path = s3://{self.bucket}/{{feed}}/{{date:%%Y-%%m-%%d}}
[raw.visits]
format = csv
[raw.orders.shop.Elsewhere]
path = s3://{self.other_bucket}/{{feed}}/{{date:%%Y-%%m-%%d}}
[raw.visits.shop.Elsewhere]
path = {self.disk}/{{date:%%Y-%%m-%%d}}
[spark]
master = local[2]
"""

    def environment(self, lake: s3.Server) -> dict[str, str]:
        """What names the server of the lake and gives its keys; those of the feeds are in a file."""
        return {**lake.environment, "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials)}


@pytest.fixture
def landed(feeds_server: s3.Server, versitygw: s3.Server, tmp_path: Path) -> Landed:
    bucket, other_bucket = feeds_server.new_bucket(), feeds_server.new_bucket()
    files = {"orders": as_parquet(pa.table(ORDERS)), "visits": as_csv(pa.table(VISITS))}
    for place in (bucket, other_bucket):
        for feed, body in files.items():
            feeds_server.land(place, feed, DAY, body)
    disk = tmp_path / "visits"
    (disk / DAY).mkdir(parents=True)
    (disk / DAY / "rows").write_bytes(files["visits"])
    (disk / DAY / "_SUCCESS").touch()
    credentials = tmp_path / "credentials"
    credentials.write_text(feeds_server.profile("landing") + versitygw.profile("swapped"))
    return Landed(feeds_server, bucket, other_bucket, disk, credentials)


def test_feeds_of_one_server_are_built_into_a_lake_on_another_and_into_a_local_one(
    landed: Landed, versitygw: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain(tmp_path / "lake", tmp_path / "scratch", url=f"s3://{versitygw.new_bucket()}/lake")
    local = str(tmp_path / "local lake")
    (chain.scratch / "events").mkdir()
    events = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{chain.scratch}/events",
    }

    chain.succeeds(
        "Mixed",
        "--date",
        DAY,
        "--local",
        local,
        "--spark-conf",
        json.dumps(events),
        module="shop",
        config=landed.configuration(),
        env=landed.environment(versitygw),
    )

    versitygw.reach(monkeypatch)
    for root, use_case in ((chain.url, "shop.Orders"), (local, "shop.Orders"), (chain.url, "shop.Elsewhere")):
        assert looked(root, use_case) == LOOKED
    assert chain.sessions() == 1
    left = [path for path in chain.left() if path.is_file()]
    assert any("events" in path.parts and holds(path, "auth.profile.name") for path in left), (
        "no event log was searched"
    )
    assert not [path for path in left if holds(path, landed.server.secret_key)]


def test_keys_of_the_lakes_server_are_refused_by_that_of_the_feeds_by_name(
    landed: Landed, versitygw: s3.Server, tmp_path: Path
) -> None:
    chain = Chain(tmp_path / "lake", tmp_path / "scratch", url=f"s3://{versitygw.new_bucket()}/lake")

    result = chain.luigi(
        "FeatureEngineering",
        "--date",
        DAY,
        config=landed.configuration(profile="swapped"),
        env=landed.environment(versitygw),
    )

    assert result.code == 35
    assert (
        f"s3://{landed.bucket}/orders/{DAY}/_SUCCESS: wanted credentials that the server knows; found " in result.stderr
    )
    assert result.last_error.endswith("Next: check [raw] endpoint and [raw] profile")


def test_a_profile_that_is_not_there_is_refused_by_name_before_anything_runs(
    landed: Landed, versitygw: s3.Server, tmp_path: Path
) -> None:
    chain = Chain(tmp_path / "lake", tmp_path / "scratch", url=f"s3://{versitygw.new_bucket()}/lake")
    config, environment = landed.configuration(profile="nobodys"), landed.environment(versitygw)
    run = [sys.executable, str(ROOT / "run.py"), "run", "features", "--date", DAY, "--lake-root", chain.url]

    by_luigi = chain.luigi("FeatureEngineering", "--date", DAY, config=config, env=environment)
    by_daystone = Commands(tmp_path).run(
        run, config=config, env={**environment, "PYTHONPATH": f"{ROOT}:{USE_CASES}", "XDG_STATE_HOME": str(tmp_path)}
    )

    refusal = (
        "[raw] profile: wanted a profile of AWS's files (~/.aws/config, ~/.aws/credentials); found 'nobodys'; there are: "
        "landing, swapped. Next: correct [raw] profile, or add the profile"
    )
    assert (by_luigi.code, by_luigi.last_error) == (30, refusal)
    assert (by_daystone.code, by_daystone.stderr.splitlines()[-1]) == (31, f"Error: {refusal}")


def looked(root: str, use_case: str) -> list[tuple[str, float, int]]:
    features = Lake(root, use_case)
    table = spark_lib.read_arrow(features.root, use_case.replace(".", ":"), "features", NOON.date())
    return sorted((row["customer"], row["amount"], row["looked"]) for row in table.to_pylist())


def as_parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def as_csv(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()
