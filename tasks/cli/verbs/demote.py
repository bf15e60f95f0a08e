"""``daystone demote``: puts the model before in force again."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import promote as promoting
from tasks.cli import render
from tasks.cli.options import Day, Words, of_a_lake
from tasks.cli.outcomes import say_promoted


@click.command("demote", short_help="Put the model before in force again.")
@click.option(
    "--from",
    "first",
    type=Day(),
    metavar="DAY",
    help="The first day that it counts on.  [default: the day after the newest selection]",
)
@click.option("--why", type=Words(), required=True, metavar="TEXT", help="Why, for whoever reads the decision later.")
@click.option("--rebuild", is_flag=True, help="Build days again that are published and had another model.")
@of_a_lake
def command(first: date | None, why: str, rebuild: bool) -> None:
    """Promote the model that was in force before the newest promotion. A shadow or a canary ends by it.

    The decision is recorded as a promotion like any other.

    \b
    Example:
      daystone demote --why "its scores are too high"
      daystone demote --from 2026-03-01 --rebuild --why "its scores are too high"
    """
    with render.run() as watcher:
        done = promoting.demote(first, why, watcher, rebuild)
    say_promoted(done)
