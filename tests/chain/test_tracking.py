"""Trainings at a real MLflow server: what is there, after kills, losses of answers and two writers at once, and what the
commands say. One server serves all tests, which have names of their own there."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spark_lib.errors import AliasRefused, ConfigurationError, DamagedPartition, NothingToDecide, TrackingUnavailable
from spark_lib.lake import Lake, Partition
from spark_lib.models.card import APPROVED, Verdict, rejected
from spark_lib.models.model import digest
from spark_lib.registry import promotions
from spark_lib.registry.client import connected
from spark_lib.registry.mlflow import Registry
from spark_lib.registry.tracker import Tracked
from tasks.cli import track as tracking
from tests.support import mlflow, trainings
from tests.support.checkout import ROOT
from tests.support.patience import until
from tests.support.processes import Commands, Result
from tests.support.s3 import free_port
from tests.unit.stubs.stublake import configure
from tests.unit.verbs import RUN_PY, SHORT, Verbs, last_line

pytestmark = pytest.mark.processes

#: Seconds that a server has for an answer. A busy machine is no reason to fail.
PATIENT = 60
DAY, LATER, LATEST = date(2026, 1, 12), date(2026, 1, 19), date(2026, 1, 26)
PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
REJECTED = rejected("gate", "area under ROC 0.55, wanted 0.6")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Server]:
    with mlflow.server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def registry(server: mlflow.Server) -> Registry:
    name = server.new_name()
    return Registry(server.uri, name, name, "production", "the lake", "credit_risk", PATIENT)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "credit_risk")


@pytest.fixture
def daystone(server: mlflow.Server, tmp_path: Path) -> Tracking:
    return Tracking(tmp_path, server.uri, server.new_name())


@dataclass(frozen=True)
class Tracking(Verbs):
    """Verbs on a lake of the test's own that track at the server ``uri``, under the name ``name``."""

    uri: str = ""
    name: str = ""

    @property
    def environment(self) -> dict[str, str]:
        config = self.home / "luigi.cfg"
        own = f"experiment = {self.name}\nmodel = {self.name}\nanswer_seconds = {PATIENT}\n"
        config.write_text(f"[mlflow]\nuri = {self.uri}\n{own}max_seconds = {10 * PATIENT}\n")
        return super().environment | {"LUIGI_CONFIG_PATH": str(config)}

    @property
    def registry(self) -> Registry:
        return Registry(self.uri, self.name, self.name, "production", str(self.root), "credit_risk", PATIENT)

    def started(self, *arguments: object) -> subprocess.Popen[str]:
        """``track`` under way."""
        command = [sys.executable, RUN_PY, "track", "--lake-root", str(self.root), *map(str, arguments)]
        environment = Commands(self.home).environment(env=self.environment)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.home, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: object, **environment: str) -> Result:
        """``run Training`` of a day, with stages that need no Spark."""
        return self.stubbed("run", "Training", *SHORT, *arguments, **environment)


class Killed(BaseException):
    """The end of a process, as far as another one can tell."""


@dataclass
class Interrupted:
    """A client that is interrupted once, before it sends its ``number``-th request, or after that was executed."""

    client: Any
    number: int
    interrupt: Callable[[], None]
    executed: bool = False
    sent: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def sending(*arguments: Any, **named: Any) -> Any:
            self.sent.append(name)
            is_now = len(self.sent) == self.number
            if is_now and not self.executed:
                self.interrupt()
            answer = method(*arguments, **named)
            if is_now and self.executed:
                self.interrupt()
            return answer

        return sending


def kill() -> None:
    raise Killed


def track(registry: Registry, partition: Partition) -> Tracked:
    with registry.tracker() as tracker:
        return tracker.track(registry.training(partition))


def track_interrupted(
    registry: Registry, partition: Partition, number: int, interrupt: Callable[[], None], executed: bool = False
) -> list[str]:
    """Track by an interrupted client, and return the requests that it has sent."""
    with registry.tracker() as tracker:
        client = Interrupted(tracker.client, number, interrupt, executed)
        replace(tracker, client=client).track(registry.training(partition))
        return client.sent


@dataclass(frozen=True)
class There:
    """What MLflow has by the names of a registry, as another client sees it."""

    runs: list[Any]
    versions: list[Any]


def there(registry: Registry) -> There:
    with connected(registry.uri, PATIENT) as client:
        experiment = client.get_experiment_by_name(registry.experiment)
        return There(
            list(client.search_runs([experiment.experiment_id])) if experiment else [],
            list(client.search_model_versions(f"name = '{registry.model}'")),
        )


def assert_there_once(registry: Registry, partition: Partition) -> None:
    """One whole run, and one version that is linked to it; none of a rejected training."""
    found, training = there(registry), registry.training(partition)
    (run,) = found.runs
    assert run.info.status == "FINISHED"
    assert run.data.metrics == training.metrics
    assert run.data.params == training.params
    assert [version.run_id for version in found.versions] == ([run.info.run_id] if training.is_approved else [])
    model = {"model/model.onnx"} if training.is_approved else set()
    assert artifacts(registry, run.info.run_id) == {"card.json", "report.html"} | model


def artifacts(registry: Registry, run_id: str) -> set[str]:
    with connected(registry.uri, PATIENT) as client:
        listed = client.list_artifacts(run_id)
        inner = [file for each in listed if each.is_dir for file in client.list_artifacts(run_id, each.path)]
        return {each.path for each in [*listed, *inner] if not each.is_dir}


def test_an_approved_training_is_a_run_and_a_version_that_is_linked_to_it(
    registry: Registry, lake: Lake, tmp_path: Path
) -> None:
    partition = trainings.publish(lake, DAY)

    tracked = track(registry, partition)

    assert_there_once(registry, partition)
    (run,), (version,) = there(registry).runs, there(registry).versions
    assert tracked == Tracked(run.info.run_id, version.version, was_there=False)
    assert run.info.run_name == "credit_risk 2026-01-12"
    tags = registry.training(partition).tags
    assert tags.items() <= run.data.tags.items()
    assert version.tags == tags
    with connected(registry.uri, PATIENT) as client:
        fetched = client.download_artifacts(run.info.run_id, "model/model.onnx", str(tmp_path))
    assert Path(fetched).read_bytes() == partition.document("model.onnx")
    assert digest(Path(fetched).read_bytes()) == version.tags["daystone.sha256"]


def test_a_rejected_training_is_a_run_without_a_version(registry: Registry, lake: Lake) -> None:
    tracked = track(registry, trainings.publish(lake, DAY, REJECTED))

    (run,) = there(registry).runs
    assert (tracked.version, there(registry).versions) == ("", [])
    assert run.data.tags["daystone.verdict"] == str(REJECTED)
    assert artifacts(registry, run.info.run_id) == {"card.json", "report.html"}


def test_names_and_values_that_mlflow_would_refuse_are_tracked(
    registry: Registry, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ["a/b", "größe=1", "..", "", "n" * 300, "it's", 'a "quote"', " blank "]
    monkeypatch.setattr(trainings, "METRICS", dict.fromkeys(odd, 1.0) | {"of": dict.fromkeys(odd, 1.0)})
    monkeypatch.setattr(trainings, "SETTINGS", dict.fromkeys(odd, "v" * 10000) | {f"s{n}": n for n in range(250)})

    tracked = track(registry, trainings.publish(lake, DAY, rejected("gate", "w" * 10_000)))

    (run,) = there(registry).runs
    assert not tracked.was_there
    assert len(run.data.params) > 250


def test_a_training_that_is_there_is_not_written_again(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    first = track(registry, partition)

    sent = track_interrupted(registry, partition, 0, kill)

    assert sent == ["search_runs", "search_model_versions"]
    assert track(registry, partition) == replace(first, was_there=True)
    assert_there_once(registry, partition)


@pytest.mark.parametrize(
    ("verdict", "executed"),
    [(APPROVED, False), (APPROVED, True), (REJECTED, True)],
    ids=["before a request", "before its answer", "rejected"],
)
def test_a_training_whose_tracking_was_killed_anywhere_is_there_once_after_another_try(
    registry: Registry, lake: Lake, verdict: Verdict, executed: bool
) -> None:
    partition = trainings.publish(lake, DAY, verdict)
    names: set[str] = set()
    requests = 0
    for number in range(1, 30):
        tried = named(registry, number)
        try:
            names.update(track_interrupted(tried, partition, number, kill, executed))
            requests = number - 1
            break
        except Killed:
            track(tried, partition)
        assert_there_once(tried, partition)

    assert requests > 6
    assert {"create_run", "log_batch", "log_artifact", "set_terminated"} <= names


@pytest.mark.parametrize("verdict", [APPROVED, REJECTED], ids=["approved", "rejected"])
def test_a_training_that_two_track_at_once_is_there_once(registry: Registry, lake: Lake, verdict: Verdict) -> None:
    partition = trainings.publish(lake, DAY, verdict)
    for number in range(1, 30):
        tried = named(registry, number)

        sent = track_interrupted(tried, partition, number, lambda tried=tried: _ignored(track(tried, partition)))  # type: ignore[misc]  # a default

        assert_there_once(tried, partition)
        if len(sent) < number:
            break
    assert number > 6


def test_two_commands_at_once_leave_one_run_and_one_version_of_each_training(daystone: Tracking, lake: Lake) -> None:
    days = [DAY, LATER, LATEST]
    for day in days:
        trainings.publish(lake, day)

    with (
        daystone.started("--from", DAY, "--to", LATEST) as one,
        daystone.started("--from", DAY, "--to", LATEST) as other,
    ):
        ended = [each.communicate() for each in (one, other)]

    assert [one.returncode, other.returncode] == [0, 0], ended
    found = there(daystone.registry)
    assert sorted(run.data.tags["daystone.date"] for run in found.runs) == sorted(map(str, days))
    assert sorted(version.tags["daystone.date"] for version in found.versions) == sorted(map(str, days))
    assert {run.info.status for run in found.runs} == {"FINISHED"}


def test_a_command_that_is_killed_is_repeated_and_leaves_each_training_there_once(
    daystone: Tracking, lake: Lake
) -> None:
    days = [DAY, LATER, LATEST]
    for day in days:
        trainings.publish(lake, day)

    with daystone.started("--from", DAY, "--to", LATEST) as started:
        until(lambda: there(daystone.registry).runs or started.poll() is not None)
        started.kill()
    again = daystone("track", "--from", DAY, "--to", LATEST)

    assert (started.returncode, again.code) == (-signal.SIGKILL, 0), again.stderr
    found = there(daystone.registry)
    assert sorted(run.data.tags["daystone.date"] for run in found.runs) == sorted(map(str, days))
    assert sorted(version.tags["daystone.date"] for version in found.versions) == sorted(map(str, days))
    assert {run.info.status for run in found.runs} == {"FINISHED"}


def track_twice(registry: Registry, partition: Partition) -> None:
    """Make two runs and two versions of one training, as two processes do that know nothing of each other."""
    training = registry.training(partition)
    with registry.tracker() as tracker:
        for _ in range(2):
            run = tracker._new_run(training)
            tracker._fill(run.info.run_id, training)
            tracker._new_version(run, training)


def test_of_two_versions_of_a_training_the_one_with_the_alias_stays(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    track_twice(registry, partition)
    aliased(registry, "2")

    tracked = track(registry, partition)

    assert tracked.version == "2"
    assert_there_once(registry, partition)


def test_a_version_with_an_alias_is_never_removed_and_neither_is_its_run(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    track_twice(registry, partition)
    aliased(registry, "2")
    with connected(registry.uri, PATIENT) as client:
        client.set_registered_model_alias(registry.model, "trial", "1")

    tracked = track(registry, partition)

    assert tracked.version == "1"
    assert sorted(version.version for version in there(registry).versions) == ["1", "2"]
    assert len(there(registry).runs) == 2


def test_a_version_whose_run_was_deleted_gets_a_run_and_a_version_again(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    first = track(registry, partition)
    with connected(registry.uri, PATIENT) as client:
        client.delete_run(first.run_id)

    tracked = track(registry, partition)

    assert tracked.run_id != first.run_id
    assert_there_once(registry, partition)


def test_a_training_that_was_built_anew_is_another_run_and_another_version(registry: Registry, lake: Lake) -> None:
    first = track(registry, trainings.publish(lake, DAY))

    second = track(registry, trainings.publish(lake, DAY, content="anew", rebuild=True))

    assert (first.version, second.version) == ("1", "2")
    assert {run.info.run_id for run in there(registry).runs} == {first.run_id, second.run_id}


def test_two_lakes_have_runs_of_their_own(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    first = track(registry, partition)

    second = track(replace(registry, lake="a copy"), partition)

    assert first.run_id != second.run_id
    assert track(registry, partition).was_there


def test_a_server_that_is_killed_in_the_middle_is_unavailable_and_the_rest_follows_when_it_is_back(
    registry: Registry, lake: Lake, server: mlflow.Server
) -> None:
    partition = trainings.publish(lake, DAY)

    with pytest.raises(TrackingUnavailable) as caught:
        track_interrupted(registry, partition, 6, server.kill)
    server.start()
    track(registry, partition)

    assert str(caught.value) == (
        f"MLflow at {registry.uri}: wanted an answer; found nobody who answers. Next: start the server, or correct "
        "[mlflow] uri"
    )
    assert_there_once(registry, partition)


def test_a_deleted_experiment_is_refused(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    track(registry, partition)
    with connected(registry.uri, PATIENT) as client:
        client.delete_experiment(client.get_experiment_by_name(registry.experiment).experiment_id)

    with pytest.raises(TrackingUnavailable) as caught:
        track(registry, partition)

    assert str(caught.value) == (
        f"experiment {registry.experiment} at {registry.uri}: wanted one that is not deleted; found a deleted one. Next: "
        "restore it in MLflow, or set [mlflow] experiment to another name"
    )


def aliased(registry: Registry, version: str, **tags: str) -> None:
    """Give a version the alias, and change some of its tags; an empty one is removed."""
    with connected(registry.uri, PATIENT) as client:
        for name, value in tags.items():
            if value:
                client.set_model_version_tag(registry.model, version, f"daystone.{name}", value)
            else:
                client.delete_model_version_tag(registry.model, version, f"daystone.{name}")
        client.set_registered_model_alias(registry.model, "production", version)


def test_the_alias_names_a_training_of_the_lake(registry: Registry, lake: Lake) -> None:
    first, second = (trainings.publish(lake, day) for day in (DAY, LATER))
    for partition in (first, second):
        track(registry, partition)
    aliased(registry, "1")

    found = registry.production(lake)

    assert found is not None
    assert (found.model_date, found.run, found.version) == (DAY, first.manifest.run, "1")
    assert (found.registered, found.alias) == (registry.model, "production")
    assert found.sha256 == digest(first.document("model.onnx"))
    aliased(registry, "2")
    moved = registry.production(lake)
    assert moved is not None
    assert (moved.model_date, moved.run, moved.version) == (LATER, second.manifest.run, "2")


def test_no_model_and_no_alias_name_nothing(registry: Registry, lake: Lake) -> None:
    unknown = registry.production(lake)
    track(registry, trainings.publish(lake, DAY))

    assert (unknown, registry.production(lake)) == (None, None)


STEP = "give the alias to another version; daystone track brings the versions of the lake's trainings"


@pytest.mark.parametrize(
    ("tags", "wanted", "found"),
    [
        (
            {"sha256": "", "run": ""},
            "a version that daystone track has made",
            "one without daystone.run, daystone.sha256",
        ),
        ({"lake": "a copy"}, "a version of lake the lake", "one of a copy"),
        ({"use_case": "product_category"}, "a version of use_case credit_risk", "one of product_category"),
        ({"date": "yesterday"}, "a day in the tag daystone.date", "'yesterday'"),
        ({"date": "2026-01-13"}, "the training of 2026-01-13 in the lake", "none"),
        ({"run": "0f"}, "run {run}, which the lake has of 2026-01-12 now", "run 0f"),
        ({"sha256": "abc"}, "the SHA-256 of the lake's model, {sha256}", "abc"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_an_alias_that_does_not_lead_to_a_training_of_the_lake_is_refused(
    registry: Registry, lake: Lake, tags: dict[str, str], wanted: str, found: str
) -> None:
    partition = trainings.publish(lake, DAY)
    track(registry, partition)
    aliased(registry, "1", **tags)

    with pytest.raises(AliasRefused) as caught:
        registry.production(lake)

    known = {"run": partition.manifest.run, "sha256": partition.manifest.metrics["model_digest"]}
    where = f"alias production of {registry.model} at {registry.uri}, which version 1 has"
    assert str(caught.value) == f"{where}: wanted {wanted.format(**known)}; found {found}. Next: {STEP}"


def test_an_alias_of_a_training_that_was_built_anew_or_rejected_since_is_refused(
    registry: Registry, lake: Lake
) -> None:
    track(registry, trainings.publish(lake, DAY))
    partition = trainings.publish(lake, DAY, REJECTED, rebuild=True)
    aliased(registry, "1")

    with pytest.raises(
        AliasRefused, match=f"wanted run {partition.manifest.run}, which the lake has of 2026-01-12 now"
    ):
        registry.production(lake)
    aliased(registry, "1", run=partition.manifest.run)
    with pytest.raises(AliasRefused) as caught:
        registry.production(lake)

    assert (caught.value.wanted, caught.value.found) == ("an approved model", f"one that was rejected: {REJECTED}")


def test_an_alias_of_a_damaged_training_says_so(registry: Registry, lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)
    track(registry, partition)
    aliased(registry, "1")
    Path(next(file for file in partition.files() if file.endswith(".onnx"))).unlink()

    with pytest.raises(DamagedPartition):
        registry.production(lake)


def test_a_training_that_a_run_publishes_is_tracked_and_a_run_with_nothing_to_do_loads_no_client(
    daystone: Tracking, lake: Lake
) -> None:
    daystone.land("2026-01-01", 19)
    (daystone.home / "trap").mkdir()
    (daystone.home / "trap" / "mlflow.py").write_text("raise SystemExit('MLflow was imported')\n")

    first = daystone.run("--date", DAY)
    tracked = there(daystone.registry)
    again = daystone.run("--date", DAY, PYTHONPATH=f"{daystone.home}/trap{os.pathsep}{ROOT}")
    trapped = daystone.run("--date", LATER, PYTHONPATH=f"{daystone.home}/trap{os.pathsep}{ROOT}")

    assert (first.code, again.code) == (0, 0), first.stderr + again.stderr
    assert [version.tags["daystone.date"] for version in tracked.versions] == [str(DAY)]
    assert "not tracked" not in first.stderr + again.stderr
    # The trap does catch what loads the client. Not even an exit ends a training that is published.
    assert trapped.code == 0, trapped.stderr
    assert (
        "not tracked: tracking of model of 2026-01-19: wanted no exception; found SystemExit: MLflow was imported"
        in (trapped.stderr)
    )


def test_where_mlflow_is_away_the_training_is_built_and_the_warning_names_the_command_that_catches_up(
    daystone: Tracking, lake: Lake
) -> None:
    daystone.land("2026-01-01", 12)
    away = replace(daystone, uri=f"http://127.0.0.1:{free_port()}")

    built = away.run("--date", DAY)
    again_built = away.run("--date", DAY)
    refused = away("track", "--from", DAY, "--to", DAY)
    caught_up = daystone("track", "--from", DAY, "--to", DAY)
    again = daystone("track", "--from", DAY, "--to", DAY)

    reason = f"MLflow at {away.uri}: wanted an answer; found nobody who answers. Next: start the server, or correct [mlflow] uri"
    warnings = [line for line in daystone.log.splitlines() if " WARNING " in line and "tracked" in line]
    assert (built.code, again_built.code) == (0, 0), built.stderr + again_built.stderr
    assert len(warnings) == 1
    assert warnings[0].endswith(
        f"model of {DAY} is not tracked: {reason}. To catch up: daystone track --from {DAY} --to {DAY}"
    )
    assert "not tracked: " in built.stderr
    assert (refused.code, last_line(refused)) == (52, f"Error: {reason}")
    (run,) = there(daystone.registry).runs
    page = f"{daystone.uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    assert (caught_up.code, again.code) == (0, 0), caught_up.stderr + again.stderr
    assert caught_up.stdout == f"model of {DAY}: version 1, {page}\ntracked 1 training; 0 were there\n"
    assert again.stdout == f"model of {DAY}: version 1, {page} (was there)\ntracked 0 trainings; 1 was there\n"


def test_many_trainings_are_tracked_at_once_and_a_damaged_one_does_not_keep_the_others_away(
    daystone: Tracking, lake: Lake
) -> None:
    trainings.publish(lake, DAY, REJECTED)
    damaged = trainings.publish(lake, LATER)
    trainings.publish(lake, LATEST)
    Path(damaged.files()[0]).unlink()

    result = daystone("track", "--from", "2026-01-01", "--to", "2026-01-31")

    assert result.code == 35
    assert [line.partition(", http")[0] for line in result.stdout.splitlines()] == [
        f"model of {DAY}: rejected, no version",
        f"model of {LATEST}: version 1",
        "tracked 2 trainings; 0 were there",
    ]
    assert last_line(result).startswith(f"Error: model of {LATER}: ")
    assert len(there(daystone.registry).runs) == 2


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


class Trickling(Quiet):
    """An answer that never ends, and never lets its reader's patience end."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)


class Refusing(Quiet):
    """A server that lets nobody in."""

    def do_GET(self) -> None:
        self.send_error(401)


class Page(Quiet):
    """A web server that is not MLflow's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>a page that is no answer of MLflow's")


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_a_server_that_answers_without_end_delays_a_training_no_longer_than_is_configured(
    daystone: Tracking, lake: Lake
) -> None:
    daystone.land("2026-01-01", 12)

    with answering(Trickling) as uri:
        built = replace(daystone, uri=uri).run("--date", DAY, "--set", "mlflow.max_seconds=0.5")

    assert built.code == 0, built.stderr
    assert f"not tracked: MLflow at {uri}: wanted a tracked training within 0.5 s; found none. Next: " in built.stderr


def test_a_server_that_does_not_answer_in_time_is_unavailable(registry: Registry, lake: Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackingUnavailable) as caught:
            replace(registry, uri=uri, answer_seconds=1).production(lake)

    assert str(caught.value) == (
        f"MLflow at {uri}: wanted an answer within 1 s; found none. Next: look at the server, or raise [mlflow] answer_seconds"
    )


def test_a_server_that_is_not_mlflow_is_unavailable(registry: Registry, lake: Lake) -> None:
    with answering(Page) as uri, pytest.raises(TrackingUnavailable) as caught:
        track(replace(registry, uri=uri), trainings.publish(lake, DAY))

    assert (caught.value.where, caught.value.wanted) == (f"MLflow at {uri}", "an answer that is no refusal")
    assert len(caught.value.found) <= 203


def test_a_server_that_lets_nobody_in_is_refused_without_the_password(daystone: Tracking, lake: Lake) -> None:
    trainings.publish(lake, DAY)
    secrets = {"MLFLOW_TRACKING_USERNAME": "user-7d41", "MLFLOW_TRACKING_PASSWORD": "password-7d41"}

    with answering(Refusing) as uri:
        result = replace(daystone, uri=uri)("track", "--from", DAY, "--to", DAY, **secrets)

    assert (result.code, last_line(result)) == (
        52,
        f"Error: MLflow at {uri}: wanted a server that lets us in; found a refusal. Next: check MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    )
    assert "7d41" not in result.stdout + result.stderr + daystone.log


def shown(command: str, number: int = 0) -> str:
    """A pattern of what docs/tracking.md shows below the ``number``-th of equal commands. ``…`` stands for anything, and lines
    may be wrapped."""
    parts = PAGE.split(f"\n    {command}\n\n")
    block = re.match(r"(?:    .*\n)+", parts[1 + number])
    assert block is not None, command
    return re.escape(" ".join(block[0].split())).replace("…", ".*?")


def test_the_page_shows_what_the_commands_print(daystone: Tracking, lake: Lake) -> None:
    daystone.land("2026-01-01", 12)
    away = replace(daystone, uri=f"http://127.0.0.1:{free_port()}")
    many = ("track", "--from", "2026-01-01", "--to", "2026-01-31")
    said = "daystone track --from 2026-01-01 --to 2026-01-31"

    built = away.run("--date", DAY)
    other = trainings.publish(lake, LATER)
    track(daystone.registry, other)
    trainings.publish(lake, LATEST, REJECTED)
    caught_up = daystone(*many)
    refused = away(*many)

    printed = [
        text.replace(uri, "https://mlflow.example:5000")
        for uri, text in ((away.uri, built.stderr), (daystone.uri, caught_up.stdout), (away.uri, refused.stderr))
    ]
    wanted = [shown(f"daystone run Training --date {DAY}"), shown(said), shown(said, 1)]
    for pattern, text in zip(wanted, printed, strict=True):
        assert re.search(pattern, " ".join(text.split())), (pattern, text)


def test_nothing_is_followed_where_no_version_has_the_alias(
    daystone: Tracking, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\n[mlflow]\nuri = {daystone.uri}\nmodel = {daystone.name}\n")

    with pytest.raises(NothingToDecide) as caught:
        tracking.followed()

    assert str(caught.value) == (
        f"registered model {daystone.name} at {daystone.uri}: wanted a version with the alias production; found none. Next: "
        "give one the alias in MLflow (daystone track brings the lake's), or promote by --model"
    )


def test_the_alias_is_followed_to_the_training_that_it_names(
    daystone: Tracking, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = trainings.publish(lake, DAY)
    track(daystone.registry, partition)
    aliased(daystone.registry, "1")
    configure(monkeypatch, f"[lake]\nroot = {lake.root}\n[mlflow]\nuri = {daystone.uri}\nmodel = {daystone.name}\n")

    found = tracking.followed()

    assert (found.model_date, found.run) == (DAY, partition.manifest.run)


def test_a_promotion_follows_the_alias_and_is_recorded_once(daystone: Tracking, lake: Lake) -> None:
    for day in (DAY, LATER):
        track(daystone.registry, trainings.publish(lake, day))
    aliased(daystone.registry, "1")
    follow = ("promote", "--from-mlflow", "--set", f"selection.manual_from={DAY}")

    first = daystone(*follow)
    again = daystone(*follow, "--from", "2026-02-01")
    aliased(daystone.registry, "2")
    moved = daystone(*follow)

    assert (first.code, again.code, moved.code) == (0, 0, 0), first.stderr + again.stderr + moved.stderr
    assert re.match(shown("daystone promote --from-mlflow"), first.stdout)
    assert again.stdout.startswith(f"nothing to record, it is there: promotion {DAY}/0001 of the model of {DAY}, ")
    assert moved.stdout.startswith(
        f"recorded: promotion {LATER}/0001 of the model of {LATER}, direct, from {LATER} on, by "
    )
    assert [promotion.why for promotion in promotions.read(lake)] == [
        f"version {number} of {daystone.name} in MLflow has the alias production" for number in (1, 2)
    ]


def test_a_promotion_does_not_follow_an_alias_of_another_model(daystone: Tracking, lake: Lake) -> None:
    track(daystone.registry, trainings.publish(lake, DAY))
    aliased(daystone.registry, "1", sha256="abc")

    result = daystone("promote", "--from-mlflow", "--set", f"selection.manual_from={DAY}")

    assert (result.code, result.stdout) == (53, "")
    assert promotions.read(lake) == []


def test_where_mlflow_is_away_nothing_is_promoted(daystone: Tracking, lake: Lake) -> None:
    away = replace(daystone, uri=f"http://127.0.0.1:{free_port()}")

    result = away("promote", "--from-mlflow", "--set", f"selection.manual_from={DAY}")

    assert (result.code, promotions.read(lake)) == (52, [])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "wanted --model, or --from-mlflow"),
        (["--model", DAY, "--from-mlflow"], "wanted --model, or --from-mlflow"),
        (["--model", DAY], "Missing option '--why'."),
        (["--from-mlflow", "--strategy", "shadow"], "--strategy: wanted --model with it"),
    ],
    ids=["nothing", "both", "no reason", "a strategy"],
)
def test_options_of_a_promotion_that_exclude_each_other_are_refused(
    daystone: Tracking, options: list[object], reason: str
) -> None:
    result = daystone("promote", *options)

    assert result.code == 2
    assert reason in last_line(result)


def test_a_command_without_a_server_says_what_to_set(daystone: Tracking) -> None:
    result = Verbs(daystone.home)("track", "--from", DAY, "--to", DAY)

    assert (result.code, last_line(result)) == (
        31,
        "Error: [mlflow] uri: wanted the URL of an MLflow server, as in https://mlflow.example:5000; found none. Next: set it, "
        "or leave out what needs MLflow",
    )


def test_days_in_the_wrong_order_are_refused(daystone: Tracking) -> None:
    result = daystone("track", "--from", LATER, "--to", DAY)

    assert (result.code, last_line(result)) == (
        31,
        f"Error: track: wanted a first day that is not after the last; found {LATER} to {DAY}. Next: correct --from, --to",
    )


def test_without_the_client_a_command_says_what_to_install(
    registry: Registry, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)

    with pytest.raises(ConfigurationError) as caught:
        registry.production(lake)

    assert caught.value.next_step == 'install it: pip install "daystone[mlflow]"'


def test_days_without_a_training_are_no_error_and_nobody_is_asked(daystone: Tracking, lake: Lake) -> None:
    trainings.publish(lake, DAY)
    away = replace(daystone, uri=f"http://127.0.0.1:{free_port()}")

    result = away("track", "--from", "2026-01-13", "--to", "2026-01-18")

    assert (result.code, result.stdout) == (0, "tracked 0 trainings; 0 were there\n"), result.stderr


def named(registry: Registry, number: int) -> Registry:
    return replace(registry, experiment=f"{registry.experiment}-{number}", model=f"{registry.model}-{number}")


def _ignored(value: object) -> None:
    """Nothing: what an interruption does, and not what it returns, counts."""
