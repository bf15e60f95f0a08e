"""``daystone track``: tracks trainings at an MLflow server."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import outcomes, render
from tasks.cli import track as tracking
from tasks.cli.options import Day, of_a_lake


@click.command("track", short_help="Track trainings at an MLflow server.")
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="The first landing day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="The last one.")
@of_a_lake
def command(first: date, last: date) -> None:
    """Write the trainings of many days that are not there yet to the MLflow server of [mlflow] uri: each is a run, and
    each approved model a version of the registered model, linked to its run. Nothing is trained.

    A run of the chain does this for each training that it publishes, and goes on where MLflow does not answer. This
    command catches up. It may be repeated at any time: what is there is left as it is.

    \b
    Example:
      daystone track --from 2026-01-01 --to 2026-03-01
      daystone track --from 2026-01-01 --to 2026-03-01 --set mlflow.uri=https://mlflow.example:5000
    """
    report = tracking.track(first, last, lambda done: click.echo(_words(done)))
    new = sum(not done.was_there for done in report.tracked)
    there = len(report.tracked) - new
    click.echo(f"tracked {render.count(new, 'training')}; {there} {'was' if there == 1 else 'were'} there")
    outcomes.raise_first(report.errors)


def _words(done: tracking.Tracked) -> str:
    version = f"version {done.version}" if done.version else "rejected, no version"
    return f"model of {done.date}: {version}, {done.url}{' (was there)' if done.was_there else ''}"
