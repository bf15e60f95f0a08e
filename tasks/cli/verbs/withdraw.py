"""``daystone withdraw``: takes a day back from where products read it."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import outcomes, render
from tasks.cli import publish as publishing
from tasks.cli.options import Day, Words, of_a_lake, of_targets


@click.command("withdraw", short_help="Take a published day back, and hold it.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--why", type=Words(), required=True, metavar="TEXT", help="Why, for whoever reads the decision later.")
@of_targets
@of_a_lake
def command(day: date, why: str, target: tuple[str, ...]) -> None:
    """Take the predictions of a day back at targets. Look-ups then find what earlier days say of an entity.

    The day is held before, so that no run publishes it again: nothing is in force for it until the hold is revoked
    (daystone hold --revoke).

    \b
    Example:
      daystone withdraw --date 2026-03-01 --why "the source sent yesterday's rows"
    """
    names = publishing.named(target)
    with render.run() as watcher:
        done = publishing.withdraw(day, why, names, watcher)
    outcomes.say_withdrawn(day, done)
