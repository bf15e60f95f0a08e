"""``daystone serve`` as an operator runs it: it answers all along, whatever is released meanwhile, until it is told to stop."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spark_lib.lake import Lake
from spark_lib.stages import publication
from spark_lib.targets import Series
from spark_lib.targets.redis import RedisTarget
from tests.support import redis
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE, until
from tests.support.processes import Commands
from tests.unit.rest.served import CASE, DAY, NEXT_DAY, Case, Served, Values

pytestmark = pytest.mark.processes

USE_CASE = "tests.unit.rest.served:Case"
TOKEN = "a-token-of-some-length"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(Lake(str(tmp_path / "lake"), CASE))
    found.released()
    return found


class Running:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        assert process.stderr is not None  # it is a pipe
        self.port = int(self._line(process.stderr.readline()).rpartition(":")[2])
        self._reading = threading.Thread(target=lambda: [self._line(line) for line in process.stderr])  # type: ignore[union-attr]
        self._reading.start()

    def _line(self, line: str) -> str:
        self.lines.append(line.rstrip("\n"))
        return line

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        connection = self.connection()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reading.join()
        return code


@contextmanager
def serving(served: Served, *settings: str, **environment: str) -> Iterator[Running]:
    home = Path(served.lake.root).parent
    options = [
        part for setting in ("serve.port=0", "serve.poll_seconds=0.05", *settings) for part in ("--set", setting)
    ]
    command = [sys.executable, str(ROOT / "run.py"), "serve", "--use-case", USE_CASE, "--lake-root", served.lake.root]
    with subprocess.Popen(
        [*command, *options],
        cwd=home,
        env=Commands(home).environment(env=environment),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            running = Running(process)
            until(lambda: running.get("/health")[0] == 200)
            yield running
        finally:
            process.kill()


class Asking(threading.Thread):
    """Asks for one prediction after the other over one connection, until it is told to stop."""

    def __init__(self, running: Running, row: Values) -> None:
        super().__init__()
        self.stopped = threading.Event()
        self.seen: Counter[tuple[int, str, float]] = Counter()
        self.failure: Exception | None = None
        self._running, self._body = running, json.dumps(row)

    def run(self) -> None:
        connection = self._running.connection()
        try:
            while not self.stopped.is_set():
                connection.request("POST", "/predictions", self._body, {"content-type": "application/json"})
                answer = connection.getresponse()
                found = json.loads(answer.read())
                self.seen[answer.status, found["released"], found["predictions"][0]["score"]] += 1
        except Exception as error:
            self.failure = error


def test_a_newer_released_day_changes_the_model_while_every_request_is_answered(served: Served) -> None:
    row = served.features_of(DAY)[0]
    with serving(served) as running:
        asking = [Asking(running, row) for _ in range(3)]
        for one in asking:
            one.start()
        until(lambda: all(one.seen for one in asking))

        served.release(served.score(NEXT_DAY, served.train(NEXT_DAY, seed=1), [row]))
        until(lambda: all(any(day == str(NEXT_DAY) for _, day, _ in one.seen) or one.failure for one in asking))
        for one in asking:
            one.stopped.set()
        for one in asking:
            one.join()
        code = running.stop()

    assert [one.failure for one in asking] == [None] * 3
    scores = {str(day): served.predictions_of(day)[0]["score"] for day in (DAY, NEXT_DAY)}
    seen = {answer for one in asking for answer in one.seen}
    assert {(status, day) for status, day, _ in seen} == {(200, str(DAY)), (200, str(NEXT_DAY))}
    assert all(abs(score - scores[day]) <= 1e-9 for _, day, score in seen)
    assert code == 0
    assert running.lines[-1] == "stopped"


def test_a_request_in_flight_is_answered_after_sigterm(served: Served) -> None:
    body = json.dumps(served.features_of(DAY)).encode()
    with serving(served) as running:
        with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as half:
            head = f"POST /predictions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            half.sendall(head.encode() + body[:100])
            until(lambda: _is_being_read(running))
            running.process.send_signal(signal.SIGTERM)
            until(lambda: not _answers(running))
            half.sendall(body[100:])
            answer = http.client.HTTPResponse(half)
            answer.begin()
            found = json.loads(answer.read())
        code = running.stop()

    assert (answer.status, len(found["predictions"])) == (200, 50)
    assert code == 0


def test_a_client_that_goes_away_in_the_middle_of_a_body_is_no_failure(served: Served) -> None:
    with serving(served) as running:
        with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as half:
            half.sendall(
                b"POST /predictions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n["
            )
            until(lambda: _is_being_read(running))
        until(lambda: 'daystone_requests_total{route="/predictions",status="400"} 1' in _metrics(running))
        assert running.stop() == 0

    assert not [line for line in running.lines if "Traceback" in line]


def _metrics(running: Running) -> str:
    connection = running.connection()
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def _is_being_read(running: Running) -> bool:
    """A later connection is answered, so that what an earlier one has sent was read."""
    return running.get("/health")[0] == 200


def _answers(running: Running) -> bool:
    """Whether new connections are taken."""
    try:
        running.get("/health")
    except (ConnectionError, http.client.HTTPException):
        return False
    return True


def test_ctrl_c_ends_it_with_its_own_code_and_no_traceback(served: Served) -> None:
    with serving(served) as running:
        assert running.stop(signal.SIGINT) == 130

    assert running.lines[-1] == "stopped"
    assert not [line for line in running.lines if "Traceback" in line]


def test_the_token_is_asked_for_and_shown_nowhere(served: Served) -> None:
    with serving(served, DAYSTONE_SERVE_TOKEN=TOKEN) as running:
        assert running.get("/model")[0] == 401
        assert running.get("/model", Authorization=f"Bearer {TOKEN}")[0] == 200
        command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        assert running.stop() == 0

    assert TOKEN.encode() not in command
    assert TOKEN not in "\n".join(running.lines)


def refused(served: Served, *settings: str) -> tuple[int, list[str]]:
    """The exit code and the lines of standard error of a service that does not start."""
    options = [part for setting in settings for part in ("--set", setting)]
    result = Commands(Path(served.lake.root).parent).run(
        [
            *(sys.executable, str(ROOT / "run.py"), "serve", "--use-case", USE_CASE),
            *("--lake-root", served.lake.root, *options),
        ]
    )
    return result.code, result.stderr.splitlines()


def test_a_port_in_use_is_one_line(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = refused(served, f"serve.port={port}")

    assert (code, len(lines)) == (31, 1)
    assert (
        f"--set serve.port: wanted an address and a port that can be listened on; found 127.0.0.1, port {port}"
        in lines[0]
    )


def test_an_address_that_others_reach_is_refused_without_a_token(served: Served) -> None:
    assert TOKEN not in os.environ
    code, lines = refused(served, "serve.host=0.0.0.0")

    assert (code, len(lines)) == (31, 1)
    assert lines[0].startswith(
        "Error: --set serve.host: wanted 127.0.0.1, or a token in the environment's DAYSTONE_SERVE_TOKEN; found 0.0.0.0,"
    )


def configured(served: Served, text: str) -> dict[str, str]:
    """The environment of a process with this configuration."""
    path = Path(served.lake.root).parent / "luigi.cfg"
    path.write_text(text)
    return {"LUIGI_CONFIG_PATH": str(path)}


def test_scores_are_looked_up_at_the_first_target(
    served: Served, redis_server: redis.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDISCLI_AUTH", redis.PASSWORD)
    url = redis_server.url()
    found = publication.partition(served.lake, "predictions", DAY)
    series = Series(served.lake.root, CASE, "predictions")
    RedisTarget(url).publish([publication.day(Case(), series, found, served.lake)])
    text = f"[publication]\ntargets = cache\n[target.cache]\nkind = redis\nurl = {url}\n[lookup]\nfallback = 0.5\n"

    with serving(served, **configured(served, text), REDISCLI_AUTH=redis.PASSWORD) as running:
        known, unknown = running.get("/scores/0007"), running.get("/scores/nobody")
        assert running.stop() == 0

    values = served.predictions_of(DAY)[7]
    assert (known[0], known[1]["kind"], known[1]["values"]) == (200, "score", values)
    assert (unknown[0], unknown[1]["kind"], unknown[1]["values"]) == (200, "fallback", {"score": 0.5})
    assert "scores are looked up at cache" in running.lines
    assert redis.PASSWORD not in "".join(running.lines)


def test_a_target_of_files_looks_no_scores_up_and_the_service_says_so(served: Served) -> None:
    home = Path(served.lake.root).parent
    text = f"[publication]\ntargets = files\n[target.files]\nkind = csv\nroot = {home}/files\n"
    given = configured(served, text)

    with serving(served, **given) as running:
        answer = running.get("/scores/0007")
        assert running.stop() == 0
    command = [sys.executable, str(ROOT / "run.py"), "serve", "--use-case", USE_CASE, "--lake-root", served.lake.root]
    asked_for = Commands(home).run([*command, "--target", "files"], env=given)

    assert answer == (404, {"detail": "Not Found"})
    assert "no scores are looked up: files is a target of files; --target names another one" in running.lines
    assert asked_for.code == 31
    assert asked_for.stderr.splitlines()[-1] == (
        "Error: daystone serve --target: wanted a target that can be asked for one entity, as PostgreSQL and Redis; found "
        "files, whose files would be read whole for each request. Next: publish to a database, and name that target"
    )
