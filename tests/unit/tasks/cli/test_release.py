"""``release`` and ``hold``: what people decide about a day is recorded, and the day is judged by it at once."""

from __future__ import annotations

import getpass
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_lib.release import decision
from spark_lib.release.document import Summary
from tests.support.processes import Result
from tests.unit.verbs import SHORT, Verbs, last_line

pytestmark = pytest.mark.processes

ODD, USUAL = date(2026, 1, 12), date(2026, 1, 13)
WHY = "the prices are real"


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    """Two days of predictions, of which checks hold the first."""
    verbs = Verbs(tmp_path_factory.mktemp("built"))
    verbs.land("2026-01-01", 14)
    (verbs.root / "verdicts.json").write_text(json.dumps({"odd": [str(ODD)]}))
    for day in (ODD, USUAL):
        assert verbs.stubbed("run", "release", "--date", day, *SHORT).code == 0
    return verbs


@pytest.fixture
def daystone(first_run: Verbs, tmp_path: Path) -> Verbs:
    shutil.copytree(first_run.root, tmp_path / "lake")
    return Verbs(tmp_path)


def decide(daystone: Verbs, verb: str, day: date, *more: str) -> Result:
    return daystone.stubbed(verb, "--date", day, "--why", WHY, *more, *SHORT)


def verdict(daystone: Verbs, day: date) -> Summary:
    return Summary.of(daystone.lake.require("release", day)[0].manifest.metrics)


def test_a_held_day_is_called_held_and_not_rejected(daystone: Verbs) -> None:
    shown = daystone.stubbed("status", "--from", ODD, "--to", ODD, *SHORT)
    told = daystone.stubbed("why", "release", "--date", ODD, *SHORT)

    assert "held" in shown.stdout and "rejected" not in shown.stdout + shown.stderr
    assert told.stdout.startswith(f"release of {ODD}  held\n") and "rejected" not in told.stdout


def test_a_held_day_is_released_from_the_reasons_of_its_verdict(daystone: Verbs) -> None:
    assert verdict(daystone, ODD).is_held

    result = decide(daystone, "release", ODD)

    assert result.code == 0, result.stderr
    user = getpass.getuser()
    assert result.stdout.splitlines()[-2:] == [
        f"recorded: decision 1 on {ODD}: release from mean score, by {user}",
        f"release of {ODD}: released; a person has released it from mean score",
    ]
    (made,) = decision.read(daystone.lake, ODD).all
    assert (made.why, made.by, made.reasons) == (WHY, user, ("mean score",))
    assert verdict(daystone, ODD).in_force is not None


def test_a_day_that_checks_hold_may_be_released_before_it_was_judged(daystone: Verbs) -> None:
    shutil.rmtree(daystone.root / "credit_risk" / "release")

    assert decide(daystone, "release", ODD).code == 0


def test_a_release_is_revoked(daystone: Verbs) -> None:
    decide(daystone, "release", ODD)

    result = decide(daystone, "release", ODD, "--revoke")

    assert result.code == 0, result.stderr
    assert verdict(daystone, ODD).is_held


def test_a_day_is_held_until_the_hold_is_revoked(daystone: Verbs) -> None:
    held = decide(daystone, "hold", USUAL)
    while_held = verdict(daystone, USUAL)
    revoked = decide(daystone, "hold", USUAL, "--revoke")

    assert (held.code, revoked.code) == (0, 0), held.stderr + revoked.stderr
    assert held.stdout.splitlines()[-1] == (
        f"release of {USUAL}: held: hold by {getpass.getuser()}: {WHY}; nothing is in force"
    )
    assert while_held.is_held
    assert not verdict(daystone, USUAL).is_held


def test_a_day_is_held_before_it_is_scored(daystone: Verbs) -> None:
    result = decide(daystone, "hold", date(2026, 1, 14))

    assert result.code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "release of 2026-01-14: there are no predictions yet"
    assert decision.read(daystone.lake, date(2026, 1, 14)).hold is not None


def test_a_hold_has_to_be_revoked_before_a_release_or_another_hold(daystone: Verbs) -> None:
    decide(daystone, "hold", ODD)
    at = decision.read(daystone.lake, ODD).all[0].at
    by = f"found one that {getpass.getuser()} has held since {at}: {WHY}. "
    next_step = f"Next: revoke that first (daystone hold --date {ODD} --revoke --why TEXT)"

    released, held = decide(daystone, "release", ODD), decide(daystone, "hold", ODD)

    assert (released.code, held.code) == (44, 44)
    assert last_line(released) == (f"Error: release of {ODD}: wanted a day that checks alone hold; {by}{next_step}")
    assert last_line(held) == f"Error: hold of {ODD}: wanted a day that nobody holds; {by}{next_step}"
    assert decision.read(daystone.lake, ODD).numbers == (1,)


REFUSED: list[tuple[str, Any, list[str], str]] = [
    (
        "release",
        USUAL,
        [],
        f"release of {USUAL}: wanted a day that is held; found a released one. Next: go on: there is nothing to release it "
        "from",
    ),
    (
        "release",
        USUAL,
        ["--revoke"],
        f"release --revoke of {USUAL}: wanted a release by a person that stands; found none. Next: look at what holds the "
        f"day (daystone why release --date {USUAL})",
    ),
    (
        "hold",
        USUAL,
        ["--revoke"],
        f"hold --revoke of {USUAL}: wanted a hold that stands; found none. Next: look at what holds the day (daystone why "
        f"release --date {USUAL})",
    ),
]


@pytest.mark.parametrize(("verb", "day", "more", "words"), REFUSED)
def test_a_decision_that_would_change_nothing_is_refused(
    daystone: Verbs, verb: str, day: date, more: list[str], words: str
) -> None:
    before = daystone.contents()

    result = decide(daystone, verb, day, *more)

    assert (result.code, last_line(result)) == (44, f"Error: {words}")
    assert daystone.contents() == before


def test_a_day_without_predictions_is_not_released(daystone: Verbs) -> None:
    result = decide(daystone, "release", date(2026, 1, 14))

    assert result.code == 21
    assert "predictions of 2026-01-14: wanted a published partition; found none" in last_line(result)


@pytest.mark.parametrize("verb", ["release", "hold"])
def test_a_decision_without_a_reason_is_a_wrong_use(daystone: Verbs, verb: str) -> None:
    result = daystone.stubbed(verb, "--date", ODD, "--why", "  ", *SHORT)

    assert result.code == 2
    assert "wanted a reason in words; found none" in result.stderr


def test_status_and_why_say_that_a_day_is_held(daystone: Verbs) -> None:
    status = daystone.stubbed("status", "--from", ODD, "--to", USUAL, *SHORT)
    why = daystone.stubbed("why", "release", "--date", ODD, *SHORT)

    assert f"release of {ODD} was held: mean score: 0.875 is odd; nothing is in force" in " ".join(
        status.stdout.split()
    )
    assert "held: mean score: 0.875 is odd" in why.stdout
