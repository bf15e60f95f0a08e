"""``daystone clean``: removes days of a dataset, once it has said what that takes away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import click

from spark_lib.errors import LakeError, NotConfirmed
from spark_lib.lake.lake import some
from tasks.cli import render
from tasks.cli.options import Day, StageOrDataset, of_a_lake
from tasks.cli.place import configured
from tasks.graph import words
from tasks.planning import cleaning, consent
from tasks.planning.plan import check_range

if TYPE_CHECKING:
    from spark_lib.lake.clean import Directory
    from tasks.graph.stage import Stage
    from tasks.planning.cleaning import Cleaning


@click.command("clean", short_help="Remove days of a dataset.")
@click.argument("stage", type=StageOrDataset(), metavar="STAGE")
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="The first day.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="The last day, which is included.")
@click.option("--downstream", is_flag=True, help="Remove what was built from these days, too, of whatever day.")
@click.option("--yes", is_flag=True, help="Remove it without a question.")
@of_a_lake
def command(stage: type[Stage], first: date, last: date, downstream: bool, yes: bool) -> None:
    """Remove the days from --from to --to of STAGE: manifests, runs and what attempts have left there. It shows first
    what that is and which days are then missing, and asks; without a terminal it needs --yes.

    Raw days are never removed. Nor is a model that a published selection was made from, unless the selection goes with
    it (--downstream). Removed days are built again when somebody asks for them. What is interrupted goes on when the
    same command is run again.

    \b
    Example:
      daystone clean features --from 2026-03-01 --to 2026-03-07 --lake-root lake
      daystone clean model --from 2026-02-23 --to 2026-02-23 --downstream --yes
    """
    check_range("clean", first, last)
    place = configured()
    found = cleaning.look(place.partitions, place.feeds, place.case, stage, first, last, downstream)
    if not found.directories:
        click.echo(f"nothing to remove: there is nothing of {stage.dataset} from {first} to {last}")
        return
    for line in lines(found):
        click.echo(line)
    days = render.count(len(found.directories), "day")
    if not yes:
        confirm(f"clean {stage.dataset}", days)
        check_still(found, cleaning.look(place.partitions, place.feeds, place.case, stage, first, last, downstream))
    for directory in found.remove(place.partitions):
        click.echo(f"removed {directory.dataset} of {directory.date}")
    click.echo(f"{days} removed")


def confirm(verb: str, days: str) -> None:
    """Ask on a terminal. Raises NotConfirmed where the answer is not yes, or where there is no terminal."""
    at_terminal = consent.at_a_terminal()
    if at_terminal and consent.confirmed(f"Remove {days}?"):
        return
    raise NotConfirmed(
        verb,
        f"a yes to removing {days}",
        "another answer" if at_terminal else "no terminal to ask on",
        "run it again, with --yes where nobody can be asked; nothing was removed",
    )


def check_still(found: Cleaning, now: Cleaning) -> None:
    """Raise LakeError where others have changed meanwhile what was shown."""
    if now != found:
        raise LakeError("clean", "what was shown a moment ago", "something else", "run it again; nothing was removed")


def lines(found: Cleaning) -> Iterator[str]:
    """What would be removed, and what comes of that."""
    for dataset in dict.fromkeys(directory.dataset for directory in reversed(found.directories)):
        gone = [directory for directory in found.directories if directory.dataset == dataset]
        yield f"to remove: {dataset} of {some(each.date for each in gone)}: {_size(found, gone)}"
    for each in found.kept:
        users = some(user.date for user in each.used_by)
        yield f"to keep: run {each.run} of {each.day}, which {each.used_by[0].name} of {users} was made from"
    for name in dict.fromkeys(day.name for day in found.staying):
        staying = some(day.date for day in found.staying if day.name == name)
        yield f"to stay: {name} of {staying}, built from what is removed (--downstream removes it, too)"
    changes: dict[tuple[str, str], list[date]] = {}
    for day, (_, will) in found.becomes.items():
        then = words.of_cell(will) if will else "not there, and the chain does not ask for it"
        changes.setdefault((day.name, then), []).append(day.date)
    for (dataset, then), dates in changes.items():
        yield f"then: {dataset} of {some(dates)}: {then}"


def _size(found: Cleaning, gone: list[Directory]) -> str:
    kept = {each.run for each in found.kept}
    entries = [entry for directory in gone for entry in directory.without(kept)]
    return f"{render.count(len(entries), 'file')}, {sum(entry.size for entry in entries):,} bytes"
