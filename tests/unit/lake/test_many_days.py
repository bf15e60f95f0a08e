"""Attempts at many days: one job, one manifest a day."""

from __future__ import annotations

import multiprocessing
import threading
from datetime import date
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import pytest

from spark_lib.errors import BadData
from spark_lib.lake import Attempt, Lake, Manifest, Rows, days
from tests.support.patience import PATIENCE
from tests.unit.lakes import (
    DAY,
    NEXT_DAY,
    SCHEMA,
    THIRD_DAY,
    Unreliable,
    Wrapped,
    open_attempt,
    parquet,
    publish,
    put,
    rows_of,
    runs_there,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

THREE = [DAY, NEXT_DAY, THIRD_DAY]
spawn = multiprocessing.get_context("spawn")


def build(lake: Lake, asked: Sequence[date] = THREE, times: int = 1) -> dict[date, Manifest]:
    """A stub of a stage: each day's rows are its number, days divisible by three have none."""
    with open_attempt(lake, asked) as attempt:
        return attempt.commit(work(attempt, times))


def work(attempt: Attempt, times: int = 1) -> dict[date, Rows]:
    return {day: _work(attempt, day, [day.day] * times) for day in attempt.days}


def _work(attempt: Attempt, day: date, ids: list[int]) -> Rows:
    return Rows({"": 0}, SCHEMA) if day.day % 3 == 0 else write(attempt, ids, day)


def test_each_day_is_published_with_its_own_rows(lake: Lake) -> None:
    published = build(lake)

    assert {day: manifest.rows() for day, manifest in published.items()} == {DAY: 1, NEXT_DAY: 1, THIRD_DAY: 0}
    assert [rows_of(lake, day) for day in THREE] == [[1], [2], []]
    assert len({manifest.run for manifest in published.values()}) == 1
    assert lake.require("features", DAY, THIRD_DAY)[2].manifest.schema == SCHEMA


def test_one_day_as_a_list_is_written_where_it_stays(lake: Lake) -> None:
    with open_attempt(lake, [DAY]) as attempt:
        assert attempt.partition_by == ()
        assert attempt.destination == lake.store.url(attempt.prefix(DAY))
        attempt.commit({DAY: write(attempt, [1])})

    assert rows_of(lake) == [1]


def test_many_days_say_by_what_the_job_partitions(lake: Lake) -> None:
    with open_attempt(lake, THREE) as attempt:
        assert attempt.partition_by[0] == "date"


def test_nothing_but_days_is_left_of_the_job(lake: Lake) -> None:
    build(lake)

    keys = [entry.key for entry in lake.store.list("credit_risk/features")]
    assert {key.split("/")[2] for key in keys} == {f"date={day}" for day in THREE}


def test_days_that_were_published_before_are_left_as_they_are(lake: Lake) -> None:
    before = publish(lake, [9], NEXT_DAY)

    published = build(lake)

    assert published[NEXT_DAY] == before
    assert [rows_of(lake, day) for day in THREE] == [[1], [9], []]
    assert runs_there(lake, NEXT_DAY) == {before.run}


def test_a_day_with_other_rows_than_observed_stops_there_and_leaves_no_files(lake: Lake) -> None:
    with pytest.raises(BadData, match=r"^features of 2026-01-02: "), open_attempt(lake, THREE) as attempt:
        attempt.commit(work(attempt) | {NEXT_DAY: Rows({"": 2}, SCHEMA)})

    assert sorted(lake.find("features", DAY, THIRD_DAY)) == [DAY]
    assert runs_there(lake, NEXT_DAY) == set()
    assert [entry.key.split("/")[2] for entry in lake.store.list("credit_risk/features")] == ["date=2026-01-01"] * 2


@pytest.mark.usefixtures("impatient")
def test_an_unsettled_day_keeps_its_files_when_the_attempt_fails(lake: Lake) -> None:
    unreliable = lake.store = Unreliable(lake.store, ["", "late"])
    with pytest.raises(Exception, match="wanted an answer to the put"):
        build(lake)
    assert sorted(lake.find("features", DAY, THIRD_DAY)) == [DAY]

    unreliable.land()

    assert [rows_of(lake, day) for day in (DAY, NEXT_DAY)] == [[1], [2]]


@pytest.mark.parametrize("puts", [0, 1, 2])
@pytest.mark.processes
def test_killed_between_two_days_and_run_again_each_day_is_published_once(lake: Lake, puts: int) -> None:
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_stop_after, args=(lake.root, puts, sender))
    process.start()
    receiver.recv()
    process.kill()
    process.join()
    before = lake.require_whole(lake.find("features", DAY, THIRD_DAY))
    assert sorted(before) == THREE[:puts]

    published = build(lake)

    assert [rows_of(lake, day) for day in THREE] == [[1], [2], []]
    assert {day: published[day].run for day in before} == {day: there.manifest.run for day, there in before.items()}


def _stop_after(root: str, puts: int, ready: Connection) -> None:
    class Stopped(Wrapped):
        left = puts

        def create(self, key: str, body: bytes) -> None:
            if key.endswith("_SUCCESS"):
                if not self.left:
                    ready.send("now")
                    threading.Event().wait(PATIENCE)
                self.left -= 1
            self.store.create(key, body)

    lake = Lake(root, "credit_risk")
    lake.store = Stopped(lake.store)
    build(lake)


def test_two_overlapping_jobs_leave_every_day_whole_and_published_once(lake: Lake) -> None:
    early, late = days(DAY, date(2026, 1, 8)), days(date(2026, 1, 5), date(2026, 1, 12))
    with open_attempt(lake, early) as first, open_attempt(lake, late) as second:
        rows, others = work(first), work(second)
        threads = [
            threading.Thread(target=first.commit, args=[rows]),
            threading.Thread(target=second.commit, args=[others]),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for day in days(DAY, date(2026, 1, 12)):
        assert rows_of(lake, day) == ([] if day.day % 3 == 0 else [day.day])
        assert len(runs_there(lake, day)) == (0 if day.day % 3 == 0 else 1)


def test_leaving_one_job_does_not_touch_anothers_files(lake: Lake) -> None:
    with open_attempt(lake, THREE) as slow:
        put(slow, "part-0.parquet", parquet([1]), DAY)
        with open_attempt(lake, THREE) as given_up:
            put(given_up, "part-0.parquet", parquet([1]), DAY)
        slow.commit({day: Rows({"": int(day == DAY)}, SCHEMA) for day in THREE})

    assert rows_of(lake) == [1]
