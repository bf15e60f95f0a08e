"""What befalls Spark: its Python workers, its executors, its driver, and their store."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from typing import Any

from spark_lib.lake import Lake
from tests.faults import damage
from tests.faults.machine import can_mount, small_disk
from tests.faults.matrix import Case, NotFired
from tests.faults.reader import Key
from tests.faults.spark_host import CASE, DATASET
from tests.faults.spark_world import DAY, MANY, SLOW, Host, SparkWorld
from tests.faults.world import damage_of

#: An attempt that failed: of ours, or Spark's own error.
_FAILED = {1, *range(30, 41)}
#: Of an attempt with four files: uploads begun, their parts, uploads completed when the job commits, the manifest.
REQUESTS = {
    "upload-begun": ("POST", "/part-", 0, 4),
    "part": ("PUT", "part-", 0, 4),
    "upload-completed": ("POST", "/part-", 4, 8),
    "footer": ("GET", r"/run=\w+/part-", 0, 4),
    "manifest": ("PUT", "/_SUCCESS$", 0, 1),
}
DEEDS: dict[str, dict[str, Any]] = {
    "slow-down": {"deed": "answer", "times": 2},
    "dropped-after": {"deed": "drop after"},
}
_HELD_SECONDS = 2.0
#: Cases that also strike a partition that is scored file by file.
SCORES_TOO = (
    "executor-killed",
    "worker-killed",
    "driver-killed",
    "part-file-*",
    "part-slow-down",
    "part-dropped-after",
)


def cases() -> Iterator[Case]:
    for case in _of_builds():
        yield case
        if any(fnmatch(case.name, f"spark-{name}-{case.store}") for name in SCORES_TOO):
            name = case.name.replace("spark-", "spark-scores-")
            yield replace(case, name=name, family=f"{case.family}, at scores", strike=_of_scores(case.strike))


def _of_scores(strike: Callable[..., None]) -> Callable[..., None]:
    def strike_scores(world: SparkWorld, draw: Random) -> None:
        world.scores()
        strike(world, draw)

    return strike_scores


def _of_builds() -> Iterator[Case]:
    def threads(name: str, family: str, store: str, strike: Callable[..., None], seeds: int = 1) -> Case:
        return Case(f"spark-{name}-{store}", f"Spark: {family}", store, strike, seeds, together="threads")

    def cluster(name: str, family: str, store: str, strike: Callable[..., None], seeds: int = 1) -> Case:
        return Case(f"spark-{name}-{store}", f"Spark: {family}", store, strike, seeds, together="cluster")

    for store in ("local", "s3"):
        yield cluster("executor-killed", "executor killed", store, executor_killed)
        yield cluster("worker-of-an-executor-killed", "Python worker killed", store, worker_killed)
        yield cluster("two-many-days", "two overlapping many-day jobs", store, two_many_days)
        yield threads("worker-killed", "Python worker killed", store, worker_killed)
        yield threads("workers-killed", "Python workers killed until the job fails", store, workers_killed)
        yield threads("two-on-one-day", "two attempts at one day", store, two_on_one_day)
        yield threads("driver-killed", "driver killed at a random moment", store, driver_killed)
        for deed in (damage.deleted, damage.truncated, damage.altered):
            name = f"part-file-{deed.__name__}"
            yield threads(name, "part file damaged after publishing", store, damaged(deed))
    for request in ("part", "upload-completed"):
        name = f"executor-killed-at-{request}"
        yield cluster(name, "executor killed at a request", "s3", executor_killed_at(request))
    for request in ("part", "upload-completed", "manifest"):
        yield threads(f"driver-killed-at-{request}", "driver killed at a request", "s3", driver_killed_at(request))
    for request in REQUESTS:
        for deed in DEEDS:
            yield threads(f"{request}-{deed}", "a request fails", "s3", request_fails(request, DEEDS[deed]))
    if can_mount():
        yield threads("disk-full", "disk full (tmpfs)", "local", disk_full)


def marks(world: SparkWorld) -> list[tuple[int, int]]:
    """(Python worker, its executor) of every task that has begun."""
    found = [mark.name.split(".") for mark in world.marked()]
    return [(int(worker), int(executor)) for _, worker, executor in found]


def here(world: SparkWorld, key: str) -> str:
    """A key of this lake: a driver may still send requests of an earlier one."""
    return f"{re.escape(world.home.name)}/.*{key}"


def kill(pid: int) -> None:
    """Raises NotFired where there is no such process any more."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        raise NotFired from None


def begun(world: SparkWorld, number: str, host: Host | None = None) -> None:
    """Wait until a Python worker of the attempt is at it."""
    world.wait(lambda: marks(world) or (host or world.host).answered(number), seconds=60)
    if (host or world.host).answered(number):
        raise NotFired


def worker_killed(world: SparkWorld, draw: Random) -> None:
    """Spark starts the task again; the first try's half file must not count."""
    number = world.build(slow=SLOW)
    begun(world, number)
    time.sleep(draw.uniform(0, world.busy))
    kill(draw.choice(marks(world))[0])
    world.built(number)


def workers_killed(world: SparkWorld, draw: Random) -> None:
    number = world.build(slow=SLOW)
    killed: set[int] = set()
    while not world.host.answered(number):
        for worker, _ in marks(world):
            if worker not in killed:
                with suppress(NotFired):
                    kill(worker)
                killed.add(worker)
        time.sleep(0.01)
    world.built(number, _FAILED)
    if len(killed) < 2:
        raise NotFired


def executor_killed(world: SparkWorld, draw: Random) -> None:
    number = world.build(slow=SLOW)
    begun(world, number)
    time.sleep(draw.uniform(0, 0.9))
    kill(draw.choice(marks(world))[1])
    world.built(number)


def executor_killed_at(request: str) -> Callable[[SparkWorld, Random], None]:
    kind, key, first, last = REQUESTS[request]

    def strike(world: SparkWorld, draw: Random) -> None:
        skip = draw.randrange(first, last)
        fault = world.faults.add("delay", kind=kind, key=here(world, key), skip=skip, seconds=_HELD_SECONDS)
        number = world.build()
        world.wait(lambda: fault.fired or world.host.answered(number), seconds=60)
        if not fault.fired:
            raise NotFired
        kill(draw.choice(marks(world))[1])
        world.lands_at = time.monotonic() + _HELD_SECONDS + 0.3
        world.built(number)

    return strike


def driver_killed(world: SparkWorld, draw: Random) -> None:
    host = world.other()
    number = world.build(host=host, slow=SLOW)
    begun(world, number, host)
    time.sleep(draw.uniform(0, 1.2))
    if host.answered(number):
        raise NotFired
    host.kill()


def driver_killed_at(request: str) -> Callable[[SparkWorld, Random], None]:
    kind, key, first, last = REQUESTS[request]

    def strike(world: SparkWorld, draw: Random) -> None:
        host = world.other()
        deed = draw.choice(["delay", "drop before", "drop after"])
        fault = host.proxy.add(deed, kind=kind, key=key, skip=draw.randrange(first, last), seconds=_HELD_SECONDS)
        number = world.build(host=host)
        world.wait(lambda: fault.fired or host.answered(number), seconds=60)
        if not fault.fired:
            raise NotFired
        host.kill()
        world.lands_at = time.monotonic() + _HELD_SECONDS + 0.3
        world.next_run_waits = draw.random() < 0.5

    return strike


def request_fails(request: str, deed: dict[str, Any]) -> Callable[[SparkWorld, Random], None]:
    kind, key, first, last = REQUESTS[request]

    def strike(world: SparkWorld, draw: Random) -> None:
        fault = world.faults.add(kind=kind, key=here(world, key), skip=draw.randrange(first, last), **deed)
        world.built(world.build(), {0, *_FAILED})
        if not fault.fired:
            raise NotFired

    return strike


def two_on_one_day(world: SparkWorld, draw: Random) -> None:
    """Two jobs of one session, neither of which ends before the other has begun."""
    pair = [world.build(meet=2) for _ in range(2)]
    for number in pair:
        world.built(number)
    _met(world)


def two_many_days(world: SparkWorld, draw: Random) -> None:
    """Two drivers write days of one dataset at one time, of which some are the same."""
    host = world.other()
    early, late = MANY[: draw.randint(3, 4)], MANY[draw.randint(1, 2) :]
    numbers = [world.build(early, meet=2), world.build(late, host, meet=2)]
    world.built(numbers[0])
    world.built(numbers[1], host=host)
    _met(world)


def _met(world: SparkWorld) -> None:
    if len({mark.name.split(".")[0] for mark in world.marked()}) < 2:
        raise NotFired


def damaged(deed: Callable[[Any, str, bytes], str]) -> Callable[[SparkWorld, Random], None]:
    """Whoever reads the day is told which file, and building it again needs its manifest removed."""
    key: Key = (CASE, DATASET, DAY)

    def strike(world: SparkWorld, draw: Random) -> None:
        world.builds()
        (partition,) = Lake(world.root, CASE).require(DATASET, DAY)
        path = f"{partition.prefix}/{draw.choice(partition.manifest.files).path}"
        with partition.store.open(path) as opened:
            body = opened.read()
        with world.reader.paused(damaged=key):
            found = deed(world, path, body)
        error = damage_of(world, key)
        url = partition.store.url(path)
        if error is None or url not in str(error) or found not in error.found:
            world.violations.append(f"{url} was damaged ({found}), and the lake says {error}")
        world.built(world.host.send("read", world.root, [DAY]), {35}, said=str(error))
        with world.reader.paused(removed=key):
            world.outsider.delete(f"{partition.prefix}/_SUCCESS")

    return strike


def disk_full(world: SparkWorld, draw: Random) -> None:
    disk = world.on_exit.enter_context(small_disk(Path(world.root)))
    disk.leave(draw.randrange(1, 5))
    number = world.build()
    world.built(number, _FAILED)
    disk.leave_all()
    if "No space left on device" not in world.host.answer(number)["said"]:
        raise NotFired
