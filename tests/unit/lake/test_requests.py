"""How few requests it takes to know what a year on S3 holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from spark_lib.lake import Manifest, RawFeed, days
from spark_lib.lake.manifest import File
from tests.support import s3
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.patience import PATIENCE
from tests.support.processes import Commands, Result
from tests.unit.stubs.planted import APPROVED

pytestmark = pytest.mark.processes

YEAR = days(date(2026, 1, 1), date(2026, 12, 31))
DATASETS = (
    "snapshots",
    "features",
    "serving",
    "balanced",
    "model",
    "selection",
    "predictions",
    "shadow",
    "evaluation",
    "release",
    "image",
)
FEEDS = ("applications", "outcomes")
#: What a backfill asks before it builds anything, in a process of its own.
ASK = """
import sys
from datetime import date
from tasks.cli.place import configured
from tasks.planning import chain
from spark_lib.lake import days
year = days(date(2026, 1, 1), date(2026, 12, 31))
found = {stage.dataset: len(stage.bulk_complete(year)) for stage in chain.of(configured().case)}
found |= {name: len(feed.landed(year[0], year[-1])) for name, feed in configured().feeds.items()}
print(found)
sys.exit("pyspark" in sys.modules or "numpy" in sys.modules)
"""
#: A verb, and the heavy libraries that it has loaded.
VERB = """
import sys, run
try:
    run.main(sys.argv[1:])
except SystemExit as end:
    print(sorted({"pyspark", "numpy", "pandas", "pyarrow", "onnxruntime", "sklearn"} & set(sys.modules)))
    sys.exit(end.code)
"""


def fill(server: s3.Server, bucket: str) -> None:
    """A year of every dataset and feed, written behind the lake's back."""
    run = "0" * 16
    empty = File(f"run={run}/part-0.parquet", 0, "sha256:not looked at", rows=0)
    judged = {"judged": run, "verdict": "released", "reasons": []}
    spans = {"first": "2026-01-01", "last": "2026-01-01", "judged_days": 1, "rows": 0, "unlabelled": 0}
    evaluated = {"verdict": "judged", "whole": {"rows": 0}, "models": [], **spans}
    by_dataset = {
        dataset: Manifest(run, "Test", (empty,), schema=(("id", "bigint"),), metrics=metrics).to_json()
        for dataset, metrics in (
            dict.fromkeys(DATASETS, APPROVED) | {"release": judged, "evaluation": evaluated}
        ).items()
    }
    bodies = {f"lake/credit_risk/{dataset}/date={day}": by_dataset[dataset] for dataset in DATASETS for day in YEAR}
    server.fill(bucket, (f"{directory}/{empty.path}" for directory in bodies))
    server.fill(bucket, (f"lake/credit_risk/raw/{feed}/date={day}/_SUCCESS" for feed in FEEDS for day in YEAR))
    client = server.client()
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda each: client.put_object(Bucket=bucket, Key=f"{each[0]}/_SUCCESS", Body=each[1]), bodies.items()
            )
        )


@pytest.fixture(scope="module")
def bucket(versitygw: s3.Server) -> str:
    """A bucket with a lake of a year."""
    bucket = versitygw.new_bucket()
    fill(versitygw, bucket)
    return bucket


def test_a_year_is_one_listing_a_dataset_and_feed_and_with_warm_manifests_no_other_request(
    versitygw: s3.Server, bucket: str, tmp_path: Path
) -> None:
    with fault_proxy(versitygw) as proxy:
        cold, cold_requests = ask(proxy, bucket, tmp_path)
        warm, warm_requests = ask(proxy, bucket, tmp_path)

    assert cold.stdout == warm.stdout == str(dict.fromkeys((*DATASETS, *FEEDS), len(YEAR))) + "\n"
    # A release looks at the predictions and at what people have decided, too.
    assert cold_requests == {"LIST": 15, "GET": 11 * len(YEAR)}
    assert warm_requests == {"LIST": 15}


def ask(proxy: FaultProxy, bucket: str, home: Path) -> tuple[Result, dict[str, int]]:
    proxy.counted.clear()
    config = f"[lake]\nroot = s3://{bucket}/lake\ncache = {home}/cache\n[pipeline]\nfirst_date = 2026-01-01\n"
    done = Commands(home).python(ASK, config=config, env=proxy.server.environment, timeout=PATIENCE)
    assert done.code == 0, done.stderr
    return done, dict(proxy.counted)


def test_a_backfill_of_a_year_that_is_there_lists_each_dataset_and_feed_once_and_loads_nothing_heavy(
    versitygw: s3.Server, bucket: str, tmp_path: Path
) -> None:
    with fault_proxy(versitygw) as proxy:
        backfill(proxy, bucket, tmp_path)
        warm, requests = backfill(proxy, bucket, tmp_path)

    assert warm.stdout == (
        "nothing to do: 365 days of features, 45 days of balanced, 45 days of model, 312 days of selection, 312 days of "
        "predictions are complete\n[]\n"
    )
    assert requests == {"LIST": 5 + len(FEEDS)}


def backfill(proxy: FaultProxy, bucket: str, home: Path) -> tuple[Result, dict[str, int]]:
    proxy.counted.clear()
    config = f"[lake]\nroot = s3://{bucket}/lake\ncache = {home}/cache\n"
    year = ("--from", YEAR[0], "--to", YEAR[-1])
    done = Commands(home).python(VERB, "backfill", *year, config=config, env=proxy.server.environment, timeout=PATIENCE)
    assert done.code == 0, done.stderr
    return done, dict(proxy.counted)


@pytest.mark.parametrize(
    ("path", "listings"),
    [
        ("{root}/{feed}/{date:%Y-%m-%d}", ["lake/events/2026-0"]),
        ("{root}/{feed}/{date:%Y/%m/%d}", ["lake/events/2026/0"]),
        ("{root}/{date:%Y-%m-%d}/{feed}", [f"lake/{day}/events/" for day in days(date(2026, 1, 31), date(2026, 2, 2))]),
        ("{root}/{feed}/{date:%d-%m-%Y}", [f"lake/events/{day}-2026/" for day in ("31-01", "01-02", "02-02")]),
        ("{root}/{feed}/{date:%Y/%d/%m}", [f"lake/events/2026/{day}/" for day in ("31/01", "01/02", "02/02")]),
        (
            "{root}/{feed}/{date:%Y}/{date:%d-%m-%Y}",
            [f"lake/events/2026/{day}-2026/" for day in ("31-01", "01-02", "02-02")],
        ),
    ],
)
def test_days_of_a_feed_are_listed_at_once_where_its_directories_are_in_the_order_of_time(
    versitygw: s3.Server, monkeypatch: pytest.MonkeyPatch, path: str, listings: list[str]
) -> None:
    bucket = versitygw.new_bucket()
    feed = RawFeed("events", f"s3://{bucket}/lake", "case", path)
    first, middle, last = days(date(2026, 1, 31), date(2026, 2, 2))
    versitygw.fill(bucket, [f"{feed.flag_url(day)}".removeprefix(f"s3://{bucket}/") for day in (first, last)])
    with fault_proxy(versitygw) as proxy:
        proxy.server.reach(monkeypatch)
        found = feed.landed(first, last)

    assert list(found) == [first, last]
    assert middle not in found
    assert proxy.log == [("LIST", prefix) for prefix in listings]
