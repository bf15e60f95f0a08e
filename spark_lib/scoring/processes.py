"""Scores a small partition in processes of the driver's own: no JVM is started, and nothing is waited for that one needs.

The processes do what Spark's Python workers do, by the same function, into files of the same kind. They load a model in
the driver's place, because a pickle runs code when it is loaded. They stay for the next day, and end with the driver:
each reads its work from a pipe that only the driver can write to.
"""

from __future__ import annotations

import atexit
import os
import pickle
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spark_lib.errors import DaystoneError
from spark_lib.lake.manifest import File
from spark_lib.scoring.partitions import Done, Job, Slice, attempted, shared, together

#: The variables of the environment that a process which runs the code of a pickle gets: those that Python and libraries
#: of numbers need. Any other may hold a token or a password, also one that only a target of an adopter knows.
_HARMLESS = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|(LD|DYLD)_LIBRARY_PATH|VIRTUAL_ENV|PYTHON\w+|(OMP|OPENBLAS|MKL|NUMBA|JOBLIB)_\w+"
)


def run(count: int, job: Job, files: Sequence[File], prefix: str) -> Done:
    """Score all rows of a partition's files in at most ``count`` processes, and return what they did together. Raises
    what one of them raised, and DaystoneError where one was ended from outside."""
    shares = shared(files, prefix, count)
    try:
        workers = _started(len(shares))
        for task, (worker, share) in enumerate(zip(workers, shares, strict=True)):
            worker.ask((job, share, task))
        answers = [worker.answer() for worker in workers]
    except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:  # gone, or in the middle of its answer
        end()
        raise DaystoneError(
            f"scoring of {prefix}",
            "processes of the driver that go on to their end",
            "one that was ended from outside, as the system does where memory is short",
            "run again; with [spark] scores_from_mb = 0 Spark scores such a day; nothing was published",
        ) from error
    except BaseException:  # Ctrl-C, for example: what they answer later would be taken for answers to other questions
        end()
        raise
    return together(job, answers)


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]

    def ask(self, question: tuple[Job, Sequence[Slice], int]) -> None:
        ask(self.process, question)

    def answer(self) -> Any:
        return answer(self.process)


#: The processes that wait for work, by the process that started them: a fork has none of its own at first.
_workers: dict[int, list[_Worker]] = {}


def _started(count: int) -> list[_Worker]:
    """So many processes, which wait for work."""
    there = _workers.setdefault(os.getpid(), [])
    while len(there) < count:
        there.append(_Worker(started(f"from {__name__} import work; work()")))
    return there[:count]


def started(source: str, may_have: Callable[[str], object] = bool) -> subprocess.Popen[bytes]:
    """A process of Python that runs ``source``, which calls ``answer_all``. It finds the modules that this process finds,
    and has the variables of its environment that it ``may_have``, by their names: all of them, unless said otherwise."""
    environment = {name: value for name, value in os.environ.items() if may_have(name)}
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    command = [sys.executable, "-c", source]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def is_harmless(name: str) -> bool:
    """Whether a process that runs the code of a pickle may have a variable of the environment."""
    return _HARMLESS.fullmatch(name) is not None


def ask(process: subprocess.Popen[bytes], question: Any) -> None:
    """Ask a process that ``started`` has made. Raises BrokenPipeError where it is gone."""
    assert process.stdin is not None  # it is a pipe
    pickle.dump(question, process.stdin)
    process.stdin.flush()


def answer(process: subprocess.Popen[bytes]) -> Any:
    """The answer to the question before. Raises EOFError or UnpicklingError where the process is gone."""
    assert process.stdout is not None  # it is a pipe
    return pickle.load(process.stdout)  # noqa: S301  (from a process of our own)


@atexit.register
def end() -> None:
    """End the processes of this one. They publish nothing, so what they were doing is lost and does no harm."""
    for worker in _workers.pop(os.getpid(), []):
        worker.process.kill()
        worker.process.communicate()


def work() -> None:
    """Answer questions until there can be no more: what a process does."""
    answer_all(lambda question: attempted(*question))


def answer_all(answered: Callable[[Any], Any]) -> None:
    """Answer each question that comes by standard input, until there can be no more. An exception is an answer, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the driver ends these
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    while True:
        try:
            question = pickle.load(sys.stdin.buffer)  # noqa: S301  (from the driver)
        except EOFError:
            return
        pickle.dump(_answer(answered, question), answers)
        answers.flush()


def _answer(answered: Callable[[Any], Any], question: Any) -> Any:
    try:
        return answered(question)
    except DaystoneError as error:
        return error
    except Exception as error:
        # Whatever it is, the driver may not be able to load it.
        last = traceback.format_exception_only(error)[-1].strip()
        unexpected = DaystoneError(
            "a process that scores", "no exception", last, "read the traceback in the log of the run"
        )
        unexpected.add_note(traceback.format_exc())
        return unexpected
