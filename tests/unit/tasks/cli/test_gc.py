"""``gc``: what it shows, what it removes, what it keeps."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pytest

from spark_lib.lake import Documents
from tests.unit.lakes import open_attempt, publish, publish_documents, put, rows_of
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

DAY, MONDAY = date(2026, 3, 1), date(2026, 2, 23)


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


@pytest.fixture
def littered(daystone: Verbs) -> Verbs:
    """A lake with a superseded run, an abandoned one and one that has just begun."""
    publish(daystone.lake, [1], DAY)
    put(open_attempt(daystone.lake, MONDAY), "part-0.parquet", b"rows")
    publish(daystone.lake, [2, 3], DAY, rebuild=True)
    make_old(daystone.root, 50)
    put(open_attempt(daystone.lake, date(2026, 3, 2)), "part-0.parquet", b"rows")
    return daystone


def make_old(root: Path, hours: float) -> None:
    at = time.time() - hours * 3600
    for path in root.rglob("*"):
        os.utime(path, (at, at))


def runs(daystone: Verbs) -> int:
    return len(list(daystone.root.glob("credit_risk/*/date=*/run=*")))


def test_it_shows_what_it_would_remove_and_removes_nothing(littered: Verbs) -> None:
    before = littered.contents()

    result = littered("gc")

    assert result.code == 0, result.stderr
    abandoned, superseded, last, left = result.stdout.splitlines()
    assert abandoned.startswith("abandoned run since ")
    assert f", 1 file, 4 bytes: {littered.root}/credit_risk/features/date={MONDAY}/run=" in abandoned
    assert superseded.startswith("superseded run since ")
    assert last.endswith(" bytes; nothing was removed (--yes does)")
    assert last.startswith("2 pieces of garbage older than 48 hours, ")
    assert left == "of days without a manifest: 1 run, which --yes --unpublished removes"
    assert {path: of for path, of in littered.contents().items() if Path(path).is_file()} == {
        path: of for path, of in before.items() if Path(path).is_file()
    }


def test_with_yes_it_removes_that_and_leaves_the_rest(littered: Verbs) -> None:
    assert runs(littered) == 4

    result = littered("gc", "--yes")

    assert result.code == 0, result.stderr
    removed, total, left = result.stdout.splitlines()
    assert removed.startswith("removed superseded run since ")
    assert total.startswith("1 piece of garbage older than 48 hours, ")
    assert left == "of days without a manifest: 1 run, which --yes --unpublished removes"
    assert runs(littered) == 3
    assert rows_of(littered.lake, DAY) == [2, 3]


def test_runs_of_days_without_a_manifest_go_only_when_that_is_asked_for(littered: Verbs) -> None:
    result = littered("gc", "--yes", "--unpublished")

    assert [line.partition(" since ")[0] for line in result.stdout.splitlines()[:-1]] == [
        "removed abandoned run",
        "removed superseded run",
    ]
    assert runs(littered) == 2
    assert littered("gc").stdout == "0 pieces of garbage older than 48 hours, 0 bytes; nothing was removed\n"


def test_the_runs_that_a_selection_was_made_from_stay(daystone: Verbs) -> None:
    pinned = publish_documents(daystone.lake, {"model.onnx": b"1"}, MONDAY)
    model = daystone.lake.require("model", MONDAY)[0].input
    with open_attempt(daystone.lake, DAY, "selection", inputs=[model]) as attempt:
        attempt.commit(Documents({"selection.json": b"{}"}))
    with open_attempt(daystone.lake, MONDAY, "model", rebuild=True) as attempt:
        attempt.commit(Documents({"model.onnx": b"2"}))
    make_old(daystone.root, 24 * 30)

    result = daystone("gc", "--yes")

    assert result.stdout.startswith("0 pieces of garbage")
    assert (daystone.root / f"credit_risk/model/date={MONDAY}/run={pinned.run}/model.onnx").read_bytes() == b"1"


def test_an_age_at_which_an_attempt_may_still_publish_is_refused(littered: Verbs) -> None:
    result = littered("gc", "--yes", "--older-than", "47")

    assert result.code == 31
    assert last_line(result) == (
        "Error: gc --older-than: wanted at least 48 hours, twice [lake] max_attempt_hours: a younger run may still be "
        "published; found 47. Next: give a higher age"
    )
    assert runs(littered) == 4
    assert littered("gc", "--older-than", "51").stdout.startswith("0 pieces of garbage older than 51 hours")
    assert littered("gc", "--set", "lake.max_attempt_hours=1").stdout.startswith("abandoned run since ")
