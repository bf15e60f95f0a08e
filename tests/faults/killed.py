"""kill -9 of the process that builds, at random moments and at chosen ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.faults.jobs import DAY, LUIGI_CASE, backfill, clean, luigi, many
from tests.faults.matrix import Case
from tests.faults.world import World, damage_of

#: Requests by kind and key; ``skip`` picks one of so many of them.
REQUESTS = {
    "part": ("PUT", "/part-", 9),
    "document": ("PUT", r"/report/.*\.txt$", 2),
    "manifest": ("PUT", "/_SUCCESS$", 4),
    "listing-of-the-run": ("LIST", r"/run=\w+/$", 8),
    "listing-of-days": ("LIST", "/(seeds|sums|report)/", 4),
    "footer": ("GET", "/part-", 9),
    "probe": ("PUT", r"/\.probe-", 3),
    "end-of-the-probe": ("DELETE", r"/\.probe-", 1),
}
#: What appears in a local lake: a pattern, and of how many paths.
PATHS = {
    "part": ("*/*/date=*/run=*/part-*", 9),
    "run": ("*/*/date=*/run=*", 4),
    "manifest": ("*/*/date=*/_SUCCESS", 4),
    "manifest-of-seeds": ("*/seeds/date=*/_SUCCESS", 2),
    "document": ("*/report/date=*/run=*/*.txt", 2),
    "root": ("", 1),
}
#: How long a request is held: long enough for the kill, and for a late put to meet the next run.
_HELD_SECONDS = 2.0


def cases() -> Iterator[Case]:
    for store in ("local", "s3"):
        yield Case(f"killed-at-random-{store}", "driver killed at a random moment", store, at_random, seeds=9)
        yield Case(
            f"many-days-killed-{store}", "many-day job killed at a random moment", store, many_at_random, seeds=3
        )
        name = f"backfill-killed-{store}"
        yield Case(name, "backfill killed at a random moment", store, backfill_at_random, seeds=10)
        yield Case(f"clean-killed-{store}", "clean killed at a random moment", store, clean_at_random, seeds=3)
    for name in REQUESTS:
        for deed in ("delay", "drop before", "drop after"):
            called = f"killed-at-{name}-{deed.replace(' ', '-')}-s3"
            yield Case(called, "driver killed at a request", "s3", at_request(name, deed))
    for name in PATHS:
        yield Case(f"killed-at-{name}-local", "driver killed when a path appears", "local", at_path(name), seeds=2)


def at_random(world: World, draw: Random) -> None:
    """Mostly while it writes and publishes, sometimes while it starts or plans."""
    run = world.start(luigi(), FAULTS_PAUSE="0.04")
    if draw.random() < 0.75:
        world.wait(world.marked, run)
        time.sleep(draw.uniform(0, 0.9))
    else:
        time.sleep(draw.uniform(0, 0.8))
    world.kill(run)


def many_at_random(world: World, draw: Random) -> None:
    run = world.start(many(), FAULTS_PAUSE="0.02")
    world.wait(world.marked, run)
    time.sleep(draw.uniform(0, 0.8))
    world.kill(run)


def backfill_at_random(world: World, draw: Random) -> None:
    """At the first to the last of its days, while it writes or publishes. Then once more on its way back."""
    for order in ("oldest", "newest"):
        run = world.start(backfill(order), FAULTS_PAUSE="0.01")
        world.wait(lambda run=run: world.marked(f"*.{run.process.pid}"), run)
        time.sleep(draw.uniform(0, 0.6))
        world.kill(run)


def clean_at_random(world: World, draw: Random) -> None:
    """A day that is removed is whole or not there, wherever that ends; nobody reads it meanwhile."""
    world.finish(world.start(luigi()))
    steps = draw.randint(1, 4)
    with world.reader.paused(removed=(LUIGI_CASE, "sums", DAY)):
        run = world.start(clean(), FAULTS_PAUSE="0.05")
        world.wait(lambda: len(world.marked("clean-*")) >= steps, run)
        world.kill(run)
    if damage_of(world, (LUIGI_CASE, "sums", DAY)):
        world.violations.append(f"a day was left half removed after {steps} objects")
    world.finish(world.start(luigi("Sums")))


def at_request(name: str, deed: str) -> Callable[[World, Random], None]:
    """While a request is on its way (it lands later), never arrives, or was executed and is not answered yet."""
    kind, key, count = REQUESTS[name]

    def strike(world: World, draw: Random) -> None:
        fault = world.faults.add(deed, kind=kind, key=key, skip=draw.randrange(count), seconds=_HELD_SECONDS)
        run = world.start(luigi())
        world.wait(lambda: fault.fired, run)
        world.lands_at = time.monotonic() + _HELD_SECONDS + 0.3
        world.next_run_waits = draw.random() < 0.5
        world.kill(run)

    return strike


def at_path(name: str) -> Callable[[World, Random], None]:
    pattern, count = PATHS[name]

    def strike(world: World, draw: Random) -> None:
        times = draw.randint(1, count)
        run = world.start(luigi(), FAULTS_PAUSE="0.01")
        root = Path(world.root)
        world.wait(lambda: len(list(root.glob(pattern))) >= times if pattern else root.exists(), run)
        world.kill(run)

    return strike
