"""Spark's jars for S3: resolved once with a word about it, then found without network or Java, or said how to get."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.session import s3a
from tests.support.java import install_java
from tests.support.processes import Commands, Result

pytestmark = pytest.mark.processes

#: What stands in for spark-submit: it writes down that it was asked, and two jars where Ivy would put them.
RESOLVES = """echo "$@" >> '{calls}'
for word in "$@"; do case $word in spark.jars.ivy=*) ivy=${{word#*=}};; esac; done
mkdir -p "$ivy/jars" && touch "$ivy/jars/hadoop-aws.jar" "$ivy/jars/s3.jar"
"""
FAILS = """echo ':: loading settings' >&2
echo '		:: unresolved dependency: org.apache.hadoop#hadoop-aws;3.4.2: not found' >&2
exit 1
"""
PROGRESS = "Resolving Spark's jars for S3 (22 MB, once): about half a minute\n"


class Machine:
    """A machine whose spark-submit and Java are scripts, with a cache of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.calls = home / "calls"
        self.install(RESOLVES)
        install_java(home, "17.0.15")

    def install(self, script: str) -> None:
        program = self.home / "spark" / "bin" / "spark-submit"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n" + script.format(calls=self.calls))
        program.chmod(0o755)

    def make_jars(self, **environment: str) -> Result:
        """What `make jars` runs."""
        own = {
            "SPARK_HOME": str(self.home / "spark"),
            "JAVA_HOME": str(self.home / "jdk"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
        }
        return Commands(self.home).run([sys.executable, "-m", "spark_lib.session.s3a"], env=own | environment)

    @property
    def directory(self) -> Path:
        return self.home / "cache" / "daystone" / s3a.default_directory().name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_use_says_what_it_is_at_and_where_the_jars_are(machine: Machine) -> None:
    result = machine.make_jars()

    assert result == Result(0, f"2 jars of Spark for S3 in {machine.directory}\n", PROGRESS)
    assert sorted(path.name for path in machine.directory.iterdir()) == ["hadoop-aws.jar", "jars.txt", "s3.jar"]
    assert [path.name for path in machine.directory.parent.iterdir()] == [machine.directory.name]


def test_the_resolver_is_told_what_to_fetch_and_what_to_leave_out(machine: Machine) -> None:
    machine.make_jars()

    (call,) = machine.calls.read_text().splitlines()
    assert f"--packages {','.join(s3a.PACKAGES)} --exclude-packages {','.join(s3a.EXCLUDED)} " in call


def test_a_warm_cache_asks_nothing_and_needs_no_java(machine: Machine) -> None:
    first = machine.make_jars()
    machine.install(FAILS)

    again = machine.make_jars(JAVA_HOME="/nowhere")

    assert again == Result(0, first.stdout, "")


def test_without_a_network_it_says_what_to_run_and_leaves_nothing_half_way(machine: Machine) -> None:
    machine.install(FAILS)

    result = machine.make_jars()

    assert result == Result(
        31,
        "",
        f"{PROGRESS}Spark's jars for S3: wanted Maven Central, or a mirror that Ivy is told of; found "
        ":: unresolved dependency: org.apache.hadoop#hadoop-aws;3.4.2: not found. Next: run `make jars` where there is "
        f"a network, and copy {machine.directory} here\n",
    )
    assert list(machine.directory.parent.iterdir()) == []


def test_a_resolver_that_finds_nothing_and_says_nothing_is_an_error(machine: Machine) -> None:
    machine.install("exit 0")

    result = machine.make_jars()

    assert result.code == 31
    assert "found exit code 0 of spark-submit. Next: run `make jars`" in result.stderr


def test_a_jar_that_vanished_is_told(machine: Machine) -> None:
    machine.make_jars()
    (machine.directory / "s3.jar").unlink()

    with pytest.raises(ConfigurationError) as refused:
        s3a.jars(machine.directory)

    assert str(refused.value) == (
        f"Spark's jars for S3 in {machine.directory}: wanted every jar that was resolved; "
        f"found no {machine.directory}/s3.jar. Next: remove {machine.directory}"
    )
