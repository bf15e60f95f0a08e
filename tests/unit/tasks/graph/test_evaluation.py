"""What an evaluation reads, when one is complete, and what a release makes of it."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import luigi
import pytest

import tasks
from spark_lib.evaluation.document import Summary
from spark_lib.lake import Lake
from spark_lib.release import decision
from spark_lib.release.decision import HOLD, Decision
from spark_lib.release.document import Summary as Released
from tasks.graph.staleness import Need, State
from tests.unit.stubs.cases import Known
from tests.unit.stubs.stublake import StubLake, build, configure, listed
from tests.unit.tasks.conftest import Predicted

#: The first training is on 2026-01-12. With a delay of 2 days, predictions of that day are judged from the 15th on.
FIRST, SECOND = date(2026, 1, 12), date(2026, 1, 13)
DAY = date(2026, 1, 16)
WHY = "area under ROC 0.7100, lower end 0.6500 below 0.7000"


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    """Predictions of the first two days that can have some."""
    there = predicted(FIRST)
    build(tasks.BatchInference(date=SECOND))
    return there


def evaluation(day: date = DAY) -> tasks.Evaluation:
    return tasks.Evaluation(date=day)


def partitions(lake: StubLake) -> Lake:
    return Lake(str(lake.root), lake.name)


def document(lake: StubLake, day: date = DAY) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(partitions(lake).require("evaluation", day)[0].document("evaluation.json"))
    return found


def require_evaluations(monkeypatch: pytest.MonkeyPatch, lake: StubLake, on_stale: str = "warn") -> None:
    sections = f"[lake]\nroot = {lake.root}\non_stale = {on_stale}\n[pipeline]\nuse_case = {lake.use_case}\n"
    configure(monkeypatch, f"{sections}[evaluation]\nrequired = true\n")


def released(lake: StubLake, day: date) -> Released:
    return Released.of(lake.manifest("release", day)["metrics"])


def test_an_evaluation_reads_the_predictions_of_its_window_and_outcomes_up_to_its_day(lake: StubLake) -> None:
    built = build(evaluation())

    assert built.ended == [f"Evaluation {DAY}"]
    assert [(read["name"], read["first"], read["last"]) for read in lake.manifest("evaluation", DAY)["inputs"]] == [
        ("predictions", str(FIRST), str(FIRST)),
        ("predictions", str(SECOND), str(SECOND)),
        ("raw/outcomes", str(FIRST), str(DAY)),
    ]
    assert built.said[-1] == "evaluation: 2 days, 200 rows, area under ROC 0.71; within bounds"
    assert (document(lake)["first"], document(lake)["last"]) == (str(FIRST), str(SECOND))


def test_an_evaluation_waits_for_the_outcomes_of_its_day_and_for_no_later_one(lake: StubLake) -> None:
    (outcomes,) = evaluation(date(2026, 2, 3)).requires()

    assert isinstance(outcomes, tasks.RawPartition)
    assert (outcomes.feed, outcomes.date) == ("outcomes", date(2026, 2, 3))
    build(evaluation(date(2026, 2, 3)))
    assert "evaluation" not in {path.name for path in (lake.root / lake.name).iterdir()}


def test_outcomes_that_land_with_the_rows_are_read_of_the_judged_days_alone() -> None:
    settings = tasks.Evaluation(date=date(2026, 2, 10), use_case=f"{Known.__module__}:Known").settings

    needs = tasks.Evaluation.needs(date(2026, 2, 10), settings)

    first, last = tasks.Evaluation.window(date(2026, 2, 10), settings)
    assert needs == [Need("predictions", first, last, may=True), Need("raw/events", first, last)]
    assert (last, (last - first).days) == (date(2026, 2, 9), 27)


def test_days_before_the_first_model_are_not_judged(lake: StubLake) -> None:
    settings = evaluation().settings

    assert tasks.Evaluation.window(DAY, settings) == (FIRST, SECOND)
    assert tasks.Evaluation.window(date(2026, 3, 1), settings) == (date(2026, 1, 30), date(2026, 2, 26))


def test_no_day_asks_for_an_evaluation(lake: StubLake) -> None:
    assert not tasks.Evaluation.is_due(DAY, evaluation().settings)
    assert build(tasks.BatchInference(date=SECOND)).ran == []


def test_before_there_can_be_predictions_to_judge_the_error_says_so(lake: StubLake) -> None:
    day = date(2026, 1, 13)

    built = build(evaluation(day))

    assert built.status == luigi.LuigiStatusCode.FAILED
    assert built.refused == [
        f"evaluation of {day}: wanted predictions of some of the 28 landing days that end 2 days before; found only days before "
        "the first model, of 2026-01-12. Next: build them (daystone backfill --stage predictions --from DAY --to DAY), or ask "
        "for a later day"
    ]
    asked = evaluation(day).today(asked=True)
    assert [asked.is_due(each) for each in (day, date(2026, 1, 14), date(2026, 1, 15))] == [False, False, True]
    assert tasks.Evaluation.needs(day, evaluation(day).settings) == []


def test_without_any_predictions_an_evaluation_judges_nothing_until_there_are_some(lake: StubLake) -> None:
    later = date(2026, 2, 20)
    lake.land(later, date(2026, 2, 1))

    built = build(evaluation(later))

    assert built.said[-1] == "evaluation: 0 days, 0 rows; not judged: no row with an outcome is judged"
    assert evaluation(later).complete()
    build(tasks.BatchInference(date=date(2026, 2, 10)))
    assert not evaluation(later).complete()


def test_that_a_day_was_scored_anew_makes_no_evaluation_stale(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\non_stale = rebuild\n[pipeline]\nuse_case = {lake.use_case}")
    build(evaluation())
    judged = document(lake)["days"][0]["run"]

    again = tasks.BatchInference(date=FIRST)
    again.force = True
    build(again)

    assert lake.published("predictions")[FIRST] != judged
    assert evaluation().complete()
    assert tasks.Evaluation.bulk_complete([DAY]) == [DAY]


def test_that_an_outcome_was_landed_again_makes_an_evaluation_stale(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\non_stale = rebuild\n[pipeline]\nuse_case = {lake.use_case}")
    build(evaluation())

    (lake.flag("outcomes", SECOND).parent / "late.parquet").write_bytes(b"more")

    assert not evaluation().complete()
    assert build(evaluation()).ended == [f"Evaluation {DAY}"]


def test_outcomes_of_later_days_change_nothing(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\non_stale = rebuild\n[pipeline]\nuse_case = {lake.use_case}")
    build(evaluation())

    (lake.flag("outcomes", DAY + timedelta(days=1)).parent / "late.parquet").write_bytes(b"more")

    assert evaluation().complete()


def test_a_day_whose_predictions_came_too_late_is_judged_as_soon_as_they_are_there(lake: StubLake) -> None:
    later = date(2026, 1, 17)
    build(evaluation(later))
    without = Summary.of(lake.manifest("evaluation", later)["metrics"])
    assert without.without_predictions == (date(2026, 1, 14),)
    assert evaluation(later).complete()

    build(tasks.BatchInference(date=date(2026, 1, 14)))

    assert not evaluation(later).complete()
    assert tasks.Evaluation.bulk_complete([later]) == []
    assert build(evaluation(later)).ended == [f"Evaluation {later}"]
    assert Summary.of(lake.manifest("evaluation", later)["metrics"]).judged_days == 3
    assert tasks.Evaluation.bulk_complete([later]) == [later]


def test_a_complete_evaluation_with_all_predictions_lists_nothing_else(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(evaluation())
    asked = listed(monkeypatch)

    assert evaluation().complete()

    assert set(asked) == {"evaluation"}


def test_the_run_in_force_is_judged_and_of_a_held_day_none(lake: StubLake) -> None:
    build(tasks.Release(date=FIRST))
    in_force = lake.published("predictions")[FIRST]
    again = tasks.BatchInference(date=FIRST)
    again.force = True
    build(again)
    lake.let_be_odd(SECOND)
    odd = tasks.BatchInference(date=SECOND)
    odd.force = True
    build(odd)
    build(tasks.Release(date=SECOND))

    build(evaluation())

    first, second = document(lake)["days"]
    assert first["run"] == in_force != lake.published("predictions")[FIRST]
    assert second["run"] == ""
    assert second["reason"] == "held: mean score: 0.875 is odd; nothing is in force"


def test_where_nothing_is_in_force_on_any_day_the_evaluation_is_published_and_judges_nothing(lake: StubLake) -> None:
    for day in (FIRST, SECOND):
        decision.record(
            partitions(lake), day, Decision(HOLD, "the source was moved", "ada", "2026-01-15T00:00:00+00:00")
        )
        build(tasks.Release(date=day))

    built = build(evaluation())

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    assert built.said[-1] == "evaluation: 0 days, 0 rows; not judged: no row with an outcome is judged"


def test_an_evaluation_below_its_bound_is_published_with_a_warning(
    lake: StubLake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.let_be_poor(DAY)

    with caplog.at_level(logging.WARNING):
        built = build(evaluation())

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [f"evaluation: 2 days, 200 rows, area under ROC 0.71; below: {WHY}"]
    described = tasks.Evaluation.describe(partitions(lake).require("evaluation", DAY)[0].manifest)
    assert (described.text, described.rejection, tasks.Evaluation.refused) == ("below", WHY, State.HELD)


def test_a_release_needs_no_evaluation_unless_it_is_set_so(lake: StubLake) -> None:
    build(tasks.BatchInference(date=DAY))

    assert build(tasks.Release(date=DAY)).ended == [f"Release {DAY}"]


def test_a_release_that_needs_one_has_the_evaluation_of_the_day_before_built(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_evaluations(monkeypatch, lake)
    tomorrow = DAY + timedelta(days=1)
    build(tasks.BatchInference(date=tomorrow))

    built = build(tasks.Release(date=tomorrow))

    assert built.ended == [f"Evaluation {DAY}", f"Release {tomorrow}"]
    assert released(lake, tomorrow).verdict == "released"
    assert [read["name"] for read in lake.manifest("release", tomorrow)["inputs"]] == ["predictions", "evaluation"]


def test_a_release_is_held_where_the_evaluation_of_the_day_before_is_below_its_bound(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_evaluations(monkeypatch, lake)
    lake.let_be_poor(DAY)
    tomorrow = DAY + timedelta(days=1)
    build(tasks.BatchInference(date=tomorrow))

    build(tasks.Release(date=tomorrow))

    (reason,) = released(lake, tomorrow).reasons
    assert (reason.name, reason.words) == ("evaluation", f"{DAY}: below: {WHY}")


def test_another_run_of_an_evaluation_makes_no_release_stale(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    require_evaluations(monkeypatch, lake, on_stale="rebuild")
    tomorrow = DAY + timedelta(days=1)
    build(tasks.BatchInference(date=tomorrow))
    build(tasks.Release(date=tomorrow))

    again = evaluation()
    again.force = True
    build(again)

    assert tasks.Release(date=tomorrow).complete()


def test_before_anything_can_be_judged_a_release_says_that_this_was_not_checked(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_evaluations(monkeypatch, lake)

    built = build(tasks.Release(date=FIRST))

    assert built.ended == [f"Release {FIRST}"]
    assert (released(lake, FIRST).verdict, released(lake, FIRST).unchecked) == ("released", ("evaluation",))
