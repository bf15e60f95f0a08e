"""The sides of a comparison: warm processes that do a job over and over, in turn."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

#: A job: from a source to a target.
Work = Callable[[str, str], None]
_PROC = Path("/proc")
#: A word in the command line of Spark's Python workers, and of the process that forks them.
_DAEMON = "pyspark.daemon"


@dataclass(frozen=True)
class Held:
    """Megabytes of a tree of processes, with pages that they share counted once. ``total`` is all of it, ``worker`` the
    largest of Spark's Python workers, and ``driver`` all that is no worker: the driver, its JVM and the process that
    forks workers.
    """

    total: float = 0
    worker: float = 0
    driver: float = 0

    def most(self, other: Held) -> Held:
        return Held(*(max(pair) for pair in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class Side:
    """A process that does one job over and over, with the seconds that it took. Where it is ``watched``, the peak
    memory of its tree of processes is measured too, which takes about a twentieth of a core.
    """

    start: Callable[[], Work]
    watched: bool = True
    seconds: dict[int, list[float]] = field(default_factory=dict)
    peak: dict[int, Held] = field(default_factory=dict)
    idle: Held = field(default_factory=Held)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.start, other), daemon=False)
        self.process.start()

    def run(self, rows: int, source: str, target: str, limit: float = math.inf) -> float:
        """The seconds of a job. They are infinite where it was stopped at the limit."""
        self.pipe.send((source, target))
        begun, peak = time.perf_counter(), Held()
        while not self.pipe.poll(0.2):
            if self.watched:
                peak = peak.most(held(self.process.pid or 0))
            if time.perf_counter() - begun > limit:
                self.process.kill()
                return math.inf
        seconds: float = self.pipe.recv()
        self.seconds.setdefault(rows, []).append(seconds)
        self.peak[rows] = peak.most(self.peak.get(rows, peak))
        return seconds

    def warm(self, source: str, target: str) -> None:
        self.run(0, source, target)
        self.seconds.clear()
        self.peak.clear()
        self.idle = held(self.process.pid or 0)

    def end(self) -> None:
        with suppress(BrokenPipeError):  # a job that failed has ended the process
            self.pipe.send(None)
        self.process.join()


def _serve(start: Callable[[], Work], pipe: Connection) -> None:
    work = start()
    while (job := pipe.recv()) is not None:
        begun = time.perf_counter()
        work(*job)
        pipe.send(time.perf_counter() - begun)


def held(pid: int, proc: Path = _PROC) -> Held:
    """The memory of a process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in proc.glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, left = Held(), [(pid, False)]
    while left:
        one, of_daemon = left.pop()
        with suppress(FileNotFoundError, ProcessLookupError):
            is_daemon = _DAEMON in (proc / str(one) / "cmdline").read_text()
            left += [(child, is_daemon) for child in children.get(one, [])]
            size, worker = _megabytes(proc / str(one)), of_daemon and is_daemon
            found = Held(
                found.total + size,
                max(found.worker, size) if worker else found.worker,
                found.driver if worker else found.driver + size,
            )
    return found


def _megabytes(process: Path) -> float:
    """The megabytes of a process. Of pages that it shares with others, only its part counts."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0)
