"""Drivers that run on for many cases, and the worlds in which they build."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from spark_lib.lake import Lake, days
from tests.faults.jobs import KILLED
from tests.faults.matrix import Case, NotFired
from tests.faults.reader import Contents, Key, Reader, contents
from tests.faults.spark_host import CASE, DATASET, PIECES
from tests.faults.world import World
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.processes import Commands
from tests.support.s3 import Server

DAY = date(2026, 1, 5)
MANY = days(date(2026, 1, 4), date(2026, 1, 9))
MASTERS = {"threads": "local[2,2]", "cluster": "local-cluster[2,1,1024]"}
#: Seconds that a worker takes for a batch where a case wants to strike it.
SLOW = 0.3
_START_SECONDS, _LONGEST = 180.0, 150.0


class Host:
    """A driver process behind a proxy of its own."""

    def __init__(self, home: Path, master: str, server: Server) -> None:
        self._exit = ExitStack()
        self.proxy: FaultProxy = self._exit.enter_context(fault_proxy(server))
        home.mkdir(parents=True)
        self.home = home
        self._answers: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count()
        with (home / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.spark_host", master, str(home / "log")],
                cwd=home,
                env=Commands(home).environment(env=self.proxy.server.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def ready(self) -> Host:
        self._wait("ready", _START_SECONDS)
        return self

    def send(self, do: str, root: str, asked: Collection[date], **more: Any) -> str:
        """Give a command, and return its number."""
        number = f"c{os.getpid()}x{id(self) % 9973}x{next(self._numbers)}"
        command = {"id": number, "do": do, "root": root, "days": [str(day) for day in asked], **more}
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        return number

    def answered(self, number: str) -> bool:
        return number in self._answers

    def answer(self, number: str) -> dict[str, Any]:
        return self._wait(number, _LONGEST)

    def kill(self) -> None:
        """SIGKILL to the driver: Python and the JVM at once. Executors of their own see that it is gone."""
        if not self.runs:
            raise NotFired
        os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.wait() != KILLED:
            raise NotFired

    def close(self) -> None:
        if self.runs:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._exit.close()

    def _wait(self, number: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while number not in self._answers:
            if not self.runs or time.monotonic() > deadline:
                said = (self.home / "stderr").read_text()[-3000:]
                raise AssertionError(
                    f"no answer of the Spark driver to {number}; it {'runs' if self.runs else 'ended'}: {said}"
                )
            time.sleep(0.01)
        return self._answers[number]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            self._answers[told["id"]] = told


@dataclass
class SparkWorld(World):
    """A lake on which ``host`` builds. ``other`` starts a second driver, for those that are killed. What ``score`` reads is
    in the lake ``source``."""

    host: Host = field(kw_only=True)
    other: Callable[[], Host] = field(kw_only=True)
    source: str = field(kw_only=True)
    reference_of_scores: Callable[[], Mapping[Key, Contents]] = field(kw_only=True)
    #: How long a worker is at a task that was told to be slow, at the least.
    busy: float = SLOW
    _do: str = "build"
    _asked: list[tuple[date, ...]] = field(default_factory=list)

    def scores(self) -> None:
        """From here on every attempt is one at scoring."""
        self._do, self.reference = "score", self.reference_of_scores()
        self.busy *= PIECES

    def build(self, asked: Collection[date] = (DAY,), host: Host | None = None, **more: Any) -> str:
        """Let a driver begin an attempt."""
        self._asked.append(tuple(asked))
        if self._reader is None:
            self._reader = Reader(self.root, self.reference)
            self._reader.start()
        more |= {"marks": str(self.marks), "source": self.source}
        return (host or self.host).send(self._do, self.root, asked, **more)

    def built(self, number: str, codes: Collection[int] = (0,), said: str = "", host: Host | None = None) -> None:
        """Wait for the end of an attempt; its answer must be one of ``codes``, and true."""
        told = (host or self.host).answer(number)
        if told["code"] not in codes or said not in told["said"]:
            self.violations.append(f"an attempt ended with {told}, wanted {sorted(codes)} {said!r}")

    def builds(self, asked: Collection[date] = (DAY,), codes: Collection[int] = (0,), said: str = "") -> None:
        self.built(self.build(asked), codes, said)
        if tuple(codes) == (0,):
            self.violations += [f"an attempt succeeded, but {said}" for said in self.differences(keys(asked))]

    def settle(self) -> None:
        self.host.proxy.heal()
        self.faults_healed()
        if self.next_run_waits:
            self._wait_for_late_puts()
        for asked in dict.fromkeys(self._asked):
            self.builds(asked)
        self._wait_for_late_puts()
        wanted = [key for asked in self._asked for key in keys(asked)]
        self.violations += self.differences(dict.fromkeys(wanted))
        self.violations += self.published_otherwise(set(wanted))
        self.end_reader()


def keys(asked: Collection[date]) -> list[Key]:
    return [(CASE, DATASET, day) for day in asked]


@dataclass
class SparkWorlds:
    """Makes a world for each try of a case with Spark; drivers are started when first needed, and after they died."""

    home: Path
    server: Server
    bucket: str
    _hosts: dict[str, Host] = field(default_factory=dict)
    _references: dict[tuple[str, str], Mapping[Key, Contents]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def __call__(self, case: Case, seed: int, attempt: int) -> Iterator[SparkWorld]:
        host = self._host(case.together)
        home = self.home / f"{case.name}-{seed}-{attempt}"
        (home / "marks").mkdir(parents=True)
        root = str(home / "lake") if case.store == "local" else f"s3://{self.bucket}/{home.name}"
        others: list[Host] = []

        def other() -> Host:
            others.append(self._start("threads"))
            return others[-1].ready()

        proxy = host.proxy if case.store == "s3" else None
        world = SparkWorld(
            home,
            root,
            self._reference(case.together, "build", MANY),
            proxy,
            host=host,
            other=other,
            source=self._undisturbed(case.together, "build"),
            reference_of_scores=lambda: self._reference(case.together, "score", [DAY]),
        )
        try:
            yield world
        finally:
            for one in others:
                one.close()
            world.close()

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()

    def _host(self, name: str) -> Host:
        if name not in self._hosts or not self._hosts[name].runs:
            if name in self._hosts:
                self._hosts[name].close()
            self._hosts[name] = self._start(name)
        return self._hosts[name].ready()

    def _start(self, name: str) -> Host:
        return Host(self.home / f"{name}-{next(self._numbers)}", MASTERS[name], self.server)

    def _undisturbed(self, name: str, do: str) -> str:
        return str(self.home / f"undisturbed-{name}-{do}")

    def _reference(self, name: str, do: str, asked: Collection[date]) -> Mapping[Key, Contents]:
        """What an undisturbed attempt publishes, on a local lake."""
        if (name, do) not in self._references:
            root, host = self._undisturbed(name, do), self._host(name)
            told = host.answer(host.send(do, root, asked, source=self._undisturbed(name, "build")))
            assert told["code"] == 0, told
            found = Lake(root, CASE).require(DATASET, min(asked), max(asked))
            self._references[name, do] = {(CASE, DATASET, one.date): contents(one) for one in found}
        return self._references[name, do]
