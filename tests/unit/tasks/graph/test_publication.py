"""When a day counts as published, what is published, and what a run says where it cannot be."""

from __future__ import annotations

import csv
import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import luigi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from luigi.task_register import Register
from luigi.tools.range import RangeDaily

import spark_lib.stages.release
import spark_lib.stages.serving
import tasks
from spark_lib import targets
from spark_lib.errors import ConfigurationError, PublishError
from spark_lib.lake import Lake, Rows
from spark_lib.lake.tables import arrow_schema
from spark_lib.release import decision
from spark_lib.release.check import Check, Outcome
from spark_lib.release.decision import HOLD, Decision
from spark_lib.stages import publication as stage
from spark_lib.targets.csv import CsvTarget
from tests.unit.stubs.scored import NOON, rows, score
from tests.unit.stubs.stublake import LOANS, StubLake, build, prepare
from tests.unit.tasks.conftest import Predicted

DAY = date(2026, 1, 14)
FAILED = Check("psi of feature amount", Outcome.FAILED, "PSI 0.900 against the reference of the model", 0.9, 0.2)


@pytest.fixture
def lake(predicted: Predicted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubLake:
    """A lake with predictions of a day, and a target ``files`` beside it."""
    predicted(DAY)
    return prepare(monkeypatch, tmp_path / "lake", f"[target.files]\nkind = csv\nroot = {tmp_path}/out\n", LOANS)


def publication(day: date = DAY, **more: Any) -> tasks.Publication:
    Register.clear_instance_cache()  # another command makes another task
    return tasks.Publication(date=day, target="files", **more)


def published(lake: StubLake, day: date = DAY) -> list[dict[str, str]]:
    """The rows that a reader of the files sees; none where there is no file."""
    found = list((lake.root.parent / "out").rglob(f"{day}.csv"))
    return list(csv.DictReader(found[0].open(), delimiter=";")) if found else []


def let_checks_fail(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(spark_lib.stages.release, "judge", lambda *figures: list(checks))


def hold(lake: StubLake) -> None:
    at = datetime(2026, 1, 15, tzinfo=UTC).isoformat()
    decision.record(Lake(str(lake.root), lake.name), DAY, Decision(HOLD, "the source was moved", "ada", at))


def test_a_day_is_scored_released_and_published(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, DAY, rows(3))

    built = build(publication())

    assert built.ended == [f"Publication {DAY}", f"Release {DAY}"]
    assert [(row["id"], row["who"], row["score"]) for row in published(lake)] == [
        (row.id, row.who, str(row.score)) for row in rows(3)
    ]
    assert built.said[-1] == "predictions: 3 rows at files"
    assert build(publication()).ran == []


def test_what_is_published_is_named_by_the_lake_and_the_use_case(lake: StubLake) -> None:
    series = publication().series

    assert (series.lake, series.use_case, series.dataset) == (str(lake.root), lake.name, "predictions")


def test_a_day_that_was_scored_anew_is_published_anew(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, DAY, rows(3))
    build(publication())

    score(monkeypatch, DAY, rows(2, score=0.75))

    assert not publication().complete()
    assert build(publication()).ended == [f"Publication {DAY}", f"Release {DAY}"]
    assert [row["score"] for row in published(lake)] == ["0.75"] * 2


def test_what_a_target_has_lost_is_published_again(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, DAY, rows(3))
    build(publication())

    for file in (lake.root.parent / "out").rglob(f"{DAY}.csv"):
        file.unlink()

    assert not publication().complete()
    assert build(publication()).ended == [f"Publication {DAY}"]
    assert len(published(lake)) == 3


def test_a_held_day_is_not_published_and_the_reason_is_said(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, DAY, rows(3))
    let_checks_fail(monkeypatch, FAILED)

    built = build(publication())

    assert built.status == luigi.LuigiStatusCode.FAILED
    (reason,) = built.refused
    assert reason.startswith(
        f"predictions of {DAY}: wanted a run of them that is in force; found held: {FAILED.name}: {FAILED.words}; nothing is "
        "in force. Next: "
    )
    assert published(lake) == []
    assert not publication().complete()


def test_where_a_rebuilt_day_is_held_the_run_before_stays_published(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(monkeypatch, DAY, rows(3))
    build(publication())
    score(monkeypatch, DAY, rows(2, score=0.75))
    let_checks_fail(monkeypatch, FAILED)

    built = build(publication())

    assert (built.status, built.ended) == (luigi.LuigiStatusCode.SUCCESS, [f"Publication {DAY}", f"Release {DAY}"])
    assert [row["score"] for row in published(lake)] == ["0.25"] * 3
    assert build(publication()).ran == []


def test_a_day_that_a_person_holds_after_it_was_published_is_not_complete(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(monkeypatch, DAY, rows(3))
    build(publication())

    hold(lake)

    assert not publication().complete()
    assert build(publication()).status == luigi.LuigiStatusCode.FAILED


def test_a_day_that_is_held_while_it_is_published_is_taken_back(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(monkeypatch, DAY, rows(3))
    build(tasks.Release(date=DAY))
    publish = CsvTarget.publish

    def held_meanwhile(target: CsvTarget, days: Any) -> None:
        publish(target, days)
        hold(lake)
        build(tasks.Release(date=DAY))

    monkeypatch.setattr(CsvTarget, "publish", held_meanwhile)

    built = build(publication())

    (reason,) = built.refused
    assert reason.partition("run ")[2].partition(" ")[2] == (
        "to be in force until it is published; found another decision or another run meanwhile; the day was taken back. Next: "
        "run again: then the run that is in force is published"
    )
    assert published(lake) == []


def test_many_days_are_asked_for_by_one_question_to_the_target(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [DAY, date(2026, 1, 15), date(2026, 1, 16)]
    for day in days:
        score(monkeypatch, day, rows(1))
    build(publication(days[0]), publication(days[2]))
    asked: list[tuple[date, date]] = []
    real: Callable[..., Any] = CsvTarget.published
    monkeypatch.setattr(
        CsvTarget, "published", lambda target, series, *span: (asked.append(span), real(target, series, *span))[1]
    )

    bound = functools.partial(tasks.Publication, target="files")
    complete = tasks.Publication.bulk_complete.__func__(bound, days)  # type: ignore[attr-defined]  # as Luigi's ranges do

    assert complete == [days[0], days[2]]
    assert complete == [day for day in days if publication(day).complete()]
    assert asked[0] == (days[0], days[2])


def test_a_range_publishes_the_days_that_are_missing(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, DAY, rows(1))
    score(monkeypatch, date(2026, 1, 15), rows(2))
    given = {"of": tasks.Publication, "of_params": {"target": "files"}, "start": DAY, "stop": date(2026, 1, 16)}

    assert build(RangeDaily(**given)).status == luigi.LuigiStatusCode.SUCCESS
    assert (len(published(lake)), len(published(lake, date(2026, 1, 15)))) == (1, 2)


def test_a_target_that_cannot_be_asked_fails_the_task_with_its_own_words(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    score(monkeypatch, DAY, rows(3))
    build(tasks.Release(date=DAY))
    away = PublishError("PostgreSQL db:5432", "a server that lets us in", "no answer", "run again")

    def refuse(*given: Any) -> Any:
        raise away

    monkeypatch.setattr(CsvTarget, "published", refuse)
    monkeypatch.setattr(CsvTarget, "publish", refuse)

    with caplog.at_level(logging.WARNING):
        built = build(publication())

    assert built.status == luigi.LuigiStatusCode.FAILED  # and no error of scheduling
    assert built.refused == [str(away)]
    assert f"predictions of {DAY} cannot be looked up at files: {away}" in caplog.messages


def test_rows_that_are_not_those_of_the_manifest_are_never_published(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(monkeypatch, DAY, rows(3))
    build(tasks.Release(date=DAY))
    real = targets.day_of
    monkeypatch.setattr(stage, "day_of", lambda *given: _short(real(*given)))

    built = build(publication())

    assert "wanted the 3 rows of its manifest; found 2" in built.refused[0]
    assert published(lake) == []


def _short(day: Any) -> Any:
    return replace(day, batches=lambda: iter([next(iter(day.batches())).slice(1)]))


def test_an_unknown_target_is_refused_before_anything_runs(lake: StubLake) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tasks.Publication(date=DAY, target="file")

    assert str(refused.value) == (
        "target: wanted one of files; found 'file' (did you mean 'files'?). Next: correct it, or add a section [target.file]"
    )


def test_serving_features_are_published_as_they_are_and_need_no_release(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_lib.stages.serving, "build", serving)

    built = build(publication(dataset="serving_features"))

    assert built.ended == [f"Publication {DAY}", f"ServingFeatures {DAY}"]
    assert [(row["who"], row["amount"]) for row in published(lake)] == [("who0", "1.5"), ("who1", "2.5")]
    assert publication(dataset="serving_features").complete()
    assert not publication().complete()


def serving(spark: None, case: Any, raw: Any, url: str, file_rows: int) -> Rows:
    """Serving features of two entities, as Spark would write them."""
    kinds = (("id", "string"), ("who", "string"), ("at", "timestamp"), ("amount", "double"))
    found = [{"id": f"row{at}", "who": f"who{at}", "at": NOON, "amount": at + 1.5} for at in range(2)]
    Path(url).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(found, arrow_schema(kinds)), f"{url}/part-0.parquet")
    return Rows({"": len(found)}, kinds)


def test_two_targets_are_two_tasks(lake: StubLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    more = "".join(f"[target.{name}]\nkind = csv\nroot = {tmp_path}/{name}\n" for name in ("one", "other"))
    prepare(monkeypatch, lake.root, more, LOANS)

    one, other = (tasks.Publication(date=DAY, target=name) for name in ("one", "other"))

    assert one.task_id != other.task_id
