"""Starts scripts of Python by a fork of a process that has imported what each of them imports, which is half of the time
that a short command takes. The command is a process of its own all the same: its arguments, environment, directory, output,
signals and exit code are those that it would have by itself. ``runs`` says which commands can be started this way.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from tests.support.checkout import ROOT

#: What commands import and what does not read its environment meanwhile. Luigi does, and the configuration of Daystone.
_IMPORTED = (
    "asyncio", "boto3", "botocore.session", "click", "concurrent.futures", "dateutil.parser", "multiprocessing", "numpy",
    "pyarrow.parquet", "requests", "spark_lib.lake", "spark_lib.use_case", "tenacity", "tornado.web",
)  # fmt: skip
#: Python and its libraries read these when a process starts.
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "OPENBLAS", "OMP_", "MALLOC")
_SCRIPTS = Path(sysconfig.get_path("scripts"))


class Starter:
    """A process that waits for commands to start. It ends with this one."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        self._ask, self._alone = ours, Lock()
        self._environment = dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(its.fileno())],
            cwd=ROOT,
            env=self._environment | {"PYTHONPATH": str(ROOT)},
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        its.close()
        atexit.register(self.end)

    def end(self) -> None:
        self._ask.close()
        self._process.wait()

    def runs(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a command can be started by a fork: it is Python's, of this checkout, with nothing of its own in its
        environment that Python would read at its start."""
        paths = environment.get("PYTHONPATH", "").split(os.pathsep)
        return (
            bool(_script(command))
            and paths[0] == str(ROOT)
            and not any(Path(path, "sitecustomize.py").exists() for path in paths if path)
            and _read_at_start(environment) == _read_at_start(self._environment)
            and not any(name.startswith("COVERAGE") for name in environment)  # which is counted from the start on
        )

    def run(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Wait for a command. Raises subprocess.TimeoutExpired, after killing it."""
        request = json.dumps(
            {"command": list(_script(command)), "cwd": str(cwd), "environment": dict(environment)}
        ).encode()
        answer, its = socket.socketpair()
        with (
            answer,
            its,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            tempfile.TemporaryFile() as asked,
        ):
            asked.write(request)
            asked.flush()
            with self._alone:
                socket.send_fds(self._ask, [b"."], [asked.fileno(), out.fileno(), err.fileno(), its.fileno()])
            its.close()
            pid = int(_line(answer))
            answer.settimeout(timeout)
            try:
                code = int(_line(answer))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                answer.settimeout(None)
                _line(answer)  # it has ended
                raise subprocess.TimeoutExpired(list(command), timeout) from None
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                list(command), code, io.TextIOWrapper(out).read(), io.TextIOWrapper(err).read()
            )


@functools.cache
def starter() -> Starter:
    """The starter of this process."""
    return Starter()


def _script(command: Sequence[str]) -> Sequence[str]:
    """The script of Python that a command executes, and its arguments; nothing where it is another command, and where
    Python gets its source or an option: what such a source asks is often what its process has imported."""
    if command[0] == sys.executable and not command[1].startswith("-"):
        return command[1:]
    program = Path(command[0])
    if program.parent != _SCRIPTS or not program.is_file():
        return ()
    with program.open("rb") as script:
        return command if script.readline().rstrip() == f"#!{sys.executable}".encode() else ()


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name.startswith(READ_AT_START) and name != "PYTHONPATH"
    }


def _line(answer: socket.socket) -> bytes:
    """The next line of an answer, without its end. Raises ConnectionError where there is none."""
    line = b""
    while not line.endswith(b"\n"):
        read = answer.recv(1)
        if not read:
            raise ConnectionError("the starter of commands has ended")
        line += read
    return line[:-1]


def _serve(asked: socket.socket) -> list[str]:
    """Wait for commands, and return the arguments of each in a process of its own, where all is as it asks for."""
    for name in _IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for commands are not waited for
    while True:
        byte, descriptors, _, _ = socket.recv_fds(asked, 1, 4)
        if not byte:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            command = _start(*descriptors)
            asked.close()
            return command
        for descriptor in descriptors:
            os.close(descriptor)


def _start(request: int, out: int, err: int, answer: int) -> list[str]:
    """Fork once more: the parent says which process the command is, and with which code it ended; the child returns."""
    pid = os.fork()
    if pid:
        os.write(answer, f"{pid}\n".encode())
        os.write(answer, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
        os._exit(0)
    with os.fdopen(request, "rb") as file:
        file.seek(0)
        asked = json.load(file)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in (out, err, answer):
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    tempfile.tempdir = None
    return list(asked["command"])


def _execute(command: list[str], libraries: list[str]) -> None:
    """Do what Python does with a script and its arguments."""
    program = command[0]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv, sys.path = command, [str(Path(program).resolve().parent), *paths, *libraries]
    importlib.invalidate_caches()
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    _libraries = [path for path in sys.path[1:] if path != str(ROOT)]
    _execute(_serve(socket.socket(fileno=int(sys.argv[1]))), _libraries)
