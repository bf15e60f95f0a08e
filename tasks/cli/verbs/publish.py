"""``daystone publish``: puts days where products read them."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import outcomes, render
from tasks.cli import publish as publishing
from tasks.cli.options import Day, of_a_lake, of_targets
from tasks.config import resolve
from tasks.publication import SOURCES


@click.command("publish", short_help="Publish days to databases and files.")
@click.option("--date", "day", type=Day(), metavar="DAY", help="The landing day, UTC.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="The first of many days.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="The last of many days.")
@click.option(
    "--dataset", type=click.Choice(list(SOURCES)), default="predictions", show_default=True, help="What is published."
)
@of_targets
@of_a_lake
def command(day: date | None, first: date | None, last: date | None, dataset: str, target: tuple[str, ...]) -> None:
    """Publish the predictions that are in force for a day, or for many days, to targets: the sections [target.NAME] of
    the configuration. A day that was not judged yet is judged before, and a held day is not published.

    Many days take one connection, and become visible one by one, oldest first. What a target holds already is not
    written again.

    \b
    Example:
      daystone publish --date 2026-03-01
      daystone publish --from 2026-01-01 --to 2026-03-01 --target risk_db
      daystone publish --date 2026-03-01 --dataset serving_features --target cache
    """
    if (day is None) == (first is None and last is None) or (first is None) != (last is None):
        raise click.UsageError("wanted --date, or --from and --to")
    names = publishing.named(target)
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher:
        report = publishing.publish(first or day, last or day, names, dataset, watcher)  # type: ignore[arg-type]  # one of both is there
    outcomes.say_published(report)
