"""What the machine does: a disk that is full, a clock that is a day off."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.faults.jobs import FAILED, REFUSED, UNKNOWN, Job, luigi, many
from tests.faults.matrix import Case, NotFired
from tests.faults.world import World
from tests.support.checkout import ROOT

CLOCK = str(ROOT / "tests" / "chain" / "later")
_PAGE, _PAGES = 4096, 256


def cases() -> Iterator[Case]:
    how = "tmpfs" if can_mount() else "file size limit"
    strike = full if can_mount() else limited
    yield Case("disk-full-local", f"disk full ({how})", "local", strike(luigi(), {FAILED, UNKNOWN}), seeds=3)
    yield Case("disk-full-many-days-local", f"disk full ({how})", "local", strike(many(), set(REFUSED)), seeds=2)
    yield Case("server-full-s3", "disk full (the server answers 507)", "s3", server_full, seeds=2)
    for store in ("local", "s3"):
        yield Case(f"clock-ahead-{store}", "clock a day off", store, skewed(1))
        yield Case(f"clock-behind-{store}", "clock a day off", store, skewed(-1))
    yield Case("clocks-apart-local", "two processes, clocks two days apart", "local", apart, seeds=2)


@cache
def can_mount() -> bool:
    """Whether this process may mount a small disk."""
    with TemporaryDirectory() as directory:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", directory], check=True)
        return True


@dataclass(frozen=True)
class Disk:
    """A file system of its own, with room for so many small files as it is told to leave."""

    directory: Path

    def leave(self, files: int) -> None:
        # tmpfs takes a page for each file that is not empty.
        (self.directory / "filler").write_bytes(bytes((_PAGES - files) * _PAGE))

    def leave_all(self) -> None:
        (self.directory / "filler").unlink()


@contextmanager
def small_disk(directory: Path) -> Iterator[Disk]:
    directory.mkdir()
    size = f"size={_PAGES * _PAGE}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(directory)], check=True)
    try:
        yield Disk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def full(job: Job, codes: set[int]) -> Callable[[World, Random], None]:
    """A disk of its own for the lake, with room for some of the files."""

    def strike(world: World, draw: Random) -> None:
        disk = world.on_exit.enter_context(small_disk(Path(world.root)))
        disk.leave(draw.randrange(1, 9))
        result = world.finish(world.start(job), codes)
        disk.leave_all()
        if "No space left on device" not in result.stderr:
            raise NotFired

    return strike


def limited(job: Job, codes: set[int]) -> Callable[[World, Random], None]:
    """Where nothing may be mounted: the operating system refuses to let files grow."""

    def strike(world: World, draw: Random) -> None:
        run = world.start(job, FAULTS_FILE_BYTES=str(draw.randrange(1, 900)))
        result = world.finish(run, codes)
        if "File too large" not in result.stderr:
            raise NotFired

    return strike


def server_full(world: World, draw: Random) -> None:
    fault = world.faults.add(
        "answer", kind="PUT", key="/part-|/_SUCCESS$", skip=draw.randrange(13), times=7, status=507, code="StorageFull"
    )
    world.finish(world.start(luigi()), {0, FAILED, UNKNOWN})
    if not fault.fired:
        raise NotFired


def skewed(days: int) -> Callable[[World, Random], None]:
    """In a directory nothing may change; S3 refuses the signature, which is an error and never a publish."""

    def strike(world: World, draw: Random) -> None:
        hours = days * 24 + draw.uniform(-2, 2)
        run = world.start(luigi(), PYTHONPATH=CLOCK, DAYS_AHEAD=str(hours / 24))
        if world.proxy:
            world.finish(run, {UNKNOWN}, said="RequestTimeTooSkewed")
            if any(kind == "PUT" and "Success" in key for kind, key in world.proxy.log):
                world.violations.append("a process whose clock is a day off put a manifest")
        else:
            world.finish(run)
            if not _off(world):
                raise NotFired

    return strike


def apart(world: World, draw: Random) -> None:
    point = f"seeds-2026-01-0{draw.choice([4, 5])}-commit"
    pair = [world.start(luigi(), PYTHONPATH=CLOCK, DAYS_AHEAD=days, FAULTS_MEET=point) for days in ("-1", "1")]
    for one in pair:
        world.finish(one)
    if len(world.marked(f"{point}.*")) < 2 or not _off(world):
        raise NotFired


def _off(world: World) -> bool:
    """Whether every process of the stub believed in another day: its marks hold its time."""
    return all(abs(float(mark.read_text()) - mark.stat().st_mtime) > 20 * 3600 for mark in world.marked())
