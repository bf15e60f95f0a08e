"""Publishing a day: one winner, settled by reading back, and nothing half-visible."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_lib.errors import BadData, LakeError, PublishError
from spark_lib.lake import Documents, Input, Lake, RawFeed, Rows, Schema, footers, resolved
from spark_lib.lake.stores.store import Conflict, Unanswered
from tests.support.patience import PATIENCE
from tests.unit.lakes import (
    DAY,
    NEXT_DAY,
    SCHEMA,
    Meddled,
    Unreliable,
    Wrapped,
    open_attempt,
    parquet,
    partition,
    publish,
    publish_documents,
    put,
    rows_of,
    runs_there,
    write,
)

if TYPE_CHECKING:
    from tests.support.outsiders import Outsider

ONE_INPUT: dict[str, Any] = {"inputs": [Input("balanced", DAY, DAY, ("0f",))]}
OTHER_INPUT: dict[str, Any] = {"inputs": [Input("balanced", DAY, DAY, ("f0",))]}
examples = itertools.count()
spawn = multiprocessing.get_context("spawn")


def test_a_published_day_says_what_it_is_and_what_it_came_from(lake: Lake) -> None:
    inputs = [Input("balanced", DAY, NEXT_DAY, ("0f", "f0"))]
    more: dict[str, Any] = {"settings": {"trees": 20}, "code": {"package": "0.1.0"}, "versions": {"pyspark": "4.1.2"}}

    with open_attempt(lake, inputs=inputs, **more) as attempt:
        published = attempt.commit(Rows(write(attempt, [1, 2, 3]).observed, SCHEMA, {"null_rate": 0.5}))

    (manifest,) = published.values()
    (file,) = manifest.files
    assert partition(lake).manifest == manifest
    assert (manifest.run, manifest.stage, manifest.schema) == (attempt.run, "Test", SCHEMA)
    assert (manifest.inputs, manifest.settings) == (tuple(inputs), {"trees": 20})
    assert (manifest.code, manifest.versions) == ({"package": "0.1.0"}, {"pyspark": "4.1.2"})
    assert manifest.metrics == {"null_rate": 0.5}
    assert (file.path, file.rows, file.size) == (f"run={attempt.run}/part-0.parquet", 3, len(parquet([1, 2, 3])))
    assert file.footer == footers.checksum(footers.read(io.BytesIO(parquet([1, 2, 3]))))
    assert partition(lake).files() == [lake.store.url(f"{lake.prefix('features', DAY)}/{file.path}")]
    assert rows_of(lake) == [1, 2, 3]


def test_run_ids_have_64_random_bits(lake: Lake) -> None:
    runs = {open_attempt(lake).run for _ in range(3)}

    assert len(runs) == 3
    assert {len(bytes.fromhex(run)) for run in runs} == {8}


def test_files_are_counted_by_section(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        write(attempt, [1, 2], name="train/part-0.parquet")
        write(attempt, [3], name="train/part-1.parquet")
        write(attempt, [4], name="validation/unbalanced/part-0.parquet")
        observed = {"train": 3, "validation/unbalanced": 1, "calibration": 0}
        manifest = attempt.commit(Rows(observed, SCHEMA))[DAY]

    assert {section: manifest.rows(section) for section in observed} == observed
    assert manifest.rows() == 4
    assert len(partition(lake).files("train")) == 2
    assert (len(partition(lake).files()), partition(lake).files("calibration")) == (3, [])
    with pytest.raises(LakeError) as refused:
        partition(lake).files("test")
    assert str(refused.value) == (
        "features of 2026-01-01: wanted one of the sections 'calibration', 'train', 'validation/unbalanced'; "
        "found the section 'test'. Next: name a section that is there"
    )


def test_a_day_without_files_is_published(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        attempt.commit(Rows({"": 0}, SCHEMA))

    assert lake.is_published("features", DAY)
    assert (partition(lake).manifest.schema, partition(lake).files()) == (SCHEMA, [])


def test_what_writers_leave_under_hidden_names_is_no_part_of_a_run(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        rows = write(attempt, [1])
        put(attempt, "_temporary/0/task_1/part-1.parquet", parquet([2]))
        put(attempt, ".part-0.parquet.crc", b"crc")
        put(attempt, "_SUCCESS", b"")
        manifest = attempt.commit(rows)[DAY]

    assert [file.path for file in manifest.files] == [f"run={attempt.run}/part-0.parquet"]


def test_documents_are_kept_by_checksum(lake: Lake) -> None:
    manifest = publish_documents(lake, {"card.json": b"{}", "model/é 1.onnx": b"\x00", "_notes": b""})

    assert manifest.rows() == 0
    assert {file.path.partition("/")[2]: (file.size, file.rows) for file in manifest.files} == {
        "card.json": (2, None),
        "model/é 1.onnx": (1, None),
        "_notes": (0, None),
    }
    found = partition(lake, dataset="model")
    assert [found.document(name) for name in ("card.json", "model/é 1.onnx", "_notes")] == [b"{}", b"\x00", b""]


def test_what_others_put_beside_documents_is_left_to_gc(lake: Lake) -> None:
    with open_attempt(lake, dataset="model") as attempt:
        put(attempt, "zombie.json", b"?")
        manifest = attempt.commit(Documents({"card.json": b"{}"}))[DAY]

    assert [file.path for file in manifest.files] == [f"run={attempt.run}/card.json"]


def test_a_document_is_found_by_its_whole_name(lake: Lake) -> None:
    publish_documents(lake, {"a/card.json": b"nested", "card.json": b"top"})

    assert partition(lake, dataset="model").document("card.json") == b"top"
    with pytest.raises(LakeError) as caught:
        partition(lake, dataset="model").document("model.onnx")
    assert str(caught.value) == (
        "model of 2026-01-01: wanted a document 'model.onnx'; found a/card.json, card.json. "
        "Next: ask for one that is there"
    )


def test_a_second_publish_with_the_same_work_returns_the_first_and_removes_its_own_files(lake: Lake) -> None:
    first = publish(lake, [1])

    second = publish(lake, [1])

    assert second == first
    assert runs_there(lake) == {first.run}


def test_a_first_publish_with_other_work_leaves_the_winner_to_the_staleness_policy(lake: Lake) -> None:
    first = publish(lake, [1], **ONE_INPUT)

    second = publish(lake, [2], **OTHER_INPUT)

    assert second == first
    assert rows_of(lake) == [1]
    assert runs_there(lake) == {first.run}


@pytest.mark.processes
def test_of_racing_processes_one_publishes_and_all_name_it(lake: Lake) -> None:
    barrier = spawn.Barrier(4)
    pipes = [spawn.Pipe(duplex=False) for _ in range(4)]
    racers = [
        spawn.Process(target=_race, args=(lake.root, number, barrier, sender))
        for number, (_, sender) in enumerate(pipes)
    ]
    for racer in racers:
        racer.start()

    results = [receiver.recv() for receiver, _ in pipes]

    for racer in racers:
        racer.join()
    own, named = {run for run, _ in results}, {run for _, run in results}
    assert len(own) == 4
    assert len(named) == 1
    assert named < own
    assert runs_there(lake) == named
    assert rows_of(lake) == [next(number for number, (run, _) in enumerate(results) if run in named)]


def _race(root: str, number: int, barrier: Barrier, result: Connection) -> None:
    with open_attempt(Lake(root, "credit_risk")) as attempt:
        rows = write(attempt, [number])
        barrier.wait(PATIENCE)
        result.send((attempt.run, attempt.commit(rows)[DAY].run))


def test_of_racing_threads_one_publishes_and_all_name_it(lake: Lake) -> None:
    barrier = threading.Barrier(16)

    def race(number: int) -> str:
        with open_attempt(lake, settings={"number": number}) as attempt:
            rows = write(attempt, [number])
            barrier.wait()
            return attempt.commit(rows)[DAY].run

    with ThreadPoolExecutor(16) as pool:
        named = set(pool.map(race, range(16)))

    assert len(named) == 1
    assert runs_there(lake) == named


def test_a_put_that_was_executed_without_an_answer_is_found_by_reading_back(lake: Lake) -> None:
    unreliable = _unreliable(lake, "executed")

    manifest = publish(lake, [1])

    assert unreliable.puts == 1
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [1])


def test_a_refusal_after_ones_own_success_is_a_success(lake: Lake) -> None:
    unreliable = _unreliable(lake, "refused")

    manifest = publish(lake, [1])

    assert unreliable.puts == 1
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [1])


def test_a_put_that_was_not_executed_is_sent_again(lake: Lake) -> None:
    unreliable = _unreliable(lake, "dropped", "dropped")

    manifest = publish(lake, [1])

    assert unreliable.puts == 3
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [1])


def test_a_put_that_lands_after_it_was_sent_again_is_the_same_put(lake: Lake) -> None:
    unreliable = _unreliable(lake, "late")

    manifest = publish(lake, [1])

    assert unreliable.puts == 2
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [1])


def test_an_unanswered_put_that_another_run_overtook_is_lost_even_when_it_lands(lake: Lake) -> None:
    unreliable = lake.store = Unreliable(lake.store, ["overtaken"], lambda: publish(_undisturbed(lake), [2]))

    manifest = publish(lake, [1])
    unreliable.land()

    assert unreliable.puts == 1
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [2])
    assert runs_there(lake) == {manifest.run}


@pytest.mark.usefixtures("impatient")
def test_an_unsettled_put_is_an_error_and_its_files_stay(lake: Lake) -> None:
    unreliable = _unreliable(lake, "late")

    with pytest.raises(PublishError) as caught, open_attempt(lake) as attempt:
        attempt.commit(write(attempt, [1]))

    assert str(caught.value) == (
        f"{lake.store.url(lake.prefix('features', DAY))}/_SUCCESS: wanted an answer to the put of run {attempt.run}; "
        "found none in 0 s. Next: run the stage again once the store answers; the run's files stay for gc"
    )
    assert not lake.is_published("features", DAY)
    assert runs_there(lake) == {attempt.run}

    unreliable.land()

    assert rows_of(lake) == [1]


@pytest.mark.usefixtures("impatient")
def test_a_store_that_fails_after_the_put_was_sent_leaves_the_files(lake: Lake) -> None:
    class Broken(Unreliable):
        def read(self, key: str) -> tuple[bytes, str] | None:
            raise LakeError("store", "an answer", "none", "wait")

    lake.store = Broken(lake.store, ["executed"])
    with pytest.raises(LakeError), open_attempt(lake) as attempt:
        attempt.commit(write(attempt, [1]))

    assert rows_of(_undisturbed(lake)) == [1]


def test_a_document_whose_put_is_not_answered_is_written_all_the_same(lake: Lake) -> None:
    class Shaky(Wrapped):
        answers = iter(["dropped", "executed", "refused"])

        def create(self, key: str, body: bytes) -> None:
            answer = next(self.answers, "") if key.endswith(".json") else ""
            if answer != "dropped":
                self.store.create(key, body)
            if answer in ("dropped", "executed"):
                raise Unanswered(key)
            if answer == "refused":
                raise Conflict(key)

    lake.store = Shaky(lake.store)

    publish_documents(lake, {"a.json": b"a", "b.json": b"b", "c.json": b"c"})

    assert [partition(lake, dataset="model").document(f"{name}.json") for name in "abc"] == [b"a", b"b", b"c"]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(st.sampled_from(["dropped", "executed", "refused", "late", "rival", "overtaken"]), max_size=4),
    rebuild=st.booleans(),
)
def test_whatever_is_answered_one_whole_run_stands_and_is_the_one_returned(
    lake_root: str, script: list[str], rebuild: bool
) -> None:
    lake = Lake(lake_root, f"case{next(examples)}")
    if rebuild:
        publish(lake, [0])
    unreliable = lake.store = Unreliable(lake.store, script, lambda: publish(_undisturbed(lake), [2], rebuild=rebuild))

    returned = publish(lake, [1], rebuild=rebuild)
    unreliable.land()

    assert partition(lake).manifest == returned
    assert rows_of(lake) in ([1], [2])
    assert {returned.run} <= runs_there(lake)


# --- rebuilds ---


def test_a_rebuild_swaps_the_manifest_and_keeps_the_old_files(lake: Lake) -> None:
    old = publish(lake, [1])

    new = publish(lake, [2], rebuild=True)

    assert partition(lake).manifest == new
    assert rows_of(lake) == [2]
    assert runs_there(lake) == {old.run, new.run}


def test_a_rebuild_of_a_missing_day_publishes_it(lake: Lake) -> None:
    manifest = publish(lake, [1], rebuild=True)

    assert partition(lake).manifest == manifest


def test_a_rebuild_that_finds_equal_work_is_done(lake: Lake) -> None:
    publish(lake, [1])

    with open_attempt(lake, rebuild=True, settings={"bounds": (1, 2)}) as attempt:
        rows = write(attempt, [1])
        winner = publish(lake, [1], rebuild=True, settings={"bounds": (1, 2)})
        manifest = attempt.commit(rows)[DAY]

    assert manifest == winner == partition(lake).manifest
    assert attempt.run not in runs_there(lake)


def test_a_rebuild_that_finds_other_work_starts_again_from_it(lake: Lake) -> None:
    publish(lake, [1])

    with open_attempt(lake, rebuild=True, **OTHER_INPUT) as attempt:
        rows = write(attempt, [3])
        publish(lake, [2], rebuild=True, **ONE_INPUT)
        manifest = attempt.commit(rows)[DAY]

    assert manifest.run == attempt.run
    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [3])


def test_a_rebuild_that_loses_twice_to_other_work_fails_naming_both_runs(lake: Lake) -> None:
    publish(lake, [0])
    numbers = itertools.count()

    def rival() -> None:
        publish(_undisturbed(lake), [2], rebuild=True, settings={"rival": next(numbers)})

    undisturbed = lake.store
    lake.store = Unreliable(undisturbed, ["rival", "rival"], rival)
    with pytest.raises(PublishError) as caught, open_attempt(lake, rebuild=True) as attempt:
        attempt.commit(write(attempt, [1]))

    winner = partition(lake).manifest
    assert str(caught.value) == (
        f"features of 2026-01-01: wanted to swap the manifest for run {attempt.run}; found run {winner.run}, built from "
        "other inputs, settings or code. Next: stop one of the two rebuilds and run the other again"
    )
    assert winner.settings == {"rival": 1}
    assert rows_of(lake) == [2]


def test_a_rebuild_from_inputs_that_were_replaced_meanwhile_publishes_nothing(lake: Lake) -> None:
    old = publish(lake, [1], dataset="features")
    built_from = partition(lake, dataset="features").input
    stands = publish(lake, [1], dataset="predictions")
    with open_attempt(lake, dataset="predictions", rebuild=True, inputs=[built_from]) as attempt:
        written = write(attempt, [2])
        new = publish(lake, [3], dataset="features", rebuild=True)

        with pytest.raises(PublishError) as refused:
            attempt.commit(written)

    assert str(refused.value) == (
        f"predictions of 2026-01-01: run {attempt.run}: wanted features of 2026-01-01 to be run {old.run}, which this was "
        f"built from; found run {new.run}, published meanwhile. Next: rebuild again, from what stands now"
    )
    assert partition(lake, dataset="predictions").manifest.run == stands.run
    assert runs_there(lake, dataset="predictions") == {stands.run}


@pytest.mark.parametrize("answer", ["executed", "refused", "dropped", "late"])
def test_a_rebuild_is_settled_by_reading_back(lake: Lake, answer: str) -> None:
    publish(lake, [1])
    _unreliable(lake, answer)

    manifest = publish(lake, [2], rebuild=True)

    assert (partition(lake).manifest, rows_of(lake)) == (manifest, [2])


def test_a_rebuild_whose_manifest_was_removed_is_a_first_publish(lake: Lake, outsider: Outsider) -> None:
    publish(lake, [1])

    with open_attempt(lake, rebuild=True) as attempt:
        rows = write(attempt, [2])
        outsider.delete(f"{lake.prefix('features', DAY)}/_SUCCESS")
        attempt.commit(rows)

    assert rows_of(lake) == [2]


def test_of_racing_rebuilds_with_equal_work_one_swaps_and_all_name_it(lake: Lake) -> None:
    publish(lake, [1], settings={"old": True})
    barrier = threading.Barrier(8)

    def race(number: int) -> str:
        with open_attempt(lake, rebuild=True) as attempt:
            rows = write(attempt, [2])
            barrier.wait()
            return attempt.commit(rows)[DAY].run

    with ThreadPoolExecutor(8) as pool:
        named = set(pool.map(race, range(8)))

    assert named == {partition(lake).manifest.run}
    assert len(runs_there(lake)) == 2


# --- what stops a publish ---


def test_an_error_before_the_put_leaves_the_day_missing_and_no_files(lake: Lake) -> None:
    def fail() -> None:
        with open_attempt(lake) as attempt:
            write(attempt, [1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert not lake.is_published("features", DAY)
    assert runs_there(lake) == set()


def test_an_attempt_that_never_commits_leaves_nothing(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        write(attempt, [1])

    assert runs_there(lake) == set()


def test_a_failure_to_tidy_up_hides_neither_the_result_nor_the_error(lake: Lake) -> None:
    class Stuck(Wrapped):
        def remove(self, prefix: str) -> None:
            raise LakeError("run", "a directory that can be removed", "Directory not empty", "wait")

    winner = publish(lake, [1])
    lake.store = Stuck(lake.store)

    assert publish(lake, [2]) == winner
    with pytest.raises(ZeroDivisionError), open_attempt(lake, NEXT_DAY):
        raise ZeroDivisionError


@pytest.mark.parametrize("moment", ["before the put", "after the put"])
@pytest.mark.processes
def test_a_process_killed_around_the_put_leaves_the_day_missing_or_whole(lake: Lake, moment: str) -> None:
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_stop_at_the_put, args=(lake.root, moment, sender))
    process.start()
    receiver.recv()

    process.kill()
    process.join()

    assert lake.is_published("features", DAY) == (moment == "after the put")
    assert len(runs_there(lake)) == 1
    publish(lake, [1])
    assert rows_of(lake) == [1]


def _stop_at_the_put(root: str, moment: str, ready: Connection) -> None:
    class Stopped(Wrapped):
        def create(self, key: str, body: bytes) -> None:
            if key.endswith("_SUCCESS"):
                if moment == "after the put":
                    self.store.create(key, body)
                ready.send("now")
                threading.Event().wait(PATIENCE)
            self.store.create(key, body)

    lake = Lake(root, "credit_risk")
    lake.store = Stopped(lake.store)
    publish(lake, [1])


def test_files_with_other_rows_than_observed_publish_nothing(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        write(attempt, [1, 2])
        with pytest.raises(BadData) as caught:
            attempt.commit(Rows({"": 3}, SCHEMA))

    assert str(caught.value) == (
        f"features of 2026-01-01: the files of run {attempt.run}: wanted the rows that the job observed, {{'': 3}}; "
        "found {'': 2} in the files' footers. Next: run the stage again; nothing was published"
    )
    assert not lake.is_published("features", DAY)
    assert runs_there(lake) == set()


def test_a_section_that_the_job_did_not_observe_publishes_nothing(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        rows = write(attempt, [1], name="train/part-0.parquet")
        write(attempt, [], name="test/part-0.parquet")
        with pytest.raises(BadData, match=r"found \{'train': 1, 'test': 0\} in the files' footers"):
            attempt.commit(rows)


def test_a_file_that_is_not_parquet_publishes_nothing(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        put(attempt, "part-0.parquet", b"half a file")
        with pytest.raises(BadData) as caught:
            attempt.commit(Rows({"": 1}, SCHEMA))

    url = lake.store.url(f"{attempt.prefix(DAY)}/part-0.parquet")
    assert (caught.value.where, caught.value.wanted) == (url, "a Parquet file")
    assert caught.value.next_step == "run the stage again; nothing was published"
    assert "\n" not in str(caught.value)


def test_a_file_that_appears_between_count_and_put_publishes_nothing(lake: Lake) -> None:
    lake.store = Meddled(lake.store, lambda: put(attempt, "part-1.parquet", parquet([2])))
    with open_attempt(lake) as attempt:
        rows = write(attempt, [1])
        with pytest.raises(PublishError) as caught:
            attempt.commit(rows)

    assert str(caught.value) == (
        f"features of 2026-01-01: run {attempt.run}: wanted the files that were counted; found others, a moment later. "
        "Next: find out what writes there, then run the stage again"
    )
    assert not lake.is_published("features", DAY)


def test_a_file_that_no_task_named_is_nobodys_even_as_it_appears(lake: Lake) -> None:
    """Of an attempt at a task that died; and, between count and put, of one that was given up and goes on."""
    lake.store = Meddled(lake.store, lambda: put(attempt, "part-2.parquet", parquet([2])))
    with open_attempt(lake) as attempt:
        put(attempt, "part-1.parquet", parquet([1, 2]))
        rows = write(attempt, [1])
        attempt.commit(replace(rows, files=frozenset({"part-0.parquet"})))

    (published,) = lake.require("features", DAY)
    assert [file.path for file in published.manifest.files] == [f"run={attempt.run}/part-0.parquet"]
    assert published.manifest.rows() == 1


def test_a_named_file_that_is_not_there_publishes_nothing(lake: Lake) -> None:
    with open_attempt(lake) as attempt:
        rows = write(attempt, [1])
        with pytest.raises(PublishError, match="wanted the files that were counted"):
            attempt.commit(replace(rows, files=frozenset({"part-0.parquet", "part-1.parquet"})))
    assert not lake.is_published("features", DAY)


def test_a_file_rewritten_between_count_and_put_publishes_nothing(lake: Lake, outsider: Outsider) -> None:
    lake.store = Meddled(lake.store, lambda: outsider.write(f"{attempt.prefix(DAY)}/part-0.parquet", parquet([2])))
    with open_attempt(lake) as attempt:
        rows = write(attempt, [1])
        with pytest.raises(PublishError, match="others, a moment later"):
            attempt.commit(rows)


def test_a_document_that_vanishes_before_the_put_publishes_nothing(lake: Lake, outsider: Outsider) -> None:
    class Forgetful(Wrapped):
        def create(self, key: str, body: bytes) -> None:
            self.store.create(key, body)
            if key.endswith("card.json"):
                outsider.delete(key)

    lake.store = Forgetful(lake.store)
    with pytest.raises(PublishError, match="wanted the files that were counted"):
        publish_documents(lake, {"card.json": b"{}", "model.onnx": b"model"})


def test_an_attempt_that_took_too_long_refuses_to_publish(lake: Lake) -> None:
    with pytest.raises(PublishError) as caught, open_attempt(lake, max_hours=0) as attempt:
        attempt.commit(write(attempt, [1]))

    assert str(caught.value) == (
        "features of 2026-01-01: wanted a publish within 0 hours of the attempt's start; found 0.0 hours. "
        "Next: run the stage again, or raise [lake] max_attempt_hours"
    )
    assert not lake.is_published("features", DAY)


def test_a_raw_day_that_changes_before_the_put_publishes_nothing(lake: Lake, outsider: Outsider) -> None:
    feed = RawFeed("applications", lake.root, "credit_risk")
    for name in ("part-0.parquet", "_SUCCESS"):
        outsider.write(f"credit_risk/raw/applications/date=2026-01-01/{name}", b"")
    raw = feed.history(DAY, DAY)

    with open_attempt(lake, inputs=[raw]) as attempt:
        rows = write(attempt, [1])
        outsider.write("credit_risk/raw/applications/date=2026-01-01/part-1.parquet", b"")
        with pytest.raises(BadData) as caught:
            attempt.commit(rows)

    assert str(caught.value) == (
        f"raw feed applications of 2026-01-01: {feed.directory(DAY)}: wanted the files that were listed when the "
        "attempt began; found others. Next: run the stage again once the feed stays as it is; nothing was published"
    )
    assert not lake.is_published("features", DAY)


def test_a_metric_that_json_cannot_hold_publishes_nothing(lake: Lake) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"), open_attempt(lake) as attempt:
        attempt.commit(Rows(write(attempt, [1]).observed, SCHEMA, {"auc": float("nan")}))

    assert runs_there(lake) == set()


def test_results_for_other_days_than_the_attempts_are_refused(lake: Lake) -> None:
    with pytest.raises(ValueError, match="got results for"), open_attempt(lake) as attempt:
        attempt.commit({NEXT_DAY: Rows({}, SCHEMA)})


def test_partitions_as_inputs_are_recorded_as_a_range_with_their_runs(lake: Lake) -> None:
    runs = tuple(publish(lake, day=day).run for day in (DAY, NEXT_DAY))

    assert resolved(lake.require("features", DAY, NEXT_DAY)) == (Input("features", DAY, NEXT_DAY, runs),)
    assert partition(lake).input == Input("features", DAY, DAY, runs[:1])
    assert resolved([]) == ()


def test_the_digest_of_a_manifest_is_that_of_the_rows_and_their_columns_and_an_input_has_it(lake: Lake) -> None:
    def digest(day: date, rows: str, schema: Schema) -> str:
        with open_attempt(lake, day) as attempt:
            write(attempt, [1])
            return attempt.commit(Rows({"": 1}, schema, digest=rows))[day].digest

    first, same = (digest(day, "ab", SCHEMA) for day in (DAY, NEXT_DAY))
    others = [digest(date(2026, 2, 1), "cd", SCHEMA), digest(date(2026, 2, 2), "ab", (("id", "int"),))]

    assert first == same != ""
    assert len({first, *others}) == 3
    assert partition(lake).input.digests == (first,)


def _unreliable(lake: Lake, *script: str) -> Unreliable:
    unreliable = lake.store = Unreliable(lake.store, script)
    return unreliable


def _undisturbed(lake: Lake) -> Lake:
    """The same lake as another process sees it."""
    return Lake(lake.root, lake.use_case)
