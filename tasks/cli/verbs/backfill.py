"""``daystone backfill``: build what is missing of many days, in one process."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import click
import luigi
from luigi.rpc import RPCError

from spark_lib.errors import DaystoneError
from tasks.backfill import Backfill
from tasks.backfill.builder import Builder, Report
from tasks.cli import outcomes, render, retries
from tasks.cli import run as runner
from tasks.cli.options import Day, StageOrDataset, of_a_lake, of_a_wait
from tasks.config import resolve
from tasks.graph import words
from tasks.graph.staleness import Cell, State
from tasks.graph.staleness import Day as Partition
from tasks.planning import consent, jobs, plan
from tasks.planning.chain import rank
from tasks.planning.jobs import Order

if TYPE_CHECKING:
    from tasks.graph.stage import Stage

_ORDERS = click.Choice([order.value for order in Order])


@click.command("backfill", short_help="Build what is missing of many days.")
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="The first day.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="The last day, which is included.")
@click.option("--stage", type=StageOrDataset(), metavar="STAGE", help="Build this stage alone, and what it needs.")
@click.option("--order", type=_ORDERS, default=Order.OLDEST.value, show_default=True, help="Which days come first.")
@click.option(
    "--max-days-per-job",
    type=click.IntRange(min=1),
    default=jobs.MOST_DAYS,
    show_default=True,
    metavar="N",
    help="The calendar days that one job spans, at most.",
)
@of_a_wait
@click.option("--dry-run", is_flag=True, help="Show the jobs, and build nothing.")
@of_a_lake
def command(
    first: date,
    last: date,
    stage: type[Stage] | None,
    order: str,
    max_days_per_job: int,
    wait: float,
    dry_run: bool,
) -> None:
    """Build the missing days of STAGE, or of all that the chain asks for, and what they need.

    All days are built in one process and one Spark session. Days of features share a job where the use case declares
    engineer_days. Each day is published as soon as it is whole. A day that fails does not stop the others. What is
    published stays. Run it again, and it goes on where it was.

    \b
    Example:
      daystone backfill --from 2026-01-01 --to 2026-03-31 --lake-root lake
      daystone backfill --from 2026-01-01 --to 2026-03-31 --stage features --order newest --dry-run
    """
    task = made(first, last, stage, order, max_days_per_job, wait)
    if dry_run:
        _show(task, first, last)
        return
    retries.repeated(lambda: _build(task, first, last), task.builder.settings.retries, outcomes.say)


def _show(task: Backfill, first: date, last: date) -> None:
    """Show the jobs, and build nothing."""
    task.builder.look()
    for note in notes(task.builder, first, last):
        click.echo(f"note: {note}", err=True)
    for line in dry(task):
        click.echo(line)


def _build(task: Backfill, first: date, last: date) -> None:
    """Build what is missing, and say so."""
    found = task.builder.look()
    for note in notes(task.builder, first, last):
        click.echo(f"note: {note}", err=True)
    if not found.remains:
        click.echo(f"nothing to do: {there(found, first, last)}")
        return
    consent.ask([task])
    click.echo(f"log: {resolve.log_file()}", err=True)
    try:
        with render.run() as watcher, consent.settled():
            errors = run(task, watcher)
    finally:  # also where somebody has stopped it
        for line in (*table(task.builder), *not_built(task.builder)):
            click.echo(line)
    raise_first(errors)


def made(
    first: date, last: date, stage: type[Stage] | None, order: str, max_days_per_job: int, wait: float
) -> Backfill:
    """The task of the days ``[first, last]``. Raises ConfigurationError for a range that is none, or is before history."""
    plan.check_range("backfill", first, last)
    return Backfill(
        start=first,
        stop=last + date.resolution,
        of=stage.dataset if stage else "",
        order=order,
        max_days_per_job=max_days_per_job,
        wait=f"{wait:g}s",
    )


def run(task: Backfill, watcher: runner.Watcher) -> list[DaystoneError]:
    """Build what is missing, with Luigi's chatter in the log. Returns why what is not there is not there: the first is
    the reason of the exit code."""
    task.watcher, task.error = watcher, None
    terminal = sys.stderr  # what is printed goes to the log meanwhile
    task.say = lambda words: print(words, file=terminal, flush=True) if words.startswith("waiting") else None
    with runner.chatter_in(resolve.log_file()):
        runner.find_scheduler()
        try:
            result = luigi.build([task], detailed_summary=True)
        except RPCError as error:
            raise runner.unreachable(f"{error}: {error.sub_exception}") from error
        reasons = task.builder.reasons()
        if not reasons and (task.error or task.builder.report.remains):
            reasons = [
                task.error or runner.unexplained(f"backfill of {task.start} to {task.stop - date.resolution}", result)
            ]
        return reasons


def dry(task: Backfill) -> Iterator[str]:
    """The jobs that a run would begin with, and what cannot be built."""
    builder = task.builder
    planned = builder.jobs()
    for job in planned:
        yield str(job)
    builder.note_what_cannot_be_built()
    yield from not_built(builder, without=builder.report.remains)
    partitions = sum(len(job.days) for job in planned)
    yield f"would build {render.count(partitions, 'partition')} in {render.count(len(planned), 'job')}; nothing was built"


def notes(builder: Builder, first: date, last: date) -> Iterator[str]:
    """What a person should know before it begins."""
    early = (builder.first_date - first).days
    if early > 0:
        yield f"history begins on {builder.first_date}: {render.count(early, 'day')} before it are left out"
    if stale := builder.stale():
        count = render.count(len(stale), "partition")
        yield f"{count} of these days would be built from something else now, and stay: daystone plan --from {first} --to {last} --why"


def there(found: Report, first: date, last: date) -> str:
    """What is there, in words."""
    if not found.asked:
        return f"the chain asks for no such day from {first} to {last}"
    counts = {dataset: len(list(days)) for dataset, days in groupby(found.asked, lambda day: day.name)}
    return (
        ", ".join(f"{render.count(count, 'day')} of {dataset}" for dataset, count in counts.items()) + " are complete"
    )


def table(builder: Builder) -> Iterator[str]:
    """What became of the days of each dataset. What was built besides, because it was needed, is in it too."""
    report = builder.report
    behind = {day: _kind(builder.root(day)[1]) for day in (*report.cells, *report.behind)}
    kinds = {
        "there": {*report.there},
        "built": {*report.built},
        "failed": {*report.failed, *(day for day, cell in report.cells.items() if cell.state is State.DAMAGED)},
        "waiting": {day for day, kind in behind.items() if kind == "waiting"},
        "blocked": {day for day, kind in behind.items() if kind == "blocked"},
        "left": {*report.remains},
    }
    kinds["blocked"] -= kinds["failed"]
    datasets = sorted({day.name for days in kinds.values() for day in days}, key=lambda name: (rank(name), name))
    width = max([12, *(len(name) + 1 for name in datasets)])
    yield f"{'':<{width}}" + "".join(f"{name:>9}" for name in ("days", *kinds))
    for dataset in datasets:
        counts = [sum(day.name == dataset for day in days) for days in kinds.values()]
        yield f"{dataset:<{width}}" + "".join(f"{count:>9,}" for count in (sum(counts), *counts))


def _kind(cell: Cell | None) -> str:
    """What stands in the way, in a word: raw days that have not landed, or anything else."""
    return "waiting" if cell is not None and cell.state in (State.WAITING, State.HOLE) else "blocked"


def not_built(builder: Builder, without: Collection[Partition] = ()) -> Iterator[str]:
    """Which days are not there, and what stands in the way: a line for days that are alike."""
    report = builder.report
    lost = sorted(
        {*report.failed, *report.behind, *report.cells, *report.remains} - {*without},
        key=lambda day: (rank(day.name), day.name, day.date),
    )
    for (dataset, why), found in groupby(lost, lambda day: (day.name, _why(builder, day))):
        yield f"{dataset} of {spans([day.date for day in found])}: {why}"


def _why(builder: Builder, day: Partition) -> str:
    if day in builder.report.remains:
        return "not built yet"
    root, cell = builder.root(day)
    if root == day:
        return words.of_cell(cell) if cell else "failed"
    if cell is not None and cell.because is not None:
        return words.of_cell(cell)
    return f"needs {root}, which is {words.of_cell(cell)}" if cell else f"needs {root}, which failed"


def spans(found: Sequence[date]) -> str:
    """``2026-01-03``, or ``2026-01-03 to 2026-01-31 (20 days)``."""
    return f"{found[0]} to {found[-1]} ({len(found):,} days)" if found[1:] else f"{found[0]}"


def raise_first(errors: Sequence[DaystoneError]) -> None:
    if not errors:
        return
    render.say_also(errors[1:])
    raise errors[0]
