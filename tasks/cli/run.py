"""Runs a stage in this process through Luigi, with the chatter in a log file, and says how it went."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import luigi
from luigi.configuration import get_config
from luigi.execution_summary import LuigiRunResult, _summary_dict
from luigi.parameter import UnconsumedParameterWarning
from luigi.rpc import RPCError

from spark_lib import __version__ as VERSION
from spark_lib.errors import DaystoneError, WaitingForData
from tasks.backfill.waiting import Patience
from tasks.cli.exits import NotRun, RunByAnother, SchedulerUnreachable
from tasks.config import resolve
from tasks.config.shown import without_password
from tasks.graph import refused
from tasks.graph.log import logger
from tasks.graph.stage import PROGRESS, REFUSED, Stage
from tasks.graph.words import message_of
from tasks.planning import consent

_ANSWER_SECONDS = 10
__all__ = [
    "VERSION",
    "Outcome",
    "Watcher",
    "chatter_in",
    "find_scheduler",
    "make",
    "message_of",
    "run",
    "run_once_landed",
    "scheduler_url",
    "unexplained",
    "unreachable",
]

# run.py prints an error that comes before a run has its log file. Without a handler, Python would print it again.
logger.addHandler(logging.NullHandler())
# Luigi warns of its own documented spelling of keys ([core] default-scheduler-url); ours are checked by name.
warnings.filterwarnings("ignore", category=UnconsumedParameterWarning)


class Watcher:
    """Receives the events of a run, to show them to a person. Every method may be overridden."""

    def due(self, stage: Stage) -> None:
        """A stage was found to be missing, and will be built."""

    def progress(self, stage: Stage, percent: int, message: str) -> None:
        """A stage says what it does."""

    def built(self, stage: Stage, message: str, seconds: float) -> None:
        """A stage is published."""

    def refused(self, task: luigi.Task, error: DaystoneError) -> None:
        """A task says why it cannot be done."""


@dataclass(frozen=True)
class Outcome:
    """``error`` is None exactly when the stage that was asked for is published and whole."""

    stage: Stage
    built: list[Stage]
    seconds: float = 0.0
    error: DaystoneError | None = None
    #: The other errors of the run.
    further: list[DaystoneError] = field(default_factory=list)

    @property
    def directory(self) -> str:
        """Where the partition lies."""
        lake = self.stage.partitions
        return lake.store.url(lake.prefix(self.stage.dataset, self.stage.date))

    @property
    def summary(self) -> str:
        """The partition in words."""
        (partition,) = self.stage.partitions.require(self.stage.dataset, self.stage.date)
        return message_of(self.stage.summary(partition.manifest))


def make(stage: type[Stage], day: date) -> Stage:
    """The task of a day, of the use case and lake that the configuration names. Raises ConfigurationError."""
    return stage(date=day)


def run(stage: Stage, watcher: Watcher) -> Outcome:
    """Build what is missing of a stage. Raises DamagedPartition for one that is there and not whole, and NotConfirmed
    where many stale partitions would be rebuilt and nobody says yes.

    Of a complete stage only the manifest and the sizes of the files are looked at.
    """
    if stage.complete():
        return Outcome(stage, [])
    consent.ask([stage])
    began = time.monotonic()
    with chatter_in(resolve.log_file()), _Seen(watcher).listening() as seen:
        find_scheduler()
        try:
            with consent.settled():
                result = luigi.build([stage], detailed_summary=True)
        except RPCError as error:
            raise unreachable(f"{error}: {error.sub_exception}") from error
        reason = None if _is_whole(stage) else next(iter(seen.errors), None) or _unexplained(stage, result)
    return Outcome(stage, seen.built, time.monotonic() - began, reason, [e for e in seen.errors if e is not reason])


def run_once_landed(
    outcome: Outcome, patience: Patience, watched: Callable[[], AbstractContextManager[Watcher]]
) -> Outcome:
    """Go on with a run that ended because raw days are late, as soon as they have landed. What it returns when the time
    is over is the last outcome."""
    from tasks.backfill.builder import Asked, Builder  # most runs wait for nothing

    stage = outcome.stage
    builder = Builder(Asked(stage.date, stage.date, type(stage)))
    while isinstance(outcome.error, WaitingForData):
        builder.look()
        awaited = builder.awaited()
        if awaited and not patience.until_landed(awaited):
            return outcome
        with watched() as watcher:
            after = run(stage, watcher)
        outcome = replace(after, built=[*outcome.built, *after.built], seconds=outcome.seconds + after.seconds)
        if not awaited:  # it had landed before the look, so that one more run is all that there is to do
            return outcome
    return outcome


@contextmanager
def chatter_in(log_file: Path) -> Iterator[None]:
    """Send everything that Luigi, libraries and use cases log or print to a file."""
    with log_file.open("a", buffering=1) as log, _without_luigis_handler():
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        level = root.level
        logging.getLogger("py4j").setLevel(logging.WARNING)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        finally:
            logging.captureWarnings(False)
            root.setLevel(level)
            root.removeHandler(handler)


@contextmanager
def _without_luigis_handler() -> Iterator[None]:
    """Keep Luigi from adding a handler of its own, which would log to the terminal."""
    configuration = get_config()
    said = configuration.get("core", "no_configure_logging", None)
    configuration.set("core", "no_configure_logging", "true")
    try:
        yield
    finally:
        if said is None:
            configuration.remove_option("core", "no_configure_logging")
        else:
            configuration.set("core", "no_configure_logging", said)


class _Seen:
    """Collects Luigi's events of one run, and passes them on in the words of the chain."""

    def __init__(self, watcher: Watcher) -> None:
        self.built: list[Stage] = []
        self.errors: list[DaystoneError] = []
        self._watcher = watcher
        self._due: set[str] = set()
        self._began: dict[str, float] = {}
        self._message: dict[str, str] = {}

    @contextmanager
    def listening(self) -> Iterator[_Seen]:
        handlers: dict[str, Callable[..., None]] = {
            luigi.Event.DEPENDENCY_DISCOVERED: self._on_due,
            luigi.Event.START: self._on_start,
            luigi.Event.SUCCESS: self._on_success,
            luigi.Event.BROKEN_TASK: self._on_broken,
            PROGRESS: self._on_progress,
            REFUSED: self._on_refused,
        }
        for event, handler in handlers.items():
            luigi.Task.event_handler(event)(handler)
        try:
            yield self
        finally:
            for event, handler in handlers.items():
                luigi.Task.remove_event_handler(event, handler)

    def _on_due(self, task: luigi.Task, dependency: luigi.Task | None = None) -> None:
        if isinstance(task, Stage) and task.task_id not in self._due:
            self._due.add(task.task_id)
            self._watcher.due(task)

    def _on_start(self, task: luigi.Task) -> None:
        self._on_due(task)
        self._began[task.task_id] = time.monotonic()

    def _on_progress(self, stage: Stage, percent: int, message: str) -> None:
        self._message[stage.task_id] = message_of(message)
        self._watcher.progress(stage, percent, message_of(message))

    def _on_success(self, task: luigi.Task) -> None:
        if isinstance(task, Stage):
            if not task.built_nothing:
                self.built.append(task)
            seconds = time.monotonic() - self._began[task.task_id]
            self._watcher.built(task, self._message.get(task.task_id, ""), seconds)

    def _on_refused(self, task: luigi.Task, error: DaystoneError) -> None:
        if refused.note(self.errors, error):
            self._watcher.refused(task, error)

    def _on_broken(self, task: Any, error: BaseException) -> None:
        if not isinstance(error, DaystoneError):
            error = DaystoneError(
                f"scheduling of {task.task_family} of {task.date}",
                "no exception",
                f"{type(error).__name__}: {error}",
                "read the traceback in the log of the run",
            )
        self._on_refused(task, error)


def _is_whole(stage: Stage) -> bool:
    try:
        return stage.complete()
    except DaystoneError:
        return False  # it was refused, and is among the errors


def _unexplained(stage: Stage, result: LuigiRunResult) -> DaystoneError:
    """The error for a partition that is missing although nothing was refused, as far as Luigi knows the reason."""
    where = f"{stage.task_family} of {stage.date}"
    if stage.force and stage.partitions.published_run(stage.dataset, stage.date):
        next_step = "look at the task on luigid's page, then rebuild again"
        return NotRun(where, "a new run", "the old one: nobody was given the task", next_step)
    return unexplained(where, result)


def unexplained(where: str, result: LuigiRunResult) -> DaystoneError:
    """The error for what was asked for and is not there although nothing was refused."""
    elsewhere = _summary_dict(result.worker)["run_by_other_worker"]
    if elsewhere:
        names = ", ".join(sorted(f"{task.task_family} of {_days_of(task)}" for task in elsewhere))
        return RunByAnother(
            where, "to build it here", f"another process building {names}", "run again when that one has ended"
        )
    if result.status.name == "NOT_RUN":
        return NotRun(where, "a turn from the scheduler", "none", "look at the task on luigid's page, then run again")
    return DaystoneError(where, "a published partition", f"none: Luigi says {result.status.value[1]}", "read the log")


def _days_of(task: Any) -> str:
    """The day of a stage, or those of a backfill."""
    return str(task.date) if hasattr(task, "date") else f"{task.start} to {task.stop - date.resolution}"


def scheduler_url() -> str:
    """The address of luigid, if it is to be used, without a password."""
    core = luigi.interface.core()
    url = core.scheduler_url or f"http://{core.scheduler_host}:{core.scheduler_port}/"
    return without_password(url)


def find_scheduler() -> None:
    """Ask luigid for its page, if it is to be used. Luigi itself would try for minutes before it says that nobody
    answers. Raises SchedulerUnreachable.
    """
    core = luigi.interface.core()
    url = scheduler_url()
    if core.local_scheduler or not url.startswith(("http://", "https://")):
        return
    try:
        urlopen(url, timeout=_ANSWER_SECONDS).close()  # noqa: S310  (the address was just seen to be one of http)
    except HTTPError as error:
        logger.info("luigid at %s answers %s", url, error)  # somebody is there: Luigi's own calls decide
    except (URLError, OSError, ValueError) as error:
        raise unreachable(f"{url}: {getattr(error, 'reason', error)}") from error


def unreachable(found: str) -> SchedulerUnreachable:
    return SchedulerUnreachable(
        "luigid",
        "an answer",
        without_password(found),
        "start it (luigid --address 127.0.0.1), correct [core] scheduler_url, or set [core] local_scheduler = true",
    )
