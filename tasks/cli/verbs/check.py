"""``daystone check``: tries a use case on the first rows that have landed."""

from __future__ import annotations

import click

from tasks.cli import check as checking
from tasks.cli.findings import say_finding, say_wrong
from tasks.cli.options import of_a_lake


@click.command("check", short_help="Try a use case on the first rows that have landed.")
@click.argument("reference", required=False, metavar="[MODULE:CLASS]")
@of_a_lake
def command(reference: str | None) -> None:
    """Try a use case, by default that of the configuration, on the first rows of each feed; a line each, ok or what to
    do.

    Reads the newest days of each feed, at most 3, and the first 1,000 rows of each. Checks columns, keys, times and
    outcomes; runs engineer several times, also with the rows in another order, at another time and with later events
    among them; and asks whether the model of the estimator can be carried. Writes nothing. Exits with the code of the
    first thing that is wrong.

    \b
    Example:
      daystone check my_company.churn:Churn --lake-root lake
      daystone check --set pipeline.first_date=2026-03-01
    """
    errors = []
    for one in checking.examine(reference):
        if one.error:
            errors.append(one.error)
        say_finding("!!" if one.error else "--" if one.skipped else "ok", one.what, one.text)
    if errors:
        say_wrong(len(errors))
        click.get_current_context().exit(errors[0].exit_code)
