"""What people have promoted, as the stages of a day ask for it."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_lib.lake import Lake
    from spark_lib.registry.promotions import InForce, Promotion
    from tasks.config.settings import Settings


class Promoted:
    """What the promotions in a lake say of its days. They are read once, when they are first asked for, and not at all where
    ``[selection] manual_from`` lets nobody decide."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings = settings
        self._lake = lake

    def of(self, day: date) -> InForce | None:
        """What is in force on a day; None where people do not decide it, or have promoted nothing."""
        if not self._settings.is_manual(day):
            return None
        from spark_lib.registry import promotions

        return promotions.in_force(self._read, day)

    def name(self, day: date) -> str | None:
        """The name of what decides a day; empty where people have promoted nothing, None where they do not decide."""
        if not self._settings.is_manual(day):
            return None
        stands = self.of(day)
        return stands.name if stands else ""

    def has_second(self, day: date) -> bool:
        """Whether a second model scores a day, too."""
        stands = self.of(day)
        return stands is not None and stands.beside is not None

    @cached_property
    def _read(self) -> list[Promotion]:
        from spark_lib.registry import promotions

        return promotions.read(self._lake)
