"""When a day of predictions is judged, what stays in force, and what a release keeps."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import luigi
import pytest

import spark_lib.stages.release
import tasks
from spark_lib.lake import Lake
from spark_lib.lake import gc as garbage
from spark_lib.release import decision
from spark_lib.release.check import Check, Outcome
from spark_lib.release.decision import HOLD, RELEASE, REVOKE_HOLD, Decision
from spark_lib.release.document import Summary
from tasks.planning import kept
from tests.unit.stubs.stublake import StubLake, build, configure
from tests.unit.tasks.conftest import Predicted

DAY = date(2026, 1, 14)
FAILED = Check("psi of feature amount", Outcome.FAILED, "PSI 0.900 against the reference of the model", 0.9, 0.2)


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    return predicted(DAY)


def hold_by_check(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    """Let these checks fail from now on; none, where none is given."""
    monkeypatch.setattr(spark_lib.stages.release, "judge", lambda *figures: list(checks))


def decide(lake: StubLake, action: str, *reasons: str) -> None:
    at = datetime(2026, 1, 15, tzinfo=UTC).isoformat()
    decision.record(partitions(lake), DAY, Decision(action, "the source was moved", "ada", at, reasons))


def partitions(lake: StubLake) -> Lake:
    return Lake(str(lake.root), lake.name)


def release() -> tasks.Release:
    return tasks.Release(date=DAY)


def score_again() -> None:
    again = tasks.BatchInference(date=DAY)
    again.force = True
    assert build(again).status == luigi.LuigiStatusCode.SUCCESS


def verdict(lake: StubLake) -> Summary:
    return Summary.of(lake.manifest("release", DAY)["metrics"])


def document(lake: StubLake) -> dict[str, Any]:
    written = lake.partition("release", DAY) / f"run={lake.published('release')[DAY]}"
    assert {file.name for file in written.iterdir()} == {"release.html", "release.json"}
    found: dict[str, Any] = json.loads((written / "release.json").read_bytes())
    return found


def test_a_release_needs_the_predictions_of_its_day_and_copies_their_whole_manifest(lake: StubLake) -> None:
    built = build(release())

    assert built.ended == [f"Release {DAY}"]
    assert [task.task_id for task in release().deps()] == [tasks.BatchInference(date=DAY).task_id]
    assert document(lake)["verdict"] == "released"
    assert document(lake)["in_force"] == lake.manifest("predictions", DAY)
    assert built.said[-1] == "release: released"


def test_a_day_whose_predictions_are_missing_has_them_built_first(lake: StubLake) -> None:
    lake.delete("predictions", DAY)

    built = build(release())

    assert built.ended == [f"BatchInference {DAY}", f"Release {DAY}"]


def test_no_day_asks_for_a_release(lake: StubLake) -> None:
    assert build(tasks.BatchInference(date=DAY)).ran == []
    assert not tasks.Release.is_due(DAY, release().settings)


def test_a_release_is_complete_until_the_day_is_scored_anew(lake: StubLake) -> None:
    build(release())
    assert build(release()).ran == []

    score_again()

    assert not release().complete()
    assert tasks.Release.bulk_complete([DAY]) == []
    assert build(release()).ended == [f"Release {DAY}"]
    assert verdict(lake).judged == lake.published("predictions")[DAY]
    assert tasks.Release.bulk_complete([DAY]) == [DAY]


@pytest.mark.parametrize("policy", ["keep", "warn", "rebuild", "fail"])
def test_a_day_that_was_scored_anew_is_judged_again_whatever_is_done_about_stale_days(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\non_stale = {policy}\n[pipeline]\nuse_case = {lake.use_case}")
    build(release())
    score_again()

    built = build(release())

    assert (built.status, built.refused) == (luigi.LuigiStatusCode.SUCCESS, [])
    assert verdict(lake).judged == lake.published("predictions")[DAY]


def test_a_held_day_is_published_with_a_warning_and_its_reason(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hold_by_check(monkeypatch, FAILED)

    with caplog.at_level(logging.WARNING):
        built = build(release())

    assert built.status == luigi.LuigiStatusCode.SUCCESS
    words = f"release: held: {FAILED.name}: {FAILED.words}; nothing is in force"
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [words]
    assert tasks.Release.describe(Lake(str(lake.root), lake.name).require("release", DAY)[0].manifest).text == "held"
    assert build(release()).ran == []


def test_where_a_rebuilt_day_is_held_the_run_before_stays_in_force_and_its_files_stay(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(release())
    before = lake.published("predictions")[DAY]
    hold_by_check(monkeypatch, FAILED)
    for _ in range(2):  # what stays in force stays so, however often the day is built
        score_again()
        build(release())

    in_force = verdict(lake).in_force

    assert in_force is not None
    assert (verdict(lake).verdict, in_force.run) == ("held", before)
    assert document(lake)["in_force"]["run"] == before
    monkeypatch.setattr("spark_lib.lake.stores.local.LocalStore.now", lambda store: datetime.now(UTC).timestamp() + 1e6)
    found = garbage.find(partitions(lake), "predictions", 3600.0, set(kept.runs(partitions(lake))))
    assert len(found) == 1  # the first held run, which nobody needs
    assert before not in found[0].key


def test_a_hold_takes_the_very_run_that_was_released_out_of_force_until_it_is_revoked(lake: StubLake) -> None:
    build(release())

    decide(lake, HOLD)
    build(release())
    held = verdict(lake)
    decide(lake, REVOKE_HOLD)
    build(release())

    assert (held.verdict, held.in_force) == ("held", None)
    assert verdict(lake).verdict == "released"
    assert document(lake)["decisions"][0]["why"] == "the source was moved"


def test_a_hold_lasts_over_rebuilds(lake: StubLake) -> None:
    decide(lake, HOLD)
    build(release())
    score_again()

    build(release())

    assert verdict(lake).verdict == "held"


def test_a_persons_release_covers_the_named_reasons_alone(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_by_check(monkeypatch, FAILED)
    decide(lake, RELEASE, FAILED.name)
    build(release())
    released = verdict(lake)

    hold_by_check(monkeypatch, FAILED, replace(FAILED, name="mean score"))
    score_again()
    build(release())

    assert (released.verdict, released.excused) == ("released", (FAILED.name,))
    assert str(released) == f"released; a person has released it from {FAILED.name}"
    assert [check.name for check in verdict(lake).reasons] == ["mean score"]


def test_a_decision_is_a_reason_to_judge_the_day_again(lake: StubLake) -> None:
    build(release())

    decide(lake, HOLD)

    assert not release().complete()
    assert tasks.Release.bulk_complete([DAY]) == []


def test_releases_of_earlier_days_are_compared_with_and_never_make_a_day_stale(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[list[date]] = []

    def judge(day: Any, reference: Any, earlier: Any, limits: Any) -> list[Check]:
        compared.append([each.date for each in earlier])
        return []

    monkeypatch.setattr(spark_lib.stages.release, "judge", judge)
    days = [DAY + timedelta(days=number) for number in range(3)]
    for day in days:
        build(tasks.Release(date=day))
    earlier = tasks.Release(date=DAY)
    earlier.force = True
    build(earlier)

    assert compared == [[], days[:1], days[:2], []]
    assert tasks.Release.bulk_complete(days) == days
    assert [given["name"] for given in lake.manifest("release", days[-1])["inputs"]] == ["predictions"]


def test_another_bound_makes_a_release_stale(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    build(release())
    settings = f"[lake]\nroot = {lake.root}\non_stale = rebuild\n[pipeline]\nuse_case = {lake.use_case}\n"
    configure(monkeypatch, settings + "[release]\nmax_psi = 0.3")

    built = build(release())

    assert built.ended == [f"Release {DAY}"]
    assert lake.manifest("release", DAY)["settings"]["release.max_psi"] == 0.3
