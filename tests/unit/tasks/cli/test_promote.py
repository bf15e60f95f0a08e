"""``promote``, ``demote``, ``rollback`` and ``models``: a person decides which model is in force, and sees which was."""

from __future__ import annotations

import getpass
import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from spark_lib.lake import days
from spark_lib.registry import promotions
from tasks.cli import promote as promoting
from tests.support.processes import Result
from tests.unit.verbs import SHORT, Verbs, last_line

pytestmark = pytest.mark.processes

OLD, NEW = date(2026, 1, 12), date(2026, 1, 19)
MANUAL, LAST = date(2026, 1, 20), date(2026, 1, 22)
WHY = "better on the last weeks"
MANUALLY = (*SHORT, "--set", f"selection.manual_from={MANUAL}")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    """Two models, and days with the older one in force."""
    verbs = Verbs(tmp_path_factory.mktemp("built"))
    verbs.land("2026-01-01", 31)
    for day in (OLD, NEW):
        assert verbs.stubbed("run", "model", "--date", day, *SHORT).code == 0
    made = verbs.stubbed("promote", "--model", OLD, "--why", WHY, *MANUALLY)
    assert made.code == 0, made.stderr
    for day in days(MANUAL, LAST):
        assert verbs.stubbed("run", "--date", day, *MANUALLY).code == 0
    return verbs


@pytest.fixture
def daystone(first_run: Verbs, tmp_path: Path) -> Verbs:
    shutil.copytree(first_run.root, tmp_path / "lake")
    return Verbs(tmp_path)


def promote(daystone: Verbs, *more: Any, model: date = NEW) -> Result:
    return daystone.stubbed("promote", "--model", model, "--why", WHY, *more, *MANUALLY)


def scored_by(daystone: Verbs, day: date) -> str:
    (found,) = daystone.lake.require("predictions", day)
    return str(found.manifest.metrics["model_date"])


def model_file(daystone: Verbs, training: date) -> Path:
    (file,) = (daystone.root / f"credit_risk/model/date={training}").glob("run=*/model.onnx")
    return file


def test_a_promotion_begins_after_the_newest_selection_and_days_after_it_have_the_model(daystone: Verbs) -> None:
    made = promote(daystone)
    after = LAST + timedelta(days=1)
    daystone.stubbed("run", "--date", after, *MANUALLY)

    assert made.code == 0, made.stderr
    assert made.stdout == (
        f"recorded: promotion {after}/0001 of the model of {NEW}, direct, from {after} on, by {getpass.getuser()}\n"
    )
    assert [scored_by(daystone, day) for day in (LAST, after)] == [str(OLD), str(NEW)]


def test_a_promotion_of_published_days_is_refused_without_rebuild_and_builds_them_again_with_it(
    daystone: Verbs,
) -> None:
    first = LAST - timedelta(days=1)
    refused = promote(daystone, "--from", first)
    made = promote(daystone, "--from", first, "--rebuild")
    again = promote(daystone, "--from", first, "--rebuild")

    assert refused.code == 50
    assert last_line(refused) == (
        f"Error: promotion of the model of {NEW} from {first} on: wanted a first day after the newest selection, that of "
        f"{LAST}, unless --rebuild says to build these days again; found {first}. Next: promote it from "
        f"{LAST + timedelta(days=1)} on, or give --rebuild"
    )
    assert made.code == 0, made.stderr
    assert made.stdout.splitlines()[-1] == f"built again: 2 days, {first} to {LAST}"
    assert [scored_by(daystone, day) for day in days(MANUAL, LAST)] == [str(OLD), str(NEW), str(NEW)]
    assert again.stdout.startswith("nothing to record, it is there: ") and len(again.stdout.splitlines()) == 1
    assert len(promotions.read(daystone.lake)) == 2


def test_an_interrupted_rebuild_goes_on_where_it_was(daystone: Verbs) -> None:
    assert promote(daystone, "--from", MANUAL, "--rebuild").code == 0
    old = daystone.lake.published_run("predictions", LAST)
    shutil.rmtree(daystone.root / "credit_risk" / "predictions" / f"date={LAST}")
    daystone.stubbed("rebuild", "predictions", "--date", MANUAL, *MANUALLY)
    stale = daystone.stubbed("run", "--date", LAST, *MANUALLY)

    again = promote(daystone, "--from", MANUAL, "--rebuild")

    assert (stale.code, again.code) == (0, 0), stale.stderr + again.stderr
    assert daystone.lake.published_run("predictions", LAST) != old
    assert {scored_by(daystone, day) for day in days(MANUAL, LAST)} == {str(NEW)}


@pytest.mark.parametrize(
    ("model", "options", "code", "said"),
    [
        (date(2026, 1, 26), (), 21, "wanted a published partition"),
        (
            NEW,
            ("--from", "2026-01-19", "--rebuild"),
            50,
            f"wanted a first day from [selection] manual_from on, {MANUAL}",
        ),
        (OLD, ("--strategy", "shadow"), 50, "wanted another model than the one in force, for the strategy shadow"),
        (NEW, ("--canary-days", "1:0.1"), 2, "--canary-days: wanted --strategy canary; found steps for direct"),
        (NEW, ("--strategy", "canary"), 2, "--canary-days: wanted --canary-days with --strategy canary; found none"),
        (NEW, ("--strategy", "canary", "--canary-days", "2:0.1"), 2, "wanted steps from day 1 on; found 2"),
        (NEW, ("--strategy", "canary", "--canary-days", "1:x"), 2, "wanted DAY:SHARE, as in 15:0.25; found '1:x'"),
        (NEW, ("--strategy", "canary", "--canary-days", "1:2"), 2, "wanted a share above 0, at most 1; found '1:2'"),
        (
            *(NEW, ("--strategy", "canary", "--canary-days", "1:0.5,3:0.2"), 2),
            "wanted later days with greater shares; found 3:0.2 after 1:0.5",
        ),
    ],
)
def test_a_promotion_that_cannot_count_is_refused_with_the_reason(
    daystone: Verbs, model: date, options: tuple[str, ...], code: int, said: str
) -> None:
    refused = promote(daystone, *options, model=model)

    assert refused.code == code, refused.stderr
    assert said in " ".join(refused.stderr.replace("│", " ").split())
    assert len(promotions.read(daystone.lake)) == 1


def test_a_model_is_not_promoted_for_a_day_before_its_own(daystone: Verbs) -> None:
    early = ("--set", "selection.manual_from=2026-01-13")
    refused = daystone.stubbed(
        "promote", "--model", NEW, "--from", "2026-01-14", "--rebuild", "--why", WHY, *SHORT, *early
    )

    assert refused.code == 50
    assert "a first day that is not before the model's own, which has seen what landed up to it" in refused.stderr


def test_a_rejected_training_is_not_promoted(daystone: Verbs) -> None:
    verdict = {"approved": False, "reason": "gate", "detail": "area under ROC 0.51 below 0.60"}
    (daystone.root / "verdicts.json").write_text(json.dumps({str(NEW): verdict}))
    daystone.stubbed("rebuild", "model", "--date", NEW, *SHORT)

    refused = promote(daystone)

    assert refused.code == 39
    assert last_line(refused) == (
        f"Error: model of {NEW}: wanted an approved training; found gate: area under ROC 0.51 below 0.60. Next: promote another "
        f"one (daystone models), or train it anew (daystone rebuild model --date {NEW})"
    )


def test_a_damaged_model_is_not_promoted(daystone: Verbs) -> None:
    for file in (daystone.root / "credit_risk" / "model" / f"date={NEW}").rglob("model.onnx"):
        file.write_bytes(b"model of 2026-01-99")

    assert promote(daystone).code == 35


def test_nothing_is_promoted_where_nobody_decides(daystone: Verbs) -> None:
    refused = daystone.stubbed("promote", "--model", NEW, "--why", WHY, *SHORT)

    assert refused.code == 31
    assert last_line(refused) == (
        "Error: [selection] manual_from: wanted the first day whose model a person decides, for a promotion to count; found "
        "none. Next: set [selection] manual_from"
    )


def test_the_model_before_is_put_in_force_again(daystone: Verbs) -> None:
    promote(daystone, "--from", LAST, "--rebuild")

    made = daystone.stubbed("demote", "--from", LAST, "--rebuild", "--why", "too high", *MANUALLY)

    assert made.code == 0, made.stderr
    assert made.stdout.splitlines() == [
        f"recorded: promotion {LAST}/0002 of the model of {OLD}, direct, from {LAST} on, by {getpass.getuser()}",
        f"built again: {LAST}",
    ]
    assert scored_by(daystone, LAST) == str(OLD)


def test_a_demotion_that_is_given_again_goes_on_and_never_brings_back_the_model_that_it_ended(
    daystone: Verbs,
) -> None:
    promote(daystone, "--from", LAST, "--rebuild")
    demotion = ("demote", "--from", LAST, "--rebuild", *MANUALLY)
    file = model_file(daystone, OLD)
    right = file.read_bytes()
    file.write_bytes(b"x")  # the decision is recorded, and nothing can be built by it
    cut_short = daystone.stubbed(*demotion, "--why", "too high")
    file.write_bytes(right)

    again = daystone.stubbed(*demotion, "--why", "too high")
    by_another = daystone.stubbed(*demotion, "--why", "an alarm")

    recorded = f"promotion {LAST}/0002 of the model of {OLD}, direct, from {LAST} on, by {getpass.getuser()}"
    assert cut_short.code == 35, cut_short.stderr
    assert again.stdout.splitlines() == [f"nothing to record, it is there: {recorded}", f"built again: {LAST}"]
    assert by_another.stdout.splitlines() == [f"nothing to record, it is there: {recorded}"]
    assert scored_by(daystone, LAST) == str(OLD)


@pytest.mark.parametrize("strategy", [("shadow",), ("canary", "--canary-days", "1:0.5")])
def test_a_challenger_that_is_damaged_keeps_no_prediction_from_being_published(
    daystone: Verbs, strategy: tuple[str, ...]
) -> None:
    day = LAST + timedelta(days=1)
    assert promote(daystone, "--strategy", *strategy).code == 0
    model_file(daystone, NEW).write_bytes(b"x")

    built = daystone.stubbed("run", "--date", day, *MANUALLY)

    assert built.code == 35  # of the shadow, which is built beside the predictions
    assert "shadow" in built.stderr
    assert scored_by(daystone, day) == str(OLD)


def test_a_promoted_model_that_is_damaged_is_not_called_mended_by_another_training(daystone: Verbs) -> None:
    model_file(daystone, OLD).write_bytes(b"x")
    day = LAST + timedelta(days=1)

    failed = daystone.stubbed("run", "--date", day, *MANUALLY)

    assert failed.code == 35
    assert last_line(failed).endswith(
        "Next: restore the file, or promote another model (daystone models; daystone promote --model DATE --why TEXT): one "
        "that is trained again is not promoted by that"
    )


def test_where_only_one_model_was_promoted_there_is_none_before(daystone: Verbs) -> None:
    refused = daystone.stubbed("demote", "--why", "too high", *MANUALLY)

    assert refused.code == 50
    assert "wanted a model that was promoted before the one in force; found none" in refused.stderr


def test_a_shadow_is_scored_by_the_run_of_a_day_and_a_blue_green_release_is_rolled_back(daystone: Verbs) -> None:
    first = LAST + timedelta(days=1)
    assert promote(daystone, "--strategy", "blue-green").code == 0
    built = daystone.stubbed("run", "release", "--date", first, *MANUALLY)

    back = daystone.stubbed("rollback", "--date", first, "--why", "too high", *MANUALLY)
    twice = daystone.stubbed("rollback", "--date", first, "--why", "too high", *MANUALLY)
    revoked = daystone.stubbed("rollback", "--date", first, "--revoke", "--why", "right", *MANUALLY)
    nothing = daystone.stubbed("rollback", "--date", first, "--revoke", "--why", "right", *MANUALLY)

    assert built.code == 0, built.stderr
    assert f"shadow of {first}: " in built.stdout
    user = getpass.getuser()
    assert back.stdout.splitlines()[-2:] == [
        f"recorded: decision 1 on {first}: rollback, by {user}",
        f"release of {first}: rolled back to the model before, by {user}: too high",
    ]
    assert (twice.code, nothing.code) == (44, 44)
    assert "wanted a rollback that stands; found none" in nothing.stderr
    assert revoked.stdout.splitlines()[-1] == f"release of {first}: released"


def test_models_are_shown_with_their_days_and_their_promotions(daystone: Verbs) -> None:
    promote(daystone, "--strategy", "canary", "--canary-days", "1:0.25,3:1")
    first = LAST + timedelta(days=1)
    for day in days(first, first + timedelta(days=2)):
        daystone.stubbed("run", "--date", day, *MANUALLY)

    shown = daystone.stubbed("models", *MANUALLY)
    document = json.loads(daystone.stubbed("models", "--json", *MANUALLY).stdout)

    user = getpass.getuser()
    lines = [line.split("  ") for line in shown.stdout.splitlines()]
    assert [line[0] for line in lines] == ["date", str(OLD), str(NEW)]
    assert f"{MANUAL} to {LAST}, {first} to {first + timedelta(days=1)} (75%)" in shown.stdout
    assert f"{first} to {first + timedelta(days=1)} (25%), {first + timedelta(days=2)}" in shown.stdout
    assert f"canary from {first} by {user}" in shown.stdout
    assert document[1]["in_force"] == [
        {"from": str(first), "to": str(first + timedelta(days=1)), "share": 0.25},
        {"from": str(first + timedelta(days=2)), "to": str(first + timedelta(days=2)), "share": 1.0},
    ]
    assert document[1]["promoted"][0]["why"] == WHY


def test_a_damaged_model_and_one_that_was_trained_again_are_shown_with_the_others(daystone: Verbs) -> None:
    assert promote(daystone).code == 0
    assert daystone.stubbed("rebuild", "model", "--date", NEW, *SHORT).code == 0
    for file in (daystone.root / "credit_risk" / "model" / f"date={OLD}").rglob("model.onnx"):
        file.unlink()

    shown = daystone.stubbed("models", *MANUALLY)
    document = json.loads(daystone.stubbed("models", "--json", *MANUALLY).stdout)

    states = [(each["date"], each["state"], len(each["promoted"])) for each in document]
    assert states == [(str(OLD), "damaged", 1), (str(NEW), "approved", 0), (str(NEW), "trained again", 1)]
    assert [line.split()[1] for line in shown.stdout.splitlines()] == ["verdict", "damaged", "approved", "trained"]
    assert shown.code == 35 and f"model of {OLD}: " in last_line(shown)


def test_two_models_are_compared(daystone: Verbs) -> None:
    compared = daystone.stubbed("models", "--compare", OLD, NEW, *MANUALLY)
    same = daystone.stubbed("models", "--compare", NEW, NEW, *MANUALLY)

    assert compared.code == 0, compared.stderr
    assert compared.stdout == (
        f"the model of {NEW} is not shown to be worse: area under ROC -0.0300 against the model of {OLD}\n"
    )
    assert same.code == 31 and "wanted two different models" in same.stderr


def test_steps_are_read_as_they_are_written() -> None:
    steps = promoting.parsed_steps("1:0.05, 15:0.25,30:1.0")

    assert [(step.day, step.share) for step in steps] == [(1, 0.05), (15, 0.25), (30, 1.0)]


def test_a_shadow_that_a_rollback_has_put_in_force_is_not_removed_without_the_release(daystone: Verbs) -> None:
    first = LAST + timedelta(days=1)
    promote(daystone, "--strategy", "blue-green")
    daystone.stubbed("run", "--date", first, *MANUALLY)
    back = daystone.stubbed("rollback", "--date", first, "--why", "too high", *MANUALLY)
    (shadow,) = daystone.lake.require("shadow", first)
    removal = ("--from", first, "--to", first, "--yes", *MANUALLY)

    refused = daystone.stubbed("clean", "shadow", *removal)
    released = daystone.stubbed("clean", "release", *removal)
    removed = daystone.stubbed("clean", "shadow", *removal)

    assert back.code == 0, back.stderr
    assert (refused.code, refused.stdout) == (31, "")
    assert last_line(refused) == (
        f"Error: clean shadow of {first}: wanted a run that nothing published was made from; found run {shadow.manifest.run}, "
        f"which release of {first} was made from. Next: remove that first (daystone clean release --from {first} --to {first})"
    )
    assert (released.code, removed.code) == (0, 0)


@pytest.mark.parametrize("more", [(), ("--downstream",)])
def test_a_promoted_model_is_not_removed_and_no_option_is_said_to_help(daystone: Verbs, more: tuple[str, ...]) -> None:
    refused = daystone.stubbed("clean", "model", "--from", OLD, "--to", OLD, "--yes", *more, *MANUALLY)

    assert refused.code == 31
    assert f"promotion of {MANUAL}" in refused.stderr
    assert last_line(refused).endswith(
        "Next: leave it there: what a person has promoted stays, because any day may be scored by it again"
    )
