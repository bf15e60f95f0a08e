"""Commands as a user types them: real processes, from a directory of their own, with nothing of this one's environment
that could change what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.starter import starter

#: Variables that a developer's shell may hold, and that would change what the commands do.
_NOT_PASSED_ON = ("LUIGI_CONFIG_PATH", "LUIGI_CONFIG_PARSER", "PYTHONPATH", "VIRTUAL_ENV", "XDG_STATE_HOME")


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a process that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_error(self) -> str:
        """The last line that Luigi logged as an ERROR, without that word; empty where there is none."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("ERROR: ")]
        return lines[-1].removeprefix("ERROR: ") if lines else ""


@dataclass(frozen=True)
class Commands:
    """Runs commands in the directory ``cwd``. ``packages`` is where ``tasks`` and ``spark_lib`` are imported from; modules
    of ``tests`` come from this checkout."""

    cwd: Path
    packages: Path = ROOT

    def luigi(self, *arguments: object, **more: object) -> Result:
        """``luigi`` with these arguments; see ``run``."""
        return self.run([str(Path(sysconfig.get_path("scripts"), "luigi")), *map(str, arguments)], **more)  # type: ignore[arg-type]  # as run() has them

    def python(self, source: str, *arguments: object, **more: object) -> Result:
        """``python -c`` with this source and these arguments; see ``run``."""
        return self.run([sys.executable, "-c", source, *map(str, arguments)], **more)  # type: ignore[arg-type]  # as run() has them

    def run(
        self, command: list[str], config: str = "", env: Mapping[str, str] | None = None, timeout: float = PATIENCE
    ) -> Result:
        """Wait for a command. ``config`` is the text of the user's own file, given by LUIGI_CONFIG_PATH."""
        environment = self.environment(config, env)
        if starter().runs(command, environment):
            done = starter().run(command, self.cwd, environment, timeout)
        else:
            done = subprocess.run(
                command, cwd=self.cwd, env=environment, capture_output=True, text=True, timeout=timeout
            )
        return Result(done.returncode, done.stdout, done.stderr)

    def luigi_killed_when(self, reached: Callable[[], bool], *arguments: object, timeout: float = PATIENCE) -> None:
        """Start ``luigi``, and SIGKILL it as soon as ``reached``. Raises AssertionError where it ends before."""
        command = [str(Path(sysconfig.get_path("scripts"), "luigi")), *map(str, arguments)]
        with subprocess.Popen(
            command,
            cwd=self.cwd,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            deadline = monotonic() + timeout
            while not reached() and process.poll() is None and monotonic() < deadline:
                sleep(0.005)
            killed = process.poll() is None and reached()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert killed, f"{' '.join(command)} ended before it could be killed"

    def environment(self, config: str = "", env: Mapping[str, str] | None = None) -> dict[str, str]:
        passed_on = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        passed_on["PYTHONPATH"] = os.pathsep.join([str(self.packages), str(ROOT)])
        # Luigi keeps a lock for each command line among the temporary files. Two tests may run equal ones at once.
        temporary = self.cwd / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        passed_on["TMPDIR"] = str(temporary)
        if config:
            file = self.cwd / "users-own.cfg"
            file.write_text(config)
            passed_on["LUIGI_CONFIG_PATH"] = str(file)
        return passed_on | dict(env or {})


def listening(pids: Iterable[int]) -> list[str]:
    """The addresses on which these processes listen, as the kernel writes them (127.0.0.1 is 0100007F)."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add(fields[1].split(":")[0])
    return sorted(addresses)


def _sockets(pid: int) -> set[str]:
    found: set[str] = set()
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return found  # it has ended meanwhile
    for descriptor in descriptors:
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found
