"""Daystone as others get it: installed into a fresh environment, away from this checkout, with no configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What a wheel is made of; only these, so that nothing built earlier in the checkout gets in.
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "run.py", "setup.cfg", "spark_lib", "tasks")
DAY = "2026-03-01"


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds Daystone, and an empty directory to work in."""

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
            timeout=900,
        )
        assert result.returncode == 0, f"{program} exited {result.returncode}:\n{result.stdout[-10_000:]}"
        return result


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("installed")
    source = home / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    (home / "work").mkdir()
    environment = Installed(home / "env" / "bin", home / "work")
    environment.run("pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), str(source))
    shutil.rmtree(source)
    return environment


def test_the_packages_come_from_the_environment_and_not_from_the_checkout(installed: Installed) -> None:
    source = "import run, spark_lib, tasks; print(run.__file__, spark_lib.__file__, tasks.__file__, sep='\\n')"

    found = installed.run("python", "-c", source).stdout.splitlines()

    assert len(found) == 3
    assert all(Path(file).is_relative_to(installed.programs.parent) for file in found), found


def test_what_is_not_python_is_installed_as_well(installed: Installed) -> None:
    names = ("log4j2.properties", "report/report.css")
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
    installed.run(
        "daystone", "sample", "--lake-root", lake, "--from", "2026-01-01", "--days", "60", "--rows-per-day", "500"
    )

    installed.run("luigi", "--module", "tasks", "BatchInference", "--date", DAY, "--lake-root", lake)

    files = installed.run("daystone", "files", "predictions", "--date", DAY, "--lake-root", lake).stdout.split()
    assert files
    assert all(Path(file).stat().st_size for file in files)
    again = installed.run("daystone", "run", "BatchInference", "--date", DAY, "--lake-root", lake)
    assert "nothing to do" in again.stdout
