"""``daystone rebuild``: builds a day anew, in place of what is published."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from tasks.cli import outcomes, render
from tasks.cli import rebuild as rebuilding
from tasks.cli import run as runner
from tasks.cli.options import Day, StageOrDataset, of_a_lake
from tasks.config import resolve
from tasks.planning import consent
from tasks.planning.commands import to_rebuild

if TYPE_CHECKING:
    from tasks.graph.stage import Stage


@click.command("rebuild", short_help="Build a day anew, in place of what is published.")
@click.argument("stage", type=StageOrDataset(), metavar="STAGE")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@of_a_lake
def command(stage: type[Stage], day: date) -> None:
    """Build STAGE of a day, complete or damaged or missing, and swap its manifest for the new run's.

    Readers of the old run go on reading it: its files stay until gc. What was built from an older run with other rows
    stays as it is, and is listed.

    \b
    Example:
      daystone rebuild features --date 2026-03-01 --lake-root lake
    """
    task = runner.make(stage, day)
    task.force = True
    consent.ask([task])
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher, consent.settled():
        rebuilt = rebuilding.rebuild(task, watcher)
    outcomes.raise_if_failed(rebuilt.outcome)
    outcomes.say_built(rebuilt.outcome)
    if rebuilt.old:
        click.echo(f"run {rebuilt.new} took the place of run {rebuilt.old}, whose files stay until gc")
    for dataset, other in rebuilding.built_from_others(task):
        click.echo(f"built from an older run: {dataset} of {other}; to follow: {to_rebuild(task, dataset, other)}")
