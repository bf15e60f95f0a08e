"""``sample``: days that land where the chain looks for them, and the command that comes next."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


def test_the_sample_lands_and_the_next_command_is_printed(daystone: Verbs) -> None:
    result = daystone("sample", "--days", 60, "--rows-per-day", 2)

    flags = sorted(daystone.root.glob("credit_risk/raw/*/date=*/_SUCCESS"))
    assert (result.code, result.stderr) == (0, "")
    assert len(flags) == 120
    assert (daystone.root / "credit_risk" / "truth" / "date=2026-03-01").is_dir()
    assert result.stdout.splitlines() == [
        f"60 days of 2 applications have landed in {daystone.root}/credit_risk/raw",
        "next:",
        f"  luigi --module tasks BatchInference --date 2026-03-01 --lake-root {daystone.root}",
    ]


def test_another_first_day_than_the_use_cases_own_is_in_the_next_command(daystone: Verbs) -> None:
    result = daystone("sample", "--from", "2025-03-01", "--days", 60, "--rows-per-day", 1)

    assert shlex.split(result.stdout.splitlines()[-1])[-2:] == ["--pipeline-first-date", "2025-03-01"]


def test_a_sample_that_is_too_short_for_a_model_says_up_to_when_it_has_to_reach(daystone: Verbs) -> None:
    result = daystone("sample", "--days", 10, "--rows-per-day", 1)

    assert "a first model can be trained on 2026-02-23" in result.stdout.splitlines()[-1]


def test_a_sample_is_never_written_over_landed_data(daystone: Verbs) -> None:
    daystone.land("2026-01-02", 1)

    result = daystone("sample", "--days", 3, "--rows-per-day", 1)

    assert result.code == 31
    assert "sample data never mixes with landed data" in last_line(result)


def test_a_sample_is_written_to_a_directory_only(daystone: Verbs) -> None:
    result = daystone("sample", "--days", 3, "--lake-root", "s3://bucket/lake")

    assert result.code == 31
    assert last_line(result) == (
        "Error: lake root s3://bucket/lake: wanted a local directory, which the sample is written to; found a url of S3. "
        "Next: write it to a directory, then copy that one's credit_risk/raw to s3://bucket/lake/credit_risk/raw"
    )
