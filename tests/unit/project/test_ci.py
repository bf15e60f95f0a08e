"""The unit tests are run once by what CI runs, and all of them by the test command of the README alone; of tests that
share a lake, each lake is built once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.support import groups
from tests.support.checkout import ROOT

QUICK, OTHERS = "not full and not processes and not slow", "not full and (processes or slow)"


@pytest.mark.processes
def test_what_check_has_run_is_left_out_by_a_test_that_is_told_so_and_by_no_other() -> None:
    assert marks("check") == [QUICK]
    assert marks("test", CHECKED="yes") == [OTHERS]
    assert marks("test") == [""]


def test_ci_runs_what_check_leaves_out() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if "make " in line and line[0] != "#"]

    assert commands == ["make check", "make mutants", "make faults-drawn", "CHECKED=yes make test"]


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("tests/chain/test_run.py", "sample lake"),
        ("tests/chain/test_s3.py", "lakes of 26 days"),
        ("tests/spark/stages/test_training.py", "lake of parcels"),
        ("tests/spark/frames/test_raw.py", "tests/spark/frames/test_raw.py"),
    ],
)
def test_tests_that_share_a_lake_are_in_one_group_and_others_in_one_of_their_file(file: str, group: str) -> None:
    assert groups.group_of(file) == group


def test_each_file_of_a_group_is_there() -> None:
    assert [file for files in groups.FILES.values() for file in files if not (ROOT / file).is_file()] == []


def test_a_file_that_would_have_a_lake_built_twice_is_refused() -> None:
    groups.check("tests/chain/test_run.py", {"sample_lake", "tmp_path"})
    groups.check("tests/unit/test_new.py", {"chain"})

    with pytest.raises(pytest.UsageError) as refused:
        groups.check("tests/chain/test_run.py", {"sample_lake", "observed"})

    assert str(refused.value) == (
        "tests/chain/test_run.py: wanted in the group 'lakes of 26 days', for its tests use the fixture observed; found in "
        "the group 'sample lake'. Next: add it to its group in tests/support/groups.py, or move those tests"
    )


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
