"""``files``: the paths of a partition by its manifest, one a line, and nothing else on standard output."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spark_lib.lake import Rows
from tests.unit.lakes import SCHEMA, open_attempt, publish, publish_documents, put, write
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

DAY = date(2026, 1, 5)


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


@pytest.fixture
def sections(daystone: Verbs) -> Verbs:
    """A lake with a day of ``balanced`` in two sections."""
    with open_attempt(daystone.lake, DAY, "balanced") as attempt:
        write(attempt, [1, 2], name="train/part-0.parquet")
        write(attempt, [3], name="validation/unbalanced/part-0.parquet")
        attempt.commit(Rows({"train": 2, "validation/unbalanced": 1}, SCHEMA))
    return daystone


def test_the_files_of_the_manifest_are_listed_and_no_leftover_of_an_attempt(daystone: Verbs) -> None:
    publish(daystone.lake, [1, 2], DAY, "predictions")
    crashed = open_attempt(daystone.lake, DAY, "predictions")
    put(crashed, "part-0.parquet", b"half")

    result = daystone("files", "predictions", "--date", DAY)

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == daystone.lake.require("predictions", DAY)[0].files()


def test_all_sections_are_listed_unless_one_is_named(sections: Verbs) -> None:
    everything = sections("files", "Balancing", "--date", DAY).stdout.splitlines()
    one = sections("files", "balanced", "--date", DAY, "--section", "validation/unbalanced").stdout.splitlines()

    assert len(everything) == 2
    assert one == [file for file in everything if "/validation/unbalanced/" in file]


def test_a_section_that_is_not_there_is_a_slip_of_usage(sections: Verbs) -> None:
    result = sections("files", "balanced", "--date", DAY, "--section", "trian")

    assert (result.code, result.stdout) == (2, "")
    assert last_line(result).endswith(
        "no section 'trian' in balanced of 2026-01-05 (did you mean 'train'?); there are train, validation/unbalanced"
    )


def test_documents_have_no_sections(daystone: Verbs) -> None:
    publish_documents(daystone.lake, {"card.json": b"{}"}, DAY)

    everything = daystone("files", "model", "--date", DAY)
    one = daystone("files", "model", "--date", DAY, "--section", "train")

    assert (everything.code, Path(everything.stdout.strip()).name) == (0, "card.json")
    assert (one.code, last_line(one)) == (
        2,
        "Error: Invalid value: no section 'train' in model of 2026-01-05; it has none",
    )


def test_a_day_that_nobody_has_built_exits_with_21(daystone: Verbs) -> None:
    result = daystone("files", "predictions", "--date", DAY)

    assert (result.code, result.stdout) == (21, "")
    assert last_line(result).startswith(
        "Error: predictions of 2026-01-05: wanted a published partition; found none in "
    )


def test_a_day_without_rows_lists_nothing_and_says_so_aside(daystone: Verbs) -> None:
    with open_attempt(daystone.lake, DAY, "predictions") as attempt:
        attempt.commit(Rows({"": 0}, SCHEMA))

    result = daystone("files", "predictions", "--date", DAY)

    assert (result.code, result.stdout) == (0, "")
    assert result.stderr == "predictions of 2026-01-05 is published and has no rows, hence no files\n"
