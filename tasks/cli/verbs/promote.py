"""``daystone promote``: puts a model in force by a person's decision."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from tasks.cli import promote as promoting
from tasks.cli import render
from tasks.cli.options import Day, Words, of_a_lake
from tasks.cli.outcomes import say_promoted

if TYPE_CHECKING:
    from spark_lib.registry.promotions import Step

STRATEGIES = ("direct", "shadow", "canary", "blue-green")


class Steps(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only: click 8.1 will do
    """The steps of a canary, written ``1:0.05,15:0.25,30:1.0``."""

    name = "steps"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Step, ...]:
        try:
            return promoting.parsed_steps(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("promote", short_help="Put a model in force.")
@click.option("--model", type=Day(), metavar="DAY", help="The day of its training.")
@click.option("--from-mlflow", is_flag=True, help="In place of --model: the one that [mlflow] alias names.")
@click.option(
    "--from",
    "first",
    type=Day(),
    metavar="DAY",
    help="The first day that it counts on.  [default: the day after the newest selection]",
)
@click.option(
    "--why",
    type=Words(),
    metavar="TEXT",
    help="Why, for whoever reads the decision later.  [default with --from-mlflow: the alias]",
)
@click.option(
    "--strategy", type=click.Choice(STRATEGIES), default="direct", show_default=True, help="How it is released."
)
@click.option(
    "--canary-days",
    "steps",
    type=Steps(),
    default=(),
    metavar="STEPS",
    help="Of a canary: from which of its days on which share of the entities is the new model's, as in 1:0.05,15:0.25,30:1.",
)
@click.option("--rebuild", is_flag=True, help="Build days again that are published and had another model.")
@of_a_lake
def command(
    model: date | None,
    from_mlflow: bool,
    first: date | None,
    why: str | None,
    strategy: str,
    steps: tuple[Step, ...],
    rebuild: bool,
) -> None:
    """Put the model of a training in force from a day on, for as long as no other promotion begins.

    The decision is recorded in the lake, with your user name, and is never changed. It counts from [selection] manual_from
    on. A shadow scores beside the model in force, for comparison alone; a canary scores a share of the entities, which
    grows; a blue-green release keeps the model before at hand (daystone rollback).

    With --from-mlflow the model is the one whose version has the alias of [mlflow] alias. It has to be an approved one of
    this lake, by its tags and its SHA-256. Where it is in force already, nothing is recorded.

    \b
    Example:
      daystone promote --model 2026-03-02 --why "better on the last four weeks"
      daystone promote --model 2026-03-02 --strategy shadow --why "new features"
      daystone promote --model 2026-03-02 --strategy canary --canary-days 1:0.05,15:0.25,30:1.0 --why "new features"
      daystone promote --from-mlflow
    """
    if (model is None) != from_mlflow:
        raise click.UsageError("wanted --model, or --from-mlflow")
    if model is not None and why is None:
        raise click.UsageError("Missing option '--why'.")
    if from_mlflow and strategy != "direct":
        raise click.UsageError("--strategy: wanted --model with it; the alias of MLflow puts a model in force directly")
    if bool(steps) != (strategy == "canary"):
        wanted = "--canary-days with --strategy canary" if strategy == "canary" else "--strategy canary"
        raise click.UsageError(f"--canary-days: wanted {wanted}; found {'steps for ' + strategy if steps else 'none'}")
    with render.run() as watcher:
        if model is None or why is None:
            done = promoting.follow(first, why, watcher, rebuild)
        else:
            done = promoting.promote(model, first, why, watcher, strategy, steps, rebuild)
    say_promoted(done)
