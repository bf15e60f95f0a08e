"""Shows a verb's work to a person: bars and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import click

from spark_lib.errors import DaystoneError
from tasks.cli import run as runner
from tasks.planning.chain import rank

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tasks.cli.status import Cell, Report
    from tasks.graph.stage import Stage

ALSO_SHOWN = 5
BAR_CELLS = 24
_WHAT = len("predictions 123 of 365")
_LEAST_TO_ESTIMATE = 2
_MINUTE = 60
WIDE = 200
CALENDAR = 80
#: The names that are longer than the words for a day, in two lines.
_NARROW = {"snapshots": "snap-\nshots", "predictions": "predic-\ntions"}


def count(number: int, noun: str) -> str:
    """``1 file``, ``1,200 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_also(errors: Sequence[DaystoneError]) -> None:
    """Say the first of the errors that are not the reason of the exit code, a line each, and how many more there are."""
    for error in errors[:ALSO_SHOWN]:
        click.echo(f"also: {' '.join(str(error).split())}", err=True)
    if errors[ALSO_SHOWN:]:
        click.echo(f"also: {count(len(errors) - ALSO_SHOWN, 'error')} more, in the log", err=True)


def terminal(err: bool = False) -> Console:
    """A console on standard output (or error) as it is now: a run that redirects the output later does not change it.
    For a pipe its width is ``WIDE``.
    """
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDE)


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[date], None]]:
    """A bar over days on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(BAR_CELLS), MofNCompleteColumn(), TextColumn("{task.fields[day]}"))
    with Progress(*columns, console=terminal(err=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task(what, total=total, day="")
        yield lambda day: progress.update(bar, advance=1, day=str(day))


@contextmanager
def run() -> Iterator[runner.Watcher]:
    """Shows a run on standard error: bars on a terminal, elsewhere a line for each stage that ends."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.live import Live

    bars = Bars()
    with Live(
        get_renderable=bars.render,
        console=terminal(err=True),
        refresh_per_second=8,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield bars


class Course:
    """How far a run is with each dataset: the number of days that it has found to be missing, and the seconds that each
    built day took.
    """

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._seconds: dict[str, list[float]] = {}

    def due(self, dataset: str) -> None:
        self._due[dataset] = self._due.get(dataset, 0) + 1

    def built(self, dataset: str, seconds: float) -> None:
        self._seconds.setdefault(dataset, []).append(seconds)

    def datasets(self) -> Set[str]:
        """The datasets of which the run has found missing days."""
        return self._due.keys()

    def place(self, dataset: str) -> tuple[int, int]:
        """How many days are built, and how many there are to build, as far as the run knows yet."""
        done = len(self._seconds.get(dataset, []))
        return done, max(done, self._due.get(dataset, 0))

    def left(self, dataset: str) -> str:
        """The time that the rest of the dataset will take, in words. Each day is taken to last as long as the median
        day that was built.

        Empty where no day is left, and before two days are built, because Spark starts during the first one.
        """
        done, total = self.place(dataset)
        if done < _LEAST_TO_ESTIMATE or done == total:
            return ""
        import statistics

        return f"about {duration((total - done) * statistics.median_low(self._seconds[dataset]))} left"


class Lines(runner.Watcher):
    """One plain line for each stage that ends: the dataset, its place among those of the run, the day, and what was
    built."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._course = Course()

    def due(self, stage: Stage) -> None:
        self._course.due(stage.dataset)

    def built(self, stage: Stage, message: str, seconds: float) -> None:
        self._course.built(stage.dataset, seconds)
        done, total = self._course.place(stage.dataset)
        left = self._course.left(stage.dataset)
        words = f"{message} ({seconds:.1f} s)"
        self._say(f"{stage.dataset} {done} of {total}", stage, f"{words}, {left}" if left else words)

    def refused(self, task: Any, error: DaystoneError) -> None:
        self._say(name_of(task), task, refusal(error))

    def _say(self, what: str, task: Any, words: str) -> None:
        print(f"  {what:<{_WHAT}}  {task.date}  {words}", file=self._stream, flush=True)


class Bars(runner.Watcher):
    """A bar for each dataset, in the order of the chain."""

    def __init__(self) -> None:
        self._course = Course()
        self._says: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._began = time.monotonic()

    def due(self, stage: Stage) -> None:
        self._course.due(stage.dataset)

    def progress(self, stage: Stage, percent: int, message: str) -> None:
        self._says[stage.dataset] = f"{stage.date}  {message}"

    def built(self, stage: Stage, message: str, seconds: float) -> None:
        self._course.built(stage.dataset, seconds)

    def refused(self, task: Any, error: DaystoneError) -> None:
        self._refused[name_of(task)] = f"{task.date}  {refusal(error)}"

    def render(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(4):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for name in sorted(self._course.datasets(), key=lambda name: (rank(name), name)):
            done, total = self._course.place(name)
            says = Text(self._refused[name], "red") if name in self._refused else Text(self._says.get(name, ""))
            bar = ProgressBar(total=total, completed=done, width=BAR_CELLS)
            table.add_row(name, bar, f"{done} of {total}", self._course.left(name), says)
        for name in self._refused.keys() - self._course.datasets():
            table.add_row(name, "", "", "", Text(self._refused[name], "red"))
        table.add_row(Text(f"{time.monotonic() - self._began:.0f} s", "dim"))
        return table


def duration(seconds: float) -> str:
    """``40 s``, ``2 min``, ``1 h 20 min``: no more exact than an estimate can be."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def refusal(error: DaystoneError) -> str:
    """An error in a few words. The whole reason is printed at the end of the run."""
    return "failed" if type(error) is DaystoneError else f"not done: {type(error).__name__}"


def name_of(task: Any) -> str:
    """The name that a task is shown by: its dataset, or its raw feed."""
    return str(getattr(task, "dataset", "") or f"raw {getattr(task, 'feed', '')}".strip())


STYLES: Mapping[str, str] = {
    "BLOCKED": "yellow",
    "DAMAGED": "bold red",
    "HELD": "magenta",
    "HOLE": "red",
    "LANDED": "green",
    "MISSING": "yellow",
    "NOT_DUE": "dim",
    "PUBLISHED": "green",
    "REJECTED": "magenta",
    "STALE": "bold yellow",
    "WAITING": "yellow",
}


def table_of(found: Report, console: Console) -> RenderableType:
    """Days by feeds and datasets, within 80 columns: where that takes more, the feeds in one column, and where that is not
    enough, long names in two lines."""
    from rich.measure import Measurement

    width = min(console.width, CALENDAR)
    apart, together = {feed: [feed] for feed in found.feeds}, {"raw": found.feeds}
    *wider, narrowest = (
        _table(found, apart, gap=1, headings={}),
        _table(found, together, gap=0, headings={}),
        _table(found, together, gap=0, headings=_NARROW),
    )
    for table in wider:
        if Measurement.get(console, console.options.update(max_width=WIDE), table).maximum <= width:
            return table
    return narrowest


def _table(found: Report, raw: Mapping[str, list[str]], gap: int, headings: Mapping[str, str]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for name in ("date", *raw, *found.datasets):
        justify: Literal["left", "right"] = "left" if name in ("date", *raw) else "right"
        table.add_column(headings.get(name, name), justify=justify, no_wrap=True)
    for day, cells in found.cells.items():
        shown = [_worst([cells[feed] for feed in feeds]) for feeds in raw.values()]
        shown += [cells[dataset] for dataset in found.datasets]
        table.add_row(str(day), *(Text(cell.text, STYLES[cell.state.name]) for cell in shown))
    return table


def _worst(cells: list[Cell]) -> Cell:
    order = ["HOLE", "WAITING", "NOT_DUE", "LANDED"]
    return min(cells, key=lambda cell: order.index(cell.state.name))
