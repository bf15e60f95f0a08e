"""The exit codes of ``daystone``. Each cause has a code and an error class, whose docstring says when it is used."""

from __future__ import annotations

from collections.abc import Iterator

from spark_lib.errors import DaystoneError

NOT_ALL_WELL, USAGE, INTERRUPTED = 1, 2, 130


class RunByAnother(DaystoneError):
    """Another process is building it, says luigid."""

    exit_code = 10
    is_told = False


class NotRun(DaystoneError):
    """The scheduler gave the task to nobody; the log says why."""

    exit_code = 15
    is_told = False


class SchedulerUnreachable(DaystoneError):
    """luigid does not answer."""

    exit_code = 41


def table() -> dict[int, str]:
    """Every code and when it is used, as the error classes say themselves."""
    codes = {
        0: "All that was asked for is there, published and whole.",
        NOT_ALL_WELL: "doctor only: something is not as it should be.",
        USAGE: "A verb, an option or a value that does not exist.",
        DaystoneError.exit_code: "Any other failure; the log has the traceback.",
        INTERRUPTED: "Stopped by Ctrl-C.",
    }
    for error in _below(DaystoneError):
        said = " ".join((error.__doc__ or "").split())
        codes.setdefault(error.exit_code, said.partition(". ")[0].rstrip(".") + ".")
    return dict(sorted(codes.items()))


def _below(kind: type[DaystoneError]) -> Iterator[type[DaystoneError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
