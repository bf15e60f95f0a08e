"""Writes the module of a new use case and its configuration into the working directory."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_lib.errors import ConfigurationError
from spark_lib.use_case import draft

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_OURS = ("spark_lib", "tasks", "run")
_IMPORTED = ("Feature", "Feed", "Label", "UseCase", "Mapping", "DataFrame", "TYPE_CHECKING")
CONFIGURATION = "luigi.cfg"


@dataclass(frozen=True)
class Written:
    """The files that were written, the scored feed, and the column by which its rows land on days; none where the
    table has none."""

    files: Sequence[str]
    feed: str
    by: str


def write(reference: str, table: str | None) -> Written:
    """Write a use case ``module:Class`` and a luigi.cfg, from the columns of a ``table`` where one is given.

    Raises ConfigurationError for a reference that Python cannot import and for a file that is there; and what
    ``spark_lib.frames.seen.look`` raises.
    """
    _check(reference)
    module, _, class_name = reference.partition(":")
    code = Path(*module.split(".")).with_suffix(".py")
    for file in (code, Path(CONFIGURATION)):
        _refuse_there(reference, file)
    columns: Sequence[draft.Seen] = draft.EXAMPLE
    left_out: dict[str, str] = {}
    source, feed = "", "rows"
    if table is not None:
        from spark_lib.frames import seen

        found = seen.look(table)
        columns, left_out, source = found.columns, found.left_out, Path(table).name
        feed = re.sub(r"\W+", "_", source.partition(".")[0], flags=re.ASCII).strip("_") or feed
    texts = {
        code: draft.module(class_name, feed, columns, left_out, source),
        Path(CONFIGURATION): draft.configuration(reference, columns),
    }
    for file, text in texts.items():
        _write(reference, file, text)
    event_time = draft.roles(columns).event_time
    return Written([*map(str, texts)], feed, event_time.name if event_time else "")


def _check(reference: str) -> None:
    names = re.split(r"[.:]", reference)
    wanted = "module:Class as Python writes it, such as my_company.churn:Churn"
    good = _REFERENCE.fullmatch(reference) and not any(map(keyword.iskeyword, names))
    if not good or names[0] in _OURS or names[-1] in _IMPORTED:
        own = " (a name of Daystone's own)" if good else ""
        raise ConfigurationError("init", wanted, f"{reference!r}{own}", "give your own module and class")


def _refuse_there(reference: str, file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise ConfigurationError(
            f"init {reference}",
            f"no file {file} in the working directory",
            "one, which is never overwritten",
            "give another name, move the file, or call this in another directory",
        )


def _write(reference: str, file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        if isinstance(error, FileExistsError):
            _refuse_there(reference, file)
        raise ConfigurationError(
            f"init {reference}",
            f"a place where {file} can be written",
            error.strerror or str(error),
            "call this in a directory that this user can write to",
        ) from error
