"""``daystone run``: builds what is missing of a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from tasks import daily
from tasks.backfill.waiting import Patience
from tasks.cli import outcomes, render, retries
from tasks.cli import run as runner
from tasks.cli.options import Day, StageOrDataset, of_a_lake, of_a_wait
from tasks.config import resolve
from tasks.notification import runs as notification
from tasks.planning import consent

if TYPE_CHECKING:
    from tasks.cli.publish import Report
    from tasks.graph.stage import Stage


@click.command("run", short_help="Build what is missing of a day.")
@click.argument("stage", type=StageOrDataset(), default="BatchInference", metavar="[STAGE]")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@of_a_wait
@click.option("--publish", "is_published", is_flag=True, help="Publish the day to all of [publication] targets, too.")
@of_a_lake
def command(stage: type[Stage], day: date, wait: float, is_published: bool) -> None:
    """Build STAGE of a day, and what is missing of its inputs.

    STAGE is a stage or the dataset that it writes: clean/FEED (of Cleaning), Snapshot (snapshots), FeatureEngineering
    (features), ServingFeatures (serving), Balancing (balanced), Training (model), ModelSelection (selection), BatchInference (predictions, the
    default), ShadowInference (shadow), Evaluation (evaluation), Release (release), ModelImage (image). With predictions, what people have decided to
    build beside them is built, too: the training that is due, and the scores of a second model.

    \b
    Example:
      daystone run --date 2026-03-01 --lake-root lake
      daystone run features --date 2026-03-01 --set spark.master=local[2]
      daystone run --date 2026-03-01 --wait 4h
      daystone run --date 2026-03-01 --publish
    """
    task = runner.make(stage, day)
    values = task.settings.retries
    if not is_published:
        with notification.told(about=task):
            retries.repeated(lambda: _build(task, wait), values, outcomes.say)
            retries.repeated(lambda: _build_beside(task), values, outcomes.say)
        return
    from tasks.cli import publish

    dataset = publish.DATASETS.get(stage)
    if dataset is None:
        known = ", ".join(kind.__name__ for kind in publish.DATASETS)
        raise click.UsageError(f"--publish: wanted one of {known}; found {stage.__name__}")
    names = publish.named(())
    with notification.told(about=task):
        retries.repeated(lambda: _build(task, wait), values, outcomes.say)
        report = retries.repeated(lambda: _publish(day, names, dataset), values, outcomes.say)
        outcomes.say_published(report)
        retries.repeated(lambda: _build_beside(task), values, outcomes.say)


def _publish(day: date, names: Sequence[str], dataset: str) -> Report:
    from tasks.cli import publish

    with render.run() as watcher:
        return publish.publish(day, day, names, dataset, watcher)


def _build(task: Stage, wait: float) -> None:
    """Build what is missing of a day, and say so."""
    stage, day = type(task), task.date
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


def _build_beside(task: Stage) -> None:
    """Build what people have decided to have beside the predictions of a day, and raise the first error in the end."""
    if not isinstance(task, daily.PREDICTED):
        return
    failed = None
    for other in daily.beside(task):
        if other.complete():
            continue
        with render.run() as watcher, consent.settled():
            outcome = runner.run(other, watcher)
        if outcome.error is None:
            outcomes.say_built(outcome)
        failed = failed or outcome.error
    if failed is not None:
        raise failed
