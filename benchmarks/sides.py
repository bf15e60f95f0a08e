"""The sides of a comparison: warm processes that do a job over and over, in turn."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

#: A job: from a source to a target.
Work = Callable[[str, str], None]


@dataclass
class Side:
    """A process that does one job over and over, what it took and the most that its tree of processes held."""

    start: Callable[[], Work]
    seconds: dict[int, list[float]] = field(default_factory=dict)
    megabytes: dict[int, float] = field(default_factory=dict)
    idle: float = 0

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.start, other), daemon=False)
        self.process.start()

    def run(self, rows: int, source: str, target: str, limit: float = math.inf) -> float:
        """Seconds of a job; infinite where it was stopped at the limit."""
        self.pipe.send((source, target))
        begun, peak = time.perf_counter(), 0.0
        while not self.pipe.poll(0.2):
            peak = max(peak, _held(self.process.pid or 0))
            if time.perf_counter() - begun > limit:
                self.process.kill()
                return math.inf
        seconds: float = self.pipe.recv()
        self.seconds.setdefault(rows, []).append(seconds)
        self.megabytes[rows] = max(peak, self.megabytes.get(rows, 0))
        return seconds

    def warm(self, source: str, target: str) -> None:
        self.run(0, source, target)
        self.seconds.clear()
        self.idle = _held(self.process.pid or 0)

    def end(self) -> None:
        if self.process.is_alive():
            self.pipe.send(None)
        self.process.join()


def _serve(start: Callable[[], Work], pipe: Connection) -> None:
    work = start()
    while (job := pipe.recv()) is not None:
        begun = time.perf_counter()
        work(*job)
        pipe.send(time.perf_counter() - begun)


def _held(pid: int) -> float:
    """Megabytes of a process and its descendants, pages that they share counted once."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended
        children.setdefault(parent, []).append(int(stat.parent.name))
    total, left = 0.0, [pid]
    while left:
        one = left.pop()
        left += children.get(one, [])
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0)
    return total
