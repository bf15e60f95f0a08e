"""Finds real, public data that is never part of this repository, and decides what happens to a test without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

#: Names the directory of the data; without it, ``shared/data`` beside the checkout is looked at.
VARIABLE = "DAYSTONE_SHARED_DATA"


def shared_data(folder: str) -> Path:
    """The directory ``folder`` of the shared data. Where it is missing, the test is skipped; in CI it fails."""
    beside = ROOT.parent / "shared" / "data"
    directory = Path(os.environ.get(VARIABLE) or beside) / folder
    if directory.is_dir():
        return directory
    lacking = (
        f"lacks the data set {folder}: no directory {directory} (set {VARIABLE} to the directory that holds {folder})"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(lacking)
    pytest.skip(lacking)
