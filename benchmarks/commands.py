"""Whole processes: commands as a user starts them, and parts of a benchmark that need a process of their own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Found = TypeVar("_Found")
ROOT = str(Path(__file__).resolve().parent.parent)


def seconds(command: Sequence[str]) -> float:
    """Run a command to its end, and return what it took. Where it fails, its output ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{done.stdout}\nexit {done.returncode}: {' '.join(command)}")
    return taken


def apart(function: Callable[_Arguments, _Found], *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Found:
    """What a function of a module returns in a process of its own: the configuration, the session and the JVM of a process
    are one, and end with it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments, **named).result()


def environment() -> dict[str, str]:
    """Of a process that finds the checkout, and the bytecode of what it imports, as it does where pip has installed it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": ROOT, "PYTHONPYCACHEPREFIX": _bytecode()}


@cache
def _bytecode() -> str:
    """A directory for bytecode that ends with the benchmark: the checkout is left as it was."""
    directory = tempfile.mkdtemp(prefix="daystone-bench-bytecode-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
