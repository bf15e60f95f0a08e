"""What is published: missing, whole or damaged, from one listing bounded to the days asked for."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import pytest

from spark_lib.errors import DamagedPartition, LakeError, NotPublished
from spark_lib.lake import Lake, Partition, days
from spark_lib.lake.lake import some
from spark_lib.lake.stores.store import Entry
from tests.unit.lakes import (
    DAY,
    NEXT_DAY,
    THIRD_DAY,
    Wrapped,
    open_attempt,
    parquet,
    partition,
    publish,
    publish_documents,
    rows_of,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.outsiders import Outsider

RESTORE = "Next: restore the file, or build the day anew (daystone rebuild features --date 2026-01-01)"


class Counting(Wrapped):
    """Keeps what was asked of the store."""

    asked: list[tuple[str, ...]]

    def list(self, *asked: str) -> Iterator[Entry]:
        self.asked.append(("list", *asked))
        return self.store.list(*asked)

    def read(self, key: str) -> tuple[bytes, str] | None:
        self.asked.append(("read", key))
        return self.store.read(key)


def test_an_empty_lake_has_nothing_and_no_error(lake: Lake) -> None:
    assert not lake.is_published("features", DAY)
    assert lake.find("features", DAY, THIRD_DAY) == {}
    assert lake.newest("features") is None


def test_days_of_the_range_are_found_and_no_others(lake: Lake) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY, date(2026, 1, 4)):
        publish(lake, day=day)
    publish(lake, day=DAY, dataset="features2")
    publish(Lake(lake.root, "credit_risk2"), day=NEXT_DAY)

    assert sorted(lake.find("features", NEXT_DAY, THIRD_DAY)) == [NEXT_DAY, THIRD_DAY]
    assert sorted(lake.find("features", date(2025, 1, 1), DAY)) == [DAY]
    assert lake.newest("features") == date(2026, 1, 4)


def test_one_listing_bounded_to_the_days_answers_and_manifests_are_read_once(lake: Lake) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY):
        publish(lake, day=day)
    counting = lake.store = Counting(lake.store)
    counting.asked = []

    lake.find("features", DAY, NEXT_DAY)
    first, counting.asked = counting.asked, []
    lake.find("features", DAY, NEXT_DAY)

    listing = ("list", "credit_risk/features", "date=2026-01-01", "date=2026-01-02")
    manifests = [("read", f"{lake.prefix('features', day)}/_SUCCESS") for day in (DAY, NEXT_DAY)]
    assert first == [listing, *manifests]
    assert counting.asked == [listing]


def test_a_rebuilt_manifest_is_not_taken_from_the_cache(lake: Lake) -> None:
    publish(lake, [1])
    assert rows_of(lake) == [1]

    publish(lake, [2], rebuild=True)

    assert rows_of(lake) == [2]


def test_threads_share_what_was_read(lake: Lake) -> None:
    wanted = {day: publish(lake, day=day).run for day in days(DAY, date(2026, 1, 20))}

    def found(_: int) -> dict[date, str]:
        whole = lake.require_whole(lake.find("features", DAY, date(2026, 1, 20)))
        return {day: there.manifest.run for day, there in whole.items()}

    with ThreadPoolExecutor(8) as pool:
        assert all(answer == wanted for answer in pool.map(found, range(24)))


@pytest.mark.parametrize(
    "junk",
    [
        "run=00000000000000ff/part-0.parquet",
        "run=00000000000000ff/_temporary/0/part-1.parquet",
        "._SUCCESS-12",
        "part-0.parquet",
        "_SUCCESS.bak",
        "nested/_SUCCESS",
    ],
)
def test_junk_in_a_days_directory_is_invisible(lake: Lake, outsider: Outsider, junk: str) -> None:
    outsider.write(f"{lake.prefix('features', DAY)}/{junk}", parquet([9]))
    assert not lake.is_published("features", DAY)

    publish(lake, [1])

    assert lake.is_published("features", DAY)
    assert rows_of(lake) == [1]


def test_a_partition_is_what_its_manifest_names(lake: Lake, outsider: Outsider) -> None:
    manifest = publish(lake, [1])
    outsider.write(f"{lake.prefix('features', DAY)}/run={manifest.run}/part-1.parquet", parquet([9]))
    outsider.write(f"{lake.prefix('features', DAY)}/run=00000000000000ff/part-0.parquet", parquet([9]))

    named = [lake.store.url(f"{lake.prefix('features', DAY)}/run={manifest.run}/part-0.parquet")]
    assert partition(lake).files() == partition(lake).files("") == named


@pytest.mark.parametrize(
    "name",
    ["date=2026-99-99", "date=2026-01-01.bak", "date=2026-1-1", "date=٢٠٢٦-01-01", "date=", ".staging", "readme"],
)
def test_directories_that_are_no_days_are_invisible(lake: Lake, outsider: Outsider, name: str) -> None:
    outsider.write(f"credit_risk/features/{name}/_SUCCESS", b"{}")
    publish(lake, day=NEXT_DAY)

    assert sorted(lake.find("features", date(2025, 1, 1), date(2027, 1, 1))) == [NEXT_DAY]
    assert lake.newest("features") == NEXT_DAY


def test_a_file_where_a_day_should_be_is_no_day(lake: Lake, outsider: Outsider) -> None:
    outsider.write("credit_risk/features/date=2026-01-01", b"")

    assert not lake.is_published("features", DAY)


# --- damaged ---


def test_a_missing_file_is_damage(lake: Lake, outsider: Outsider) -> None:
    key = _first_file(lake)
    outsider.delete(key)

    _assert_damaged(
        lake, f"features of 2026-01-01: {lake.store.url(key)}: wanted {len(parquet([1]))} bytes; found no file"
    )


def test_a_file_of_another_size_is_damage(lake: Lake, outsider: Outsider) -> None:
    key = _first_file(lake)
    outsider.write(key, b"cut")

    _assert_damaged(
        lake, f"features of 2026-01-01: {lake.store.url(key)}: wanted {len(parquet([1]))} bytes; found 3 bytes"
    )


def test_damage_in_a_section_is_damage(lake: Lake, outsider: Outsider) -> None:
    with open_attempt(lake) as attempt:
        attempt.commit(write(attempt, [1], name="validation/unbalanced/part-0.parquet"))
    assert lake.is_published("features", DAY)

    outsider.delete(f"{attempt.prefix(DAY)}/validation/unbalanced/part-0.parquet")

    with pytest.raises(DamagedPartition, match=r"validation/unbalanced/part-0\.parquet: wanted .* found no file"):
        lake.is_published("features", DAY)


def test_a_document_with_other_content_of_the_same_size_is_damage(lake: Lake, outsider: Outsider) -> None:
    manifest = publish_documents(lake, {"card.json": b"good"})
    found = partition(lake, dataset="model")
    key = f"{lake.prefix('model', DAY)}/{manifest.files[0].path}"
    outsider.write(key, b"evil")

    with pytest.raises(DamagedPartition) as caught:
        found.document("card.json")

    good, evil = (f"sha256:{hashlib.sha256(body).hexdigest()}" for body in (b"good", b"evil"))
    assert (
        str(caught.value)
        == f"{lake.store.url(key)}: wanted {good}; found {evil}. {RESTORE.replace('features', 'model')}"
    )


def test_a_document_that_is_gone_is_damage(lake: Lake, outsider: Outsider) -> None:
    manifest = publish_documents(lake, {"card.json": b"good"})
    found = partition(lake, dataset="model")
    outsider.delete(f"{lake.prefix('model', DAY)}/{manifest.files[0].path}")

    with pytest.raises(DamagedPartition, match=r"found no file\. Next: restore the file"):
        found.document("card.json")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"7", b"\xff", b'{"format": 1, "files": []}'])
def test_a_corrupt_manifest_is_damage_of_its_day_alone(lake: Lake, outsider: Outsider, body: bytes) -> None:
    publish(lake, day=NEXT_DAY)
    key = f"{lake.prefix('features', DAY)}/_SUCCESS"
    outsider.write(key, body)

    found = lake.find("features", DAY, NEXT_DAY)

    damaged = found[DAY]
    assert isinstance(damaged, DamagedPartition)
    assert isinstance(found[NEXT_DAY], Partition)
    assert (damaged.where, damaged.wanted) == (lake.store.url(key), "a manifest")
    assert (
        damaged.next_step
        == "find out what wrote it, then build the day anew (daystone rebuild features --date 2026-01-01)"
    )


def test_one_damaged_day_leaves_the_others_to_be_found_and_pickles(lake: Lake, outsider: Outsider) -> None:
    outsider.delete(_first_file(lake))
    publish(lake, day=NEXT_DAY)

    found = lake.find("features", DAY, NEXT_DAY)

    assert isinstance(found[DAY], DamagedPartition)
    assert isinstance(found[NEXT_DAY], Partition)
    assert str(pickle.loads(pickle.dumps(found[DAY]))) == str(found[DAY])  # noqa: S301  (it was pickled in the same line)
    assert not isinstance(lake.find("features", NEXT_DAY, NEXT_DAY)[NEXT_DAY], DamagedPartition)


def test_a_damaged_day_is_mended_by_a_rebuild(lake: Lake, outsider: Outsider) -> None:
    outsider.delete(_first_file(lake))

    publish(lake, [2], rebuild=True)

    assert rows_of(lake) == [2]


def test_a_rebuild_between_listing_and_reading_the_manifest_is_not_damage(lake: Lake) -> None:
    class Stale(Wrapped):
        """A rebuild is published after the listing, before the manifest is read."""

        raced = False

        def read(self, key: str) -> tuple[bytes, str] | None:
            if not self.raced:
                self.raced = True
                publish(Lake(lake.root, lake.use_case), [2], rebuild=True)
            return self.store.read(key)

    publish(lake, [1])
    lake.store = Stale(lake.store)

    assert lake.is_published("features", DAY)
    assert rows_of(lake) == [2]


def test_a_manifest_removed_after_the_listing_is_a_missing_day(lake: Lake, outsider: Outsider) -> None:
    class Late(Wrapped):
        def read(self, key: str) -> tuple[bytes, str] | None:
            outsider.delete(key)
            return self.store.read(key)

    publish(lake)
    lake.store = Late(lake.store)

    assert not lake.is_published("features", DAY)


def test_a_store_that_does_not_answer_is_never_a_missing_day(lake: Lake) -> None:
    class Refused(Wrapped):
        def list(self, *asked: str) -> Iterator[Entry]:
            raise LakeError("s3://bucket", "permission to list", "403", "ask for it")

    lake.store = Refused(lake.store)

    with pytest.raises(LakeError, match="403"):
        lake.is_published("features", DAY)


# --- require ---


def test_required_days_come_in_order(lake: Lake) -> None:
    for day in (THIRD_DAY, DAY, NEXT_DAY):
        publish(lake, day=day)

    assert [found.date for found in lake.require("features", DAY, THIRD_DAY)] == [DAY, NEXT_DAY, THIRD_DAY]
    assert [found.date for found in lake.require("features", NEXT_DAY)] == [NEXT_DAY]


def test_missing_required_days_are_named(lake: Lake) -> None:
    publish(lake, day=NEXT_DAY)

    with pytest.raises(NotPublished) as caught:
        lake.require("features", DAY, date(2026, 1, 12))

    assert str(caught.value) == (
        "features of 2026-01-01, 2026-01-03, 2026-01-04, 2026-01-05, 2026-01-06 and 6 more: wanted a published "
        f"partition; found none in {lake.store.url('credit_risk/features')}. Next: build each "
        "(daystone run features --date 2026-01-01)"
    )


def test_a_damaged_required_day_is_damaged_and_not_missing(lake: Lake, outsider: Outsider) -> None:
    outsider.delete(_first_file(lake))

    with pytest.raises(DamagedPartition):
        lake.require("features", DAY, NEXT_DAY)


def test_days_are_counted_inclusively() -> None:
    assert days(date(2026, 2, 27), date(2026, 3, 2)) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
        date(2026, 3, 2),
    ]
    assert days(NEXT_DAY, DAY) == []
    assert some([THIRD_DAY, DAY]) == "2026-01-01, 2026-01-03"


def _first_file(lake: Lake) -> str:
    """A published day; the key of its one file."""
    return f"{lake.prefix('features', DAY)}/{publish(lake, [1]).files[0].path}"


def _assert_damaged(lake: Lake, message: str) -> None:
    with pytest.raises(DamagedPartition) as caught:
        lake.is_published("features", DAY)
    assert str(caught.value) == f"{message}. {RESTORE}"
