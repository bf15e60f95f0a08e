"""``daystone hold``: holds a day of predictions, whatever its checks say."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import release as releasing
from tasks.cli import render
from tasks.cli.options import Day, Words, of_a_lake
from tasks.cli.outcomes import say_decided


@click.command("hold", short_help="Hold a day of predictions.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--why", type=Words(), required=True, metavar="TEXT", help="Why, for whoever reads the decision later.")
@click.option("--revoke", is_flag=True, help="Take the hold of the day back; its checks decide again.")
@of_a_lake
def command(day: date, why: str, revoke: bool) -> None:
    """Hold the predictions of a day, whatever its checks say. A day may be held before it is scored.

    The decision is recorded in the lake, with your user name, and is never changed. It lasts, also where the day is
    scored anew, until it is revoked. What was released of the very run that is held is no longer in force.

    \b
    Example:
      daystone hold --date 2026-03-01 --why "the source sent yesterday's rows"
      daystone hold --date 2026-03-01 --revoke --why "they have landed again"
    """
    with render.run() as watcher:
        decide = releasing.revoke_hold if revoke else releasing.hold
        decided = decide(day, why, watcher)
    say_decided(day, decided)
