"""Snapshots on real Spark and a local disk: a backfill and single days have the same rows, with snapshots and without."""

from __future__ import annotations

import itertools
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_lib.lake import ROWS_FROM_RAW, Manifest, days
from tests.chain.chains import Chain, write_sample

DAYS = [str(day) for day in days(date(2026, 1, 1), date(2026, 1, 4))]
#: The day on which loans of the first day land late.
LATE = DAYS[2]
KEPT = "[features]\nsnapshot = daily\n"


def land_late(root: Path, rows: int = 20) -> None:
    """Let loans of the first day land once more on a later one, under other keys."""
    first, late = (
        next((root / "credit_risk" / "raw" / "applications" / f"date={day}").glob("*.parquet"))
        for day in (DAYS[0], LATE)
    )
    again = pq.read_table(first, partitioning=None).slice(0, rows)
    keys = pa.array([f"{key}-late" for key in again["loan_id"].to_pylist()])
    again = again.set_column(again.schema.get_field_index("loan_id"), "loan_id", keys)
    pq.write_table(pa.concat_tables([pq.read_table(late, partitioning=None), again]), late)


def built(chain: Chain, *more: object) -> dict[str, Manifest]:
    """The manifests of features of all days after a backfill."""
    until = date.fromisoformat(DAYS[-1]) + date.resolution
    chain.succeeds("Backfill", "--start", DAYS[0], "--stop", until, "--of", "FeatureEngineering", *more)
    found = chain.lake.require("features", date.fromisoformat(DAYS[0]), date.fromisoformat(DAYS[-1]))
    return {str(each.date): each.manifest for each in found}


def test_a_backfill_is_single_days_with_snapshots_and_without(tmp_path: Path) -> None:
    without = Chain(tmp_path / "without", tmp_path / "scratch-without")
    kept = Chain(tmp_path / "kept", tmp_path / "scratch-kept", own=KEPT)
    write_sample(without.root, days=len(DAYS), rows_per_day=100)
    land_late(without.root)
    shutil.copytree(without.root, kept.root)

    from_all = built(without)
    alone = built(kept, "--max-days-per-job", 1)
    rows = {day: kept.rows("features", day) for day in DAYS}
    for day in DAYS:
        kept.delete("features", day=day)
    together = built(kept)

    assert [str(day) for day in kept.lake.find("snapshots", date(2026, 1, 1), date(2026, 1, 31))] == DAYS[:-1]
    assert {day: without.rows("features", day) for day in DAYS} == rows
    digests = [{day: found.digest for day, found in each.items()} for each in (from_all, alone, together)]
    assert digests[0] == digests[1] == digests[2]
    read = {day: [given.first for given in found.inputs if given.name == "snapshots"] for day, found in alone.items()}
    assert read == {day: [date.fromisoformat(before)] for before, day in itertools.pairwise(DAYS)} | {DAYS[0]: []}
    late = {day: found.metrics.get(ROWS_FROM_RAW) for day, found in alone.items()}
    assert late == dict.fromkeys(DAYS, 0) | {DAYS[0]: None, LATE: late[LATE]}
    assert late[LATE]
