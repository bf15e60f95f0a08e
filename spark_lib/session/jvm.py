"""Options for the driver's JVM: an archive of Spark's classes, which the JVM maps instead of parsing them again (JEP
350), and a garbage collector that has no threads of its own to start.

``spark_lib.session.startup`` makes the archive. Java checks by itself whether the archive fits the jars and the JVM.
Where it does not fit, classes are parsed as usual.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from contextlib import suppress
from pathlib import Path

from spark_lib.caches import user_directory
from spark_lib.session import environment, java
from spark_lib.session.java import OPTIONS

_COLLECTOR = re.compile(r"-XX:\+Use\w*GC\b")
_ARCHIVE = re.compile(r"-XX:(SharedArchiveFile|ArchiveClassesAtExit)=")
OPTION = "-XX:SharedArchiveFile="
#: Java does not check the content of an archive, and crashes where it is damaged.
SUSPECT = (
    "should Java itself have crashed, make the archive of Spark's classes again (python -m spark_lib.session.startup)"
)


def options(master: str, given: str = "") -> str:
    """The options to add to those ``given`` to the driver's JVM. What ``given`` or the environment chooses is not
    chosen again, because the JVM does not start with two collectors."""
    if not environment.in_driver(master):
        return ""  # a driver of executors elsewhere lives long
    chosen = " ".join([given, *(os.environ.get(name, "") for name in OPTIONS)])
    added = [] if _COLLECTOR.search(chosen) else ["-XX:+UseSerialGC"]
    kept = archive(java.require().build)
    if kept and not _ARCHIVE.search(chosen):
        added.append(f'"{OPTION}{kept}"')
    return " ".join(added)


def options_of_environment() -> str:
    """A hint at the variables that give options to a JVM, for a JVM that does not start; empty where none is set."""
    given = java.options_given()
    return f", or unset {' and '.join(given)}" if given else ""


def archive(build: str) -> Path | None:
    """The archive for this Spark and a build of Java, where it is there and whole. There is one for each user. The name
    contains the size, because a JVM that maps a part of an archive crashes."""
    whole = []
    for kept in archives(build):
        with suppress(FileNotFoundError):  # another process has just replaced it
            there = kept.stat()
            if kept.name == f"{name(build)}-{there.st_size}.jsa":
                whole.append((there.st_mtime, kept))
    return max(whole)[1] if whole else None


def archives(build: str) -> list[Path]:
    """All archives that are there, whole or not."""
    return list(user_directory().glob(f"{name(build)}-*.jsa"))


def name(build: str) -> str:
    """The beginning of the names of archives for this Spark and a build of Java."""
    of = "\n".join([build, java.spark_home(), importlib.metadata.version("pyspark")])
    return f"classes-{hashlib.sha256(of.encode()).hexdigest()[:12]}"
