"""``daystone init``: writes a new use case to go on with."""

from __future__ import annotations

import shlex

import click

from tasks.cli import init as drafting


@click.command("init", short_help="Write a new use case to go on with.")
@click.argument("reference", metavar="MODULE:CLASS")
@click.option(
    "--from", "table", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="A CSV or Parquet file, whose columns the use case is drafted from.",
)  # fmt: skip
def command(reference: str, table: str | None) -> None:
    """Write the module of a use case that loads, and a luigi.cfg, into the working directory. No file is overwritten.

    From the first rows of a FILE come the columns and their types, and a proposal for the key, the entity, the event
    time, the label and the features. What you have to look at is marked TODO.

    \b
    Example:
      daystone init my_company.churn:Churn
      daystone init my_company.churn:Churn --from subscriptions.csv
    """
    written = drafting.write(reference, table)
    for file in written.files:
        click.echo(f"written: {file}")
    click.echo("next, once its TODOs are done:")
    if table is not None:
        days = ["--by", written.by] if written.by else ["--spread", "FROM..TO", "--seed", "0"]
        click.echo(f"  PYTHONPATH=. {shlex.join(['daystone', 'land', table, '--feed', written.feed, *days])}")
    click.echo(f"  PYTHONPATH=. daystone check {reference}")
