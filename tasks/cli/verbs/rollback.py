"""``daystone rollback``: puts what the model before says of a day in force."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import release as releasing
from tasks.cli import render
from tasks.cli.options import Day, Words, of_a_lake
from tasks.cli.outcomes import say_decided


@click.command("rollback", short_help="Point a day back to the model before.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--why", type=Words(), required=True, metavar="TEXT", help="Why, for whoever reads the decision later.")
@click.option(
    "--revoke", is_flag=True, help="Take the rollback of the day back; its own model's scores are in force again."
)
@of_a_lake
def command(day: date, why: str, revoke: bool) -> None:
    """Put the scores of the model before in force for a day of a blue-green release (daystone promote --strategy
    blue-green). Nothing is scored again.

    The decision is recorded in the lake, with your user name, and is never changed. It is about this day alone: daystone
    demote puts the model before in force for days to come.

    \b
    Example:
      daystone rollback --date 2026-03-01 --why "its scores are too high"
      daystone rollback --date 2026-03-01 --revoke --why "they were right"
    """
    with render.run() as watcher:
        decide = releasing.revoke_rollback if revoke else releasing.rollback
        decided = decide(day, why, watcher)
    say_decided(day, decided)
