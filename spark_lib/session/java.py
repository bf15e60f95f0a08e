"""Finds the Java that Spark would start, where Spark looks for it. It does so before Spark does, whose own message is
hard to understand."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from spark_lib.errors import ConfigurationError, JavaMissing

VERSIONS = (17, 21)
#: The same as in scripts/prerequisites.sh, which cannot ask Python.
INSTALL = (
    "Debian: sudo apt-get install default-jre-headless | macOS: brew install openjdk@17"
    " | Red Hat: sudo dnf install java-21-openjdk-headless"
)
#: Where Java finds further options.
OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
_ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Java:
    path: str
    version: int
    #: "JAVA_HOME" or "PATH"
    found_by: str
    #: All that Java says about itself, without the lines about options that it was given.
    build: str


@cache
def require() -> Java:
    """Like ``find``, but Java is looked for only once in a process."""
    return find()


def find() -> Java:
    """The Java of JAVA_HOME, else of PATH. Raises JavaMissing where there is none, or one that Spark 4 refuses. Raises
    ConfigurationError where Java does not start with the options of the environment."""
    home = os.environ.get("JAVA_HOME")
    name = os.path.join(home, "bin", "java") if home else "java"
    path = shutil.which(name)
    if path is None:
        raise _missing(f"no {name}")
    answer = _ask(path)
    lines = (answer.stderr + answer.stdout).splitlines()
    build = "\n".join(line for line in lines if "Picked up " not in line)
    said = re.search(r'version "(?:1\.)?(\d+)', build)
    if answer.returncode or not said:
        _see_that_options_are_not_to_blame(path, answer)
        # macOS has a `java` that only says where to get one.
        raise _missing(f"{path} does not start")
    java = Java(path, int(said[1]), "JAVA_HOME" if home else "PATH", build)
    if java.version not in VERSIONS:
        raise _missing(f"{path} (by {java.found_by}) is Java {java.version}")
    return java


def options_given() -> list[str]:
    """The variables that give options to every JVM."""
    return [name for name in OPTIONS if os.environ.get(name)]


def _ask(path: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"{path} does not start: {error}") from error


def _see_that_options_are_not_to_blame(path: str, answer: subprocess.CompletedProcess[str]) -> None:
    given = options_given()
    if given and not _ask(path, {name: value for name, value in os.environ.items() if name not in OPTIONS}).returncode:
        lines = [line for line in (answer.stderr + answer.stdout).splitlines() if "Picked up " not in line]
        raise ConfigurationError(
            " and ".join(given),
            "options that Java starts with",
            lines[0].strip() if lines else f"exit code {answer.returncode} of {path}",
            f"unset {' and '.join(given)}",
        )


def spark_home() -> str:
    """Where Spark is: SPARK_HOME, or the installed PySpark, which brings it."""
    spec = importlib.util.find_spec("pyspark")
    brought = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    return os.environ.get("SPARK_HOME") or brought


def _missing(found: str) -> JavaMissing:
    return JavaMissing(
        "Spark",
        f"Java {' or '.join(map(str, VERSIONS))}",
        found,
        f"install it ({INSTALL}), or set JAVA_HOME to where it is",
    )
