"""Notes what goes wrong in a run, and has it told once the work is done. Where ``[notify]`` names nobody, nothing is noted
and nothing is imported."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import luigi

from spark_lib.errors import DamagedPartition, DaystoneError, LakeError, WaitingForData
from tasks.config import addresses
from tasks.config.settings import Settings
from tasks.graph.log import logger
from tasks.graph.stage import AWAITED, REFUSED, Dated, Stage, explained, places
from tasks.graph.staleness import RAW
from tasks.notification.notes import DAMAGED, FAILED, LATE, Note


class Watch:
    """Listens to a run."""

    def __init__(self) -> None:
        #: The places whose ``[notify]`` names somebody.
        self.places: dict[tuple[str, str], Settings] = {}
        #: All that was noted, each once.
        self.notes: list[Note] = []

    def look_at(self, found: dict[tuple[str, str], Settings]) -> None:
        """Begin to listen where one of these places is to be told of."""
        configured = {place: settings for place, settings in found.items() if addresses.is_configured(settings.notify)}
        if configured and not self.places:
            for event, handler in self._handlers.items():
                luigi.Task.event_handler(event)(handler)
        self.places.update(configured)

    def end(self) -> None:
        """Listen no more."""
        if self.places:
            for event, handler in self._handlers.items():
                luigi.Task.remove_event_handler(event, handler)

    def note_unexplained(self, task: Dated, error: DaystoneError) -> None:
        """Note that a run of a task has failed, where no other reason was noted."""
        if not any(note.kind for note in self.notes):
            self._on_refused(task, error)

    @functools.cached_property
    def _handlers(self) -> dict[str, Callable[..., None]]:
        return {
            REFUSED: self._on_refused,
            AWAITED: self._on_awaited,
            luigi.Event.SUCCESS: self._on_success,
            luigi.Event.BROKEN_TASK: self._on_broken,
            luigi.Event.PROCESS_FAILURE: self._on_death,
        }

    def _on_refused(self, task: Any, error: DaystoneError) -> None:
        if isinstance(error, WaitingForData) and task.subject.startswith(RAW):
            self._note(task, LATE, str(error))
        elif error.is_told:
            kind = DAMAGED if _is_damage_of(task, error) else FAILED
            self._note(task, kind, words_of(error), is_lake_there=not isinstance(error, LakeError))

    def _on_awaited(self, stage: Stage, feed: str, day: date) -> None:
        waiting = stage.settings.feed(stage.lake, feed).waiting(day)
        self._write(Note(stage.use_case, stage.lake, f"{RAW}{feed}", day, LATE, str(waiting)))

    def _on_success(self, task: Any) -> None:
        if isinstance(task, Dated):
            self._note(task, "", "")

    def _on_broken(self, task: Any, error: BaseException) -> None:
        if isinstance(task, Dated) and not isinstance(error, DaystoneError):
            self._on_refused(task, explained(f"scheduling of {task.task_family} of {task.date}", error))

    def _on_death(self, task: Any, message: str) -> None:
        if isinstance(task, Dated):
            self._note(task, FAILED, "its process has died; the log of the run has the rest")

    def _note(self, task: Dated, kind: str, why: str, is_lake_there: bool = True) -> None:
        run = ""
        if kind and is_lake_there and isinstance(task, Stage):
            with suppress(LakeError):  # the lake is away, which other words say
                run = task.partitions.published_run(task.dataset, task.date)
        note = Note(task.use_case, task.lake, task.subject, task.date, kind, why, run)
        # A task of many stages repeats what one of them has said.
        if isinstance(task, Stage) or not any((said.date, said.why) == (note.date, why) for said in self.notes if kind):
            self._write(note)

    def _write(self, note: Note) -> None:
        if note not in self.notes:
            self.notes.append(note)


def words_of(error: DaystoneError) -> str:
    """An error as it may be told. What an exception of other code says may hold a secret, and stays in the log."""
    if type(error) is not DaystoneError:
        return str(error)
    kind = error.found.partition(":")[0]
    return f"{error.where}: {kind if kind.isidentifier() else 'an error'}; the log of the run has the rest"


def _is_damage_of(task: Any, error: DaystoneError) -> bool:
    """Whether it is the partition of the task itself that is damaged, and not one that it is built from."""
    if not isinstance(error, DamagedPartition) or not isinstance(task, Stage):
        return False
    return any(place in error.where for place in (f"{task.dataset} of {task.date}", f"{task.dataset}/date={task.date}"))


_WATCHES: list[Watch] = []


@contextmanager
def told(say: Callable[[str], None] = logger.warning, about: Dated | None = None) -> Iterator[None]:
    """A block at whose end people are told what went wrong in it, and what is over. Only the outermost of several blocks
    tells, so that a command with many runs sends one message. ``about`` is what the block is to build, which has failed
    where it raises. What cannot be told is a warning, which ``say`` gets."""
    if _WATCHES:
        with _noted(_WATCHES[-1], say, about):
            yield
        return
    watch = Watch()
    _WATCHES.append(watch)
    try:
        try:
            with _noted(watch, say, about):
                yield
        except Exception:
            _tell(watch, say)
            raise
        _tell(watch, say)
    finally:
        _WATCHES.pop()
        watch.end()


@contextmanager
def _noted(watch: Watch, say: Callable[[str], None], about: Dated | None) -> Iterator[None]:
    """A block in which a watch listens, and at whose end it knows why ``about`` has failed."""
    _try(say, lambda: watch.look_at(places()))
    try:
        yield
    except DaystoneError as error:
        if about is not None and watch.places:
            reason = error
            _try(say, lambda: watch.note_unexplained(about, reason))
        raise


def install() -> None:
    """Let every run of Luigi's be such a block."""
    schedule_and_run = luigi.interface._schedule_and_run
    if getattr(schedule_and_run, "is_told", False):
        return

    @functools.wraps(schedule_and_run)
    def and_tell(*given: Any, **more: Any) -> Any:
        with told():
            return schedule_and_run(*given, **more)

    and_tell.is_told = True  # type: ignore[attr-defined]  # a mark of ours
    luigi.interface._schedule_and_run = and_tell  # Luigi has no event for the beginning and the end of a run


def _tell(watch: Watch, say: Callable[[str], None]) -> None:
    if not watch.places:
        return

    def tell() -> None:
        from tasks.notification import telling

        for warning in telling.tell(watch.notes, watch.places):
            say(warning)

    _try(say, tell)


def _try(say: Callable[[str], None], do: Callable[[], None]) -> None:
    """Do what must never end a run. What it raises is a warning, without the words of other code, which may hold a
    secret."""
    try:
        do()
    except Exception as error:
        words = words_of(error) if isinstance(error, DaystoneError) else type(error).__name__
        say(f"nobody was told how this run went: {words}")
        logger.info("the notification has failed:\n%s", "".join(traceback.format_tb(error.__traceback__)))
