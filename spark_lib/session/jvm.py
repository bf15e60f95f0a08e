"""What the driver's JVM is started with: an archive of Spark's classes, which it maps instead of parsing them again (JEP 350), and
a collector of garbage that has no threads of its own to start.

``spark_lib.session.startup`` makes the archive. Java looks by itself whether it fits the jars and the JVM; where it does not, classes
are parsed as ever.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from contextlib import suppress
from pathlib import Path

from spark_lib.lake.stores.cache import user_directory
from spark_lib.session import java
from spark_lib.session.java import OPTIONS

_COLLECTOR = re.compile(r"-XX:\+Use\w*GC\b")
_ARCHIVE = re.compile(r"-XX:(SharedArchiveFile|ArchiveClassesAtExit)=")
OPTION = "-XX:SharedArchiveFile="
#: Java crashes over an archive whose content is damaged, and does not look for that.
SUSPECT = (
    "should Java itself have crashed, make the archive of Spark's classes again (python -m spark_lib.session.startup)"
)


def options(master: str, given: str = "") -> str:
    """What to add to the options ``given`` to the driver's JVM: what was chosen there is not chosen again, for two
    collectors would keep it from starting."""
    if not re.match(r"local(\[|$)", master):
        return ""  # a driver of executors elsewhere lives long
    chosen = " ".join([given, *(os.environ.get(name, "") for name in OPTIONS)])
    added = [] if _COLLECTOR.search(chosen) else ["-XX:+UseSerialGC"]
    kept = archive(java.require().build)
    if kept and not _ARCHIVE.search(chosen):
        added.append(f'"{OPTION}{kept}"')
    return " ".join(added)


def options_of_environment() -> str:
    """What to look at as well where a JVM does not start; empty where nobody gives it options of his own."""
    given = java.options_given()
    return f", or unset {' and '.join(given)}" if given else ""


def archive(build: str) -> Path | None:
    """The archive for this Spark and a build of Java, one a user, where it is there and whole: a JVM that maps a part of one
    crashes, so that the name has the size."""
    whole = []
    for kept in archives(build):
        with suppress(FileNotFoundError):  # somebody has just made it anew
            there = kept.stat()
            if kept.name == f"{name(build)}-{there.st_size}.jsa":
                whole.append((there.st_mtime, kept))
    return max(whole)[1] if whole else None


def archives(build: str) -> list[Path]:
    """All that are there, whole or not."""
    return list(user_directory().glob(f"{name(build)}-*.jsa"))


def name(build: str) -> str:
    """What the files of this Spark and a build of Java begin with."""
    of = "\n".join([build, java.spark_home(), importlib.metadata.version("pyspark")])
    return f"classes-{hashlib.sha256(of.encode()).hexdigest()[:12]}"
