"""The logger of the tasks. It leaves out what Luigi repeats, and ends with the reason for the exit code."""

import atexit
import logging

from luigi.cmdline_parser import CmdlineParser

LUIGI = "luigi-interface"
# A child of Luigi's, so that Luigi's logging configuration holds for it.
logger = logging.getLogger(f"{LUIGI}.daystone")

#: Luigi logs such a line again for every task that it has ever looked at, whenever one more is asked for.
_REPEATED = "Informed scheduler that task "

_said: list[tuple[int, str]] = []


class WithoutRepetitions(logging.Filter):
    """Leaves out what Luigi repeats for every task in every round of scheduling, unless DEBUG is asked for.

    It is a filter of the logger and not of a handler, because a logger keeps its filters however Luigi sets up logging.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING or logging.getLogger(LUIGI).isEnabledFor(logging.DEBUG):
            return True
        return not str(record.msg).startswith(_REPEATED)


def install() -> None:
    """Quieten Luigi's logger once."""
    luigis = logging.getLogger(LUIGI)
    if not any(isinstance(known, WithoutRepetitions) for known in luigis.filters):
        luigis.addFilter(WithoutRepetitions())


def say_why(code: int, reason: str) -> None:
    """Log an ERROR that Luigi's command line answers with an exit code.

    Luigi exits with the highest of several codes. Where the reason of a lower code was logged last, the reason of the
    highest is logged once more when the process ends.
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
