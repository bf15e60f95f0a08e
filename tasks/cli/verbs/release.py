"""``daystone release``: releases a held day, for the reasons that its verdict names."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import release as releasing
from tasks.cli import render
from tasks.cli.options import Day, Words, of_a_lake
from tasks.cli.outcomes import say_decided


@click.command("release", short_help="Release a day of predictions that is held.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--why", type=Words(), required=True, metavar="TEXT", help="Why, for whoever reads the decision later.")
@click.option("--revoke", is_flag=True, help="Take earlier releases of the day back; its checks decide again.")
@of_a_lake
def command(day: date, why: str, revoke: bool) -> None:
    """Release the predictions of a day that is held, for exactly the reasons that its verdict names.

    The decision is recorded in the lake, with your user name, and is never changed. Where the day is scored anew and
    held for another reason, it is held. What a person holds (daystone hold) has to be revoked first.

    \b
    Example:
      daystone release --date 2026-03-01 --why "the price change is real"
      daystone release --date 2026-03-01 --revoke --why "it was not"
    """
    with render.run() as watcher:
        decide = releasing.revoke_release if revoke else releasing.release
        decided = decide(day, why, watcher)
    say_decided(day, decided)
