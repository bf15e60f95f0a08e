"""``daystone sample``: writes sample data to try the chain on."""

from __future__ import annotations

from datetime import date

import click

from spark_lib.use_case import loading
from tasks.cli import render
from tasks.cli import sample as sampling
from tasks.cli.options import Day
from tasks.config import check, resolve


@click.command("sample", short_help="Write sample data to try the chain on.")
@click.option(
    "--use-case",
    type=click.Choice(loading.shipped()),
    default="credit_risk",
    show_default=True,
    help="The shipped use case whose feeds land.",
)
@click.option(
    "--from", "first", type=Day(), default="2026-01-01", show_default=True, metavar="DAY", help="The first day."
)
@click.option(
    "--days",
    type=click.IntRange(1, check.MOST_DAYS),
    show_default="60, or as many as a first model needs",
    help="How many days land.",
)
@click.option(
    "--rows-per-day", type=click.IntRange(min=0), default=500, show_default=True, help="Applications or products a day."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other people and products.")
@click.option("--lake-root", metavar="DIR", help="Where the lake is; outranks [lake] root.")
def command(use_case: str, first: date, days: int | None, rows_per_day: int, seed: int, lake_root: str | None) -> None:
    """Land days of a use case that ships. credit_risk: applications, and their outcomes once they are known.
    product_category: names and descriptions of products, as CSV with semicolons.

    The truth behind them is kept aside, so that the best possible score is known. The same arguments give the same
    rows; more days extend a sample.

    \b
    Example:
      daystone sample --lake-root lake --from 2026-01-01 --days 60 --rows-per-day 500 --seed 0
      daystone sample --lake-root lake --use-case product_category --rows-per-day 50
    """
    check.configuration_files()
    if lake_root is not None:
        resolve.give("lake", "root", lake_root)
    root = resolve.default_lake()
    if days is None:
        days = sampling.enough_days(use_case, first)
    with render.counted("sample days", days) as advance:
        place = sampling.write(use_case, root, first, days, rows_per_day, seed, advance)
    landed = f"{rows_per_day:,} {sampling.rows(use_case)}"
    click.echo(f"{render.count(days, 'day')} of {landed} have landed in {place}")
    if sampling.too_short(use_case, first, days):
        day = sampling.first_training(use_case, first)
        click.echo(f"a first model can be trained on {day}: for predictions, land days up to then")
        return
    click.echo("next:")
    click.echo(f"  {sampling.next_command(use_case, root, first, days)}")
