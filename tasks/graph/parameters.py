"""The parameters that name a task. Each has one spelling, so that Luigi never takes one lake's day for another's."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, NoReturn

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import ParameterException
from luigi.retcodes import retcode
from luigi.setup_logging import InterfaceLogging

from spark_lib.errors import DaystoneError
from spark_lib.lake import normalise_root
from spark_lib.use_case import loading
from tasks.config import check, defaults, value_rules
from tasks.graph.log import logger

USAGE = 2


class DayParameter(luigi.DateParameter):
    """A landing day, in UTC. ``option`` is its name on the command line."""

    def __init__(self, option: str = "--date", **more: Any) -> None:
        super().__init__(**more)
        self.option = option

    def parse(self, text: str) -> date:
        try:
            day: date = super().parse(text)
        except ValueError:
            self._refuse("a day like 2026-11-20", text)
        if wanted := check.wrong_day(day):
            self._refuse(wanted, text)
        return day

    def _refuse(self, wanted: str, text: str) -> NoReturn:
        reason = f"{self.option}: wanted {wanted}; found {text!r}"
        if CmdlineParser.get_instance() is None:
            raise ValueError(reason)
        _exit(USAGE, reason)


class UseCaseParameter(luigi.Parameter):
    """A use case by its short name or as module:Class."""

    def parse(self, text: str) -> str:
        return _as_written("--use-case", text)

    def normalize(self, name: str) -> str:
        return loading.normalise(name)


class LakeParameter(luigi.Parameter):
    """The root of a lake."""

    def parse(self, text: str) -> str:
        return _as_written("--lake", text)

    def normalize(self, root: str) -> str:
        return normalise_root(root)


@contextmanager
def refusal_as_exit_code() -> Iterator[None]:
    """On Luigi's command line, an error while a task is made ends the process with one ERROR line and its exit code.

    Luigi itself would print a traceback and call it an unhandled exception. In a Python program it stays an exception.
    """
    try:
        yield
    except DaystoneError as error:
        if CmdlineParser.get_instance() is None:
            raise
        _exit(_failed(), str(error))
    except ParameterException as error:
        if CmdlineParser.get_instance() is None:
            raise
        _exit(USAGE, re.sub(r"\[args=.*\]: ", ": ", str(error)))


def _as_written(option: str, text: str) -> str:
    with refusal_as_exit_code():
        value_rules.check(option, text)
    return text


def _failed() -> int:
    """The exit code for a failure. It is the default one where the user's is refused."""
    code: int = retcode().task_failed
    return code if defaults.is_code(str(code)) else int(defaults.DEFAULTS["retcode"]["task_failed"])


def _exit(code: int, reason: str) -> NoReturn:
    with suppress(Exception):  # the user's logging file may be what is refused
        InterfaceLogging.setup(luigi.interface.core())
    if not logger.hasHandlers():
        logging.basicConfig(format="%(levelname)s: %(message)s")
    logger.error(reason)
    sys.exit(code)
