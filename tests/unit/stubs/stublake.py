"""A lake of a stub use case, as others and accidents change it, and stages built in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.configuration import LuigiConfigParser

import spark_lib.stages.features
from spark_lib.errors import DaystoneError
from spark_lib.lake import Documents, RawDays, days
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Entry
from tasks.config import defaults
from tasks.graph import stage as stages
from tests.unit.stubs import chain

LOANS = "tests.unit.stubs.cases:Loans"
CARDS = "tests.unit.stubs.cases:Cards"
TOGETHER = "tests.unit.stubs.cases:Together"
CONTESTED = "tests.unit.stubs.cases:Contested"
CLEANED = "tests.unit.stubs.cases:Cleaned"
CLEANED_TOGETHER = "tests.unit.stubs.cases:CleanedTogether"
CLEANED_STATEFUL = "tests.unit.stubs.cases:CleanedStateful"
STATEFUL = "tests.unit.stubs.cases:Stateful"

#: Of LOANS: the first Monday whose window of 7 days, 2 days back, lies within the data, and that window.
FIRST_TRAINING = date(2026, 1, 12)
WINDOW = days(date(2026, 1, 3), date(2026, 1, 9))


@dataclass(frozen=True)
class StubLake:
    root: Path
    use_case: str = LOANS

    @property
    def name(self) -> str:
        """The use case's directory."""
        return self.use_case.replace(":", ".")

    def land(self, last: date, first: date = date(2026, 1, 1), feeds: tuple[str, ...] = ("events", "outcomes")) -> None:
        """Land empty days."""
        for feed in feeds:
            for day in days(first, last):
                self.flag(feed, day).parent.mkdir(parents=True, exist_ok=True)
                self.flag(feed, day).touch()

    def flag(self, feed: str, day: date) -> Path:
        return self.root / self.name / "raw" / feed / f"date={day}" / "_SUCCESS"

    def judge(self, day: date, reason: str, detail: str) -> None:
        """Let the training of a day be rejected."""
        self._decide(**{str(day): {"approved": False, "reason": reason, "detail": detail}})

    def let_lose(self, *days: date) -> None:
        """Let the models of these days lose to the approved ones before them."""
        self._decide(losers=list(map(str, days)))

    def let_be_odd(self, *days: date) -> None:
        """Let the predictions of these days be such that a release holds them."""
        self._decide(odd=list(map(str, days)))

    def let_be_poor(self, *days: date) -> None:
        """Let the evaluations of these days miss a bound."""
        self._decide(poor=list(map(str, days)))

    def let_hold(self, *days: date, there: int, least: float | None, greatest: float | None) -> None:
        """Let the only column of the training sets of these days have so many values, from the least to the greatest."""
        column = {"amount": {"there": there, "least": least, "greatest": greatest, "infinite": 0}}
        file = self.root / "verdicts.json"
        known = json.loads(file.read_text()).get("spreads", {}) if file.exists() else {}
        self._decide(spreads=known | {str(day): column for day in days})

    def _decide(self, **verdicts: Any) -> None:
        file = self.root / "verdicts.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | verdicts))

    def partition(self, dataset: str, day: date) -> Path:
        return self.root / self.name / dataset / f"date={day}"

    def manifest(self, dataset: str, day: date) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.partition(dataset, day) / "_SUCCESS").read_bytes())
        return found

    def published(self, dataset: str) -> dict[date, str]:
        """The run that stands for each day."""
        flags = sorted((self.root / self.name / dataset).glob("date=*/_SUCCESS"))
        return {date.fromisoformat(flag.parent.name[5:]): json.loads(flag.read_bytes())["run"] for flag in flags}

    def runs(self, dataset: str) -> list[str]:
        """Every run that has a directory, published or not."""
        return sorted(path.name for path in (self.root / self.name / dataset).glob("date=*/run=*"))

    def delete(self, dataset: str, day: date) -> None:
        for path in sorted(self.partition(dataset, day).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def damage(self, dataset: str, day: date) -> Path:
        """Remove a file that the day's manifest names, and say which; spoil a manifest that names none."""
        file = min(self.partition(dataset, day).glob("run=*/*"), default=None)
        if file is None:
            manifest = self.partition(dataset, day) / "_SUCCESS"
            manifest.write_text(json.dumps(self.manifest(dataset, day) | {"schema_hash": ""}))
            return manifest
        file.unlink()
        return file

    def written(self) -> dict[str, int]:
        """Every file with the time of its last change: equal as long as nobody writes."""
        return {str(path): path.stat().st_mtime_ns for path in self.root.rglob("*") if path.is_file()}


@dataclass
class Built:
    """What happened while stages were built."""

    ran: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    status: luigi.LuigiStatusCode = luigi.LuigiStatusCode.SUCCESS

    @property
    def ended(self) -> list[str]:
        """What ran, without those that only asked for more."""
        return sorted(set(self.ran))


def build(*wanted: luigi.Task) -> Built:
    """Build in this process with Luigi's own scheduler."""
    built = Built()

    def on_start(task: luigi.Task) -> None:
        built.ran.append(f"{task.task_family} {task.date}" if isinstance(task, stages.Dated) else task.task_family)

    def on_refused(task: luigi.Task, error: DaystoneError) -> None:
        built.refused.append(str(error))

    def on_progress(task: luigi.Task, percent: int, message: str) -> None:
        if percent == 100:
            built.said.append(message)

    handlers = {luigi.Event.START: on_start, stages.REFUSED: on_refused, stages.PROGRESS: on_progress}
    with _listening(handlers):
        result = luigi.build(list(wanted), detailed_summary=True)
    built.status = result.status
    return built


@contextmanager
def _listening(handlers: dict[str, Any]) -> Iterator[None]:
    for event, handler in handlers.items():
        luigi.Task.event_handler(event)(handler)
    try:
        yield
    finally:
        for event, handler in handlers.items():
            luigi.Task.remove_event_handler(event, handler)


def configure(monkeypatch: pytest.MonkeyPatch, text: str = "") -> LuigiConfigParser:
    """Luigi's configuration as if ``text`` were the only file, for one test."""
    parser = LuigiConfigParser()
    parser.read_string(text)
    monkeypatch.setattr(LuigiConfigParser, "_instance", parser)
    for section, values in (
        defaults.DEFAULTS | {"core": {"local_scheduler": "true", "no_configure_logging": "true"}}
    ).items():
        for name, value in values.items():
            if parser.get(section, name, None) is None:
                parser.set(section, name, value)
    monkeypatch.setattr(stages, "_CHECKED", {})
    return parser


def prepare(monkeypatch: pytest.MonkeyPatch, root: Path, settings: str = "", use_case: str = LOANS) -> StubLake:
    """An empty lake that tasks take where none is given, a use case, and bodies that need no Spark."""
    configure(monkeypatch, f"[lake]\nroot = {root}\n[pipeline]\nuse_case = {use_case}\n{settings}")
    chain.install(monkeypatch.setattr)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody cuts the power here, and it is most of the time
    return StubLake(root, use_case)


def make_features_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the features of a day depend on the files that had landed."""

    def written(spark: None, case: object, raw: dict[str, RawDays], url: str, file_rows: int) -> Documents:
        return Documents({"rows.txt": repr([days.files for days in raw.values()]).encode()})

    monkeypatch.setattr(spark_lib.stages.features, "build", written)


def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The datasets whose days the store is asked for, from now on; empty for a feed."""
    asked: list[str] = []
    real = LocalStore.list

    def counted(store: LocalStore, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        asked.append(prefix.rpartition("/")[2])
        return real(store, prefix, first, last)

    monkeypatch.setattr(LocalStore, "list", counted)
    return asked
