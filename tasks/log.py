"""The logger of the tasks, and the reason for an exit code on the last ERROR line."""

import atexit
import logging

from luigi.cmdline_parser import CmdlineParser

# A child of Luigi's, so that Luigi's logging configuration holds for it.
logger = logging.getLogger("luigi-interface.daystone")

_said: list[tuple[int, str]] = []


def say_why(code: int, reason: str) -> None:
    """Log an ERROR that Luigi's command line answers with an exit code.

    Of several codes Luigi exits with the highest. Where a lower one's reason was logged after it, the highest one's is
    logged once more when the process ends.
    """
    logger.error(reason)
    if CmdlineParser.get_instance() is not None:
        if not _said:
            atexit.register(_repeat_highest)
        _said.append((code, reason))


def _repeat_highest() -> None:
    highest = max(code for code, _ in _said)
    if _said[-1][0] != highest:
        logger.error([reason for code, reason in _said if code == highest][-1])
