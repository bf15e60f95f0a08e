"""What a machine with and without a browser is told: the real script, with other programs on PATH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

SCRIPT = ROOT / "scripts" / "chromium.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with nothing on it but ``id``, of somebody who is not root."""
    add(tmp_path, "id", "echo 1000")
    return tmp_path


def add(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def find(programs: Path) -> tuple[int, str, str]:
    result = subprocess.run(
        ["/bin/sh", str(SCRIPT)], env={"PATH": str(programs)}, capture_output=True, text=True, timeout=PATIENCE
    )
    return result.returncode, result.stdout.strip(), result.stderr


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_on_path_is_taken(programs: Path, name: str) -> None:
    add(programs, name, "")

    assert find(programs) == (0, str(programs / name), "")


def test_root_on_debian_gets_debians_with_its_fonts(programs: Path) -> None:
    add(programs, "id", "echo 0")
    add(
        programs,
        "apt-get",
        f'echo "$*" >>{programs}/asked; case $1 in install) : >{programs}/chromium; chmod +x {programs}/chromium;; esac',
    )
    add(programs, "chmod", 'exec /bin/chmod "$@"')

    status, found, said = find(programs)

    assert (status, found) == (0, str(programs / "chromium")), said
    update, install = (programs / "asked").read_text().splitlines()
    assert update.split()[0] == "update"
    assert install.split()[0] == "install" and install.split()[-2:] == ["chromium", "fonts-liberation"]


def test_an_installation_that_fails_is_a_failure(programs: Path) -> None:
    add(programs, "id", "echo 0")
    add(programs, "apt-get", "echo no such package >&2; exit 100")

    status, found, said = find(programs)

    assert status != 0 and not found
    assert "no such package" in said


@pytest.mark.parametrize("apt", [True, False])
def test_where_nothing_may_be_installed_it_is_said_what_to_install(programs: Path, apt: bool) -> None:
    if apt:
        add(programs, "apt-get", "exit 1")

    status, found, said = find(programs)

    assert (status, found) == (1, "")
    for part in ("No chromium, chromium-browser or google-chrome on PATH", "apt-get install chromium", "dnf", "brew"):
        assert part in said
