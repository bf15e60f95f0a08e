"""Protects a Spark session from the environment of its process.

A notebook, a scheduler or another Spark leaves variables that break a session, or change it. Those that Spark can start
without are hidden from it. The others are refused by name. docs/operations.md has the table. What a session should have
belongs into the configuration (``[spark]``).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import locale
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spark_lib.errors import ConfigurationError
from spark_lib.session import java

#: Variables of other sessions, and of Spark's own tests. No session sees them.
KEPT_FROM_SPARK = (
    "MASTER", "PYSPARK_DRIVER_PYTHON", "PYSPARK_DRIVER_PYTHON_OPTS", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET",
    "PYSPARK_PIN_THREAD", "PYSPARK_SUBMIT_ARGS", "SPARK_API_MODE", "SPARK_CONNECT_MODE", "SPARK_LAUNCHER_OPTS",
    "SPARK_PREPEND_CLASSES", "SPARK_SUBMIT_OPTS", "SPARK_TESTING",
)  # fmt: skip
#: Variables of a cluster. A session on this machine alone does not see them.
KEPT_FROM_LOCAL_SPARK = (
    "HADOOP_CONF_DIR", "PYSPARK_PYTHON", "SPARK_CONF_DIR", "SPARK_DIST_CLASSPATH", "SPARK_LOCAL_HOSTNAME",
    "SPARK_PUBLIC_DNS", "YARN_CONF_DIR",
)  # fmt: skip
#: PySpark reads these as long as a session lives, so they cannot be hidden from it.
_OF_SPARK_CONNECT = ("SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_SKIP_CONNECT_COMPAT_TESTS")
#: Options that outrank Daystone's own options of the JVM, and would change what a text or a time is.
_CHANGES_RESULTS = (
    r"-D(user\.(?:timezone|language|country|region|script|variant)[.\w]*|file\.encoding|sun\.jnu\.encoding)="
)
#: The same for options that outrank nothing. Only options that Daystone does not set itself are among them.
_BESIDE_OURS = r"-D(user\.(?:language|country|script|variant)\.\w+|user\.(?:region|script|variant)|sun\.jnu\.encoding)="
_UTF_8_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8")
#: The suffix of files in a directory of settings that are not settings.
_NO_SETTINGS = ".template"


def check(master: str) -> None:
    """Raises ConfigurationError for the first variable with which no session would start, or a different one."""
    _check_packages()
    _check_spark_home()
    for name in _OF_SPARK_CONNECT:
        if name in os.environ:
            raise _refused(name, "a session of this process's own", "one of Spark Connect")
    if os.environ.get("ARROW_PRE_0_15_IPC_FORMAT") == "1":
        raise _refused("ARROW_PRE_0_15_IPC_FORMAT", "Arrow's format of today", "'1', the one of before 0.15")
    _check_java_options()
    _check_address()
    _check_file_names()


def kept_from(master: str) -> list[str]:
    """The variables that are set and that a session does not see."""
    names = KEPT_FROM_SPARK + (KEPT_FROM_LOCAL_SPARK if is_local(master) else ())
    return sorted(name for name in names if os.environ.get(name))


def is_local(master: str) -> bool:
    """Whether executors are on this machine: ``local[*]``, or ``local-cluster`` of tests."""
    return master.startswith("local")


def in_driver(master: str) -> bool:
    """Whether tasks run in the driver's own JVM: ``local`` or ``local[*]``."""
    return re.match(r"local(\[|$)", master) is not None


def cores(master: str) -> int:
    """How many tasks run at once in this process: those of ``local[2]``, and else one for each core of the machine."""
    named = re.match(r"local\[(\d+)", master)
    return int(named[1]) if named else 1 if master == "local" else os.cpu_count() or 1


@contextmanager
def of_spark(master: str) -> Iterator[None]:
    """Give this process, inside the block, the environment that a session should find. Only the start of a session
    needs the block, because the JVM keeps the environment that it was started with."""
    before = dict(os.environ)
    _replace(for_spark(master))
    try:
        yield
    finally:
        _replace(before)


def for_spark(master: str) -> dict[str, str]:
    """The environment to start Spark with."""
    home = java.spark_home()
    kept = {name: value for name, value in os.environ.items() if name not in KEPT_FROM_SPARK}
    if is_local(master):
        has_hadoop = any(Path(home, "jars").glob("hadoop-client-api-*.jar"))
        needed = () if has_hadoop else ("SPARK_DIST_CLASSPATH",)
        kept = {name: value for name, value in kept.items() if name not in KEPT_FROM_LOCAL_SPARK or name in needed}
        kept["SPARK_CONF_DIR"] = _without_settings(home)
    if not kept.get("PYSPARK_PYTHON"):
        kept["PYSPARK_PYTHON"] = sys.executable
    kept["SPARK_HOME"] = home  # executors of a `local-cluster` start from there
    return kept | ({"LC_ALL": utf_8} if (utf_8 := _utf_8_locale()) else {})


def check_spark_is_there() -> None:
    """Raises ConfigurationError where SPARK_HOME names no installation of Spark."""
    home = os.environ.get("SPARK_HOME")
    if home and not Path(home, "bin", "spark-submit").is_file():
        found = f"{home}, which has no bin/spark-submit" if os.path.isdir(home) else f"{home}, which is not there"
        raise _refused("SPARK_HOME", "an installation of Spark", found)


def _check_spark_home() -> None:
    check_spark_is_there()
    home, wanted = os.environ.get("SPARK_HOME"), _installed("pyspark")
    if not home or not wanted:
        return
    jars = list(Path(home, "jars").glob("spark-core_*.jar"))
    found = jars[0].stem.partition("_")[2].partition("-")[2] if jars else ""
    if not _is_version(found, wanted):
        there = f"Spark {found}" if found else "no jars of Spark"
        raise _refused("SPARK_HOME", f"Spark {wanted}, as the installed pyspark", f"{there} in {home}")


def _check_packages() -> None:
    """Raises ConfigurationError where PYTHONPATH has another Spark's Python, which would be used in place of the
    installed one."""
    for name in ("pyspark", "py4j"):
        wanted, spec = _installed(name), importlib.util.find_spec(name)
        if wanted and spec and spec.submodule_search_locations:
            place = spec.submodule_search_locations[0]
            found = _version_in(place, spec.loader)
            if found and not _is_version(found, wanted):
                raise ConfigurationError(
                    f"package {name}",
                    f"version {wanted}, which is installed",
                    f"version {found} in {place}",
                    "take the other Spark out of PYTHONPATH (unset PYTHONPATH)",
                )


def _installed(name: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        for found in importlib.metadata.distributions(name=name):
            return found.version
    return ""


def _is_version(found: str, wanted: str) -> bool:
    """Whether ``found`` is the version ``wanted``, or a vendor's build of it, such as 4.1.2-amzn-0."""
    return re.fullmatch(re.escape(wanted) + r"([-+.]\D.*)?", found) is not None


def _version_in(place: str, loader: Any) -> str:
    """What a package's version.py says, without importing it. The package lies in a directory, or in an archive
    (py4j-*-src.zip)."""
    try:
        text = loader.get_data(os.path.join(place, "version.py")).decode()
    except (OSError, AttributeError):
        return ""
    said = re.search(r"__version__[^=]*= *['\"]([^'\"]+)", text)
    return said[1] if said else ""


def _check_java_options() -> None:
    """Raise ConfigurationError for an option in one of Java's three variables that would change a result.

    ``_JAVA_OPTIONS`` outranks the command line of the JVM, so that more of it matters than of JAVA_TOOL_OPTIONS and
    JDK_JAVA_OPTIONS, which do not.
    """
    for name in java.OPTIONS:
        said = re.search(_CHANGES_RESULTS if name == "_JAVA_OPTIONS" else _BESIDE_OURS, os.environ.get(name, ""))
        if said:
            raise _refused(name, "options that change no result", f"-D{said[1]}, which would")


def _check_address() -> None:
    """Raises ConfigurationError for a SPARK_LOCAL_IP that is not of this machine. Spark would try it on 16 ports, and
    then say that a port is taken."""
    address = os.environ.get("SPARK_LOCAL_IP")
    if not address:
        return
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.bind(place)
    except OSError as error:
        raise _refused(
            "SPARK_LOCAL_IP", "an address of this machine", f"{address!r} ({error.strerror or error})"
        ) from error


def _check_file_names() -> None:
    """Raises ConfigurationError where Python does not write names of files in UTF-8. Python and the JVM have to use the
    same name for a file."""
    encoding = sys.getfilesystemencoding()
    if encoding.lower().replace("-", "") != "utf8":
        said = next(
            (f"{n}={os.environ[n]}" for n in ("PYTHONUTF8", "LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(n)), ""
        )
        raise ConfigurationError(
            "names of files",
            "UTF-8",
            f"{encoding}" + (f", by {said}" if said else ""),
            "set PYTHONUTF8=1, or LC_ALL to a locale of UTF-8 (C.UTF-8)",
        )


def _utf_8_locale() -> str:
    """A locale of UTF-8 that is there, or empty where none is found. Java takes from it how names of files are
    written."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in _UTF_8_LOCALES:
            with suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return ""


def _without_settings(home: str) -> str:
    """A directory of settings that has none. It is Spark's own where nobody has put any into it: so the class path
    stays as it is, by which Java recognises its archive of classes."""
    own = Path(home, "conf")
    with suppress(OSError):
        if any(path.suffix != _NO_SETTINGS for path in own.iterdir()):
            return os.devnull
    return str(own)


def _replace(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _refused(name: str, wanted: str, found: str) -> ConfigurationError:
    return ConfigurationError(name, wanted, found, f"unset {name}")
