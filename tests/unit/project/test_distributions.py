"""What is handed out: the source distribution has all that a user needs, and its wheel is the one of the checkout.

``tests/chain/test_installed.py`` installs Daystone and runs it; here the lists of files are compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import spark_lib
from tests.support.checkout import ROOT, copy
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.processes

PACKAGES = ("spark_lib", "tasks")
#: What the packages read or carry that is not Python.
DATA = {
    *("spark_lib/session/log4j2.properties", "spark_lib/report/report.css", "tasks/cli/status.css"),
    *("spark_lib/py.typed", "tasks/py.typed"),
}
#: What a user of the source distribution needs beside the packages.
DOCUMENTS = {"CHANGELOG.md", "LICENSE", "README.md", "constraints.txt", "config/luigi.cfg", "docs/operations.md"}
SETUPTOOLS = 77  # as pyproject.toml says
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Built:
    """The files of each distribution by their names, with their content."""

    source: dict[str, bytes]
    wheel_of_checkout: dict[str, bytes]
    wheel_of_source: dict[str, bytes]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = tmp_path_factory.mktemp("distributions")
    checkout = copy(home / "checkout")
    backend = setuptools(home)
    archive = build(checkout, "sdist", home / "source", backend)
    with tarfile.open(archive) as packed:
        packed.extractall(home / "unpacked", filter="data")
    unpacked = home / "unpacked" / archive.name.removesuffix(".tar.gz")
    source = {str(file.relative_to(unpacked)): file.read_bytes() for file in unpacked.rglob("*") if file.is_file()}
    return Built(
        source,
        contents(build(checkout, "wheel", home / "wheel of checkout", backend)),
        contents(build(unpacked, "wheel", home / "wheel of source", backend)),
    )


def setuptools(home: Path) -> str:
    """Where setuptools is imported from: nowhere special, or a directory for it where this environment has none that will do.

    One for all builds is quicker than an isolated environment for each.
    """
    with suppress(PackageNotFoundError):
        if int(version("setuptools").partition(".")[0]) >= SETUPTOOLS:
            return ""
    place = str(home / "setuptools")
    run([*PIP, "--target", place, "--constraint", str(ROOT / "constraints.txt"), f"setuptools>={SETUPTOOLS}"], home)
    return place


def build(directory: Path, kind: str, into: Path, backend: str) -> Path:
    """The only file that ``python -m build`` makes."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(into), str(directory)]
    run(command, into.parent, PYTHONPATH=backend)
    (made,) = into.iterdir()
    return made


def run(command: list[str], directory: Path, **environment: str) -> None:
    result = subprocess.run(
        command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 0, result.stdout + result.stderr


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def modules() -> set[str]:
    """Every module of the packages, whether or not its folder is a package."""
    return {str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.py")} | {"run.py"}


def test_the_source_distribution_has_all_that_a_user_needs(built: Built) -> None:
    assert (modules() | DATA | DOCUMENTS) - built.source.keys() == set()


def test_whatever_the_readme_shows_or_links_to_is_in_the_source_distribution(built: Built) -> None:
    text = built.source["README.md"].decode()
    named = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"(?:src|srcset|href)=\"([^\"#:]+)\"", text)

    assert "docs/design.md" in named
    assert set(named) - built.source.keys() == set()


def test_the_source_distribution_has_no_tests_and_nothing_that_was_built(built: Built) -> None:
    tops = {name.partition("/")[0] for name in built.source}

    assert tops & {"tests", "benchmarks", "build", "dist", "lake", "logs"} == set()
    assert [name for name in built.source if name.endswith((".pyc", ".crc"))] == []


def test_a_wheel_has_every_module_and_what_the_packages_carry_and_nothing_else(built: Built) -> None:
    metadata = f"daystone-{spark_lib.__version__}.dist-info/"
    files = {name for name in built.wheel_of_checkout if not name.startswith(metadata)}

    assert files == modules() | DATA
    assert built.wheel_of_checkout[f"{metadata}licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_a_wheel_of_the_source_distribution_is_that_of_the_checkout(built: Built) -> None:
    assert built.wheel_of_source.keys() == built.wheel_of_checkout.keys()
    assert built.wheel_of_source == built.wheel_of_checkout
