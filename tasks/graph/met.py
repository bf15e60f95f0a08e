"""Remembers the complete partitions that a run has met, for the note at the end of the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass
class Met:
    """The complete days of one use case in one lake, by dataset. ``stage`` is one of its stages; it has no type here,
    because stages import this module.
    """

    stage: Any
    days: dict[str, set[date]] = field(default_factory=dict)


_MET: dict[tuple[str, str], Met] = {}


def complete(stage: Any, days: Iterable[date]) -> None:
    """Remember days of a stage's dataset that a run has found to be complete."""
    _MET.setdefault((stage.lake, stage.use_case), Met(stage)).days.setdefault(stage.dataset, set()).update(days)


def forget() -> None:
    """Forget everything, because a new run begins."""
    _MET.clear()


def partitions() -> list[Met]:
    """All that was met since the run began."""
    return list(_MET.values())
