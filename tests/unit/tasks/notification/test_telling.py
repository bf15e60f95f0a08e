"""What is told, how often, and when it is over: real runs of small stages, and a real webhook."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from luigi.task_register import Register

import spark_lib.stages.inference
import tasks
from spark_lib.errors import (
    DamagedPartition,
    DaystoneError,
    LakeError,
    ModelError,
    NotConfirmed,
    NotReleased,
    WaitingForData,
)
from spark_lib.lake import Lake
from spark_lib.lake import gc as garbage
from spark_lib.lake.stores.local import LocalStore
from spark_lib.notices import message, record
from spark_lib.notices.record import BEGUN, CLAIMED, SENT, Cause
from spark_lib.release import decision
from tasks.cli import publish as publishing
from tasks.cli.exits import NotRun, RunByAnother, SchedulerUnreachable
from tasks.cli.run import Watcher
from tasks.notification import runs, telling
from tasks.planning.chain import CHAIN
from tests.support.messages_sent import Receiver
from tests.unit.stubs import chain
from tests.unit.stubs.scored import rows, score
from tests.unit.stubs.stublake import FIRST_TRAINING, StubLake, build, configure

pytestmark = pytest.mark.processes

DAY = date(2026, 1, 14)


def told(lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver, settings: str = "") -> StubLake:
    """Let the lake's configuration name the webhook."""
    text = f"[lake]\nroot = {lake.root}\n[pipeline]\nuse_case = {lake.use_case}\n[notify]\nurls = {webhook.url}\n"
    configure(monkeypatch, text + settings)
    return lake


@pytest.fixture
def lake(predicted: Any, monkeypatch: pytest.MonkeyPatch, webhook: Receiver) -> StubLake:
    """A lake with predictions of ``DAY``, whose raw days have landed up to 2026-01-31, and a webhook that is told."""
    return told(predicted(DAY), monkeypatch, webhook)


def lines(webhook: Receiver) -> list[list[str]]:
    """The causes that each message names, after the words New or Over."""
    return [[line for line in message["body"].splitlines()[:-2] if line] for message in webhook.received]


def break_scoring(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*given: object) -> None:
        raise error

    monkeypatch.setattr(spark_lib.stages.inference, "build", broken)


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    chain.install(monkeypatch.setattr)


def in_lake(lake: StubLake) -> Lake:
    return Lake(str(lake.root), lake.name)


BROKEN = ModelError("model of 2026-01-12", "a model that scores", "one that does not", "train it again")
#: What is said of it.
WORDS = str(BROKEN)
NEXT_DAY = date(2026, 1, 15)


def test_a_stage_that_fails_is_told_once_and_once_more_when_it_is_built(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    break_scoring(monkeypatch, BROKEN)
    build(tasks.BatchInference(date=NEXT_DAY))
    build(tasks.BatchInference(date=NEXT_DAY))
    once = lines(webhook)

    mend(monkeypatch)
    build(tasks.BatchInference(date=NEXT_DAY))
    build(tasks.BatchInference(date=NEXT_DAY))

    assert once == [["New:", f"- predictions of {NEXT_DAY} has failed: {WORDS}"]]
    (over,) = lines(webhook)[1:]
    assert over[0] == "Over:"
    assert over[1].startswith(f"- predictions of {NEXT_DAY}, failed since 2")
    assert over[1].endswith(" UTC: model of 2026-01-12: wanted a model that scores; found one that does not")
    assert [message["kind"] for message in webhook.received] == ["failure", "success"]


def test_a_cause_that_comes_back_is_told_again(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    for _ in range(2):
        lake.damage("predictions", DAY)
        build(tasks.BatchInference(date=DAY))
        again = tasks.BatchInference(date=DAY)
        again.force = True
        build(again)

    assert [found[0] for found in lines(webhook)] == ["New:", "Over:", "New:", "Over:"]


def test_one_message_names_all_that_a_run_has_met(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    break_scoring(monkeypatch, BROKEN)
    days = [NEXT_DAY, NEXT_DAY + timedelta(days=1)]

    build(*(tasks.BatchInference(date=day) for day in days))

    assert lines(webhook) == [["New:", *(f"- predictions of {day} has failed: {WORDS}" for day in days)]]
    assert webhook.received[0]["title"] == f"Daystone, {lake.name}: 2 new"


def test_a_damaged_partition_is_told_by_its_own_name(lake: StubLake, webhook: Receiver) -> None:
    file = lake.damage("features", DAY)
    lake.delete("predictions", DAY)

    build(tasks.BatchInference(date=DAY))

    ((heading, line),) = lines(webhook)
    assert heading == "New:"
    assert line.startswith(f"- features of {DAY} is damaged: features of {DAY}: {file}: wanted ")


def test_a_held_release_is_told_and_over_once_a_person_has_released_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    lake.let_be_odd(DAY)
    again = tasks.BatchInference(date=DAY)
    again.force = True
    build(again, tasks.Release(date=DAY))
    build(tasks.Release(date=DAY))

    at = datetime.now(UTC).isoformat()
    decided = decision.Decision(decision.RELEASE, "it is right", "ada", at, ("mean score",))
    decision.record(in_lake(lake), DAY, decided)
    build(tasks.Release(date=DAY))

    new, over = lines(webhook)
    assert new == ["New:", f"- release of {DAY} is held: mean score: 0.875 is odd; nothing is in force"]
    assert over[0] == "Over:"
    assert over[1].startswith(f"- release of {DAY}, held since ")


def test_a_rejected_training_is_told_and_over_with_the_next_one_that_is_approved(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    later = FIRST_TRAINING + timedelta(days=7)
    lake.judge(FIRST_TRAINING, "area under ROC", "0.512 at the lower end")
    again = tasks.Training(date=FIRST_TRAINING)
    again.force = True
    build(again)

    build(tasks.Training(date=later))

    new, over = lines(webhook)
    assert new[0] == "New:"
    assert new[1].startswith(f"- model of {FIRST_TRAINING} is rejected: ")
    assert "0.512 at the lower end" in new[1]
    assert over[0] == "Over:"


def test_an_evaluation_below_its_bounds_is_told_and_over_with_the_next_one_that_meets_them(
    lake: StubLake, webhook: Receiver
) -> None:
    first, second = date(2026, 1, 17), date(2026, 1, 18)
    lake.let_be_poor(first)
    build(tasks.Evaluation(date=first))
    build(tasks.Evaluation(date=first))

    build(tasks.Evaluation(date=second))

    why = "area under ROC 0.7100, lower end 0.6500 below 0.7000"
    new, over = lines(webhook)
    assert new == ["New:", f"- evaluation of {first} is below its bounds: {why}"]
    assert over[1].startswith(f"- evaluation of {first}, below its bounds since ")


def test_a_task_of_many_stages_does_not_repeat_what_one_of_them_has_said(lake: StubLake, webhook: Receiver) -> None:
    lake.damage("predictions", DAY)

    build(tasks.Daily(date=DAY))

    ((_, line),) = lines(webhook)
    assert line.startswith(f"- predictions of {DAY} is damaged: ")


@pytest.mark.parametrize("how", ["task", "backfill"])
def test_a_late_raw_day_is_told_and_over_once_it_has_landed(lake: StubLake, webhook: Receiver, how: str) -> None:
    late = date(2026, 2, 1)
    wanted = {
        "task": lambda: tasks.FeatureEngineering(date=late),
        "backfill": lambda: tasks.Backfill(start=late, stop=late + timedelta(days=1), of="features"),
    }[how]
    for _ in range(2):
        build(wanted())
        Register.clear_instance_cache()  # as another process would have it
    lake.land(late, late)

    build(wanted())

    new, over = lines(webhook)
    assert [line.partition(":")[0] for line in new] == ["New", f"- raw/events of {late} is late"]
    assert [line.partition(" since")[0] for line in over] == ["Over:", f"- raw/events of {late}, late"]


@pytest.mark.parametrize(
    ("now", "zone", "late"),
    [
        (datetime(2026, 3, 29, 5, 59, tzinfo=UTC), "Europe/Berlin", False),  # the summer time has begun that night
        (datetime(2026, 3, 29, 6, 0, tzinfo=UTC), "Europe/Berlin", True),
        (datetime(2026, 3, 28, 7, 0, tzinfo=UTC), "Europe/Berlin", False),
        (datetime(2026, 3, 29, 7, 59, tzinfo=UTC), "UTC", False),
        (datetime(2026, 3, 29, 8, 0, tzinfo=UTC), "UTC", True),
    ],
)
def test_a_raw_day_is_late_from_a_time_of_the_next_day_in_the_zone_that_is_named(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver, now: datetime, zone: str, late: bool
) -> None:
    told(lake, monkeypatch, webhook, f"late_after = 08:00\ntimezone = {zone}\n")
    settings = tasks.BatchInference(date=DAY).settings

    place = telling._Place(in_lake(lake), settings, (), now)

    assert place._is_late(date(2026, 3, 28)) is late


def test_a_raw_day_that_may_still_land_is_told_to_nobody(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    today = datetime.now(UTC).date()

    build(tasks.RawPartition(date=today, feed="events"))

    assert webhook.received == []


def test_nothing_is_told_of_a_run_that_goes_well(lake: StubLake, webhook: Receiver) -> None:
    build(tasks.BatchInference(date=NEXT_DAY), tasks.Release(date=DAY))

    assert webhook.received == []
    assert not (lake.root / lake.name / "notices").exists()


def test_an_exception_of_other_code_is_told_without_its_words(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    break_scoring(monkeypatch, RuntimeError("no entry for hush-8271"))

    build(tasks.BatchInference(date=NEXT_DAY))

    assert lines(webhook) == [
        [
            "New:",
            f"- predictions of {NEXT_DAY} has failed: run of BatchInference of {NEXT_DAY}: RuntimeError; the log of the run "
            "has the rest",
        ]
    ]


def test_a_message_that_was_not_sent_is_sent_by_the_next_run(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.refuse(500)
    break_scoring(monkeypatch, BROKEN)
    build(tasks.BatchInference(date=NEXT_DAY))
    webhook.forget()

    build(tasks.BatchInference(date=NEXT_DAY))

    assert lines(webhook) == [["New:", f"- predictions of {NEXT_DAY} has failed: {WORDS}"]]
    warnings = [entry.getMessage() for entry in caplog.records if "not everybody was told" in entry.getMessage()]
    assert warnings == [
        "not everybody was told how this run went: address 1 of 1 (json): wanted to send a message; found it was refused, or "
        "nobody answered (status 500). Next: try the server, and look whether the address is still right (daystone notify "
        "--test)"
    ]


def test_what_another_process_is_about_to_send_is_sent_by_that_one(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    partitions, cause = in_lake(lake), Cause(NEXT_DAY, "predictions", "failed")
    first = record.first(partitions, cause, "another found it", "")
    claimed = record.record(partitions, replace(first, step=CLAIMED))
    assert claimed is not None
    break_scoring(monkeypatch, BROKEN)

    build(tasks.BatchInference(date=NEXT_DAY))

    assert webhook.received == []


def test_what_a_process_was_about_to_send_when_it_died_is_sent_by_a_later_run(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    partitions, cause = in_lake(lake), Cause(NEXT_DAY, "predictions", "failed")
    record.record(partitions, replace(record.first(partitions, cause, "another found it", ""), step=CLAIMED))
    monkeypatch.setattr(record, "LEASE", timedelta(0))

    build(tasks.BatchInference(date=DAY))

    assert lines(webhook) == [["New:", f"- predictions of {NEXT_DAY} has failed: another found it"]]


def test_a_lake_that_does_not_answer_is_told_although_nobody_can_remember_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    away = LakeError(str(lake.root), "an answer", "none", "look at the server")

    def silent(*given: object, **more: object) -> None:
        raise away

    monkeypatch.setattr(LocalStore, "list", silent)
    monkeypatch.setattr(LocalStore, "read", silent)

    build(tasks.BatchInference(date=NEXT_DAY))

    ((heading, line),) = lines(webhook)
    assert (heading, line) == ("New:", f"- predictions of {NEXT_DAY} has failed: {away}")


def test_many_causes_are_counted_and_a_long_reason_is_cut(lake: StubLake) -> None:
    causes = [Cause(DAY + timedelta(days=offset), "features", "failed") for offset in range(25)]
    begun = [record.Notice(cause, BEGUN, CLAIMED, "x" * 1_000, "2026-01-15T05:00:00+00:00", "") for cause in causes]

    made = message.of("loans", "lake", begun, [])

    assert made.title == "Daystone, loans: 25 new"
    assert made.body.splitlines()[1] == f"- features of {DAY} has failed: ".ljust(402, "x") + " ..."
    assert made.body.splitlines()[21] == "- and 5 more"


def test_a_record_is_numbered_documents_that_nobody_changes(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver
) -> None:
    lake.damage("predictions", DAY)

    build(tasks.BatchInference(date=DAY))

    directory = lake.root / lake.name / "notices" / f"date={DAY}" / "damaged.predictions"
    documents = [json.loads(file.read_text()) for file in sorted(directory.iterdir())]
    assert [(each["number"], each["about"], each["step"]) for each in documents] == [
        (1, BEGUN, CLAIMED),
        (2, BEGUN, SENT),
    ]
    assert documents[0].keys() == {
        *("format", "kind", "subject", "date", "about", "step", "why", "since", "at", "run", "number", "token"),
    }


def test_the_garbage_collector_leaves_what_was_told(lake: StubLake, webhook: Receiver) -> None:
    lake.damage("predictions", DAY)
    build(tasks.BatchInference(date=DAY))

    found = [each for stage in CHAIN for each in garbage.find(in_lake(lake), stage.dataset, older_than=0)]

    assert not any("/notices/" in entry.key for each in found for entry in each.entries)


def test_a_notice_of_a_later_format_is_refused(lake: StubLake) -> None:
    with pytest.raises(LakeError) as refused:
        record.Notice.parse(b'{"format": 2}', "there")

    assert str(refused.value) == (
        "there: wanted a notice of format 1; found format 2. Next: read it with the Daystone that wrote it"
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"format": 1, "date": "2026-13-01"}'])
def test_a_document_that_is_no_notice_is_damage_that_names_its_file(body: bytes) -> None:
    with pytest.raises(DamagedPartition) as damage:
        record.Notice.parse(body, "lake/0001.json")

    assert str(damage.value).startswith("lake/0001.json: wanted a notice; found ")
    assert str(damage.value).endswith(". Next: find out what wrote it, then restore the file, or remove it")


def test_what_a_notifier_itself_does_wrong_never_ends_a_run(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError(secret)

    secret = "hush-8271"
    monkeypatch.setattr(telling, "send", broken)
    break_scoring(monkeypatch, BROKEN)

    result = build(tasks.BatchInference(date=NEXT_DAY))

    assert result.refused == [WORDS]
    assert "nobody was told how this run went: RuntimeError" in caplog.messages
    assert secret not in caplog.text


@pytest.mark.parametrize("how", ["luigi", "verb"])
def test_a_publication_that_fails_is_told_and_over_once_the_target_has_the_day(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, webhook: Receiver, tmp_path: Path, how: str
) -> None:
    files = tmp_path / "files"
    told(lake, monkeypatch, webhook, f"[target.files]\nkind = csv\nroot = {files}\n")
    score(monkeypatch, DAY, rows(3))
    files.touch()  # where a directory is to be

    publish(how)
    files.unlink()
    publish(how)

    new, over = lines(webhook)
    assert new[0] == "New:"
    assert new[1].startswith(f"- predictions at files of {DAY} has failed: ")
    assert over[1].startswith(f"- predictions at files of {DAY}, failed since ")


def publish(how: str) -> None:
    Register.clear_instance_cache()
    if how == "luigi":
        build(tasks.Publication(date=DAY, target="files"))
    else:
        publishing.publish(DAY, DAY, ["files"], "predictions", Watcher())


@pytest.mark.parametrize("error", [RunByAnother, NotRun, NotConfirmed, NotReleased, WaitingForData])
def test_what_is_no_failure_is_told_to_nobody(lake: StubLake, webhook: Receiver, error: type[DaystoneError]) -> None:
    with pytest.raises(error), runs.told(about=tasks.BatchInference(date=NEXT_DAY)):
        raise error("here", "this", "that", "look")

    assert webhook.received == []


def test_a_scheduler_that_does_not_answer_is_told_of_the_day_that_was_asked_for(
    lake: StubLake, webhook: Receiver
) -> None:
    away = SchedulerUnreachable("luigid", "an answer", "none", "start it")

    with pytest.raises(SchedulerUnreachable), runs.told(about=tasks.BatchInference(date=NEXT_DAY)):
        raise away

    assert lines(webhook) == [["New:", f"- predictions of {NEXT_DAY} has failed: {away}"]]
