"""The chain as a user runs it: real processes on a lake of a test's own, and what they did to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import spark_lib
from spark_lib.lake import Lake, RawFeed
from spark_lib.lake.stores.cache import user_directory
from spark_lib.use_cases.credit_risk import sample
from tests.support.patience import PATIENCE, until
from tests.support.processes import ROOT, Commands, Result

USE_CASES = Path(__file__).parent / "use_cases"
LUIGI = Path(sysconfig.get_path("scripts"), "luigi")

#: Sections that hold rows; the other datasets hold documents.
SECTIONS = {
    "snapshots": ("",),
    "features": ("",),
    "serving": ("",),
    "balanced": ("train", "calibration", "validation/unbalanced", "validation/balanced"),
    "predictions": ("",),
}
#: Models of 4 days and not of 28, and one fit a training, which is enough to tell right from wrong, in the words of the
#: user's own file.
FEW_DAYS = "[training]\nwindow_days = 4\nmin_positives = 100\nout_of_time = false\n"
#: The first Monday with those 4 days, and a delay of 21, behind it, where data begin on 2026-01-01.
MONDAY = "2026-01-26"
#: A cold JVM on two cores lives for seconds: fewer compilers and one collector start it sooner. No result depends on it.
_QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
_MARK = "DAYSTONE_TEST_RUN"
_RECORDER = """#!/bin/sh
echo "$@" >> '{calls}'
exec '{java}' "$@"
"""


@dataclass(frozen=True)
class Running:
    """A command that was started, the leader of a process group of its own."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def wait(self, timeout: float = PATIENCE) -> Result:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Result(code, self.stdout.read_text(), self.stderr.read_text())

    def wait_until(self, reached: Path | str, lake: Path, times: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until so many paths in ``lake`` match a pattern. Raises AssertionError where the command ends before."""
        until(lambda: len(list(lake.glob(str(reached)))) >= times or self.process.poll() is not None, timeout)
        assert self.process.poll() is None, self.stderr.read_text()[-5_000:]

    def kill(self) -> None:
        """SIGKILL to all of the group: Python, the JVM and its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Chain:
    """Commands on the lake ``root``. All else that they write goes into ``scratch``: logs, temporary files, whatever
    they leave in their working directory."""

    root: Path
    scratch: Path
    use_case: str = "credit_risk"
    #: Where the lake is, of one that is no directory.
    url: str = ""
    #: What the user's own file of configuration says for every command.
    own: str = ""

    def __post_init__(self) -> None:
        for name in ("work", "home", "tmp", "state", "java/bin", "output"):
            (self.scratch / name).mkdir(parents=True, exist_ok=True)
        recorder = self.scratch / "java" / "bin" / "java"
        home = os.environ.get("JAVA_HOME")
        java = Path(home, "bin", "java") if home else shutil.which("java")
        recorder.write_text(_RECORDER.format(calls=self._java_calls, java=java))
        recorder.chmod(0o755)

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.url or str(self.root), self.use_case)

    def luigi(self, *arguments: object, timeout: float = PATIENCE, **more: str) -> Result:
        """Run ``luigi --module tasks ... --lake-root`` to its end; see ``start``."""
        return self.start(*arguments, **more).wait(timeout)

    def succeeds(self, *arguments: object, **more: str) -> Result:
        """Run ``luigi``, which has to exit with 0."""
        result = self.luigi(*arguments, **more)
        assert result.code == 0, f"exit {result.code}:\n{result.stderr[-10_000:]}"
        return result

    def start(
        self, *arguments: object, module: str = "tasks", config: str = "", env: Mapping[str, str] | None = None
    ) -> Running:
        """Start ``luigi`` as the leader of its process group. ``config`` is more text of the user's own file."""
        command = [str(LUIGI), "--module", module, *map(str, arguments), "--lake-root", self.url or str(self.root)]
        number = len(list((self.scratch / "output").iterdir()))
        stdout, stderr = (self.scratch / "output" / f"{number}.{name}" for name in ("out", "err"))
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=self.scratch / "work",
                env=self._environment(config) | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Running(process, stdout, stderr)

    def python(self, source: str, env: Mapping[str, str] | None = None) -> str:
        """What ``python -c`` prints in the same environment."""
        environment = self._environment("") | dict(env or {})
        return subprocess.run(
            [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def _environment(self, config: str) -> dict[str, str]:
        temporary = str(self.scratch / "tmp")
        java = self.scratch / "java"
        environment = Commands(self.scratch).environment(self.own + config)
        return environment | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(USE_CASES)]),
            "PATH": f"{java / 'bin'}{os.pathsep}{environment['PATH']}",
            "JAVA_HOME": str(java),
            "JAVA_TOOL_OPTIONS": f"{_QUICK_START} -Djava.io.tmpdir={temporary}",
            "HOME": str(self.scratch / "home"),
            "TMPDIR": temporary,
            "XDG_STATE_HOME": str(self.scratch / "state"),
            "XDG_CACHE_HOME": str(user_directory().parent),  # Spark's classes and its jars for S3: had once
            _MARK: str(self.scratch),
        }

    @property
    def _java_calls(self) -> Path:
        return self.scratch / "java" / "calls"

    def java_calls(self) -> list[str]:
        """The arguments of each start of Java by any command so far, whatever for."""
        return self._java_calls.read_text().splitlines() if self._java_calls.exists() else []

    def sessions(self) -> int:
        """How often Spark was started: its script starts Java once more, for a moment, to put the command together."""
        return sum("pyspark-shell" in call and "launcher.Main" not in call for call in self.java_calls())

    def processes(self) -> list[int]:
        """Living processes that a command of this chain started, however they are related to it by now."""
        mark = f"{_MARK}={self.scratch}\0".encode()
        return [
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and mark in _environ(entry)
        ]

    def left(self) -> Iterator[Path]:
        """What the commands of this chain left beside the lake. Their JVMs outlive them by a moment, and remove files in it."""
        until(lambda: not self.processes())
        return self.scratch.rglob("*")

    def day(self, dataset: str, day: str) -> Path:
        """The directory of a partition."""
        return self.root / self.use_case / dataset / f"date={day}"

    def delete(self, *datasets: str, day: str) -> None:
        """Remove whole partitions."""
        for dataset in datasets:
            shutil.rmtree(self.day(dataset, day))

    def published(self) -> dict[tuple[str, str], str]:
        """The run of every published partition by dataset and day; damage is an error."""
        found = {}
        datasets = {entry.key.split("/")[1] for entry in self.lake.store.list(self.use_case)}
        for dataset in sorted(datasets - {"raw", "truth"}):
            there = self.lake.find(dataset, date(1970, 1, 1), date(9999, 12, 31))
            for day, partition in Lake.require_whole(there).items():
                found[dataset, str(day)] = partition.manifest.run
        return found

    def rows(self, dataset: str, day: str, section: str = "") -> list[str]:
        """Content, without the layout of files: the rows of a partition in a fixed order."""
        when = date.fromisoformat(day)
        table = spark_lib.read_arrow(
            self.url or str(self.root), _reference(self.use_case), dataset, when, section=section
        )
        return sorted(map(repr, table.to_pylist()))

    def contents(self, dataset: str, day: str) -> object:
        """All that a partition says, to be compared with another lake's: rows by section, or documents."""
        if dataset in SECTIONS:
            return {section: self.rows(dataset, day, section) for section in SECTIONS[dataset]}
        (partition,) = self.lake.require(dataset, date.fromisoformat(day))
        if dataset == "selection":
            return partition.manifest.metrics  # the document itself pins the model's run, which is a lake's own
        return {file.path.rpartition("/")[2]: file.checksum for file in partition.manifest.files}

    def card(self, day: str) -> bytes:
        """The card of a model."""
        (partition,) = self.lake.require("model", date.fromisoformat(day))
        return partition.document("card.json")


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and directory below ``root`` with its inode, time of change and size: equal means nothing was written."""
    found = {}
    for path in (root, *root.rglob("*")):
        stat = path.lstat()
        found[str(path)] = (stat.st_ino, stat.st_ctime_ns, stat.st_size)
    return found


def write_sample(root: Path, days: int, rows_per_day: int) -> None:
    """Land sample data for credit_risk from 2026-01-01 on, where the chain looks for them."""
    feeds = {feed: RawFeed(feed, str(root), "credit_risk") for feed in ("applications", "outcomes")}
    sample.write(
        lambda feed, day: Path(feeds[feed].directory(day)),
        root / "credit_risk" / "truth",
        date(2026, 1, 1),
        days,
        rows_per_day,
        0,
    )


@contextmanager
def ended(*running: Running) -> Iterator[None]:
    """Kill what still runs when a test ends, however it ends."""
    try:
        yield
    finally:
        for one in running:
            if one.process.poll() is None:
                one.kill()


def _reference(use_case: str) -> str:
    """The name of a use case whose directory is given."""
    return use_case if "." not in use_case else ":".join(use_case.rsplit(".", 1))


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # ended, or another user's
        return b""
