"""The contract of a store, the same for every one."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spark_lib.errors import LakeError
from spark_lib.lake.stores.store import Conflict, Store

if TYPE_CHECKING:
    from tests.support.outsiders import Outsider

examples = itertools.count()
same_store = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: Stores that compare and put in one step: moto does so in two.
one_step = pytest.mark.parametrize(
    "server", ["local", pytest.param("versitygw", marks=pytest.mark.processes)], indirect=True
)
# Signs that sort before and after "/", escape in urls, or are no ASCII. Only directories have an "x".
names = st.text(alphabet="ab.-!0 %=+#?é日", min_size=1, max_size=4).filter(lambda name: name.strip(".") != "")
keys = st.tuples(st.lists(names.map(lambda name: f"x{name}"), max_size=2), names).map(
    lambda pair: "/".join([*pair[0], pair[1]])
)


@pytest.mark.parametrize(
    "key", ["a", "a/b/c", "with space/and %20/é日本.json", "date=2026-01-01/run=0f/part+1=2,3#4?.parquet"]
)
def test_what_was_created_is_read_and_listed_under_its_key(store: Store, key: str) -> None:
    store.create(key, b"body")

    content = store.read(key)
    assert content is not None
    body, etag = content
    assert body == b"body"
    assert [(entry.key, entry.size, entry.etag) for entry in store.list("")] == [(key, 4, etag)]
    with store.open(key) as file:
        file.seek(2)
        assert file.read() == b"dy"


def test_an_object_that_is_not_there_reads_as_none(store: Store) -> None:
    assert store.read("a/b") is None


def test_opening_an_object_that_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(LakeError):
        store.open("a/b")


def test_a_create_never_overwrites(store: Store) -> None:
    store.create("a/key", b"first")

    with pytest.raises(Conflict):
        store.create("a/key", b"second")

    assert [(entry.key, entry.size) for entry in store.list("")] == [("a/key", 5)]


def test_a_replace_needs_the_etag_that_is_there(store: Store) -> None:
    store.create("key", b"first")
    first = _etag(store, "key")
    store.replace("key", b"other", first)

    with pytest.raises(Conflict):
        store.replace("key", b"third", first)

    assert store.read("key") == (b"other", _etag(store, "key"))
    assert _etag(store, "key") != first


def test_a_replace_of_nothing_conflicts(store: Store) -> None:
    with pytest.raises(Conflict):
        store.replace("a/key", b"body", "0-0-0")

    assert store.read("a/key") is None


@one_step
def test_of_many_threads_that_create_one_succeeds(store: Store) -> None:
    assert _successes(lambda number: store.create("a/key", b"%d" % number)) == 1


@one_step
def test_of_many_threads_that_replace_one_succeeds(store: Store) -> None:
    store.create("key", b"body")
    etag = _etag(store, "key")

    assert _successes(lambda number: store.replace("key", b"%d" % number, etag)) == 1


@same_store
@given(found=st.sets(keys, max_size=12))
def test_a_listing_is_in_the_order_of_keys_and_without_what_lies_elsewhere(store: Store, found: set[str]) -> None:
    prefix = f"example{next(examples)}"
    for key in found:
        store.create(f"{prefix}/{key}", b"")
    store.create(f"{prefix}!/elsewhere", b"")

    assert [entry.key for entry in store.list(prefix)] == sorted(f"{prefix}/{key}" for key in found)


@same_store
@given(found=st.sets(keys, max_size=12), first=names, last=names)
@example(found={"x=./0", "x=/0"}, first="0", last="=")
def test_bounds_apply_to_the_segment_after_the_prefix_inclusively(
    store: Store, found: set[str], first: str, last: str
) -> None:
    prefix = f"bounded{next(examples)}"
    for key in found:
        store.create(f"{prefix}/{key}", b"")

    listed = [entry.key.removeprefix(f"{prefix}/") for entry in store.list(prefix, f"x{first}", f"x{last}")]

    assert listed == [key for key in sorted(found) if f"x{first}" <= key.split("/")[0] <= f"x{last}"]


def test_a_directory_that_is_not_there_lists_as_empty(store: Store) -> None:
    assert list(store.list("a/b", "c", "d")) == []


def test_remove_takes_a_directory_and_nothing_beside_it(store: Store) -> None:
    for key in ("day/run=1/a", "day/run=1/b/c", "day/run=10/a", "day/run=2/a"):
        store.create(key, b"")

    store.remove("day/run=1")
    store.remove("day/run=1")

    assert [entry.key for entry in store.list("day")] == ["day/run=10/a", "day/run=2/a"]


def test_an_overwritten_object_has_another_etag(store: Store, outsider: Outsider) -> None:
    store.create("key", b"body")
    before = _etag(store, "key")

    outsider.write("key", b"ydob")

    assert _etag(store, "key") != before


def test_a_checksum_names_its_kind_and_follows_the_content(store: Store) -> None:
    store.create("a", b"one")
    store.create("b", b"two")

    one, two = (store.checksum(entry) for entry in store.list(""))

    assert one != two
    assert one.split(":")[0] in ("sha256", "etag")


def test_a_probe_leaves_nothing_and_can_be_repeated(store: Store) -> None:
    store.probe()
    store.probe()

    assert list(store.list("")) == []


def _etag(store: Store, key: str) -> str:
    content = store.read(key)
    assert content is not None
    return content[1]


def _successes(put) -> int:
    barrier = threading.Barrier(8)
    succeeded = []

    def once(number: int) -> None:
        barrier.wait()
        try:
            put(number)
        except Conflict:
            return
        succeeded.append(number)

    threads = [threading.Thread(target=once, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(succeeded)
