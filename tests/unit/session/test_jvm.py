"""What is added to the options of a local master's JVM, and which archive is for which Java."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spark_lib.caches import user_directory
from spark_lib.session import java, jvm


@pytest.fixture(autouse=True)
def a_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Java 17 without options of its own, and a user's cache with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(java, "require", lambda: java.Java("/jdk/bin/java", 17, "PATH", "17.0.15+6"))
    return tmp_path


def kept(build: str = "17.0.15+6", size: int = 3) -> Path:
    """An archive of three bytes, made by the Java of this build."""
    found = user_directory() / f"{jvm.name(build)}-{size}.jsa"
    found.parent.mkdir(exist_ok=True)
    found.write_bytes(b"...")
    return found


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]", "local[4,2]"])
def test_a_local_master_gets_the_serial_collector_and_the_archive_that_was_made(master: str) -> None:
    assert jvm.options(master) == "-XX:+UseSerialGC"

    archive = kept()

    assert jvm.options(master) == f'-XX:+UseSerialGC "-XX:SharedArchiveFile={archive}"'


@pytest.mark.parametrize("master", ["local-cluster[2,1,1024]", "spark://somewhere:7077", "yarn", "k8s://https://there"])
def test_a_driver_of_executors_elsewhere_is_left_alone(master: str) -> None:
    kept()

    assert jvm.options(master) == ""


def test_a_collector_that_was_chosen_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jvm.options("local[2]", "-Dmine=1 -XX:+UseG1GC") == ""
    assert jvm.options("local[2]", "-XX:+UseStringDeduplication") == "-XX:+UseSerialGC"

    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:+UseParallelGC")

    assert jvm.options("local[2]") == ""


def test_an_archive_that_was_chosen_is_the_only_one() -> None:
    kept()

    assert jvm.options("local[2]", "-XX:SharedArchiveFile=/mine.jsa") == "-XX:+UseSerialGC"
    assert jvm.options("local[2]", "-XX:ArchiveClassesAtExit=/mine.jsa") == "-XX:+UseSerialGC"


def test_an_archive_of_another_java_is_not_used() -> None:
    kept("21.0.2+13")

    assert jvm.options("local[2]") == "-XX:+UseSerialGC"


def test_a_part_of_an_archive_is_not_used_for_the_jvm_would_crash() -> None:
    kept(size=4)

    assert jvm.options("local[2]") == "-XX:+UseSerialGC"


def test_of_two_archives_the_newest_is_used() -> None:
    older, newest = kept(), user_directory() / f"{jvm.name('17.0.15+6')}-4.jsa"
    newest.write_bytes(b"....")
    os.utime(older, (0, 0))

    assert jvm.archive("17.0.15+6") == newest
