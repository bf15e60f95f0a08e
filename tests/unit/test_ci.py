"""The unit tests are run once by what CI runs, and all of them by the test command of the README alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.processes import ROOT

QUICK, OTHERS = "not full and not processes and not slow", "not full and (processes or slow)"


@pytest.mark.processes
def test_what_check_has_run_is_left_out_by_a_test_that_is_told_so_and_by_no_other() -> None:
    assert marks("check") == [QUICK]
    assert marks("test", CHECKED="yes") == [OTHERS]
    assert marks("test") == [""]


def test_ci_runs_what_check_leaves_out() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if "make " in line and line[0] != "#"]

    assert commands == ["make check", "make mutants", "make faults-drawn", "CHECKED=yes make test"]


def marks(target: str, **variables: str) -> list[str]:
    """The expressions of marks with which a target of the Makefile would run the unit tests."""
    make = shutil.which("make")
    assert make, "make is missing on this machine"
    environment = {name: value for name, value in os.environ.items() if name not in ("CHECKED", "MAKEFLAGS")}
    said = subprocess.run(
        [make, "-n", target], cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=True
    )
    ran = [line for line in said.stdout.splitlines() if "/pytest" in line and "tests/unit" in line]
    return [(re.findall(r'-m "(.*?)"', line) or [""])[0] for line in ran]
