"""Two processes at one time on what only one of them can publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random

from tests.faults.jobs import DAY, REFUSED, Job, backfill, luigi, many
from tests.faults.matrix import Case, NotFired
from tests.faults.world import Started, World

#: Requests of two jobs that overlap, by kind and key.
REQUESTS = {
    "part": ("PUT", "/part-", 10),
    "manifest": ("PUT", "/_SUCCESS$", 8),
    "listing": ("LIST", r"/run=\w+/$", 10),
}
DEEDS = {
    "unavailable": {"deed": "answer", "status": 503, "code": "SlowDown", "times": 2},
    "conflict": {"deed": "answer", "status": 409, "code": "ConditionalRequestConflict"},
    "answer-lost": {"deed": "drop after"},
}


def cases() -> Iterator[Case]:
    for store in ("local", "s3"):
        yield Case(f"two-on-one-day-{store}", "two processes on one day", store, on_one_day, seeds=4)
        yield Case(f"two-on-one-day-one-killed-{store}", "two processes, one killed", store, one_killed, seeds=2)
        yield Case(f"two-many-days-{store}", "two overlapping many-day jobs", store, many_days, seeds=3)
        yield Case(
            f"two-many-days-one-killed-{store}", "two many-day jobs, one killed", store, many_one_killed, seeds=2
        )
        name = f"two-backfills-{store}"
        yield Case(name, "two backfills of the same days, from both ends", store, two_backfills, seeds=2)
    for request in REQUESTS:
        for deed in DEEDS:
            name = f"two-many-days-{request}-{deed}-s3"
            yield Case(name, "two many-day jobs, a request fails", "s3", many_with_fault(request, deed))


def on_one_day(world: World, draw: Random) -> None:
    """Both have written all their files before either publishes, at one of the four partitions."""
    point = draw.choice(["seeds-2026-01-04", "seeds-2026-01-05", f"sums-{DAY}", f"report-{DAY}"]) + "-commit"
    pair = [world.start(luigi(), FAULTS_MEET=point) for _ in range(2)]
    # One may find at its first look that the other builds a task: it waits in vain, and is done when all is there.
    for one in pair:
        world.finish(one)
    met(world, point)


def one_killed(world: World, draw: Random) -> None:
    """As above; one is killed a moment after they have met."""
    point = f"seeds-2026-01-0{draw.choice([4, 5])}-commit"
    pair = [world.start(luigi(), FAULTS_MEET=point, FAULTS_PAUSE="0.01") for _ in range(2)]
    kill_when_met(world, draw, pair, point)
    world.finish(pair[1])


def two_backfills(world: World, draw: Random) -> None:
    """Both have written the seeds of a day before either publishes them."""
    point = "seeds-2026-01-05-commit"
    pair = [world.start(backfill(order), FAULTS_MEET=point) for order in ("oldest", "newest")]
    for one in pair:
        world.finish(one)
    met(world, point)


def overlapping(draw: Random) -> list[Job]:
    """Two attempts at 5 or 6 days each, of which some are the same."""
    return [many(0, draw.randint(4, 5)), many(draw.randint(2, 3), 7)]


def many_days(world: World, draw: Random) -> None:
    point, pair = start_overlapping(world, draw)
    for one in pair:
        world.finish(one)
    met(world, point)


def many_one_killed(world: World, draw: Random) -> None:
    point, pair = start_overlapping(world, draw)
    kill_when_met(world, draw, pair, point)
    world.finish(pair[1])


def many_with_fault(request: str, deed: str) -> Callable[[World, Random], None]:
    kind, key, count = REQUESTS[request]

    def strike(world: World, draw: Random) -> None:
        fault = world.faults.add(kind=kind, key=key, skip=draw.randrange(count), **DEEDS[deed])
        point, pair = start_overlapping(world, draw)
        ended = [world.finish(one, {0, *REFUSED}) for one in pair]
        if not fault.fired:
            raise NotFired
        if not any(one.code for one in ended):  # one that fails before it publishes meets nobody
            met(world, point)

    return strike


def start_overlapping(world: World, draw: Random) -> tuple[str, list[Started]]:
    """Both meet with files of a day that both build, before either publishes."""
    point = f"many-2026-01-0{draw.choice([4, 5])}-commit"
    return point, [world.start(job, FAULTS_MEET=point) for job in overlapping(draw)]


def met(world: World, point: str) -> None:
    if len(world.marked(f"{point}.*")) < 2:
        raise NotFired


def kill_when_met(world: World, draw: Random, pair: list[Started], point: str) -> None:
    world.wait(lambda: len(world.marked(f"{point}.*")) == 2, *pair)
    time.sleep(draw.uniform(0, 0.1))
    world.kill(pair[0])
