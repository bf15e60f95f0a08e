"""Luigi's own defaults that would let a failure pass as success, replaced; a file of the user wins over all of them.

They live in code, so that they hold from any directory and in an installed wheel. In a checkout, ``config/luigi.cfg``
is read before every file of the user.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import LuigiConfigParser, get_config

CHECKOUT_FILE = Path(__file__).resolve().parent.parent / "config" / "luigi.cfg"

DEFAULTS = {
    # Luigi takes the maximum of those that apply: their order matters.
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


def install() -> None:
    """Read the checkout's file first, then fill in what no file has set."""
    paths = LuigiConfigParser._config_paths
    if CHECKOUT_FILE.is_file() and str(CHECKOUT_FILE) not in paths:
        paths.insert(0, str(CHECKOUT_FILE))
        LuigiConfigParser.reload()
    config = get_config()
    for section, values in DEFAULTS.items():
        for name, value in values.items():
            if config.get(section, name, None) is None:
                config.set(section, name, value)
    _take_whole_options_only()


def read_files() -> list[str]:
    """The configuration files that exist, in the order in which they are read: a later one wins."""
    return [os.path.abspath(path) for path in LuigiConfigParser._config_paths if os.path.isfile(path)]


def _take_whole_options_only() -> None:
    """Let Luigi's parser guess no option from its first letters: a slip would pass, and ``--lake`` be ambiguous."""
    build = CmdlineParser._build_parser

    def without_guesses(*args: Any, **kwargs: Any) -> ArgumentParser:
        parser: ArgumentParser = build(*args, **kwargs)
        parser.allow_abbrev = False
        return parser

    CmdlineParser._build_parser = staticmethod(without_guesses)  # type: ignore[method-assign]  # Luigi has no option
