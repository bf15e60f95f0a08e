"""Says where in a use case's own code something happened."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from spark_lib.errors import DaystoneError, UseCaseError, did_you_mean

if TYPE_CHECKING:
    from spark_lib.use_case import UseCase


@contextmanager
def of_their_code(case: UseCase, method: str, wanted: str) -> Iterator[None]:
    """Turn what the use case's ``method`` raises into a UseCaseError with the line of its code. An error of ours is
    raised as it is."""
    from pyspark.errors import AnalysisException

    where = f"{method} of {type(case).__name__}"
    try:
        yield
    except DaystoneError:
        raise
    except AnalysisException as error:
        named = (error.getMessageParameters() or {}).get("objectName", "")
        if not str(error.getCondition()).startswith("UNRESOLVED_COLUMN") or not named:
            raise _raised(case, where, wanted, error) from error
        column = named.replace("`", "").rpartition(".")[2]
        raise UseCaseError(
            where,
            "the columns that the rows have",
            f"{column!r}{did_you_mean(column, _proposed(error))}, {_line(case, error)}",
            f"correct the name of the column in {method}",
        ) from error
    except Exception as error:
        raise _raised(case, where, wanted, error) from error


def asked_at(case: UseCase) -> str:
    """The line of the use case's code that has called us."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_of(case, frame):
        frame = frame.f_back
    return _at(frame, frame.f_lineno) if frame else "in no line of the use case"


def package_of(case: UseCase) -> str:
    """The name of the package that a use case's code is in; of a shipped one, that of its module."""
    module = type(case).__module__
    return module if module.startswith("spark_lib.") else module.partition(".")[0]


def _raised(case: UseCase, where: str, wanted: str, error: Exception) -> UseCaseError:
    first = next(iter(str(error).strip().splitlines()), "")
    return UseCaseError(where, wanted, f"{type(error).__name__}: {first}, {_line(case, error)}", "correct the use case")


def _proposed(error: Exception) -> list[str]:
    """The names of columns that Spark found instead."""
    text = (error.getMessageParameters() or {}).get("proposal", "")  # type: ignore[attr-defined]  # of Spark's errors
    return [name.replace("`", "").rpartition(".")[2] for name in text.split(", ")]


def _line(case: UseCase, error: BaseException) -> str:
    """The innermost line of the use case's code in a traceback."""
    lines = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_of(case, frame)]
    return _at(*lines[-1]) if lines else "in no line of the use case"


def _at(frame: FrameType, line: int) -> str:
    return f"at {frame.f_code.co_filename}, line {line}"


def _is_of(case: UseCase, frame: FrameType) -> bool:
    module, package = str(frame.f_globals.get("__name__")), package_of(case)
    return module == package or module.startswith(f"{package}.")
