"""Decisions of people are documents in the lake, each written once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spark_lib.errors import DamagedPartition
from spark_lib.lake import Lake, numbered
from spark_lib.release import decision
from spark_lib.release.decision import HOLD, REVOKE_HOLD, Decision

DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)
WHY = Decision(HOLD, "rows are missing", "ada", "2026-03-03T08:00:00+00:00")


def test_decisions_are_read_in_the_order_in_which_they_were_made(lake: Lake) -> None:
    first = decision.record(lake, DAY, WHY)
    second = decision.record(lake, DAY, replace(WHY, action=REVOKE_HOLD))
    decision.record(lake, NEXT_DAY, WHY)

    found = decision.read(lake, DAY)

    assert found.all == (first, second)
    assert found.numbers == (1, 2)
    assert decision.numbers(lake, DAY, NEXT_DAY) == {DAY: (1, 2), NEXT_DAY: (1,)}


def test_a_day_without_decisions_has_none(lake: Lake) -> None:
    assert decision.read(lake, DAY).all == ()
    assert decision.numbers(lake, DAY, NEXT_DAY) == {}


def test_two_people_who_decide_at_once_both_have_theirs(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    decision.record(lake, DAY, WHY)
    other = replace(WHY, by="grace")

    # Both have listed the decisions before either of them wrote.
    with monkeypatch.context() as patched:
        patched.setattr(numbered, "numbers", lambda lake, kind, first, last: {})
        recorded = decision.record(lake, DAY, other)

    assert recorded.number == 2
    assert [each.by for each in decision.read(lake, DAY).all] == ["ada", "grace"]


@pytest.mark.parametrize(
    ("was", "is_now", "found"),
    [
        (b'"action": "hold"', b'"action": "burn"', "ValueError: action 'burn'"),
        (b'"number": 1', b'"number": 2', "ValueError: it says date=2026-03-02/0002.json"),
        (b'"why"', b'"because"', "KeyError: 'why'"),
        (b"{", b"[", "JSONDecodeError: "),
    ],
)
def test_a_document_that_is_no_decision_is_damage_that_names_its_file(
    tmp_path: Path, was: bytes, is_now: bytes, found: str
) -> None:
    lake = Lake(str(tmp_path), "case")
    decision.record(lake, DAY, WHY)
    file = tmp_path / f"case/decisions/date={DAY}/0001.json"
    assert was in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(was, is_now))

    with pytest.raises(DamagedPartition) as damage:
        decision.read(lake, DAY)

    assert str(damage.value).startswith(f"{file}: wanted a decision; found {found}")
    assert str(damage.value).endswith(". Next: find out what wrote it, then restore the file, or remove it")
