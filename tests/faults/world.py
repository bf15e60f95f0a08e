"""The world of one case: a lake of its own, what runs on it, the faults of its store, and the invariants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from spark_lib.errors import DaystoneError
from spark_lib.lake import Lake, Partition
from tests.faults import stub
from tests.faults.jobs import KILLED, Job, backfill, luigi, many
from tests.faults.matrix import Case, NotFired
from tests.faults.reader import Contents, Key, Reader, contents
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.outsiders import LocalOutsider, Outsider, S3Outsider
from tests.support.processes import Commands, Result
from tests.support.s3 import Server

_LONGEST = 120.0


@dataclass
class Started:
    """A process group of a job."""

    job: Job
    process: subprocess.Popen[bytes]
    home: Path
    copying: subprocess.Popen[bytes]

    @property
    def stderr(self) -> str:
        """All that it said, once it has ended."""
        self.copying.wait()
        return (self.home / "stderr").read_text(errors="replace")

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Raises NotFired where the process has ended."""
        if not self.runs:
            raise NotFired
        os.killpg(self.process.pid, number)


@dataclass
class World:
    """A lake, and what happens on it. ``reference`` is what an undisturbed run of every job publishes."""

    home: Path
    root: str
    reference: Mapping[Key, Contents]
    proxy: FaultProxy | None = None
    config: str = ""
    violations: list[str] = field(default_factory=list)
    #: Until then a put that was sent may still arrive; the next run may begin before that, or not.
    lands_at: float = 0.0
    next_run_waits: bool = False
    on_exit: ExitStack = field(default_factory=ExitStack)
    _started: list[Started] = field(default_factory=list)
    _jobs: list[Job] = field(default_factory=list)
    _reader: Reader | None = None

    @property
    def faults(self) -> FaultProxy:
        assert self.proxy is not None, "a case of the local store asked for a fault of S3"
        return self.proxy

    @property
    def outsider(self) -> Outsider:
        """Somebody else who writes and deletes objects of the lake."""
        return S3Outsider(self.proxy.server, self.root) if self.proxy else LocalOutsider(self.root)

    @property
    def marks(self) -> Path:
        return self.home / "marks"

    @property
    def reader(self) -> Reader:
        assert self._reader is not None
        return self._reader

    def start(self, job: Job, config: str = "", **env: str) -> Started:
        """Start a job in a home of its own, as on a machine of its own. ``env`` is for the stub (FAULTS_...)."""
        self._jobs.append(job)
        if self._reader is None:
            self._reader = Reader(self.root, self.reference)
            self._reader.start()
        home = self.home / f"process-{len(self._started)}"
        home.mkdir()
        more = self.proxy.server.environment if self.proxy else {}
        settings = f"[pipeline]\nuse_case = {stub.CASE}\n{config or self.config}"
        environment = Commands(home).environment(settings, {**more, "FAULTS_MARKS": str(self.marks), **env})
        if "PYTHONPATH" in env:
            environment["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(Commands(home).packages)])
        # Through a pipe: a process that may not let files grow can still say why it failed.
        with (home / "stderr").open("wb") as err:
            copying = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=err)
        assert copying.stdin is not None
        process = subprocess.Popen(
            [*job.command, self.root],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=copying.stdin,
            start_new_session=True,
        )
        copying.stdin.close()
        started = Started(job, process, home, copying)
        self._started.append(started)
        return started

    def finish(self, started: Started, codes: Collection[int] = (0,), said: str = "") -> Result:
        """Wait for a process, whose exit code must be one of ``codes`` and true, and which must have ``said`` so."""
        try:
            code = started.process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            started.signal(signal.SIGKILL)
            started.process.wait()
            code = -999
        result = Result(code, "", started.stderr)
        what = f"{' '.join(started.job.command[-4:])}: exit {code}"
        if code not in codes:
            self.violations.append(f"{what}, wanted {sorted(codes)}:\n{result.stderr[-3000:]}")
        if code == 0:
            self.violations += [f"{what}, but {difference}" for difference in self.differences(started.job.wanted)]
        if said not in result.stderr:
            self.violations.append(f"{what}, but it did not say {said!r}:\n{result.stderr[-3000:]}")
        return result

    def kill(self, started: Started) -> None:
        """SIGKILL. Raises NotFired where the process has ended."""
        started.signal(signal.SIGKILL)
        if started.process.wait() != KILLED:
            raise NotFired  # it ended by itself in this very moment

    def wait(self, reached: Callable[[], object], *running: Started, seconds: float = 30.0) -> None:
        """Wait for something. Raises NotFired where none of the processes is left, or the time is up."""
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline or (running and not any(one.runs for one in running)):
                raise NotFired
            time.sleep(0.002)

    def marked(self, pattern: str = "*") -> list[Path]:
        """The steps that processes of the stub have reached."""
        return list(self.marks.glob(pattern))

    def differences(self, wanted: Collection[Key]) -> list[str]:
        """What of these partitions is missing, damaged or other than an undisturbed run's."""
        found = []
        for use_case, dataset, day in wanted:
            there = Lake(self.root, use_case).find(dataset, day, day).get(day)
            if not isinstance(there, Partition):
                found.append(f"{dataset} of {day} is {there or 'missing'}")
            elif contents(there) != self.reference[use_case, dataset, day]:
                found.append(f"{dataset} of {day} has other rows than an undisturbed run")
        return found

    def settle(self) -> None:
        """Run every job again, undisturbed, one after another; then check."""
        self.faults_healed()
        for one in self._started:
            if one.runs:
                self.end(one)
        if self.next_run_waits:
            self._wait_for_late_puts()
        asked = list(dict.fromkeys(self._jobs))
        for job in asked:
            # One that another asks for is run by that one.
            if not any(set(job.wanted) < set(other.wanted) for other in asked):
                self.finish(self.start(job))
        self._wait_for_late_puts()
        self.violations += self.differences(dict.fromkeys(key for job in asked for key in job.wanted))
        self.violations += self.published_otherwise({key for job in asked for key in job.wanted})
        self.end_reader()

    def faults_healed(self) -> None:
        if self.proxy:
            self.proxy.heal()

    def end_reader(self) -> None:
        """Take over what the reader saw."""
        self.reader.end()
        self.violations += self.reader.broken
        if not self.reader.polls:
            self.violations.append("the reader did not poll")

    def _wait_for_late_puts(self) -> None:
        time.sleep(max(0.0, self.lands_at - time.monotonic()))

    def end(self, started: Started) -> None:
        """End what a case left behind."""
        with suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()

    def published_otherwise(self, wanted: Collection[Key]) -> Iterator[str]:
        """Manifests that nobody asked for, or in a place that is no partition's."""
        for use_case in sorted({key[0] for key in wanted}):
            lake = Lake(self.root, use_case)
            allowed = {f"{lake.prefix(dataset, day)}/_SUCCESS" for case, dataset, day in wanted if case == use_case}
            for entry in lake.store.list(use_case):
                if entry.key.endswith("_SUCCESS") and entry.key not in allowed:
                    yield f"a manifest where none belongs: {entry.key}"

    def close(self) -> None:
        """End all that is left of it."""
        for one in self._started:
            if one.runs:
                self.end(one)
        if self._reader:
            self._reader.end()
        self.on_exit.close()
        if not self.violations:
            shutil.rmtree(self.home, ignore_errors=True)


def undisturbed(home: Path) -> dict[Key, Contents]:
    """What every job of the stub publishes when nothing happens."""
    world = _open(home, str(home / "lake"), {})
    found: dict[Key, Contents] = {}
    for job in (luigi(), many(), backfill()):
        started = world.start(job)
        if started.process.wait(_LONGEST):
            raise AssertionError(f"the undisturbed run failed:\n{started.stderr}")
        for use_case, dataset, day in job.wanted:
            found[use_case, dataset, day] = contents(Lake(world.root, use_case).require(dataset, day)[0])
    world.reader.end()
    return found


@dataclass
class Worlds:
    """Makes a world for each try of a case."""

    home: Path
    server: Server
    bucket: str
    reference: Mapping[Key, Contents]

    @contextmanager
    def __call__(self, case: Case, seed: int, attempt: int) -> Iterator[World]:
        name = f"{case.name}-{seed}-{attempt}"
        home = self.home / name
        if case.store == "local":
            world = _open(home, str(home / "lake"), self.reference)
            yield from _until_closed(world)
        else:
            with fault_proxy(self.server) as proxy:
                world = _open(home, f"s3://{self.bucket}/{name}", self.reference)
                world.proxy = proxy
                yield from _until_closed(world)


def _until_closed(world: World) -> Iterator[World]:
    try:
        yield world
    finally:
        world.close()


def _open(home: Path, root: str, reference: Mapping[Key, Contents]) -> World:
    (home / "marks").mkdir(parents=True)
    return World(home, root, reference)


def damage_of(world: World, key: Key) -> DaystoneError | None:
    """The error that a partition is, where it is one."""
    use_case, dataset, day = key
    found = Lake(world.root, use_case).find(dataset, day, day).get(day)
    return found if isinstance(found, DaystoneError) else None
