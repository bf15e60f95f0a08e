"""The document that pins a model."""

from __future__ import annotations

import json
from datetime import date

import pytest

from spark_lib.errors import LakeError
from spark_lib.models import selection
from spark_lib.models.card import rejected
from spark_lib.models.selection import Challenge, Pin, Selection

OLD, NEW, NEWEST = date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19)
LOST = Challenge(NEW, OLD, loses=True, detail="worse", difference=-0.1, interval=(-0.2, -0.06), runs=("n", "o", "b"))
UNKNOWN = Challenge(NEWEST, OLD, loses=False, detail="not compared", runs=("m", "o", "c"))
PINNED = Selection(
    OLD,
    "abc",
    "0f",
    (Pin("run=0f/model.onnx", 3, "abc"),),
    {NEW: rejected("champion", "worse"), NEWEST: rejected("gate", "low")},
    (LOST, UNKNOWN),
)


def test_a_selection_survives_json() -> None:
    assert selection.parse(PINNED.to_json()) == PINNED


def test_the_figures_of_the_manifest_say_all_but_the_files() -> None:
    found = Selection.of(json.loads(json.dumps(PINNED.figures())))

    assert (found.model_date, found.rejected, found.challenges) == (OLD, PINNED.rejected, PINNED.challenges)
    assert (found.run, found.files) == ("", ())


def test_a_comparison_that_was_not_possible_has_no_figures() -> None:
    assert UNKNOWN.document().keys() == {"challenger", "champion", "loses", "detail", "runs"}


def test_what_a_later_version_adds_is_ignored_and_a_later_format_is_refused() -> None:
    document = json.loads(PINNED.to_json())

    assert Selection.of(document | {"promoted_by": "a person"}) == PINNED
    with pytest.raises(LakeError) as refused:
        Selection.of(document | {"format": 3}, "selection.json of 2026-01-20")
    assert str(refused.value) == (
        "selection.json of 2026-01-20: wanted a selection of format 2; found format 3. Next: read it with the Daystone that "
        "wrote it"
    )


def test_a_selection_of_version_0_1_0_has_no_number_of_format() -> None:
    document = json.loads(PINNED.to_json())
    del document["format"]

    assert Selection.of(document) == PINNED
