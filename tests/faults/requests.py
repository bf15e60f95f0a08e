"""What a store may answer, or not, to one request or for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.faults.jobs import FAILED, UNKNOWN, luigi
from tests.faults.matrix import Case, NotFired
from tests.faults.world import World

#: Requests of one stage by kind and key; ``skip`` picks one of so many of them.
REQUESTS = {
    "probe": ("PUT", r"/\.probe-", 3),
    "end-of-the-probe": ("DELETE", r"/\.probe-", 1),
    "part": ("PUT", "/part-", 3),
    "listing-of-the-run": ("LIST", r"/run=\w+/$", 2),
    "listing-of-days": ("LIST", "/seeds/(date=[^/]*)?$", 1),
    "footer": ("GET", "/part-", 3),
    "manifest": ("PUT", "/_SUCCESS$", 1),
}
#: What one client's tries ride out.
ONCE: dict[str, dict[str, Any]] = {
    "slow-down": {"deed": "answer", "times": 2},
    "dropped-before": {"deed": "drop before", "times": 2},
    "dropped-after": {"deed": "drop after"},
    "delayed": {"deed": "delay", "seconds": 0.5},
}
#: What outlasts them.
LONG: dict[str, dict[str, Any]] = {
    "slow-down-for-long": {"deed": "answer", "times": 7},
    "dropped-for-long": {"deed": "drop before", "times": 7},
}
WHILE_GONE: dict[str, dict[str, Any]] = {
    "silent": {"deed": "drop before"},
    "unavailable": {"deed": "answer", "status": 503, "code": "ServiceUnavailable"},
    "no-such-bucket": {"deed": "answer", "status": 404, "code": "NoSuchBucket"},
    "denied": {"deed": "answer", "status": 403, "code": "AccessDenied"},
}


def cases() -> Iterator[Case]:
    for request in REQUESTS:
        for deed in ONCE:
            yield Case(f"{request}-{deed}-s3", f"request {deed}", "s3", to_one(request, ONCE[deed], {0}))
    for request in ("listing-of-days", "listing-of-the-run", "footer"):
        yield Case(f"{request}-cut-s3", "request cut", "s3", to_one(request, {"deed": "cut"}, {0, FAILED, UNKNOWN}))
    conflict = {"deed": "answer", "status": 409, "code": "ConditionalRequestConflict", "times": 2}
    yield Case("manifest-conflict-s3", "request conflict", "s3", to_one("manifest", conflict, {0}))
    for request in ("part", "listing-of-the-run", "footer", "manifest"):
        for deed in LONG:
            codes = {0, FAILED, UNKNOWN}
            yield Case(f"{request}-{deed}-s3", f"request {deed}", "s3", to_one(request, LONG[deed], codes))
    for how in WHILE_GONE:
        yield Case(f"bucket-gone-{how}-s3", "bucket gone for a while", "s3", gone(how), seeds=2)


def to_one(request: str, deed: dict[str, Any], codes: set[int]) -> Callable[[World, Random], None]:
    kind, key, count = REQUESTS[request]

    def strike(world: World, draw: Random) -> None:
        fault = world.faults.add(kind=kind, key=key, skip=draw.randrange(count), **deed)
        world.finish(world.start(luigi("Seeds")), codes)
        if not fault.fired:
            raise NotFired

    return strike


def gone(how: str) -> Callable[[World, Random], None]:
    """From some request on nothing works, until it does again: for longer than the run tries, or shorter."""

    def strike(world: World, draw: Random) -> None:
        fault = world.faults.add(skip=draw.randrange(40), times=10_000, **WHILE_GONE[how])
        run = world.start(luigi())
        world.wait(lambda: fault.fired, run)
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0.1, 1.0))
            world.faults.heal()
        world.finish(run, {0, FAILED, UNKNOWN})

    return strike
