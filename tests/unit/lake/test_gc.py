"""Garbage of the lake: what is found, what is kept, and that nothing which may still be published is ever removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.lake import Documents, Lake, Partition, gc
from spark_lib.lake.gc import Garbage, Why
from tests.support import s3
from tests.support.outsiders import Outsider
from tests.unit.lakes import (
    DAY,
    NEXT_DAY,
    THIRD_DAY,
    open_attempt,
    partition,
    publish,
    publish_documents,
    put,
    rows_of,
    runs_there,
    write,
)

HOUR, MONTH = 3600.0, 30 * 24 * 3600.0
TWO_DAYS = 48 * HOUR
ANY_AGE = -60.0  # the store's clock may tell whole seconds
VERSITYGW = pytest.param("versitygw", marks=pytest.mark.processes)
MOTO = pytest.param("moto", marks=pytest.mark.processes)
#: Stores whose times a test can set: moto keeps them to itself.
on_stores_that_age = pytest.mark.parametrize("server", ["local", VERSITYGW], indirect=True)
on_s3 = pytest.mark.parametrize("server", [VERSITYGW, MOTO], indirect=True)


def collect(lake: Lake, older_than: float = TWO_DAYS, dataset: str = "features", **more: object) -> list[Garbage]:
    """Find garbage, and remove it."""
    found = gc.find(lake, dataset, older_than, **more)
    for garbage in found:
        gc.remove(lake, garbage)
    return found


def keys(lake: Lake, dataset: str = "features") -> set[str]:
    return {entry.key for entry in lake.store.list(f"{lake.use_case}/{dataset}")}


def abandon(lake: Lake, day: object = DAY, name: str = "part-0.parquet") -> str:
    """An attempt that was killed: its run."""
    attempt = open_attempt(lake, day)
    put(attempt, name, b"rows")
    return attempt.run


class Ages:
    """Makes objects old, behind the back of the store."""

    def __init__(self, server: s3.Server | None, lake_root: str) -> None:
        if server is None:
            self._root = Path(lake_root)
        else:
            assert server.directory is not None
            self._root = server.directory / lake_root.removeprefix("s3://")

    def __call__(self, prefix: str, seconds: float) -> None:
        at = time.time() - seconds
        found = [path for path in self._root.glob(f"{prefix}*") for path in (path, *path.rglob("*"))]
        assert found, prefix
        for path in found:
            os.utime(path, (at, at))


@pytest.fixture
def make_old(server: s3.Server | None, lake_root: str) -> Ages:
    return Ages(server, lake_root)


def test_published_runs_are_never_garbage(lake: Lake) -> None:
    publish(lake, [1])
    publish_documents(lake, {"card.json": b"{}"}, NEXT_DAY, "features")
    before = keys(lake)

    assert collect(lake, ANY_AGE) == []
    assert keys(lake) == before


def test_a_superseded_run_goes_and_the_published_one_stays(lake: Lake) -> None:
    old = publish(lake, [1])
    new = publish(lake, [2], rebuild=True)
    assert runs_there(lake) == {old.run, new.run}

    (found,) = collect(lake, ANY_AGE)

    assert (found.why, found.key) == (Why.SUPERSEDED, f"credit_risk/features/date=2026-01-01/run={old.run}")
    assert found.size == old.files[0].size
    assert runs_there(lake) == {new.run}
    assert rows_of(lake) == [2]


def test_an_abandoned_run_goes_and_its_day_can_be_built(lake: Lake) -> None:
    run = abandon(lake)

    (found,) = collect(lake, ANY_AGE)

    assert (found.why, found.key) == (Why.ABANDONED, f"credit_risk/features/date=2026-01-01/run={run}")
    assert keys(lake) == set()
    publish(lake, [1])
    assert rows_of(lake) == [1]


def test_files_in_a_published_run_that_its_manifest_does_not_name_go(lake: Lake, outsider: Outsider) -> None:
    run = publish(lake, [1]).run
    outsider.write(f"credit_risk/features/date=2026-01-01/run={run}/part-of-a-zombie.parquet", b"rows")

    (found,) = collect(lake, ANY_AGE)

    assert (found.why, found.size) == (Why.STRAY, 4)
    assert rows_of(lake) == [1]
    assert len(keys(lake)) == 2


@pytest.mark.parametrize(
    "left",
    [
        "date=2026-01-01/._SUCCESS-0123456789abcdef",
        ".staging/0123456789abcdef/date=2026-01-01/part-0.parquet",
        "__magic_job-1/job-1/part.pending",
        "_temporary/0/part-0.parquet",
    ],
)
def test_what_a_crashed_job_left_beside_the_runs_goes(lake: Lake, outsider: Outsider, left: str) -> None:
    publish(lake, [1])
    outsider.write(f"credit_risk/features/{left}", b"rows")

    (found,) = collect(lake, ANY_AGE)

    assert (found.why, len(found.entries)) == (Why.LEFTOVER, 1)
    assert rows_of(lake) == [1]
    assert len(keys(lake)) == 2


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "_README",
        ".snapshot/date=2026-01-01/part-0.parquet",
        "date=2026-01-01/notes.txt",
        "date=2026-01-01/._SUCCESS.lock",
        "run=0123456789abcdef/file",
    ],
)
def test_what_nobody_here_writes_is_left_alone(lake: Lake, outsider: Outsider, foreign: str) -> None:
    outsider.write(f"credit_risk/features/{foreign}", b"somebody's")

    assert collect(lake, ANY_AGE) == []
    assert keys(lake) == {f"credit_risk/features/{foreign}"}


def test_a_run_of_a_day_that_no_calendar_has_is_garbage_like_another(lake: Lake, outsider: Outsider) -> None:
    outsider.write("credit_risk/features/date=2026-13-01/run=0123456789abcdef/part-0.parquet", b"rows")

    assert [found.why for found in collect(lake, ANY_AGE)] == [Why.ABANDONED]


def test_raw_days_and_other_datasets_are_not_looked_at(lake: Lake, outsider: Outsider) -> None:
    outsider.write("credit_risk/raw/applications/date=2026-01-01/run=0123456789abcdef/part-0.parquet", b"rows")
    abandon(lake, NEXT_DAY)

    assert gc.find(lake, "predictions", ANY_AGE) == []


@on_stores_that_age
def test_a_run_superseded_a_second_ago_stays_though_it_is_a_month_old(lake: Lake, make_old: Ages) -> None:
    old = publish(lake, [1])
    make_old("credit_risk/features/", MONTH)
    publish(lake, [2], rebuild=True)

    assert collect(lake) == []

    make_old("credit_risk/features/date=2026-01-01/_SUCCESS", TWO_DAYS + HOUR)

    assert [found.key.rpartition("=")[2] for found in collect(lake)] == [old.run]


@on_stores_that_age
def test_a_slow_writer_that_wrote_an_hour_ago_stays_and_publishes(lake: Lake, make_old: Ages) -> None:
    with open_attempt(lake) as attempt:
        written = write(attempt, [1, 2])
        put(attempt, "_temporary/of-a-task.parquet", b"rows")
        make_old(f"credit_risk/features/date=2026-01-01/run={attempt.run}", MONTH)
        make_old(f"credit_risk/features/date=2026-01-01/run={attempt.run}/_temporary", HOUR)

        assert collect(lake) == []

        attempt.commit(written)
    assert rows_of(lake) == [1, 2]


@on_stores_that_age
@pytest.mark.parametrize("days_off", [-40, 40])
def test_the_clock_of_this_machine_decides_nothing(
    lake: Lake, make_old: Ages, monkeypatch: pytest.MonkeyPatch, days_off: int
) -> None:
    young, old = abandon(lake, DAY), abandon(lake, NEXT_DAY)
    make_old(f"credit_risk/features/date=2026-01-02/run={old}", MONTH)
    really = time.time
    # S3 signs with datetime, and refuses a skewed clock by itself (test_lake_s3.py): this is about ages.
    monkeypatch.setattr(time, "time", lambda: really() + days_off * 24 * HOUR)

    assert [found.key.rpartition("=")[2] for found in collect(lake)] == [old]
    assert runs_there(lake) == {young}


def test_a_model_run_that_is_kept_stays_whatever_its_age(lake: Lake) -> None:
    pinned = publish_documents(lake, {"model.onnx": b"1"}).run
    publish_documents_anew(lake, b"2")
    publish_documents_anew(lake, b"3")

    found = collect(lake, ANY_AGE, "model", keep={("model", DAY, pinned)})

    assert len(found) == 1
    assert pinned in runs_there(lake, DAY, "model")
    assert len(runs_there(lake, DAY, "model")) == 2


def publish_documents_anew(lake: Lake, body: bytes) -> None:
    with open_attempt(lake, DAY, "model", rebuild=True) as attempt:
        attempt.commit(Documents({"model.onnx": body}))


def test_a_manifest_that_cannot_be_read_stops_the_search(lake: Lake, outsider: Outsider) -> None:
    publish(lake, [1], THIRD_DAY)
    outsider.write("credit_risk/features/date=2026-01-03/_SUCCESS", b"not a manifest")

    with pytest.raises(DamagedPartition):
        gc.find(lake, "features", ANY_AGE)


def test_a_run_that_was_published_after_it_was_found_is_not_removed(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        written = write(attempt, [1])
        (found,) = gc.find(lake, "features", ANY_AGE)
        attempt.commit(written)

    with pytest.raises(LakeError) as refused:
        gc.remove(lake, found)

    assert refused.value.found == "a published one, by now"
    assert rows_of(lake) == [1]


def test_probes_that_were_left_go(lake: Lake, outsider: Outsider) -> None:
    outsider.write(".probe-0123456789abcdef", b"probe")
    outsider.write("credit_risk/features/notes.txt", b"somebody's")

    (found,) = gc.find_probes(lake, ANY_AGE)
    gc.remove(lake, found)

    assert [entry.key for entry in lake.store.list("")] == ["credit_risk/features/notes.txt"]
    assert gc.find_probes(lake, ANY_AGE) == []


# Uploads in parts, which only S3 has.


def begin_upload(server: s3.Server, lake: Lake, key: str) -> None:
    client = server.client()
    bucket, _, prefix = lake.root.removeprefix("s3://").partition("/")
    begun = client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{key}")
    client.upload_part(Bucket=bucket, Key=f"{prefix}/{key}", UploadId=begun["UploadId"], PartNumber=1, Body=b"rows")


@on_s3
def test_unfinished_uploads_go_with_their_run_and_from_a_published_one(lake: Lake, server: s3.Server) -> None:
    published = publish(lake, [1]).run
    runs = {published: "date=2026-01-01", "0123456789abcdef": "date=2026-01-02"}
    for run, day in runs.items():
        begin_upload(server, lake, f"credit_risk/features/{day}/run={run}/part-9.parquet")
    assert len(list(lake.store.uploads("credit_risk/features"))) == 2

    found = collect(lake, ANY_AGE)

    assert [(each.why, len(each.uploads)) for each in found] == [(Why.STRAY, 1), (Why.ABANDONED, 1)]
    assert list(lake.store.uploads("credit_risk/features")) == []
    assert rows_of(lake) == [1]


@pytest.mark.parametrize("server", [VERSITYGW], indirect=True)
def test_a_young_upload_keeps_its_run(lake: Lake, server: s3.Server, make_old: Ages) -> None:
    run = abandon(lake)
    make_old(f"credit_risk/features/date=2026-01-01/run={run}", MONTH)
    begin_upload(server, lake, f"credit_risk/features/date=2026-01-01/run={run}/part-9.parquet")

    assert collect(lake) == []
    assert runs_there(lake) == {run}


# Readers of a run that was superseded while they read.


def test_a_reader_of_the_old_run_sees_its_rows_until_gc_and_then_fails_loudly(lake: Lake) -> None:
    publish(lake, [1])
    reader = partition(lake)
    publish(lake, [2], rebuild=True)

    assert rows_in(reader) == [1]
    assert rows_of(lake) == [2]

    collect(lake, ANY_AGE)

    with pytest.raises(LakeError):
        rows_in(reader)


def rows_in(found: Partition) -> list[int]:
    (file,) = found.manifest.files
    with found.store.open(f"{found.prefix}/{file.path}") as opened:
        return list(pq.read_table(opened).column("id").to_pylist())
