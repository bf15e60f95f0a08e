"""A luigid that takes a worker for dead which only slept, and a luigid that is killed."""

from __future__ import annotations

import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.faults.jobs import DAY, FAILED, NOT_RUN, UNKNOWN, luigi
from tests.faults.matrix import Case, NotFired
from tests.faults.world import World
from tests.support.processes import Commands
from tests.support.s3 import free_port, listens

_DISCONNECT_SECONDS = 2
_OWN = f"""
[scheduler]
worker_disconnect_delay = {_DISCONNECT_SECONDS}
prune_on_get_work = true
retry_delay = 1
"""
_OF_WORKERS = """
[core]
local_scheduler = false
default-scheduler-url = http://127.0.0.1:{port}
rpc-retry-attempts = 15
rpc-retry-wait = 1
[worker]
keep_alive = true
ping_interval = 0.5
wait_interval = 1
"""
#: Where the first worker sleeps: its files half written, and all written but nothing published.
_POINTS = ("part-1", "commit")


def cases() -> Iterator[Case]:
    for store in ("local", "s3"):
        yield Case(f"worker-asleep-{store}", "SIGSTOP beyond luigid's delay, SIGCONT", store, asleep, seeds=2)
        yield Case(f"luigid-killed-{store}", "luigid killed and restarted", store, luigid_killed, seeds=2)
    yield Case("worker-asleep-at-the-put-s3", "SIGSTOP beyond luigid's delay, SIGCONT", "s3", asleep_at_the_put)


def asleep(world: World, draw: Random) -> None:
    """The second worker takes over, and may have published before the first one wakes, or be at it."""
    point = f"{draw.choice(['seeds-2026-01-04', f'sums-{DAY}'])}-{draw.choice(_POINTS)}"
    _taken_over(world, lambda: bool(world.marked(f"{point}.*")), draw.random() < 0.5, FAULTS_WAIT=point)


def asleep_at_the_put(world: World, draw: Random) -> None:
    """The first one's put of a manifest is on its way while it sleeps, and lands when the second one has published."""
    fault = world.faults.add("delay", kind="PUT", key="/_SUCCESS$", skip=draw.randrange(3), seconds=8.0)
    world.lands_at = time.monotonic() + 12
    _taken_over(world, lambda: bool(fault.fired), True)


def _taken_over(world: World, reached: Callable[[], bool], wakes_late: bool, **env: str) -> None:
    with _luigid(world.home) as (port, _):
        config = _OF_WORKERS.format(port=port)
        sleeper = world.start(luigi(), config, **env)
        world.wait(reached, sleeper)
        sleeper.signal(signal.SIGSTOP)
        time.sleep(_DISCONNECT_SECONDS + 0.5)
        other = world.start(luigi(), config)
        if wakes_late:
            world.finish(other)
        else:
            world.wait(lambda: len(world.marked(f"*-commit.{other.process.pid}")) >= 1, other)
        (world.marks / "go").touch()
        sleeper.signal(signal.SIGCONT)
        if not wakes_late:
            # What the first one does after it woke was never granted to the second, and Luigi's exit code says so.
            world.finish(other, {0, NOT_RUN})
        # It may find its task done, or that luigid gave it to another.
        world.finish(sleeper, {0, NOT_RUN, FAILED})
        if len({mark.suffix for mark in world.marked()}) < 2:
            raise NotFired  # the second one did not run a single step: nothing was taken over


def luigid_killed(world: World, draw: Random) -> None:
    """A worker goes on when luigid comes back, which has forgotten it; what it exits with is true."""
    with _luigid(world.home) as (port, server):
        run = world.start(luigi(), _OF_WORKERS.format(port=port), FAULTS_PAUSE="0.1")
        world.wait(world.marked, run)
        time.sleep(draw.uniform(0, 1.0))
        if not run.runs:
            raise NotFired
        server.kill()
        server.wait()
        time.sleep(draw.uniform(0.1, 1.5))
        with _luigid(world.home, port):
            world.finish(run, {0, NOT_RUN, FAILED, UNKNOWN})


@contextmanager
def _luigid(home: Path, port: int = 0) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = port or free_port()
    program = Path(sysconfig.get_path("scripts"), "luigid")
    own = home / f"luigid-{time.monotonic_ns()}"
    own.mkdir()
    with (own / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--address", "127.0.0.1", "--port", str(port), "--state-path", own / "state", "--logdir", own],
            cwd=own,
            env=Commands(own).environment(_OWN),
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 30
        while not listens(port):
            assert server.poll() is None and time.monotonic() < deadline, (own / "log").read_text()
            time.sleep(0.05)
        yield port, server
    finally:
        server.kill()
        server.wait()
