"""Stages that need no Spark.

luigi --module tests.unit.stubs.quick Leaf --date 2026-01-01
"""

from __future__ import annotations

import json

import tasks
from spark_lib.lake import Documents, Manifest


class Leaf(tasks.Stage):
    """A stage that needs nothing, and writes a few bytes."""

    dataset = "leaf"
    RESULT = 1
    settings_used = ("window_days",)

    def run(self) -> None:
        with self.attempt(inputs=()) as attempt:
            self.publish(attempt, Documents({"body.txt": b"small\n"}))

    def summary(self, manifest: Manifest) -> str:
        return f"leaf of {self.date}"


class Shown(tasks.Stage):
    """Prints what configuration resolves to, every time."""

    dataset = "shown"
    RESULT = 1
    printed = False

    def run(self) -> None:
        sections = {name: getattr(self.settings, name) for name in ("lake", "pipeline", "training", "spark")}
        values = {name: dict(section.to_str_params()) for name, section in sections.items()}
        feeds = {feed: vars(self.settings.feed(self.lake, feed)) for feed in self.case.feeds}
        print(json.dumps({"task": self.to_str_params(), **values, "raw": feeds}, default=str))
        self.printed = True

    def complete(self) -> bool:
        return self.printed


class Idle(tasks.Stage):
    """Ends without having published anything."""

    dataset = "idle"
    RESULT = 1

    def run(self) -> None:
        pass


class Broken(tasks.Stage):
    """Raises what none of ours raises."""

    dataset = "broken"
    RESULT = 1

    def run(self) -> None:
        raise ZeroDivisionError("first line\nsecond line")
