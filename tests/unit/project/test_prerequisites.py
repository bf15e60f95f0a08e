"""What a machine without Python or Java is told: the real Makefile and script, with other programs on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

SCRIPT = ROOT / "scripts" / "prerequisites.sh"
PYTHON_INSTALL = (
    "Debian: sudo apt-get install python3 python3-venv | macOS: brew install python@3.13"
    " | Red Hat: sudo dnf install python3.12"
)
JAVA_INSTALL = (
    "Debian: sudo apt-get install default-jre-headless | macOS: brew install openjdk@17"
    " | Red Hat: sudo dnf install java-21-openjdk-headless"
)
MACOS_STUB = "echo 'Unable to locate a Java Runtime.' >&2; exit 1"


class Machine:
    """A PATH with nothing on it but what a test puts there."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        self.environment = {"PATH": str(self.bin)}

    def add(self, name: str, script: str) -> None:
        program = self.bin / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def add_python(self, version: str, name: str = "python3", venv: bool = True) -> None:
        self.add(name, f"case $2 in *version_info*) echo {version};; *) exit {0 if venv else 1};; esac")

    def add_java(self, version: str, name: str = "java", before: str = "") -> None:
        answer = f'{before}openjdk version "{version}" 2025-04-15\nOpenJDK Runtime Environment (build {version}+6)'
        self.add(name, f"echo '{answer}' >&2")

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("/bin/sh", str(SCRIPT), *arguments)

    def run(self, *command: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("java", ["17", "17.0.15", "21.0.7", "21-ea", "17+35"])
def test_supported_versions_pass_and_the_python_is_named(machine: Machine, python: str, java: str) -> None:
    machine.add_python(python)
    machine.add_java(java)

    result = machine.check()

    assert (result.returncode, result.stdout) == (0, "python3\n")


def test_a_machine_with_neither_is_told_of_both_with_python_first(machine: Machine) -> None:
    result = machine.check()

    first, second = result.stdout.splitlines()[:2]
    assert result.returncode == 1
    assert first == f"Python 3.11, 3.12 or 3.13 is missing (no python3 found). {PYTHON_INSTALL}"
    assert second == f"Java 17 or 21 is missing (no java found). {JAVA_INSTALL}"


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.10", "3.14"])
def test_a_wrong_python_is_named_in_the_first_line(machine: Machine, version: str) -> None:
    machine.add_python(version)
    machine.add_java("17.0.15")

    result = machine.check()

    assert result.returncode == 1
    assert result.stdout == f"Python 3.11, 3.12 or 3.13 is missing (python3 is {version}). {PYTHON_INSTALL}\n"


def test_another_python_is_used_where_python3_is_wrong(machine: Machine) -> None:
    machine.add_python("3.8")
    machine.add_python("3.12", name="python3.12")
    machine.add_java("17.0.15")

    result = machine.check()

    assert (result.returncode, result.stdout) == (0, "python3.12\n")


def test_a_python_that_is_asked_for_is_the_only_one_tried(machine: Machine) -> None:
    machine.add_python("3.11")
    machine.add_python("3.8", name="python3.8")
    machine.add_java("17.0.15")

    result = machine.check("python3.8")

    assert result.returncode == 1
    assert result.stdout == f"Python 3.11, 3.12 or 3.13 is missing (python3.8 is 3.8). {PYTHON_INSTALL}\n"


def test_a_shim_for_a_python_that_is_not_there_is_passed_over(machine: Machine) -> None:
    machine.add_python("3.8")
    machine.add("python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    machine.add_python("3.11", name="python3.11")
    machine.add_java("17.0.15")

    assert machine.check().stdout == "python3.11\n"


def test_a_python_without_venv_is_told_so(machine: Machine) -> None:
    machine.add_python("3.11", venv=False)
    machine.add_java("17.0.15")

    result = machine.check()

    assert result.returncode == 1
    assert result.stdout == (
        f"Python 3.11, 3.12 or 3.13 is missing (python3 3.11 has no venv module). {PYTHON_INSTALL}\n"
    )


@pytest.mark.parametrize(
    ("version", "major"), [("1.8.0_392", "8"), ("11.0.22", "11"), ("18.0.2", "18"), ("25", "25"), ("170.1", "170")]
)
def test_a_wrong_java_is_named_in_the_first_line(machine: Machine, version: str, major: str) -> None:
    machine.add_python("3.11")
    machine.add_java(version)

    result = machine.check()

    first, *others = result.stdout.splitlines()
    assert result.returncode == 1
    assert first == f"Java 17 or 21 is missing (java is {major}). {JAVA_INSTALL}"
    assert len(others) == 1
    assert "export JAVA_HOME=" in others[0]


def test_what_java_prints_before_its_version_does_not_matter(machine: Machine) -> None:
    machine.add_python("3.11")
    machine.add_java("17.0.15", before="Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n")

    assert machine.check().returncode == 0


def test_the_java_of_macos_that_only_says_where_to_get_one_is_none(machine: Machine) -> None:
    machine.add_python("3.11")
    machine.add("java", MACOS_STUB)

    result = machine.check()

    assert result.returncode == 1
    assert result.stdout.splitlines()[0] == f"Java 17 or 21 is missing (java does not start). {JAVA_INSTALL}"


def test_java_home_counts_before_the_path(machine: Machine, tmp_path: Path) -> None:
    home = tmp_path / "a java"
    machine.add_python("3.11")
    machine.add_java("11.0.22")
    machine.add_java("21.0.7", name=str(home / "bin" / "java"))
    machine.environment["JAVA_HOME"] = str(home)

    assert machine.check().returncode == 0


def test_a_java_home_without_java_is_an_error_although_the_path_has_one(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("3.11")
    machine.add_java("17.0.15")
    machine.environment["JAVA_HOME"] = str(tmp_path / "gone")

    result = machine.check()

    assert result.returncode == 1
    assert result.stdout.splitlines()[0] == (
        f"Java 17 or 21 is missing (no {tmp_path}/gone/bin/java found). {JAVA_INSTALL}"
    )


@pytest.mark.parametrize("target", ["demo", "test", "check", "test-full", "mutants", "bench"])
def test_make_says_what_is_missing_in_its_first_line_and_touches_nothing(
    machine: Machine, tmp_path: Path, target: str
) -> None:
    make, checkout = shutil.which("make"), tmp_path / "checkout"
    assert make, "make is missing on this machine"
    checkout.mkdir()
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    machine.add_python("3.8")
    machine.add_java("17.0.15")
    os.symlink("/bin/sh", machine.bin / "sh")

    result = machine.run(make, target, directory=checkout)

    assert result.returncode == 2
    assert result.stdout.splitlines()[0] == (f"Python 3.11, 3.12 or 3.13 is missing (python3 is 3.8). {PYTHON_INSTALL}")
    assert not (checkout / ".venv").exists()
