"""``daystone gc``: shows, or removes, what belongs to no partition."""

from __future__ import annotations

import click

from tasks.cli import gc, render
from tasks.cli.options import of_a_lake
from tasks.cli.place import configured


@click.command("gc", short_help="Show, or remove, what belongs to no partition.")
@click.option("--yes", is_flag=True, help="Remove it; without this, nothing is changed.")
@click.option("--unpublished", is_flag=True, help="With --yes: runs of days that have no manifest, too.")
@click.option(
    "--older-than",
    type=float,
    metavar="HOURS",
    help="The least age of what is removed.  [default: twice [lake] max_attempt_hours]",
)
@of_a_lake
def command(yes: bool, unpublished: bool, older_than: float | None) -> None:
    """Find superseded and abandoned runs, what crashed jobs left, and unfinished uploads of a use case; with --yes,
    remove them.

    Kept whatever their age: published runs, the model runs that a published selection was made from, and predictions
    that a release has in force. A run whose day has no manifest is a crashed attempt's, or a published one whose manifest
    somebody has removed: it goes with --unpublished only. Ages are told by the store's own clock.

    \b
    Example:
      daystone gc --lake-root s3://bucket/lake
      daystone gc --lake-root s3://bucket/lake --yes
    """
    place = configured()
    found = gc.look(place, older_than)
    removable = found.removable(unpublished)
    for garbage in gc.remove(place, removable) if yes else found.garbage:
        click.echo(f"{'removed ' if yes else ''}{gc.line(place, garbage)}")
    done = removable if yes else found.garbage
    size = sum(garbage.size for garbage in done)
    what = f"{render.count(len(done), 'piece')} of garbage older than {found.older_than_hours:g} hours, {size:,} bytes"
    click.echo(f"{what}, removed" if yes else f"{what}; nothing was removed" + (" (--yes does)" if done else ""))
    left = len(found.garbage) - len(removable)
    if left:
        click.echo(f"of days without a manifest: {render.count(left, 'run')}, which --yes --unpublished removes")
