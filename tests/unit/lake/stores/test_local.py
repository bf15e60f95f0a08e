"""What only a local directory does: roots, rights, hard links, the order in which things reach the disk."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib.errors import ConfigurationError, LakeError
from spark_lib.lake import Lake, Rows, normalise_root
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Conflict
from tests.unit.lakes import DAY, NEXT_DAY, SCHEMA, open_attempt, publish, rows_of, write

CHECK = "Next: check the path, its owner and rights, and the space on the disk"
NOBODY = 65534


@pytest.fixture
def local(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "credit_risk")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that every user can reach (pytest's own are its user's alone)."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place)


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom rights bind: root, as which CI runs, passes them all."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# --- the root ---


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("/data/lake", "/data/lake"),
        ("/data/lake/", "/data/lake"),
        ("//data/./other/../lake", "/data/lake"),
        ("file:///data/my%20lake", "/data/my lake"),
        ("file:/data/lake", "/data/lake"),
        ("file://localhost/data/lake", "/data/lake"),
        ("/data/my lake#1?é", "/data/my lake#1?é"),
        ("/data/100%25", "/data/100%25"),
        ("//[data", "/[data"),
    ],
)
def test_a_root_has_one_spelling(given: str, wanted: str) -> None:
    assert normalise_root(given) == wanted


def test_a_relative_root_is_below_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert normalise_root("lake") == str(tmp_path / "lake")
    assert normalise_root("~/lake") == str(tmp_path / "home" / "lake")


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).map(
        lambda text: f"/nowhere/{text}"
    )
)
def test_a_normalised_root_stays_as_it_is(root: str) -> None:
    assert normalise_root(normalise_root(root)) == normalise_root(root)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "gs://bucket/lake",
            "lake root 'gs://bucket/lake': wanted a local directory or s3://bucket/prefix; found the scheme gs://. "
            "Next: set [lake] root (--lake-root)",
        ),
        (
            "file://data/lake",
            "lake root 'file://data/lake': wanted a local directory or s3://bucket/prefix; found the host 'data'. "
            "Next: set [lake] root (--lake-root)",
        ),
        (" ", "lake root: wanted a directory; found an empty value. Next: set [lake] root (--lake-root)"),
    ],
)
def test_a_root_that_is_no_directory_is_refused(given: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_root(given)

    assert str(caught.value) == message


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").touch()

    with pytest.raises(ConfigurationError) as caught:
        Lake(str(tmp_path / "lake"), "credit_risk")

    assert str(caught.value) == (
        f"lake root {tmp_path}/lake: wanted a directory; found a file. "
        "Next: set [lake] root (--lake-root) to another place"
    )


def test_a_root_below_a_file_is_an_error_for_readers_and_writers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lake = Lake(str(tmp_path / "file" / "lake"), "credit_risk")

    with pytest.raises(LakeError) as reading:
        lake.is_published("features", DAY)
    with pytest.raises(LakeError) as writing:
        open_attempt(lake)

    assert str(reading.value) == (
        f"{tmp_path}/file/lake/credit_risk/features: wanted a directory that can be listed; found Not a directory. {CHECK}"
    )
    assert str(writing.value) == (
        f"{tmp_path}/file/lake: wanted a directory that can be written; found Not a directory. {CHECK}"
    )


# --- rights ---


def test_a_root_that_cannot_be_written_is_refused_before_any_work(open_place: Path) -> None:
    (open_place / "lake").mkdir()
    (open_place / "lake").chmod(0o555)
    lake = Lake(str(open_place / "lake"), "credit_risk")

    with without_privileges(), pytest.raises(LakeError) as caught:
        open_attempt(lake)

    assert str(caught.value) == (
        f"{open_place}/lake: wanted a directory that can be written; found Permission denied. {CHECK}"
    )


def test_a_directory_that_may_not_be_read_is_an_error_and_never_a_missing_day(open_place: Path) -> None:
    lake = Lake(str(open_place), "credit_risk")
    publish(lake)
    directory = open_place / lake.prefix("features", DAY)
    directory.chmod(0)

    with without_privileges(), pytest.raises(LakeError) as caught:
        lake.is_published("features", DAY)
    directory.chmod(0o755)

    assert str(caught.value) == (
        f"{open_place}/credit_risk/features: wanted a directory that can be listed; found Permission denied. {CHECK}"
    )


def test_a_manifest_that_may_not_be_read_is_an_error_and_never_a_missing_day(open_place: Path) -> None:
    lake = Lake(str(open_place), "credit_risk")
    publish(lake)
    manifest = open_place / lake.prefix("features", DAY) / "_SUCCESS"
    manifest.chmod(0)

    with without_privileges(), pytest.raises(LakeError) as caught:
        lake.is_published("features", DAY)

    assert str(caught.value) == f"{manifest}: wanted a file that can be read; found Permission denied. {CHECK}"


# --- the probe ---


def test_a_file_system_without_hard_links_is_refused(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _refuse(errno.EPERM))

    with pytest.raises(LakeError) as caught:
        open_attempt(local)

    assert str(caught.value) == (
        f"{local.root}: wanted a file system with hard links, which make a publish all or nothing; "
        "found Operation not permitted. Next: put the lake on a file system that has them"
    )
    assert os.listdir(local.root) == []


def test_a_lake_is_probed_once_a_process(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(local)
    monkeypatch.setattr(LocalStore, "probe", _refuse(errno.EPERM))

    publish(local, day=NEXT_DAY)

    assert local.is_published("features", NEXT_DAY)


def test_reading_neither_probes_nor_makes_the_root(local: Lake) -> None:
    assert local.find("features", DAY, NEXT_DAY) == {}
    assert not os.path.exists(local.root)


# --- the disk ---


def test_everything_a_manifest_names_is_on_disk_before_it_appears(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    open_attempt(local)  # the probe is no part of the order
    events = _events(monkeypatch)
    with open_attempt(local) as attempt:
        write(attempt, [1], name="train/part-0.parquet")
        events.clear()
        attempt.commit(Rows({"train": 1}, SCHEMA))

    day = os.path.join(local.root, local.prefix("features", DAY))
    linked = events.index(("link", f"{day}/_SUCCESS"))
    before, after = events[:linked], events[linked + 1 :]
    directories = [local.root, f"{local.root}/credit_risk", f"{local.root}/credit_risk/features", day]
    run = f"{day}/run={attempt.run}"
    for path in (f"{run}/train/part-0.parquet", f"{run}/train", run, *directories):
        assert ("sync", path) in before
    assert before[-1][0] == "sync"
    assert before[-1][1].startswith(f"{day}/._SUCCESS-")
    assert {("sync", path) for path in directories} <= set(after)


def test_the_directories_of_a_day_without_files_are_on_disk(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    events = _events(monkeypatch)
    with open_attempt(local) as attempt:
        attempt.commit(Rows({"": 0}, SCHEMA))

    day = os.path.join(local.root, local.prefix("features", DAY))
    after = events[events.index(("link", f"{day}/_SUCCESS")) :]
    assert {("sync", path) for path in (day, f"{local.root}/credit_risk/features", local.root)} <= set(after)
    assert ("sync", os.path.dirname(local.root)) in events  # the root is new as well


def test_a_swap_is_on_disk_before_and_after(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(local, [1])
    events = _events(monkeypatch)
    publish(local, [2], rebuild=True)

    day = os.path.join(local.root, local.prefix("features", DAY))
    swapped = events.index(("replace", f"{day}/_SUCCESS"))
    assert events[swapped - 1][1].startswith(f"{day}/._SUCCESS-")
    assert ("sync", day) in events[swapped:]


def test_a_full_disk_publishes_nothing_and_leaves_no_temporary_name(
    local: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_attempt(local) as attempt:
        rows = write(attempt, [1])
        monkeypatch.setattr(os, "fsync", _refuse(errno.ENOSPC))
        with pytest.raises(LakeError) as caught:
            attempt.commit(rows)
    monkeypatch.undo()

    assert caught.value.found == "No space left on device"
    assert not local.is_published("features", DAY)
    assert _names(local) == set()


def test_a_disk_that_fails_once_the_manifest_appeared_leaves_its_files(
    local: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_then_fail(source: str, target: str) -> None:
        link(source, target)
        monkeypatch.setattr(os, "fsync", _refuse(errno.EIO))

    with open_attempt(local) as attempt:
        rows = write(attempt, [1])
        monkeypatch.setattr(os, "link", link_then_fail)
        with pytest.raises(LakeError, match="Input/output error"):
            attempt.commit(rows)
    monkeypatch.undo()

    assert rows_of(local) == [1]


def test_what_a_killed_publisher_left_beside_the_manifest_hinders_nobody(local: Lake) -> None:
    day = Path(local.root) / local.prefix("features", DAY)
    day.mkdir(parents=True)
    (day / "._SUCCESS-0123456789abcdef").write_bytes(b'{"half": ')
    (day / "._SUCCESS.lock").touch()
    (Path(local.root) / ".probe-0123456789abcdef").touch()
    assert not local.is_published("features", DAY)

    publish(local, [1])
    publish(local, [2], rebuild=True)

    assert rows_of(local) == [2]


def test_no_temporary_names_are_left(local: Lake) -> None:
    publish(local, [1])
    publish(local, [1])
    publish(local, [2], rebuild=True)

    assert {name for name in _names(local) if name.startswith(".")} == {"._SUCCESS.lock"}
    assert sorted(os.listdir(local.root)) == ["credit_risk"]


def test_directories_outside_the_bounds_are_not_opened(local: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 6):
        publish(local, day=DAY.replace(day=day))
    opened: list[str] = []
    scandir = os.scandir

    def kept_scandir(path: str) -> object:
        opened.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", kept_scandir)

    local.find("features", DAY.replace(day=2), DAY.replace(day=3))

    features = f"{local.root}/credit_risk/features"
    assert [path.removeprefix(features) for path in opened if "run=" not in path] == [
        "",
        "/date=2026-01-02",
        "/date=2026-01-03",
    ]


def test_a_file_removed_while_it_is_listed_is_not_listed(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    for key in ["first", "gone", "here"]:
        store.create(key, b"")
    listing = store.list("")
    assert next(listing).key == "first"

    (tmp_path / "gone").unlink()

    assert [entry.key for entry in listing] == ["here"]


def test_a_link_to_nothing_is_listed_for_whoever_reads_it_to_say_so(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    (tmp_path / "link").symlink_to("nowhere")

    assert [(entry.key, entry.size) for entry in store.list("")] == [("link", 0)]


def test_a_lock_that_is_held_delays_a_swap_and_loses_nothing(tmp_path: Path) -> None:
    import fcntl
    import threading

    store = LocalStore(str(tmp_path))
    store.create("key", b"old")
    content = store.read("key")
    assert content is not None
    with open(tmp_path / ".key.lock", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        swap = threading.Thread(target=store.replace, args=["key", b"new", content[1]])
        swap.start()
        swap.join(0.05)
        assert swap.is_alive()
        assert (tmp_path / "key").read_bytes() == b"old"
    swap.join()

    assert (tmp_path / "key").read_bytes() == b"new"
    with pytest.raises(Conflict):
        store.replace("key", b"newer", content[1])


def _refuse(number: int):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def _events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Syncs, links and replacements from here on, each with its path, in order."""
    events: list[tuple[str, str]] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def kept_fsync(descriptor: int) -> None:
        events.append(("sync", _path_of(descriptor)))
        fsync(descriptor)

    def kept_link(source: str, target: str) -> None:
        events.append(("link", target))
        link(source, target)

    def kept_replace(source: str, target: str) -> None:
        events.append(("replace", target))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", kept_fsync)
    monkeypatch.setattr(os, "link", kept_link)
    monkeypatch.setattr(os, "replace", kept_replace)
    return events


def _path_of(descriptor: int) -> str:
    import fcntl

    if hasattr(fcntl, "F_GETPATH"):  # macOS
        return fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode()
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _names(lake: Lake) -> set[str]:
    return {name for _, _, names in os.walk(lake.root) for name in names}


def test_two_writers_of_one_file_do_not_meet_and_the_last_one_to_end_stays(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))

    with store.writing("file") as one:
        one.write(b"one")
        with store.writing("file") as other:
            other.write(b"other")
        assert (tmp_path / "file").read_bytes() == b"other"

    assert (tmp_path / "file").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))

    def fail() -> None:
        with store.writing("file") as file:
            file.write(b"a part")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        fail()

    assert os.listdir(tmp_path) == []
