"""Whole days are removed, the manifest first; what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pytest

from spark_lib.errors import LakeError, PublishError
from spark_lib.lake import Lake, clean
from tests.unit.lakes import DAY, NEXT_DAY, THIRD_DAY, Wrapped, open_attempt, publish, put, rows_of, runs_there, write


class Stopped(Wrapped):
    """Stops once so many objects are removed."""

    left = 0

    def remove(self, prefix: str) -> None:
        """No order is promised: here the manifest would be the last."""
        self.remove_objects(reversed([entry.key for entry in self.store.list(prefix)]))

    def remove_objects(self, keys: Iterable[str]) -> None:
        for key in keys:
            if not self.left:
                raise LakeError(key, "an object that can be removed", "a power cut", "run it again")
            self.left -= 1
            self.store.remove_objects([key])


def removed(lake: Lake, first: date = DAY, last: date = DAY, keep: Iterable[str] = ()) -> None:
    for directory in clean.find(lake, "features", first, last).values():
        clean.remove(lake, directory, list(keep))


def keys(lake: Lake) -> list[str]:
    return [entry.key for entry in lake.store.list(f"{lake.use_case}/features")]


def test_a_day_is_removed_with_all_its_runs_and_its_neighbours_stay(lake: Lake) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY):
        publish(lake, [1, 2], day)
    publish(lake, [3], NEXT_DAY, rebuild=True)
    put(open_attempt(lake, NEXT_DAY), "part-0.parquet", b"rows")

    removed(lake, NEXT_DAY, NEXT_DAY)

    assert list(lake.find("features", DAY, THIRD_DAY)) == [DAY, THIRD_DAY]
    assert [key for key in keys(lake) if f"date={NEXT_DAY}" in key] == []
    assert rows_of(lake, DAY) == rows_of(lake, THIRD_DAY) == [1, 2]


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_removal_that_stops_anywhere_leaves_a_day_that_is_not_there(lake: Lake, left: int) -> None:
    with open_attempt(lake) as attempt:
        files = [write(attempt, [number], name=f"part-{number}.parquet") for number in range(3)]
        attempt.commit(type(files[0])({"": 3}, files[0].schema))
    whole, stopped = lake.store, Stopped(lake.store)
    lake.__dict__["store"], stopped.left = stopped, left

    with pytest.raises(LakeError, match="a power cut"):
        removed(lake)

    lake.__dict__["store"] = whole
    assert lake.is_published("features", DAY) == (left == 0)
    assert len(keys(lake)) == 4 - left
    removed(lake)
    assert keys(lake) == []


def test_a_run_to_keep_stays_and_the_manifest_goes(lake: Lake) -> None:
    old = publish(lake, [1, 2]).run
    publish(lake, [3], rebuild=True)

    removed(lake, keep=[old])

    assert (lake.is_published("features", DAY), runs_there(lake)) == (False, {old})
    assert len(keys(lake)) == 1


def test_an_attempt_at_a_day_that_is_removed_does_not_publish(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        written = write(attempt, [1])
        real = lake.store

        class Removing(Wrapped):
            def persist(self, keys: Iterable[str]) -> None:
                self.store.persist(keys)
                clean.remove(lake, clean.find(lake, "features", DAY, DAY)[DAY])

        lake.__dict__["store"] = attempt._store = Removing(real)
        with pytest.raises(PublishError, match="the files that were counted"):
            attempt.commit(written)

    assert keys(lake) == []


def test_a_day_that_has_nothing_is_not_found(lake: Lake) -> None:
    publish(lake, [1], THIRD_DAY)

    assert clean.find(lake, "features", DAY, NEXT_DAY) == {}
