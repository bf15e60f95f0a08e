"""What the environment of a notebook, a scheduler or another Spark does to a session: nothing, or it is refused by name."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake.stores.store import normalise_root
from spark_lib.session import environment, java
from tests.support.processes import Commands

LOCAL, CLUSTER = "local[2]", "spark://host:7077"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of whose environment Spark would see nothing."""
    for name in list(os.environ):
        if name.startswith(("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "ARROW_")) or name in java.OPTIONS:
            monkeypatch.delenv(name)


@pytest.fixture
def other_spark(tmp_path: Path) -> Path:
    """An installation of Spark 3.5.1, as far as it is looked at."""
    for file in ("bin/spark-submit", "jars/spark-core_2.12-3.5.1.jar", "python/pyspark/__init__.py"):
        (tmp_path / "spark" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "spark" / file).touch()
    (tmp_path / "spark/python/pyspark/version.py").write_text("__version__: str = '3.5.1'\n")
    return tmp_path / "spark"


REFUSED = {
    "gone": (
        {"SPARK_HOME": "/opt/gone"},
        "SPARK_HOME: wanted an installation of Spark; found /opt/gone, which is not there",
    ),
    "no Spark": (
        {"SPARK_HOME": "/usr"},
        "SPARK_HOME: wanted an installation of Spark; found /usr, which has no bin/spark-submit",
    ),
    "remote": (
        {"SPARK_REMOTE": "sc://host"},
        "SPARK_REMOTE: wanted a session of this process's own; found one of Spark Connect",
    ),
    "connect": (
        {"SPARK_CONNECT_MODE_ENABLED": "1"},
        "SPARK_CONNECT_MODE_ENABLED: wanted a session of this process's own; found one of Spark Connect",
    ),
    "Arrow": (
        {"ARROW_PRE_0_15_IPC_FORMAT": "1"},
        "ARROW_PRE_0_15_IPC_FORMAT: wanted Arrow's format of today; found '1', the one of before 0.15",
    ),
    "time zone": (
        {"_JAVA_OPTIONS": "-Xmx1g -Duser.timezone=Europe/Berlin"},
        "_JAVA_OPTIONS: wanted options that change no result; found -Duser.timezone, which would",
    ),
    "language of numbers": (
        {"JAVA_TOOL_OPTIONS": "-Duser.language.format=tr"},
        "JAVA_TOOL_OPTIONS: wanted options that change no result; found -Duser.language.format, which would",
    ),
    "address": (
        {"SPARK_LOCAL_IP": "203.0.113.7"},
        "SPARK_LOCAL_IP: wanted an address of this machine; found '203.0.113.7' (Cannot assign requested address)",
    ),
}


@pytest.mark.parametrize(("variables", "refusal"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_break_or_change_a_session_is_refused_by_name(
    variables: dict[str, str], refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as refused:
        environment.check(LOCAL)

    assert str(refused.value) == f"{refusal}. Next: unset {next(iter(variables))}"


def test_another_version_of_spark_is_refused(other_spark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = environment._installed("pyspark")
    monkeypatch.setenv("SPARK_HOME", str(other_spark))

    with pytest.raises(ConfigurationError) as refused:
        environment.check(LOCAL)
    assert str(refused.value) == (
        f"SPARK_HOME: wanted Spark {wanted}, as the installed pyspark; found Spark 3.5.1 in {other_spark}. Next: unset "
        "SPARK_HOME"
    )

    (other_spark / "jars" / "spark-core_2.12-3.5.1.jar").rename(
        other_spark / "jars" / f"spark-core_2.13-{wanted}-amzn-0.jar"
    )

    environment.check(LOCAL)


def test_the_python_of_another_spark_is_refused(other_spark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)  # another test's
    monkeypatch.syspath_prepend(str(other_spark / "python"))

    with pytest.raises(ConfigurationError) as refused:
        environment.check(LOCAL)

    assert str(refused.value) == (
        f"package pyspark: wanted version {environment._installed('pyspark')}, which is installed; found version 3.5.1 in "
        f"{other_spark}/python/pyspark. Next: take the other Spark out of PYTHONPATH (unset PYTHONPATH)"
    )


def test_another_py4j_in_an_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "py4j-0.10.9.7-src.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("py4j/__init__.py", "")
        written.writestr("py4j/version.py", "__version__ = '0.10.9.7'\n")
    monkeypatch.syspath_prepend(str(archive))
    monkeypatch.delitem(sys.modules, "py4j", raising=False)  # a module that is there is not looked for

    with pytest.raises(ConfigurationError, match=r"^package py4j: .* found version 0\.10\.9\.7 in .*-src\.zip/py4j\."):
        environment.check(LOCAL)


def test_what_changes_nothing_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "")
    monkeypatch.setenv("ARROW_PRE_0_15_IPC_FORMAT", "0")
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xmx1g")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.timezone=Europe/Berlin")  # Daystone's own option outranks it
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")

    environment.check(LOCAL)


def test_a_session_on_this_machine_sees_nothing_of_a_notebook_or_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment.KEPT_FROM_SPARK, *environment.KEPT_FROM_LOCAL_SPARK):
        monkeypatch.setenv(name, "theirs")

    found = environment.for_spark(LOCAL)

    assert [name for name, value in found.items() if value == "theirs"] == []
    assert found["PYSPARK_PYTHON"] == sys.executable
    assert (found["SPARK_HOME"], found["SPARK_CONF_DIR"]) == (java.spark_home(), f"{java.spark_home()}/conf")
    assert environment.kept_from(LOCAL) == sorted([*environment.KEPT_FROM_SPARK, *environment.KEPT_FROM_LOCAL_SPARK])


def test_a_session_of_a_cluster_sees_what_is_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment.KEPT_FROM_SPARK, *environment.KEPT_FROM_LOCAL_SPARK):
        monkeypatch.setenv(name, "theirs")

    found = environment.for_spark(CLUSTER)

    assert {name for name, value in found.items() if value == "theirs"} == set(environment.KEPT_FROM_LOCAL_SPARK)


def test_settings_in_the_installation_of_spark_are_not_those_of_a_session(
    other_spark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(other_spark))
    (other_spark / "conf").mkdir()
    (other_spark / "conf" / "spark-defaults.conf.template").touch()
    assert environment.for_spark(LOCAL)["SPARK_CONF_DIR"] == f"{other_spark}/conf"

    (other_spark / "conf" / "spark-defaults.conf").touch()

    assert environment.for_spark(LOCAL)["SPARK_CONF_DIR"] == os.devnull


def test_a_jvm_gets_a_locale_of_utf_8_and_this_process_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "pyspark-shell")
    before = dict(os.environ)

    with environment.of_spark(LOCAL):
        inside = dict(os.environ)

    assert inside["LC_ALL"].lower().replace("-", "").endswith("utf8")
    assert "PYSPARK_SUBMIT_ARGS" not in inside
    assert dict(os.environ) == before


@pytest.mark.processes
def test_a_python_that_calls_files_by_other_names_is_refused(tmp_path: Path) -> None:
    source = "from spark_lib.session import environment; environment.check('local[2]')"

    refused = Commands(tmp_path).python(source, env={"LC_ALL": "C", "PYTHONUTF8": "0"})

    assert refused.stderr.splitlines()[-1] == (
        "spark_lib.errors.ConfigurationError: names of files: wanted UTF-8; found ascii, by PYTHONUTF8=0. Next: set "
        "PYTHONUTF8=1, or LC_ALL to a locale of UTF-8 (C.UTF-8)"
    )
    assert Commands(tmp_path).python(source, env={"LC_ALL": "C"}).code == 0


def test_the_name_of_a_lake_that_python_could_not_read_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        normalise_root("/data/\udcc3\udcbc")

    assert str(refused.value) == (
        "lake root '/data/\\udcc3\\udcbc': wanted a name in UTF-8; found signs that Python could not read. Next: set "
        "PYTHONUTF8=1, or LC_ALL to a locale of UTF-8 (C.UTF-8)"
    )
