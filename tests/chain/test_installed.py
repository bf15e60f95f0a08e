"""Daystone as others get it: the wheel that pip makes of the source distribution, installed into an environment of its own,
away from this checkout, with no configuration.

What it depends on is installed once for each set of versions, below the user's cache; Daystone itself each time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_lib.lake.stores.cache import user_directory
from tests.chain.chains import MONDAY
from tests.support import checkout
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE


@dataclass(frozen=True)
class Installed:
    """An environment that holds Daystone, and an empty directory to work in."""

    programs: Path
    directory: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("LUIGI_CONFIG_PATH", "VIRTUAL_ENV")
        }
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
        environment["PATH"] = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        result = subprocess.run(
            [str(self.programs / program), *arguments],
            env=environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert result.returncode == 0, f"{program} exited {result.returncode}:\n{result.stdout[-10_000:]}"
        return result


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("installed")
    source = checkout.copy(home / "source")
    (home / "work").mkdir()
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(home / "made"), str(source)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (distribution,) = (home / "made").iterdir()
    with kept_environment() as place:
        environment = Installed(place / "bin", home / "work")
        made = place / "made"
        if not made.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            environment.run(
                "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), str(distribution)
            )
            made.touch()
        else:
            environment.run("pip", "uninstall", "--quiet", "--yes", "daystone")
            environment.run("pip", "install", "--quiet", "--no-deps", str(distribution))
        shutil.rmtree(source)
        yield environment


@contextmanager
def kept_environment() -> Iterator[Path]:
    """The directory of an environment for the versions of today, which no other run of tests has meanwhile. It is empty
    where they are new; what is kept of other versions for this Python is removed."""
    requirements = ConfigParser()
    requirements.read(ROOT / "setup.cfg")
    versions = [(ROOT / "constraints.txt").read_text(), requirements["options"]["install_requires"]]
    versions += [sys.version, sys.base_prefix]
    python = f"tests-of-python-{sys.version_info.major}.{sys.version_info.minor}"
    name = f"{python}-{hashlib.sha256(repr(versions).encode()).hexdigest()[:16]}"
    user_directory().mkdir(parents=True, exist_ok=True)
    with (user_directory() / f"{python}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in user_directory().glob(f"{python}-*"):
            if other.name != name:
                shutil.rmtree(other)
        yield user_directory() / name


def test_the_version_is_that_of_the_changelog(installed: Installed) -> None:
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest
    assert installed.run("daystone", "--version").stdout.split()[-1] == newest[1]


def test_the_packages_come_from_the_environment_and_not_from_the_checkout(installed: Installed) -> None:
    source = "import run, spark_lib, tasks; print(run.__file__, spark_lib.__file__, tasks.__file__, sep='\\n')"

    found = installed.run("python", "-c", source).stdout.splitlines()

    assert len(found) == 3
    assert all(Path(file).is_relative_to(installed.programs.parent) for file in found), found


def test_what_is_not_python_is_installed_as_well(installed: Installed) -> None:
    names = ("session/log4j2.properties", "report/report.css")
    source = (
        f"from importlib.resources import files; print(*((files('spark_lib') / name).is_file() for name in {names}))"
    )

    assert installed.run("python", "-c", source).stdout.split() == ["True"] * len(names)


def test_only_what_running_needs_is_installed(installed: Installed) -> None:
    names = {line.partition("==")[0] for line in installed.run("pip", "freeze").stdout.splitlines()}

    assert not names & {"pytest", "hypothesis", "mypy", "ruff"}
    installed.run("pip", "check")


def test_the_chain_runs_from_the_installed_package_and_then_has_nothing_to_do(installed: Installed) -> None:
    lake = str(installed.directory / "lake")
    small = ("--training-window-days", "4", "--training-min-positives", "100")
    installed.run(
        "daystone", "sample", "--lake-root", lake, "--from", "2026-01-01", "--days", "26", "--rows-per-day", "500"
    )

    installed.run("luigi", "--module", "tasks", "BatchInference", "--date", MONDAY, "--lake-root", lake, *small)

    files = installed.run("daystone", "files", "predictions", "--date", MONDAY, "--lake-root", lake).stdout.split()
    assert files
    assert all(Path(file).stat().st_size for file in files)
    again = installed.run("daystone", "run", "BatchInference", "--date", MONDAY, "--lake-root", lake)
    assert "nothing to do" in again.stdout
