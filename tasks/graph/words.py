"""States and reasons in words, and as JSON has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from tasks.graph.staleness import Cell, CodeChanged, Day, InputChanged, LibraryChanged, Reason, SettingChanged, State

_IDENTITY_SHOWN = 8


def message_of(summary: str) -> str:
    """A stage's words without the name of its dataset, which is shown beside them."""
    return re.sub(r"^(clean/)?[^/:]+: ", "", summary)


def of_cell(cell: Cell) -> str:
    """``stale (settings)``, ``waiting for raw/events of 2026-03-01``, ``blocked by features of 2026-03-01``."""
    if cell.state is State.STALE:
        return f"stale ({', '.join(dict.fromkeys(reason.kind for reason in cell.reasons))})"
    between = {State.WAITING: "waiting for", State.HOLE: "hole:", State.BLOCKED: "blocked by"}
    return f"{between[cell.state]} {cell.because}" if cell.because else cell.state.value


def of_reasons(reasons: tuple[Reason, ...]) -> Iterator[str]:
    """Each reason in a line. Inputs of one name that have changed in the same way are one line."""
    for _, alike in groupby(reasons, _way):
        found = list(alike)
        first = found[0]
        if isinstance(first, InputChanged):
            yield _of_inputs([reason for reason in found if isinstance(reason, InputChanged)])
        else:
            yield from map(_of_reason, found)


def _way(reason: Reason) -> tuple[Any, ...]:
    if isinstance(reason, InputChanged):
        return reason.kind, reason.day.name, bool(reason.then), reason.differs
    return (reason.kind,)


def _of_inputs(changed: list[InputChanged]) -> str:
    first = changed[0]
    then, now = (_short(identity) for identity in (first.then, first.now))
    what = f"{then}, now {now}" if first.then else f"not read then, now {now}"
    rows = {True: "other rows", False: "the same rows", None: ""}[first.differs]
    others = len(changed) - 1
    more = f"; and {others:,} day{'s' if others > 1 else ''} more up to {changed[-1].day.date}" if others else ""
    return f"input: {first.day}: {what}{f' ({rows})' if rows else ''}{more}"


def _of_reason(reason: Reason) -> str:
    assert not isinstance(reason, InputChanged)  # those are grouped
    if isinstance(reason, CodeChanged):
        return f"code: {reason.name} {_short(reason.then)}, now {_short(reason.now)}"
    return f"{reason.kind}: {reason.name} {reason.then}, now {reason.now}"


def _short(identity: str) -> str:
    """The beginning of a long identity, as Git shows those of commits; the whole name of a promotion."""
    if " " in identity:
        return identity
    kind, colon, value = identity.rpartition(":")
    return f"{kind}{colon}{value[:_IDENTITY_SHOWN]}"


def document(cell: Cell) -> dict[str, Any]:
    """A cell as JSON has it."""
    found: dict[str, Any] = {"state": cell.state.value}
    if cell.reasons:
        found["reasons"] = [_document(reason) for reason in cell.reasons]
    if cell.because:
        found["because"] = of_day(cell.because)
    return found


def of_day(day: Day) -> dict[str, str]:
    """A day of a dataset or a feed as JSON has it."""
    return {"name": day.name, "date": str(day.date)}


def _document(reason: Reason) -> dict[str, Any]:
    if isinstance(reason, InputChanged):
        what: dict[str, Any] = of_day(reason.day) | {"rows_differ": reason.differs}
    else:
        assert isinstance(reason, SettingChanged | CodeChanged | LibraryChanged)
        what = {"name": reason.name}
    return {"reason": reason.kind} | what | {"then": reason.then, "now": reason.now}
