"""Which model scores a day where people promote the models, and what is built beside its predictions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import luigi
import pytest
from luigi.task_register import Register

import tasks
from spark_lib.errors import NothingToDecide
from spark_lib.lake import Lake, days
from spark_lib.lake import gc as garbage
from spark_lib.models.selection import SELECTION, Selection, parse
from spark_lib.registry import promotions
from spark_lib.registry.promotions import BLUE_GREEN, CANARY, DIRECT, SHADOW, Promotion, Step
from spark_lib.release import decision, in_force
from spark_lib.release.decision import HOLD, REVOKE_ROLLBACK, ROLLBACK, Decision
from spark_lib.release.document import Summary
from spark_lib.stages import selection
from spark_lib.stages.release import the_model_before
from tasks.graph.stage import forget_checked
from tasks.graph.staleness import PROMOTION, Day, InputChanged, State
from tasks.planning import kept, standing
from tests.unit.stubs.stublake import StubLake, build, configure, prepare

FIRST, SECOND, THIRD = date(2026, 1, 12), date(2026, 1, 19), date(2026, 1, 26)
MANUAL = date(2026, 1, 20)
LAST = date(2026, 2, 1)
MANUALLY = f"[selection]\nmanual_from = {MANUAL}\n"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubLake:
    """Two approved models, and no day of predictions."""
    lake = prepare(monkeypatch, tmp_path / "lake", MANUALLY)
    lake.land(LAST)
    assert build(tasks.Training(date=FIRST), tasks.Training(date=SECOND)).status is luigi.LuigiStatusCode.SUCCESS
    return lake


def partitions(lake: StubLake) -> Lake:
    return Lake(str(lake.root), lake.name)


def promote(
    lake: StubLake, model: date, first: date, strategy: str = DIRECT, steps: Iterable[Step] = (), why: str = "better"
) -> Promotion:
    (trained,) = partitions(lake).require("model", model)
    at = "2026-02-01T00:00:00+00:00"
    of = selection.promotable(partitions(lake), trained)
    made = promotions.record(partitions(lake), Promotion(of, first, why, "ada", at, strategy, tuple(steps)))
    forget_checked()
    return made


def scored_by(lake: StubLake, day: date) -> str:
    (found,) = partitions(lake).require("predictions", day)
    return found.document("rows.txt").decode()


def selected(lake: StubLake, day: date) -> Selection:
    return Selection.of(lake.manifest("selection", day)["metrics"])


def test_the_promoted_model_scores_from_its_first_day_on_and_no_training_is_awaited(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)

    built = build(tasks.BatchInference(date=THIRD))

    assert built.status is luigi.LuigiStatusCode.SUCCESS
    assert scored_by(lake, THIRD) == f"model of {FIRST}"
    assert "Training" not in " ".join(built.ran), "although one is due on that day"


def test_before_manual_from_the_candidates_of_the_calendar_decide(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)

    build(tasks.BatchInference(date=SECOND))

    assert scored_by(lake, SECOND) == f"model of {SECOND}"
    assert selected(lake, SECOND).promoted == ""


def test_a_day_without_a_promotion_is_blocked_and_says_what_to_do(lake: StubLake) -> None:
    built = build(tasks.BatchInference(date=MANUAL))

    assert built.refused == [
        f"model for {MANUAL}: wanted a promotion from a day up to it, as [selection] manual_from = {MANUAL} asks; found none. "
        f"Next: look at the models (daystone models), and promote one (daystone promote --model DATE --from {MANUAL} --why TEXT)"
    ]
    states = standing.look(partitions(lake), _feeds(), standing.todays(MANUAL), {"selection": (MANUAL, MANUAL)})
    cell = states.cell("selection", MANUAL)
    assert cell is not None and (cell.state, cell.because) == (State.BLOCKED, Day(PROMOTION, MANUAL))


def test_a_promotion_for_a_published_day_makes_its_selection_stale(lake: StubLake) -> None:
    old = promote(lake, FIRST, MANUAL)
    build(tasks.BatchInference(date=MANUAL))
    new = promote(lake, SECOND, MANUAL)

    states = standing.look(partitions(lake), _feeds(), standing.todays(MANUAL), {"selection": (MANUAL, MANUAL)})

    cell = states.cell("selection", MANUAL)
    assert cell is not None and cell.state is State.STALE
    assert cell.reasons == (InputChanged(Day(PROMOTION, MANUAL), f"{old.name} direct", f"{new.name} direct"),)


def test_it_is_rebuilt_where_the_policy_says_so(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(lake, FIRST, MANUAL)
    build(tasks.BatchInference(date=MANUAL))
    promote(lake, SECOND, MANUAL)
    prepare(monkeypatch, lake.root, f"{MANUALLY}[lake]\non_stale = rebuild\n".replace("[lake]\non", "on"))
    configure(
        monkeypatch,
        f"[lake]\nroot = {lake.root}\non_stale = rebuild\n[pipeline]\nuse_case = {lake.use_case}\n{MANUALLY}",
    )

    build(tasks.BatchInference(date=MANUAL))

    assert scored_by(lake, MANUAL) == f"model of {SECOND}"


def test_a_training_that_is_built_again_is_not_promoted_by_its_date_alone(lake: StubLake) -> None:
    made = promote(lake, FIRST, MANUAL)
    again = tasks.Training(date=FIRST)
    again.force = True
    build(again)
    assert lake.published("model")[FIRST] != made.model.run

    build(tasks.BatchInference(date=MANUAL))

    assert selected(lake, MANUAL).model_digest == made.model.digest
    (found,) = partitions(lake).require("selection", MANUAL)
    assert selection.pinned(partitions(lake), found).date == FIRST
    (given,) = found.manifest.inputs
    assert given.ids == (made.model.run,)
    pinned = parse(found.document(SELECTION))
    assert (pinned.run, pinned.files) == (made.model.run, made.model.files)


def test_gc_keeps_the_run_of_a_promoted_model(lake: StubLake) -> None:
    made = promote(lake, FIRST, MANUAL)
    again = tasks.Training(date=FIRST)
    again.force = True
    build(again)

    keep = kept.runs(partitions(lake))

    assert keep["model", FIRST, made.model.run] == [Day(PROMOTION, MANUAL)]
    found = garbage.find(partitions(lake), "model", -1.0, keep)
    assert made.model.run not in " ".join(each.key for each in found)


def test_a_promoted_model_that_is_damaged_is_not_pinned_and_the_error_says_what_to_do(lake: StubLake) -> None:
    made = promote(lake, FIRST, MANUAL)
    build(tasks.ModelSelection(date=MANUAL))
    file = lake.partition("model", FIRST) / f"run={made.model.run}" / "model.onnx"
    file.write_bytes(b"another")

    (error,) = tasks.ModelSelection.damage_behind(partitions(lake), partitions(lake).require("selection", MANUAL)[0])

    assert error.next_step == (
        "restore the file; or promote another model "
        f"(daystone promote --model DATE --from {MANUAL} --why TEXT --rebuild)"
    )


def test_a_second_model_is_pinned_beside_the_one_in_force(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)
    shadow = promote(lake, SECOND, THIRD, SHADOW)

    build(tasks.BatchInference(date=THIRD), tasks.ShadowInference(date=THIRD))

    assert scored_by(lake, THIRD) == f"model of {FIRST}"
    (beside,) = partitions(lake).require("shadow", THIRD)
    assert beside.document("rows.txt").decode() == f"model of {SECOND}"
    assert (beside.manifest.metrics["strategy"], beside.manifest.metrics["share"]) == (SHADOW, 0.0)
    found = selected(lake, THIRD).beside
    assert found is not None and (found.model_digest, found.share) == (shadow.model.digest, 0.0)


def test_a_canary_scores_the_share_of_its_day(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)
    promote(lake, SECOND, THIRD, CANARY, [Step(1, 0.05), Step(3, 1.0)])

    for day in days(THIRD, THIRD + timedelta(days=2)):
        build(tasks.BatchInference(date=day))

    said = [scored_by(lake, THIRD + timedelta(days=offset)) for offset in range(3)]
    both = "model of 2026-01-12\n{} of model of 2026-01-19"
    assert said == [both.format("0.05"), both.format("0.05"), both.format("1")]


def test_the_older_model_scores_beside_a_blue_green_release(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)
    promote(lake, SECOND, THIRD, BLUE_GREEN)

    build(tasks.Daily(date=THIRD))

    assert scored_by(lake, THIRD) == f"model of {SECOND}"
    assert partitions(lake).require("shadow", THIRD)[0].document("rows.txt").decode() == f"model of {FIRST}"


def green(lake: StubLake) -> None:
    """A blue-green release of the second model, scored by both and released."""
    promote(lake, FIRST, MANUAL)
    promote(lake, SECOND, THIRD, BLUE_GREEN)
    build(tasks.Daily(date=THIRD), tasks.Release(date=THIRD))


def decide(lake: StubLake, action: str) -> None:
    made = Decision(action, "too high", "ada", "2026-02-01T00:00:00+00:00")
    decision.record(partitions(lake), THIRD, made)
    build(tasks.Release(date=THIRD))


def in_force_now(lake: StubLake) -> str:
    (found,) = in_force.require(partitions(lake), "predictions", THIRD)
    return found.document("rows.txt").decode()


def test_a_rollback_puts_what_the_model_before_says_in_force_until_it_is_revoked(lake: StubLake) -> None:
    green(lake)
    assert in_force_now(lake) == f"model of {SECOND}"

    decide(lake, ROLLBACK)
    rolled_back = in_force_now(lake)
    said = Summary.of(lake.manifest("release", THIRD)["metrics"])
    decide(lake, REVOKE_ROLLBACK)

    assert rolled_back == f"model of {FIRST}"
    assert str(said) == "rolled back to the model before, by ada: too high"
    assert in_force_now(lake) == f"model of {SECOND}"


def test_a_day_that_its_checks_hold_is_released_by_a_rollback_and_a_hold_outranks_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.let_be_odd(THIRD)
    green(lake)
    assert Summary.of(lake.manifest("release", THIRD)["metrics"]).is_held

    decide(lake, ROLLBACK)
    assert in_force_now(lake) == f"model of {FIRST}"
    decide(lake, HOLD)
    assert Summary.of(lake.manifest("release", THIRD)["metrics"]).in_force is None


def test_a_release_that_was_rolled_back_is_judged_again_where_the_model_before_scores_anew(lake: StubLake) -> None:
    green(lake)
    decide(lake, ROLLBACK)
    old = lake.published("shadow")[THIRD]
    again = tasks.ShadowInference(date=THIRD)
    again.force = True
    build(again)

    assert not tasks.Release(date=THIRD).complete() and tasks.Release.bulk_complete([THIRD]) == []
    assert ("shadow", THIRD, old) in kept.runs(partitions(lake)), "until the release is of the new run"
    build(tasks.Release(date=THIRD))

    assert tasks.Release(date=THIRD).complete() and tasks.Release.bulk_complete([THIRD]) == [THIRD]
    (found,) = in_force.require(partitions(lake), "predictions", THIRD)
    assert found.manifest.run == lake.published("shadow")[THIRD] != old


def test_a_challenger_is_nothing_to_roll_back_to(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)
    promote(lake, SECOND, THIRD, SHADOW)
    build(tasks.Daily(date=THIRD))

    with pytest.raises(NothingToDecide) as refused:
        the_model_before(partitions(lake), THIRD)

    assert str(refused.value) == (
        f"rollback of {THIRD}: wanted a blue-green release, whose model before goes on scoring; found scores of a challenger, "
        f"released by the strategy shadow. Next: put the model before in force again (daystone demote --from {THIRD} --rebuild "
        "--why TEXT)"
    )


def test_the_model_that_scored_a_day_is_found_whichever_of_the_two_it_was(lake: StubLake) -> None:
    green(lake)
    (second,) = partitions(lake).require("shadow", THIRD)
    metrics = second.manifest.metrics | {"model_digest": selected(lake, THIRD).beside.model_digest}  # type: ignore[union-attr]

    found = selection.that_scored(partitions(lake), THIRD, replace(second.manifest, metrics=metrics))

    assert found.date == FIRST


def test_a_day_without_a_second_model_has_no_shadow(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)

    built = build(tasks.ShadowInference(date=MANUAL))

    assert built.refused == [
        f"second model for {MANUAL}: wanted a shadow, a canary or a blue-green release on the day; found a selection of one "
        "model. Next: promote a challenger (daystone promote --strategy shadow --model DATE --why TEXT)"
    ]


def test_a_day_has_the_training_that_is_due_beside_its_predictions(lake: StubLake) -> None:
    promote(lake, FIRST, MANUAL)

    build(tasks.Daily(date=THIRD))

    assert tasks.Daily(date=THIRD).complete()
    assert tasks.Daily.bulk_complete(days(MANUAL, LAST)) == [THIRD]
    assert THIRD in lake.published("model") and scored_by(lake, THIRD) == f"model of {FIRST}"


def test_predictions_are_published_although_the_training_beside_them_fails(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(lake, FIRST, MANUAL)

    def fails(*given: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("spark_lib.stages.training.build", fails)
    built = build(tasks.Daily(date=THIRD))

    assert built.status is luigi.LuigiStatusCode.FAILED
    assert scored_by(lake, THIRD) == f"model of {FIRST}"
    assert not tasks.Daily(date=THIRD).complete()


def test_a_run_with_nothing_to_do_asks_for_no_promotion_where_none_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = prepare(monkeypatch, tmp_path / "lake")
    lake.land(LAST)
    build(tasks.BatchInference(date=FIRST))

    def asked(*given: object) -> None:
        raise AssertionError("promotions were asked for")

    monkeypatch.setattr(promotions, "read", asked)
    assert tasks.BatchInference(date=FIRST).complete() and tasks.Daily(date=FIRST).complete()


def _feeds() -> Mapping[str, object]:
    return tasks.BatchInference(date=MANUAL).feeds  # type: ignore[return-value]


# As-of: whatever the order, each day has the model that it had when the days were built one after the other.

START = date(2026, 1, 12)
END = date(2026, 1, 30)


#: Promotes the model before, whatever that is by then.
DEMOTE = "demote"


@dataclass(frozen=True)
class History:
    """Which models are rejected or lose, from when on people decide, and what they promote: model, first day, strategy, where
    a demotion promotes the model before. ``late`` days land a day after the others."""

    manual: date
    rejected: tuple[date, ...]
    losers: tuple[date, ...]
    promoted: tuple[tuple[date, date, str, tuple[Step, ...]], ...]
    late: tuple[date, ...] = ()


def drawn(seed: int) -> History:
    draw = random.Random(seed)
    trained = [START + timedelta(weeks=week) for week in range(3)]
    rejected = tuple(day for day in trained[1:] if draw.random() < 0.25)
    losers = tuple(day for day in trained[1:] if draw.random() < 0.3)
    approved = [day for day in trained if day not in rejected]
    manual = START + timedelta(days=draw.randrange(1, 12))
    made = [(max(day for day in approved if day <= manual), manual, DIRECT, ())]
    for _ in range(draw.randrange(0, 5)):
        first = manual + timedelta(days=draw.randrange(0, (END - manual).days))
        model = draw.choice([day for day in approved if day <= first])
        strategy = draw.choice([DIRECT, DEMOTE, SHADOW, CANARY, BLUE_GREEN])
        steps = (Step(1, 0.1), Step(draw.randrange(2, 6), 1.0)) if strategy == CANARY else ()
        made.append((model, first, strategy, steps))
    late = tuple(day for day in days(START, END - timedelta(days=1)) if draw.random() < 0.15)
    return History(manual, rejected, losers, tuple(sorted(made, key=lambda each: each[1])), late)


Way = Callable[[StubLake, History], None]


def decide_as_drawn(lake: StubLake, model: date, first: date, strategy: str, steps: tuple[Step, ...]) -> None:
    if strategy == DEMOTE:
        before = promotions.before(promotions.read(partitions(lake)), first)
        if before is not None:
            at = "2026-02-01T00:00:00+00:00"
            promotions.record(partitions(lake), Promotion(before.model, first, "worse", "ada", at))
            forget_checked()
        return
    build(tasks.Training(date=model))
    promote(lake, model, first, strategy, steps)


def in_order(lake: StubLake, history: History) -> None:
    """As time went: people promote on the day before, and each day is built when it has landed."""
    waiting, landing = list(history.promoted), []
    for day in days(START, END):
        landing.append(day)
        if day in history.late:
            continue
        for landed in landing:
            lake.land(landed, landed)
        while waiting and waiting[0][1] <= day:
            decide_as_drawn(lake, *waiting.pop(0))
        for landed in landing:
            build(tasks.Daily(date=landed))
        landing = []


def all_known(lake: StubLake, history: History) -> None:
    lake.land(END)
    for made in history.promoted:
        decide_as_drawn(lake, *made)


def newest_first(lake: StubLake, history: History) -> None:
    all_known(lake, history)
    for day in reversed(days(START, END)):
        build(tasks.Daily(date=day))


def by_backfill(lake: StubLake, history: History) -> None:
    all_known(lake, history)
    build(tasks.Backfill(start=START, stop=END + timedelta(days=1)))


def outcome(lake: StubLake) -> dict[str, dict[date, str]]:
    """The rows of each day of predictions and of the second model's."""
    found = {name: partitions(lake).find(name, START, END) for name in ("predictions", "shadow")}
    return {
        name: {
            day: each.document("rows.txt").decode() for day, each in there.items() if not isinstance(each, Exception)
        }
        for name, there in found.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_each_day_has_the_model_of_its_own_day_whatever_the_order(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = drawn(seed)
    outcomes = {}
    for way in (in_order, newest_first, by_backfill):
        lake = prepare(monkeypatch, tmp_path / way.__name__, f"[selection]\nmanual_from = {history.manual}\n")
        lake.root.mkdir(exist_ok=True)
        lake.land(START - timedelta(days=1))
        for day in history.rejected:
            lake.judge(day, "gate", "too low")
        lake.let_lose(*history.losers)
        way(lake, history)
        Register.clear_instance_cache()
        outcomes[way.__name__] = outcome(lake)

    assert len(outcomes["in_order"]["predictions"]) == len(days(START, END))
    assert outcomes["newest_first"] == outcomes["in_order"]
    assert outcomes["by_backfill"] == outcomes["in_order"]
