"""Says how a run ended."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from tasks.cli import render
from tasks.cli import run as runner
from tasks.planning import stale

if TYPE_CHECKING:
    from tasks.cli.release import Decided


def say_stale() -> None:
    if words := stale.note():
        click.echo(f"note: {words}", err=True)


def raise_if_failed(outcome: runner.Outcome) -> None:
    if outcome.error is None:
        return
    render.say_also(outcome.further)
    raise outcome.error


def say_built(outcome: runner.Outcome) -> None:
    stage = outcome.stage
    click.echo(f"built {render.count(len(outcome.built), 'partition')} in {outcome.seconds:.0f} s")
    click.echo(f"{stage.dataset} of {stage.date}: {outcome.summary}, in {outcome.directory}")


def say_decided(day: date, decided: Decided) -> None:
    made = decided.made
    of = f" from {', '.join(made.reasons)}" if made.reasons else ""
    click.echo(f"recorded: decision {made.number} on {day}: {made.action}{of}, by {made.by}")
    then = "there are no predictions yet" if decided.verdict is None else str(decided.verdict)
    click.echo(f"release of {day}: {then}")
