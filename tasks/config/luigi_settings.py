"""Which of Luigi's own settings a run can have. A setting that would change the words or the exit code of a failure, or
keep a run from ending, is refused by name. docs/operations.md has the whole table.
"""

from __future__ import annotations

import configparser
import difflib
import errno
import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config
from luigi.execution_summary import execution_summary
from luigi.interface import core
from luigi.parameter import ParameterException
from luigi.retcodes import retcode
from luigi.scheduler import scheduler
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import Register
from luigi.worker import _WAIT_INTERVAL_EPS as _SHORTEST_WAIT
from luigi.worker import worker

from spark_lib.errors import ConfigurationError, did_you_mean
from tasks.config import defaults, resolve, value_rules
from tasks.config import files as config_files
from tasks.config.check import refused_value
from tasks.config.shown import without_password

_SECTIONS: tuple[type[luigi.Config], ...] = (core, worker, retcode, scheduler, execution_summary)
#: The sections in which badly written values are refused: those above, and those of Luigi's ranges.
_WRITTEN = (*(section.get_task_family() for section in _SECTIONS), "RangeDaily", "RangeDailyBase")

_LOGGING_FILE = "a file that Python's logging can read (logging.config.fileConfig)"
_LOST = "the reason of a failure would be lost"
_TIMED = f"with a timeout Luigi runs each stage in a process of its own, and {_LOST}"
#: The parameters that all tasks of a run share: what they are, and where they are set.
_SHARED = {
    "lake": ("lake", "[lake] root (--lake-root)"),
    "use_case": ("use case", "[pipeline] use_case (--pipeline-use-case)"),
}
_LIMIT_ALL = "leave it out, and limit the whole command: timeout 3600 daystone run ..."


@dataclass(frozen=True)
class _Rule:
    """The values that a run can have in one of Luigi's settings. ``wanted`` says which, and why."""

    section: str
    name: str
    fits: Callable[[Any], bool]
    wanted: str
    next_step: str


def _is_off(value: Any) -> bool:
    return not value


def _is_on(value: Any) -> bool:
    return bool(value)


def _ends(keep_alive: bool) -> bool:
    return not (keep_alive and core().local_scheduler)


_RULES = (
    _Rule(
        "worker",
        "timeout",
        _is_off,
        f"0: {_TIMED}",
        _LIMIT_ALL,
    ),
    _Rule(
        "worker",
        "force_multiprocessing",
        _is_off,
        f"false: Luigi would run each stage in a process of its own, and {_LOST}",
        "leave it out",
    ),
    _Rule(
        "core",
        "parallel_scheduling",
        _is_off,
        f"false: Luigi would ask in other processes what is complete, and {_LOST}",
        "leave it out: many days are looked up by one listing",
    ),
    _Rule(
        "core",
        "workers",
        lambda workers: workers == 1,
        "1: the stages of a process share one Spark session, which does not survive Luigi's fork",
        "leave --workers out and give Spark more cores ([spark] master), or run several processes against luigid",
    ),
    _Rule(
        "core",
        "assistant",
        _is_off,
        "false: an assistant builds what others have asked for",
        "leave it out, and run the same command on every machine against luigid",
    ),
    _Rule(
        "worker",
        "check_complete_on_run",
        _is_on,
        "true: a stage is done once it is published, not when its run() ends",
        "leave it out",
    ),
    _Rule(
        "worker",
        "cache_task_completion",
        _is_off,
        "false: what was complete may be damaged, or built anew, during the run",
        "leave it out",
    ),
    _Rule(
        "worker",
        "retry_external_tasks",
        _is_off,
        "false: a raw day that has not landed would be taken for a failure",
        "leave it out, and run again later",
    ),
    _Rule(
        "worker",
        "keep_alive",
        _ends,
        "false without luigid: a run would wait for ever for what failed, or has not landed",
        "leave it out, and run again later",
    ),
    _Rule(
        "worker",
        "task_limit",
        lambda limit: limit is None,
        "no limit: it would leave a part of the chain out, without a reason",
        "leave it out, and ask for fewer days",
    ),
    _Rule("worker", "wait_interval", lambda seconds: seconds >= _SHORTEST_WAIT, "a value above 0", "correct it"),
    _Rule("worker", "wait_jitter", lambda seconds: seconds >= 0, "a value of at least 0", "correct it"),
    _Rule("worker", "ping_interval", lambda seconds: seconds > 0, "a value above 0", "correct it"),
    *(
        _Rule(
            "retcode",
            name,
            lambda code: defaults.is_code(str(code)),
            "an exit code from 1 to 255: any other would let a failure pass as success",
            "correct it, or leave it out",
        )
        for name in defaults.DEFAULTS["retcode"]
    ),
)


def check() -> None:
    """Raise ConfigurationError for the first value of Luigi's that ``refusals`` finds, and for a logging file that
    Luigi's own command cannot use."""
    for error in refusals():
        raise error
    if CmdlineParser.get_instance() is not None:
        _set_up_logging()
        _make_place_of_locks()


def check_class(task: type[luigi.Task]) -> None:
    """Raise ConfigurationError for a task with its own timeout, which does what ``[worker] timeout`` does for all."""
    if task.worker_timeout:
        raise ConfigurationError(
            f"{task.__name__}.worker_timeout", f"None: {_TIMED}", str(task.worker_timeout), _LIMIT_ALL
        )


def check_shared(tasks: Iterable[type[luigi.Task]]) -> None:
    """Raise ConfigurationError for a lake or a use case that is set for one class of tasks, as Luigi allows it for every
    parameter. It would have no effect, because each task has those of the task that requires it."""
    for task in tasks:
        for name, (what, setting) in _SHARED.items():
            place, text = _said(task, name)
            if text:
                raise ConfigurationError(
                    place,
                    f"one {what} for all tasks of a run",
                    f"{without_password(text)!r} for {task.get_task_family()} alone",
                    f"set {setting} in its place",
                )


def refusals() -> Iterator[ConfigurationError]:
    """Yield an error for each value of Luigi's own sections that is badly written, is not of its type, or is one that a
    run cannot have.
    """
    badly_written = list(_badly_written())
    yield from badly_written
    if badly_written:
        return  # Luigi could not read its settings
    yield from _unknown()
    unreadable = set()
    for section in _SECTIONS:
        for name, parameter in section.get_params():
            try:
                _value(section, name, parameter)
            except ConfigurationError as error:
                unreadable.add(section)
                yield error
    values = {section: section() for section in _SECTIONS if not unreadable & {section, core}}
    for rule in _RULES:
        if (section := _section(rule)) in values:
            yield from _broken(rule, values[section])
    if core not in unreadable:
        yield from _of_logging_file()
    if worker not in unreadable:
        yield from _of_context()


def _broken(rule: _Rule, values: luigi.Config) -> Iterator[ConfigurationError]:
    value = getattr(values, rule.name)
    if not rule.fits(value):
        place, text = _said(type(values), rule.name)
        yield ConfigurationError(place, rule.wanted, text or str(value), rule.next_step)


def _section(rule: _Rule) -> type[luigi.Config]:
    return next(section for section in _SECTIONS if section.get_task_family() == rule.section)


def _badly_written() -> Iterator[ConfigurationError]:
    for (section, key), text in defaults.REPLACED.items():
        place = f"[{section}] {key}"
        rule = next(rule for rule in _RULES if (rule.section, rule.name) == (section, key))
        yield value_rules.refusal(place, text) or ConfigurationError(place, rule.wanted, repr(text), rule.next_step)
    parser = get_config()
    for section in _WRITTEN:
        for key in parser.options(section) if parser.has_section(section) else ():
            error = refused_value(section, key)
            if error:
                yield error


def _unknown() -> Iterator[ConfigurationError]:
    """Refuse keys that Luigi does not have: it would pass over them. ``[core]`` has keys of Luigi's contributed modules,
    too, so that only what is nearly a known key is refused there."""
    parser = get_config()
    for section in _SECTIONS:
        family = section.get_task_family()
        names = {name for name, _ in section.get_params()}
        for key in parser.options(family) if parser.has_section(family) else ():
            name = key.replace("-", "_")
            # The older names are looked for where they are needed: that goes through every class of Luigi's settings.
            if name in names or key in parser.defaults() or name in (known := _keys(section)):
                continue
            if section is core and not difflib.get_close_matches(name, known, n=1, cutoff=0.8):
                continue
            place = f"--set {family}.{key}" if resolve.given(family, key) else f"[{family}] {key}"
            found = f"an unknown key{did_you_mean(name, known)}"
            yield ConfigurationError(place, f"a key of Luigi's section [{family}]", found, "correct or remove it")


def _keys(section: type[luigi.Config]) -> list[str]:
    """The keys that Luigi reads in a section: its parameters, and the older names there of any other parameter."""
    older = (
        parameter._config_path
        for task in Register.task_names()
        if issubclass(Register.get_task_cls(task), luigi.Config)
        for _, parameter in Register.get_task_cls(task).get_params()
    )
    family = section.get_task_family()
    return [
        *(name for name, _ in section.get_params()),
        *(path["name"].replace("-", "_") for path in older if path and path["section"] == family),
    ]


def _value(section: type[luigi.Config], name: str, parameter: luigi.Parameter[Any]) -> Any:
    """A value as Luigi has it. Raises ConfigurationError for what is not of its type."""
    try:
        return parameter.task_value(section.get_task_family(), name)
    except (ValueError, TypeError, ParameterException) as error:
        place, text = _said(section, name)
        resolve.parsed(parameter, place, text)
        raise ConfigurationError(place, "a value that Luigi can read", repr(text), "correct it") from error


def _said(section: type[luigi.Task], name: str) -> tuple[str, str]:
    """The place that sets a value, and its text. A parameter may have an older name in [core]."""
    family, parameter = section.get_task_family(), dict(section.get_params())[name]
    command_line = CmdlineParser.get_instance()
    given = command_line and getattr(command_line.known_args, f"{family}_{name}", None)
    if given:
        return f"--{'' if section is core else family + '-'}{name}".replace("_", "-"), str(given)
    old = parameter._config_path
    for place, key in [(family, name), *([(old["section"], old["name"])] if old else [])]:
        text = resolve.in_files(place, key)
        if text is not None:
            return (f"--set {place}.{key}" if resolve.given(place, key) else f"[{place}] {key}"), text
    return f"[{family}] {name}", ""


def _of_context() -> Iterator[ConfigurationError]:
    """Refuse a ``task_process_context`` that cannot be imported. It is a class of the user's around each run(), and
    Luigi would end where it is not there.
    """
    name = worker().task_process_context
    if not name:
        return
    module, _, of_module = name.rpartition(".")
    try:
        getattr(importlib.import_module(module), of_module)
    except Exception as error:
        place, _ = _said(worker, "task_process_context")
        found = f"{name!r}: {type(error).__name__}: {error}"
        yield ConfigurationError(place, "module.Class that Python can import", found, "correct it, or leave it out")


def _of_logging_file() -> Iterator[ConfigurationError]:
    path = core().logging_conf_file
    if not path:
        return
    place, _ = _said(core, "logging_conf_file")
    if not os.path.lexists(path):
        yield ConfigurationError(place, "a file", f"{path}, which is not there", "correct it, or leave it out")
        return
    error = config_files.refusal(path, f"{place}: {path}")
    if error:
        yield error
        return
    parser = configparser.RawConfigParser()
    parser.read(path)
    missing = [f"[{section}]" for section in ("loggers", "handlers", "formatters") if section not in parser]
    if missing:
        yield ConfigurationError(
            place, _LOGGING_FILE, f"no {', '.join(missing)} in {path}", "correct it, or leave it out"
        )


def _set_up_logging() -> None:
    """Set up logging, as Luigi does when it begins to schedule. A failure there would have no exit code of its own."""
    try:
        InterfaceLogging.setup(core())
    except Exception as error:
        place, path = _said(core, "logging_conf_file")
        raise ConfigurationError(
            place,
            _LOGGING_FILE,
            f"{path}: {type(error).__name__}: {error}",
            "correct it, or leave it out",
        ) from error


def _make_place_of_locks() -> None:
    """Make the directory of Luigi's locks, as Luigi does before it schedules. The default is below the temporary
    directory, and may belong to another user.
    """
    values = core()
    if values.no_lock:
        return
    try:
        os.mkdir(values.lock_pid_dir, 0o700)
    except FileExistsError:
        reason = "" if os.access(values.lock_pid_dir, os.R_OK | os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return
    if reason:
        place, _ = _said(core, "lock_pid_dir")
        raise ConfigurationError(
            place,
            "a directory that this user can write to",
            f"{values.lock_pid_dir}: {reason}",
            "set it to a directory of your own, or give --no-lock",
        )
