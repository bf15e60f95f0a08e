"""``daystone run``: builds what is missing of a day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from tasks.backfill.waiting import Patience
from tasks.cli import outcomes, render
from tasks.cli import run as runner
from tasks.cli.options import Day, StageOrDataset, of_a_lake, of_a_wait
from tasks.config import resolve
from tasks.planning import consent

if TYPE_CHECKING:
    from tasks.graph.stage import Stage


@click.command("run", short_help="Build what is missing of a day.")
@click.argument("stage", type=StageOrDataset(), default="BatchInference", metavar="[STAGE]")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@of_a_wait
@of_a_lake
def command(stage: type[Stage], day: date, wait: float) -> None:
    """Build STAGE of a day, and what is missing of its inputs.

    STAGE is a stage or the dataset that it writes: clean/FEED (of Cleaning), Snapshot (snapshots), FeatureEngineering
    (features), ServingFeatures (serving), Balancing (balanced), Training (model), ModelSelection (selection), BatchInference (predictions, the
    default), Release (release).

    \b
    Example:
      daystone run --date 2026-03-01 --lake-root lake
      daystone run features --date 2026-03-01 --set spark.master=local[2]
      daystone run --date 2026-03-01 --wait 4h
    """
    task = runner.make(stage, day)
    if task.complete():
        click.echo(f"nothing to do: {stage.dataset} of {day} is complete")
        outcomes.say_stale()
        return
    consent.ask([task])
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher, consent.settled():
        outcome = runner.run(task, watcher)
    if wait:
        outcome = runner.run_once_landed(outcome, Patience(wait, lambda words: click.echo(words, err=True)), render.run)
    outcomes.say_stale()
    outcomes.raise_if_failed(outcome)
    outcomes.say_built(outcome)
