"""``daystone evaluate``: how good published predictions were, by the outcomes that landed later."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from tasks.cli import evaluate as evaluating
from tasks.cli import render
from tasks.cli.options import Day, of_a_lake
from tasks.cli.outcomes import say_stale
from tasks.cli.place import write_whole
from tasks.config import resolve


@click.command("evaluate", short_help="Judge past predictions by what came true.")
@click.option("--date", "day", type=Day(), metavar="DAY", help="The day by which outcomes have landed, UTC.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="The first of many days.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="The last of many days.")
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page over time.")
@of_a_lake
def command(day: date | None, first: date | None, last: date | None, page: Path | None) -> None:
    """Judge the published predictions of the landing days whose outcomes have had time to land by a day: those of
    [evaluation] window_days, up to [training] label_delay_days before. A day that was evaluated already is shown.

    Prints a line for each day: how well the scores rank, how well they are calibrated, and what the base rate alone
    would give. Ends with 55 where the newest of the days misses a bound of [evaluation].

    \b
    Example:
      daystone evaluate --date 2026-03-31
      daystone evaluate --from 2026-03-01 --to 2026-03-31 --page evaluations.html
    """
    if (day is None) == (first is None and last is None) or (first is None) != (last is None):
        raise click.UsageError("wanted --date, or --from and --to")
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher:
        found = evaluating.evaluate(first or day, last or day, watcher)  # type: ignore[arg-type]  # one of both is there
    if found.found:
        click.echo("\n".join(evaluating.table(found)))
    say_stale()
    if page is not None and found.found:
        write_whole(page, evaluating.page(found), f"evaluate --page {page}")
        click.echo(f"written: {page}", err=True)
    if found.errors:
        render.say_also(found.errors[1:])
        raise found.errors[0]
    if found.below is not None:
        raise found.below
