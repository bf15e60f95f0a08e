"""Publications that are killed, cut off, or meet each other, on each kind of target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random

from tests.faults.matrix import Case, NotFired
from tests.faults.publication_world import (
    DAYS,
    KILLED,
    ROWS,
    Cut,
    World,
    crash_postgres,
    crash_redis,
    fired,
    own_redis,
    port_of,
)

KINDS = ("postgres", "redis", "csv")
#: The cases of a kind come one after another, because some end its server.
LANES = frozenset(f"publication to {kind}" for kind in KINDS)
#: Lines of a publication, and bytes of one in each direction, by kind and case, as far as they were counted.
_COUNTED: dict[tuple[str, str], int] = {}


def cases() -> Iterator[Case]:
    for kind in KINDS:
        for name, family, strike, seeds in _CASES:
            if kind != "csv" or name not in _OF_SERVERS:
                lane = f"publication to {kind}"
                yield Case(f"{name}-{kind}", f"publication: {family}", kind, strike, seeds, lane)


def killed(world: World, draw: Random) -> None:
    """The first publication of three days."""
    world.end(world.publish(line=_drawn_line(world, draw)), KILLED)


def rebuilt(world: World, draw: Random) -> None:
    """Days that are published, and are scored anew with fewer rows and with more, all but the first."""
    world.end(world.publish(), 0)
    world.score(DAYS[1], ROWS - 5, 0.8)
    world.score(DAYS[2], ROWS, 0.9)
    world.end(world.publish(line=_drawn_line(world, draw)), KILLED, 0)


def older_after_newer(world: World, draw: Random) -> None:
    world.end(world.publish(DAYS[2]), 0)
    world.end(world.publish(DAYS[0], line=1 + draw.randrange(_drawn_line(world, draw) // 3 + 1)), KILLED, 0)


def withdrawn(world: World, draw: Random) -> None:
    """A day is taken back, and the command runs once more. It is not published again."""
    world.end(world.publish(), 0)
    withdraw = ("withdraw", "--date", DAYS[1], "--why", "wrong rows")
    world.end(world.start(*withdraw, line=draw.randint(1, 12)), KILLED, 0)
    world.end(world.start(*withdraw), 0)
    del world.wanted[DAYS[1]]


def two_at_once(world: World, draw: Random) -> None:
    both = [world.publish() for _ in range(2)]
    for process in both:
        world.end(process, 0, 37)


def one_of_two_killed(world: World, draw: Random) -> None:
    first = world.publish(line=_drawn_line(world, draw))
    time.sleep(draw.uniform(0, 0.3))
    second = world.publish()
    world.end(first, KILLED, 0, 37)  # the second may be there before the line of the first
    world.end(second, 0, 37)


def cut_off(direction: str) -> Callable[[World, Random], None]:
    """The connection ends after some bytes: of a load, or of an answer, the one to a commit too."""

    def strike(world: World, draw: Random) -> None:
        cut = Cut(port_of(world.at), direction, draw.randint(200, _bytes(world, direction)))
        world.on_exit.callback(cut.close)
        around = world.at.replace(str(cut.port), str(cut.own_port))
        fired(world, cut, [world.publish(at=around)])

    return strike


def server_crashes(world: World, draw: Random) -> None:
    """In the middle of a load: as soon as the server has got some of its bytes."""
    if world.kind == "redis":
        world.at = own_redis(world)
    cut = Cut(port_of(world.at))
    world.on_exit.callback(cut.close)
    total = _bytes(world, "to the server")
    process = world.publish(at=world.at.replace(str(cut.port), str(cut.own_port)))
    least = draw.randint(200, total)
    while cut.passed["to the server"] < least and process.poll() is None:
        time.sleep(0.0005)
    if process.poll() is not None:
        world.end(process, 0)
        raise NotFired
    (crash_redis if world.kind == "redis" else crash_postgres)(world)
    world.end(process, 0, 37)


def _drawn_line(world: World, draw: Random) -> int:
    """A line of the first publication of three days. How many there are is counted once."""
    known = (world.kind, "lines")
    if known not in _COUNTED:
        _COUNTED[known] = world.lines(_apart(world).publish())
    return draw.randint(1, _COUNTED[known])


def _bytes(world: World, direction: str) -> int:
    known = (world.kind, direction)
    if known not in _COUNTED:
        cut = Cut(port_of(world.at))
        world.end(_apart(world).publish(at=world.at.replace(str(cut.port), str(cut.own_port))), 0)
        cut.close()
        _COUNTED.update({(world.kind, way): passed for way, passed in cut.passed.items()})
    return _COUNTED[known]


def _apart(world: World) -> World:
    """A lake of another name at the same target, on which nobody looks."""
    home = world.home / "counted"
    home.mkdir()
    return World(world.kind, home, world.at, f"{world.name}-counted")


_OF_SERVERS = ("publication-cut-off-to", "publication-cut-off-from", "publication-server-crashes")
_CASES: tuple[tuple[str, str, Callable[[World, Random], None], int], ...] = (
    ("publication-killed", "killed at a drawn line", killed, 6),
    ("publication-rebuilt", "rebuilt days, killed at a drawn line", rebuilt, 4),
    ("publication-older", "an older day after a newer one, killed at a drawn line", older_after_newer, 2),
    ("publication-withdrawn", "withdrawal killed at a drawn line", withdrawn, 3),
    ("publication-two", "two at once", two_at_once, 2),
    ("publication-one-of-two", "two at once, one of them killed", one_of_two_killed, 2),
    ("publication-cut-off-to", "connection cut before the server has all", cut_off("to the server"), 4),
    ("publication-cut-off-from", "connection cut before an answer", cut_off("from the server"), 4),
    ("publication-server-crashes", "server crashes in mid-load", server_crashes, 2),
)
