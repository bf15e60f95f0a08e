"""What the promotions of a lake say of a day, and how they are written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.lake import Lake
from spark_lib.models.selection import Pin
from spark_lib.registry import promotions
from spark_lib.registry.promotions import BLUE_GREEN, CANARY, DIRECT, SHADOW, InForce, Model, Promotion, Step


def model(day: int) -> Model:
    return Model(date(2026, 1, day), f"run{day}", f"sha{day}", (Pin(f"run=run{day}/model.onnx", 3, f"sha{day}"),))


def promotion(of: int, first: int, strategy: str = DIRECT, number: int = 1, *steps: Step) -> Promotion:
    at = "2026-02-01T00:00:00+00:00"
    return Promotion(model(of), date(2026, 2, first), "better", "ada", at, strategy, steps, number)


def stands(day: int, *made: Promotion) -> InForce:
    found = promotions.in_force(made, date(2026, 2, day))
    assert found is not None
    return found


OLD = promotion(5, 1)
STEPS = (Step(1, 0.05), Step(3, 0.25), Step(5, 1.0))


def test_nothing_is_in_force_before_the_first_promotion() -> None:
    assert promotions.in_force([promotion(5, 2)], date(2026, 2, 1)) is None
    assert promotions.in_force([promotion(5, 2, SHADOW)], date(2026, 2, 3)) is None


def test_the_newest_first_day_decides_and_of_one_day_the_last_number() -> None:
    new, newer = promotion(12, 3), promotion(19, 3, DIRECT, 2)

    assert stands(2, newer, new, OLD).champion is OLD
    assert stands(3, newer, new, OLD).champion is newer
    assert stands(20, newer, new, OLD).champion is newer


def test_a_promotion_that_is_recorded_later_for_an_earlier_day_does_not_undo_a_newer_one() -> None:
    late = promotion(12, 2, DIRECT, 1)

    assert [stands(day, OLD, promotion(19, 4), late).champion.model.date.day for day in (1, 2, 3, 4)] == [5, 12, 12, 19]


def test_a_shadow_scores_beside_the_model_in_force() -> None:
    shadow = promotion(12, 3, SHADOW)

    found = stands(4, OLD, shadow)
    assert (found.champion, found.beside, found.share) == (OLD, shadow, 0.0)


def test_the_share_of_a_canary_grows_by_its_steps_from_its_first_day_on() -> None:
    canary = promotion(12, 3, CANARY, 1, *STEPS)

    shares = [stands(day, OLD, canary).share for day in range(2, 9)]
    assert shares == [0.0, 0.05, 0.05, 0.25, 0.25, 1.0, 1.0]
    assert stands(9, OLD, canary).champion is OLD


def test_a_canary_that_reached_all_entities_is_the_model_before_what_comes_next() -> None:
    canary = promotion(12, 3, CANARY, 1, *STEPS)

    assert stands(8, OLD, canary, promotion(19, 8, SHADOW)).champion is canary
    assert stands(7, OLD, canary, promotion(19, 7, SHADOW)).champion is OLD, "it had a quarter"


def test_a_blue_green_release_keeps_the_model_before_beside_it() -> None:
    green = promotion(12, 3, BLUE_GREEN)

    found = stands(3, OLD, green)
    assert (found.champion, found.beside) == (green, OLD)


def test_the_name_tells_apart_whatever_decides_a_day() -> None:
    canary, shadow = promotion(12, 3, CANARY, 1, *STEPS), promotion(12, 3, SHADOW)

    names = [stands(3, *made).name for made in ([OLD], [OLD, canary], [OLD, shadow], [promotion(5, 2), canary])]
    assert names == [
        "2026-02-01/0001 direct",
        "2026-02-01/0001 2026-02-03/0001 canary",
        "2026-02-01/0001 2026-02-03/0001 shadow",
        "2026-02-02/0001 2026-02-03/0001 canary",
    ]


@pytest.mark.parametrize(
    ("made", "before"),
    [
        ([OLD], None),
        ([OLD, promotion(12, 3)], 5),
        ([OLD, promotion(12, 3, SHADOW)], 5),
        ([OLD, promotion(12, 3, CANARY, 1, *STEPS)], 5),
        ([OLD, promotion(12, 3, BLUE_GREEN)], 5),
        ([OLD, promotion(12, 3), promotion(12, 4)], 5),
        ([OLD, promotion(12, 3), promotion(19, 4)], 12),
    ],
)
def test_the_model_before_is_the_last_other_one_that_was_in_force(made: list[Promotion], before: int | None) -> None:
    found = promotions.before(made, date(2026, 2, 9))

    assert (found.model if found else None) == (model(before) if before else None)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "loans")


def test_promotions_are_numbered_by_their_first_day_and_read_in_their_order(lake: Lake) -> None:
    made = [promotions.record(lake, each) for each in (promotion(12, 3), promotion(5, 1), promotion(19, 3, BLUE_GREEN))]

    assert [each.number for each in made] == [1, 1, 2]
    assert promotions.read(lake) == [made[1], made[0], made[2]]
    assert promotions.read(lake, date(2026, 2, 2)) == [made[1]]


def test_a_promotion_survives_json(lake: Lake) -> None:
    made = promotions.record(lake, promotion(12, 3, CANARY, 0, *STEPS))

    assert promotions.read(lake) == [made]


def test_people_who_promote_at_once_all_have_theirs(lake: Lake) -> None:
    with ThreadPoolExecutor(8) as threads:
        numbers = threads.map(lambda of: promotions.record(lake, promotion(of, 3)).number, range(1, 9))

    assert sorted(numbers) == list(range(1, 9))
    assert len({each.model for each in promotions.read(lake)}) == 8


def test_unknown_fields_are_ignored_and_a_later_format_is_refused(lake: Lake) -> None:
    made = promotions.record(lake, OLD)
    (file,) = Path(lake.root).rglob("0001.json")
    document = json.loads(file.read_text())

    file.write_text(json.dumps(document | {"approved_by": "two"}))
    assert promotions.read(lake) == [replace(made)]
    file.write_text(json.dumps(document | {"format": 2}))
    with pytest.raises(LakeError) as refused:
        promotions.read(lake)
    assert str(refused.value) == (
        f"{file}: wanted a promotion of format 1; found format 2. Next: read it with the Daystone that wrote it"
    )


@pytest.mark.parametrize(
    ("was", "is_now", "found"),
    [
        ('"model": {', '"modal": {', "KeyError: 'model'"),
        ('"strategy": "direct"', '"strategy": "sideways"', "ValueError: strategy 'sideways'"),
        ('"first_day": "2026-02-03"', '"first_day": "2026-02-04"', "ValueError: it says date=2026-02-04/0001.json"),
        ('"number": 1', '"number": 2', "ValueError: it says date=2026-02-03/0002.json"),
        ('"steps": []', '"steps": 7', "TypeError: 'int' object is not iterable"),
        ('"format": 1', '"format": "1"', "TypeError: '>' not supported between instances of 'str' and 'int'"),
        ('"by": "ada",', "", "KeyError: 'by'"),
    ],
)
def test_a_document_that_is_no_promotion_is_damage_that_names_its_file(
    tmp_path: Path, was: str, is_now: str, found: str
) -> None:
    lake = Lake(str(tmp_path), "case")
    promotions.record(lake, promotion(12, 3))
    file = tmp_path / "case/promotions/date=2026-02-03/0001.json"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, is_now))

    with pytest.raises(DamagedPartition) as damage:
        promotions.read(lake)

    assert str(damage.value) == (
        f"{file}: wanted a promotion; found {found}. Next: find out what wrote it, then restore the file, or remove it"
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"null"])
def test_a_document_that_is_cut_short_or_something_else_is_damage(tmp_path: Path, body: bytes) -> None:
    lake = Lake(str(tmp_path), "case")
    promotions.record(lake, promotion(12, 3))
    (tmp_path / "case/promotions/date=2026-02-03/0001.json").write_bytes(body)

    with pytest.raises(DamagedPartition, match="wanted a promotion; found "):
        promotions.read(lake)
