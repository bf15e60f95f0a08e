"""``daystone land``: makes raw days of a feed from tables."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from spark_lib.lake.lake import some
from tasks.cli import land as landing
from tasks.cli import render
from tasks.cli.options import Days, of_a_lake

if TYPE_CHECKING:
    from tasks.cli.land import Landing


@click.command("land", short_help="Make raw days of a feed from tables.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option("--feed", required=True, metavar="FEED", help="The feed whose days land.")
@click.option("--by", "column", metavar="COLUMN", help="Each row lands on the day of its date in this column.")
@click.option(
    "--spread", type=Days(), metavar="FROM..TO", help="Each row lands on one of these days, drawn by its key."
)
@click.option("--seed", type=int, metavar="N", help="With --spread: another seed draws other days.")
@of_a_lake
def command(
    files: tuple[str, ...], feed: str, column: str | None, spread: tuple[date, date] | None, seed: int | None
) -> None:
    """Land the rows of CSV and Parquet files as days of a raw feed, where the configuration looks for them.

    A file has exactly the columns that the feed declares. The same rows land on the same days, each in one file with
    the flag last. A day whose flag is there is left alone, so what was interrupted goes on when the same command is run
    again.

    \b
    Example:
      daystone land loans.csv --feed applications --by applied_on --lake-root lake
      daystone land clients.parquet --feed applications --spread 2026-01-01..2026-03-31 --seed 0
    """
    if column is not None and spread is None:
        if seed is not None:
            raise click.UsageError("wanted --seed with --spread alone; found it with --by")
        found = landing.by_column(files, feed, column)
    elif spread is not None and column is None:
        if seed is None:
            raise click.UsageError("wanted --seed N with --spread, by which the days are drawn; found none")
        found = landing.spread(files, feed, *spread, seed)
    else:
        raise click.UsageError(f"wanted one of --by and --spread; found {'both' if column is not None else 'none'}")
    say_landed(found)


def say_landed(found: Landing) -> None:
    if found.new:
        rows = render.count(sum(day.rows for day in found.new), "row")
        days = f"{render.count(len(found.new), 'day')} from {found.new[0].date} to {found.new[-1].date}"
        click.echo(f"{rows} of {found.feed.name} on {days} have landed, first in {found.directory}")
    else:
        click.echo("nothing was written")
    if found.empty:
        click.echo(f"without a row: {render.count(len(found.empty), 'day')}, {some(found.empty)}")
    if found.left_alone:
        click.echo(
            f"left alone, as the flag was there: {render.count(len(found.left_alone), 'day')}, {some(found.left_alone)}"
        )
    if found.others:
        rows = render.count(sum(day.rows for day in found.others), "row")
        days = f"{render.count(len(found.others), 'day')}, {some(day.date for day in found.others)}"
        click.echo(f"of these with other rows than the files: {days}; {rows} of the files did not land")
