"""Readers of released predictions get the rows in force, whichever run is published."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

import spark_lib
from spark_lib.errors import DamagedPartition, LakeError, NotPublished, NotReleased
from spark_lib.lake import Attempt, Documents, Lake, Manifest
from spark_lib.release.check import Check, Outcome
from spark_lib.release.decision import Decisions
from spark_lib.release.document import RELEASE, Release
from tests.unit.lakes import DAY, NEXT_DAY, publish

FAILED = Check("number of rows", Outcome.FAILED, "2 rows; 4 are usual", 2.0, 4.0)


def publish_release(lake: Lake, in_force: Manifest | None, day: date = DAY, *checks: Check) -> None:
    judged = "0" * 16 if in_force is None else in_force.run
    release = Release(day, judged, checks, Decisions(), in_force)
    with Attempt(lake, "release", [day], stage="Test") as attempt:
        attempt.commit(Documents({RELEASE: release.to_json()}, release.figures()))


def ids(lake: Lake, day: date, last: date | None = None) -> list[int]:
    found = spark_lib.read_arrow(lake.root, "credit_risk", "predictions", day, last, released=True)
    return sorted(found.column("id").to_pylist())


def test_the_rows_in_force_are_read_and_not_those_that_are_published(lake: Lake) -> None:
    released = publish(lake, [1, 2], dataset="predictions")
    publish_release(lake, released)
    publish(lake, [9], dataset="predictions", rebuild=True)
    publish_release(lake, publish(lake, [3], NEXT_DAY, "predictions"), NEXT_DAY)

    assert ids(lake, DAY, NEXT_DAY) == [1, 2, 3]
    frame = spark_lib.read_pandas(lake.root, "credit_risk", "predictions", DAY, released=True)
    assert sorted(frame["id"]) == [1, 2]
    assert spark_lib.read_arrow(lake.root, "credit_risk", "predictions", DAY).column("id").to_pylist() == [9]


def test_a_day_that_is_held_with_nothing_in_force_is_an_error(lake: Lake) -> None:
    publish(lake, [1], dataset="predictions")
    publish_release(lake, None, DAY, FAILED)

    with pytest.raises(NotReleased) as refused:
        ids(lake, DAY)

    assert str(refused.value) == (
        "predictions of 2026-01-01: wanted a run of them that is in force; found held: number of rows: 2 rows; 4 are usual; "
        "nothing is in force. Next: repair the day and score it anew, or release it (daystone release --date 2026-01-01 "
        '--why "TEXT")'
    )


def test_a_day_without_a_release_is_an_error(lake: Lake) -> None:
    publish(lake, [1], dataset="predictions")

    with pytest.raises(NotPublished, match="release of 2026-01-01"):
        ids(lake, DAY)


def test_a_run_in_force_whose_files_are_gone_is_damaged(lake: Lake) -> None:
    released = publish(lake, [1], dataset="predictions")
    gone = replace(released, files=tuple(replace(file, path=f"{file.path}x") for file in released.files))
    publish_release(lake, gone)

    with pytest.raises(DamagedPartition, match="found no file"):
        ids(lake, DAY)


def test_other_datasets_are_not_released(lake: Lake) -> None:
    with pytest.raises(LakeError) as refused:
        spark_lib.read_arrow(lake.root, "credit_risk", "features", DAY, released=True)

    assert str(refused.value) == (
        "features of 2026-01-01: wanted predictions, which alone are released; found features. "
        "Next: read it without released=True"
    )
