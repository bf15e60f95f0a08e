"""Replaces those of Luigi's defaults that would let a failure pass as success. A file of the user wins over all of
them.

They live in code, so that they hold from any directory and in an installed wheel. In a checkout, ``config/luigi.cfg``
is read before every file of the user.
"""

from __future__ import annotations

import configparser
import functools
import logging
import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from luigi import batch_notifier, notifications
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import LuigiConfigParser, get_config
from luigi.task_register import Register

from tasks.config import files as config_files

#: The logger of tasks.graph.log, a layer above that cannot be imported here.
_logger = logging.getLogger("luigi-interface.daystone")
CHECKOUT_FILE = Path(__file__).resolve().parents[2] / "config" / "luigi.cfg"

DEFAULTS = {
    # Luigi takes the greatest of the codes that apply, so their order matters.
    "retcode": {
        "already_running": "10",
        "not_run": "15",
        "missing_data": "20",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "4",
    },
    # A range builds what it is asked for: no silent limit in days or in tasks.
    "RangeDaily": {"days_back": "36500", "days_forward": "36500", "task_limit": "1000000"},
    "core": {"local_scheduler": "true", "log_level": "INFO"},
    # A run() that ends is taken for done once complete() says so too. Luigi waits for wait_interval seconds between two
    # looks at a task that another process runs.
    "worker": {"check_complete_on_run": "true", "wait_interval": "1"},
}


#: Values of files, by section and key, that would hide a failure, or would stop Luigi's command before a stage of ours
#: can refuse them. The default is used in their place until a stage is made, which refuses them.
REPLACED: dict[tuple[str, str], str] = {}

LARGEST_CODE = 255


def install() -> None:
    """Read the checkout's file first, then fill in what no file has set."""
    paths = LuigiConfigParser._config_paths
    if os.path.lexists(CHECKOUT_FILE) and str(CHECKOUT_FILE) not in paths:
        paths.insert(0, str(CHECKOUT_FILE))
        if config_files.refusal(str(CHECKOUT_FILE)) is None:  # else it is refused where a stage is made
            LuigiConfigParser.reload()
    config = get_config()
    for section, values in DEFAULTS.items():
        for name, value in values.items():
            if config.get(section, name, None) is None:
                config.set(section, name, value)
    _replace_invalid_codes(config)
    _take_whole_options_only()
    _outlive_mail()


def files() -> list[str]:
    """The paths at which Luigi looks for files, in the order in which it reads them. A later file wins; any may be
    missing.
    """
    return list(LuigiConfigParser._config_paths)


def read_files() -> list[str]:
    """The configuration files that were read, in that order."""
    return config_files.readable(files())


def is_code(text: str) -> bool:
    """Whether a text is a code with which a process can exit and be taken for failed."""
    try:
        return 0 < int(text) <= LARGEST_CODE
    except ValueError:
        return False


def _replace_invalid_codes(config: LuigiConfigParser) -> None:
    """Put the default in place of a value that is no exit code. Luigi reads [retcode] before it makes a task, and ends
    with a traceback and 1 where a value is no number.
    """
    for name, code in DEFAULTS["retcode"].items():
        try:
            found = config.get("retcode", name)
        except configparser.Error as error:
            found = " ".join(str(error).split())
        if not is_code(found):
            REPLACED["retcode", name] = found
            config.set("retcode", name, code)


def _outlive_mail() -> None:
    """Make a mail that cannot be sent a warning. Luigi would end the run because of it, or log an ERROR after the one
    that gives the reason of a failure.
    """
    for module, name in ((notifications, "send_error_email"), (batch_notifier, "send_email")):
        send = getattr(module, name)
        if not hasattr(send, "__wrapped__"):
            setattr(module, name, _outlived(send))


def _outlived(send: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(send)
    def tried(*args: Any, **kwargs: Any) -> None:
        notifications.logger.addFilter(_as_warning)
        try:
            send(*args, **kwargs)
        except Exception as error:
            _logger.warning("Luigi's mail could not be sent: %s: %s", type(error).__name__, error)
        finally:
            notifications.logger.removeFilter(_as_warning)

    return tried


def _as_warning(record: logging.LogRecord) -> bool:
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def _take_whole_options_only() -> None:
    """Keep Luigi's parser from guessing an option by its first letters. A slip would pass unseen, and ``--lake`` would
    be ambiguous.

    A parser is made once for the tasks that are known. Luigi reads the same command line three times and makes three
    parsers each time, which is a seventh of a run with nothing to do.
    """
    build = CmdlineParser._build_parser
    made: dict[object, ArgumentParser] = {}

    def without_guesses(*args: Any, **kwargs: Any) -> ArgumentParser:
        known = tuple((task, name) for task, _, name, _ in Register.get_all_params())
        asked = (args, tuple(sorted(kwargs.items())), known)
        if asked not in made:
            made[asked] = build(*args, **kwargs)
            made[asked].allow_abbrev = False
        return made[asked]

    CmdlineParser._build_parser = staticmethod(without_guesses)  # type: ignore[method-assign]  # no setting of Luigi does it
