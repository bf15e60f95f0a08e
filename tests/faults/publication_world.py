"""The world of a case of publication: a small lake, a target on a real server, and what has to hold in the end."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.lake.stores import open_store
from spark_lib.lake.tables import arrow_schema
from spark_lib.stages import publication
from spark_lib.targets import Series, Target
from spark_lib.targets.csv import CsvTarget
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tests.faults.matrix import Case, NotFired
from tests.support import postgres, redis
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.published import CsvReader, PostgresReader, RedisReader

DAYS = [date(2026, 1, 14), date(2026, 1, 15), date(2026, 1, 16)]
ROWS = 600
CASE = "tests.unit.stubs.cases:Loans"
KILLED = -signal.SIGKILL
_DIRECTORY = CASE.replace(":", ".")
_SCHEMA = (
    ("id", "string"),
    ("who", "string"),
    ("at", "timestamp"),
    ("score", "double"),
    ("model_date", "date"),
    ("model_digest", "string"),
)


@dataclass
class Cut:
    """A server behind a proxy that ends each connection after so many bytes in one direction; with 0 it counts them
    alone."""

    port: int
    direction: str = "to the server"
    after: int = 0
    passed: dict[str, int] = field(default_factory=lambda: {"to the server": 0, "from the server": 0})
    fired: bool = False

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.own_port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                for source, sink, direction in (
                    (client, server, "to the server"),
                    (server, client, "from the server"),
                ):
                    threading.Thread(target=self._pass, args=(source, sink, direction), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        with suppress(OSError):
            while block := source.recv(4096):
                self.passed[direction] += len(block)
                if self.after and direction == self.direction and self.passed[direction] >= self.after:
                    self.fired = True
                    break
                sink.sendall(block)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class World:
    """A lake with predictions of three days, and the target ``there``."""

    kind: str
    home: Path
    at: str
    name: str
    violations: list[str] = field(default_factory=list)
    #: The scores of the rows of each day that are to be there in the end.
    wanted: dict[date, list[float]] = field(default_factory=dict)
    on_exit: ExitStack = field(default_factory=ExitStack)
    #: The numbers of rows that a reader may see of each day.
    _allowed: dict[date, set[int]] = field(default_factory=dict)
    _seen: list[dict[date, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for number, day in enumerate(DAYS, 1):
            self.score(day, ROWS - number, number / 10)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"), _DIRECTORY)

    @property
    def series(self) -> Series:
        return Series(self.name, _DIRECTORY, "predictions")

    def score(self, day: date, count: int, score: float) -> None:
        """Predictions of a day, in place of those that are there."""
        sink = io.BytesIO()
        at = datetime(2026, 1, 1, tzinfo=UTC)
        more = {"at": at, "score": score, "model_date": date(2026, 1, 12), "model_digest": "digest"}
        rows = [{"id": f"row{number}", "who": f"who{number}"} | more for number in range(count)]
        pq.write_table(pa.Table.from_pylist(rows, arrow_schema(_SCHEMA)), sink)
        lake, rebuild = self.lake, day in self.wanted
        with Attempt(lake, "predictions", [day], stage="BatchInference", rebuild=rebuild) as attempt:
            key = f"{lake.prefix('predictions', day)}/run={attempt.run}/part-0.parquet"
            lake.store.create(key, sink.getvalue())
            attempt.commit({day: Rows({"": count}, _SCHEMA, {"model_date": "2026-01-12", "model_digest": "digest"})})
        self.wanted[day] = [score] * count
        self._allowed.setdefault(day, set()).add(count)

    def target(self) -> Target:
        if self.kind == "postgres":
            return PostgresTarget(self.at)
        return RedisTarget(self.at) if self.kind == "redis" else CsvTarget(self.at)

    def start(self, *arguments: object, line: int = 0, at: str = "") -> subprocess.Popen[str]:
        """``daystone`` with a verb. It kills itself at a line of the publication; ``at`` is another way to the target."""
        key = {"postgres": "conninfo", "redis": "url", "csv": "root"}[self.kind]
        config = self.home / f"luigi-{time.monotonic_ns()}.cfg"
        config.write_text(
            f"[lake]\nroot = {self.home}/lake\nname = {self.name}\n[pipeline]\nuse_case = {CASE}\n"
            f"[publication]\ntargets = there\n[target.there]\nkind = {self.kind}\n{key} = {at or self.at}\n"
        )
        environment = os.environ | {
            "LUIGI_CONFIG_PATH": str(config),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PYTHONPATH": str(ROOT),
            "PGPASSWORD": postgres.PASSWORD,
            "REDISCLI_AUTH": redis.PASSWORD,
        }
        command = [sys.executable, "-m", "tests.faults.publisher", str(line), *map(str, arguments)]
        return subprocess.Popen(
            command, cwd=self.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def publish(self, *days: date, **more: Any) -> subprocess.Popen[str]:
        asked = days or DAYS
        return self.start("publish", "--from", min(asked), "--to", max(asked), **more)

    def end(self, process: subprocess.Popen[str], *codes: int) -> str:
        """Wait for a process, whose exit code has to be one of these, and return what it said."""
        said = "".join(process.communicate(timeout=PATIENCE))
        if process.returncode not in codes:
            self.violations.append(f"exit code {process.returncode}, not of {codes}: {said[-2000:]}")
        return said

    def lines(self, process: subprocess.Popen[str]) -> int:
        """How many lines of a publication a process has executed that was not killed."""
        return int(re.findall(r"^lines (\d+)$", self.end(process, 0), re.MULTILINE)[-1])

    def poll(self) -> None:
        """Let a reader look all along."""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            with suppress(Exception):  # the server may be away
                self._seen.append(dict(self.counts()))
            time.sleep(0.01)

    def counts(self) -> dict[date, int]:
        """The number of rows of each day that a reader sees by other means than ours."""
        if self.kind == "csv":
            return CsvReader(open_store(self.at)).counts(self.series)
        if self.kind == "redis":
            import redis as client

            with client.Redis.from_url(self.at, password=redis.PASSWORD) as connection:
                return RedisReader(connection).counts(self.series)
        import psycopg

        with psycopg.connect(self.at, password=postgres.PASSWORD, autocommit=True) as connection:
            return PostgresReader(connection).counts(self.series)

    def settle(self) -> None:
        """Publish once more, undisturbed, and check every invariant."""
        held = [day for day in DAYS if day not in self.wanted]
        self.end(self.publish(), 45 if held else 0)
        self._stop.set()
        self._reading.join()
        target = self.target()
        runs = publication.runs(self.lake, "predictions", DAYS[0], DAYS[-1])
        self._same("the ledger", target.published(self.series, DAYS[0], DAYS[-1]), runs)
        self._same("days in force", sorted(runs), sorted(self.wanted))
        self._same("rows", self.counts(), {day: len(scores) for day, scores in self.wanted.items()})
        for number in (0, *(ROWS - number for number in range(6))):
            found = target.lookup(self.series, {"who": f"who{number}"})
            there = [(day, scores[number]) for day, scores in self.wanted.items() if number < len(scores)]
            said = None if found is None else (found.date, found.values["score"])
            self._same(f"the score of who{number}", said, max(there, default=None))
        if not self._seen:
            self.violations.append("the reader saw nothing all along")
        for counts in self._seen:
            for day, count in counts.items():
                if count not in self._allowed[day]:
                    self.violations.append(f"a reader saw {count} rows of {day}")

    def _same(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            self.violations.append(f"{what}: wanted {wanted}; found {found}")


class Worlds:
    """Worlds on a PostgreSQL and a Redis that are started when the first case needs them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._servers = ExitStack()
        self._lock = threading.Lock()
        self._postgres: postgres.Server | None = None
        self._redis: redis.Server | None = None
        os.environ["PGPASSWORD"], os.environ["REDISCLI_AUTH"] = postgres.PASSWORD, redis.PASSWORD

    def close(self) -> None:
        self._servers.close()

    @contextmanager
    def __call__(self, case: Case, seed: int, which: int) -> Iterator[World]:
        name = f"{case.name}-{seed}-{which}"
        home = self._home / name
        home.mkdir(parents=True)
        world = World(case.store, home, self._place(case.store, home), name)
        world.poll()
        try:
            yield world
        finally:
            world._stop.set()
            world.on_exit.close()
            if not world.violations:
                shutil.rmtree(home, ignore_errors=True)

    def _place(self, kind: str, home: Path) -> str:
        with self._lock:
            if kind == "postgres":
                self._postgres = self._postgres or self._servers.enter_context(postgres.server())
                return self._postgres.conninfo(self._postgres.new_database())
            if kind == "redis":
                self._redis = self._redis or self._servers.enter_context(redis.server(self._home))
                return self._redis.url()
        return str(home / "out")


def crash_postgres(world: World) -> None:
    """End the server as if it had crashed, in mid-work, and start it again. Its port stays."""
    import psycopg

    with psycopg.connect(world.at, password=postgres.PASSWORD, autocommit=True) as connection:
        shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("data_directory", "port")]  # type: ignore[call-overload]  # two names
    data, port = (str(row[0]) for row in shown if row)
    postgres._run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    options = f"-h 127.0.0.1 -p {port} -k {Path(data).parent} -c fsync=off"
    log = Path(data).parent / "log"
    postgres._run("pg_ctl", "-D", data, "-w", "-t", str(PATIENCE), "-l", log, "-o", options, "start")


def crash_redis(world: World) -> None:
    """Kill a server of the world's own, and let an empty one take its place."""
    import redis as client

    with client.Redis.from_url(world.at, password=redis.PASSWORD) as connection:
        os.kill(connection.info("server")["process_id"], signal.SIGKILL)
    world.at = own_redis(world)


def own_redis(world: World) -> str:
    directory = world.home / f"redis-{time.monotonic_ns()}"
    directory.mkdir()
    return world.on_exit.enter_context(redis.server(directory)).url()


def port_of(at: str) -> int:
    """The port in a connection string or a URL."""
    found = re.search(r"port=(\d+)|127\.0\.0\.1:(\d+)", at)
    assert found is not None
    return int(found[1] or found[2])


def fired(world: World, cut: Cut, processes: Sequence[subprocess.Popen[str]]) -> None:
    """Raise NotFired where a cut came too late."""
    for process in processes:
        world.end(process, 0, 37)
    if not cut.fired:
        raise NotFired
