"""run.py as a user starts it, on a lake of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from spark_lib.lake import Lake, RawFeed
from tests.support.checkout import ROOT
from tests.support.processes import Commands, Result

RUN_PY = str(ROOT / "run.py")
#: The verbs over stages whose bodies need no Spark.
STUBBED = "import sys; from tests.unit.stubs import chain; chain.install(); import run; run.main(sys.argv[1:])"
FEEDS = ("applications", "outcomes")
#: A training window of 7 days and a delay of 2: the first model is of Monday 2026-01-12, the eleventh day of the data.
SHORT = ("--set", "training.window_days=7", "--set", "training.label_delay_days=2")


@dataclass(frozen=True)
class Verbs:
    """Verbs on the lake ``root``, which is where their options say it is."""

    home: Path
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.home / "lake")

    def __call__(self, verb: str, *arguments: object, **environment: str) -> Result:
        """``run.py verb --lake-root ...``, to its end."""
        return self._run([sys.executable, RUN_PY], verb, *arguments, **environment)

    def stubbed(self, verb: str, *arguments: object, **environment: str) -> Result:
        """The same, with stages that write a few bytes."""
        return self._run([sys.executable, "-c", STUBBED], verb, *arguments, **environment)

    def _run(self, command: list[str], verb: str, *arguments: object, **environment: str) -> Result:
        all_arguments = [verb, "--lake-root", str(self.root), *map(str, arguments)]
        return Commands(self.home).run([*command, *all_arguments], env=self.environment | environment)

    @property
    def environment(self) -> dict[str, str]:
        return {"XDG_STATE_HOME": str(self.home / "state")}

    @property
    def lake(self) -> Lake:
        return Lake(str(self.root), "credit_risk")

    @property
    def log(self) -> str:
        """What all runs have logged."""
        return "".join(file.read_text() for file in (self.home / "state").rglob("*.log"))

    def land(self, first: str, days: int, feeds: Iterable[str] = FEEDS) -> None:
        """Land days without rows."""
        for feed in feeds:
            for offset in range(days):
                day = date.fromisoformat(first) + timedelta(days=offset)
                directory = Path(RawFeed(feed, str(self.root), "credit_risk").directory(day))
                directory.mkdir(parents=True)
                (directory / "_SUCCESS").touch()

    def contents(self) -> dict[str, tuple[int, int]]:
        """Every path of the lake with its time of change and size."""
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in self.root.rglob("*")}


def last_line(result: Result) -> str:
    """The reason: the last line of standard error."""
    return result.stderr.splitlines()[-1]
