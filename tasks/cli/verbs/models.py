"""``daystone models``: which models there are, which was in force when, and which is better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from tasks.cli import models as found
from tasks.cli import render
from tasks.cli.options import Day, of_a_lake
from tasks.cli.place import configured

if TYPE_CHECKING:
    from tasks.cli.models import Model


@click.command("models", short_help="Show the models, and compare two.")
@click.option(
    "--compare", type=Day(), nargs=2, metavar="DAY DAY", help="Compare the models of two trainings on common rows."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@of_a_lake
def command(compare: tuple[date, date] | None, as_json: bool) -> None:
    """Show every training: its verdict, its metric by the card with its interval, on which days it was in force, who has
    promoted it, and what the newest evaluation says of it by outcomes that landed afterwards. A training that was promoted and
    is built again since has a line of its own. Exits with 35 where a training is damaged.

    --compare measures the difference of two models with a paired interval, on validation rows that neither was trained on.
    Spark is started only where no selection has made the same comparison.

    \b
    Example:
      daystone models --lake-root lake
      daystone models --compare 2026-02-23 2026-03-02
    """
    place = configured()
    if compare:
        with render.run():
            made = found.compare(place, *compare)
        if as_json:
            click.echo(json.dumps(made.document(), indent=1))
        else:
            click.echo(
                f"the model of {made.challenger} {'is worse' if made.loses else 'is not shown to be worse'}: {made.detail}"
            )
        return
    there = found.models(place)
    if as_json:
        click.echo(json.dumps([each.document() for each in there], indent=1))
    elif there:
        _show(there, place.settings.problem.headline_words)
    else:
        click.echo(f"no training of {place.use_case} is published in {place.partitions.root} yet")
    for each in there:
        if each.damage is not None:
            raise each.damage


def _show(there: Sequence[Model], words: str) -> None:
    rows = [_cells(each) for each in there]
    head = ("date", "verdict", words, "in force", "promoted", f"{words} afterwards")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for cells in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _cells(model: Model) -> tuple[str, ...]:
    promoted = (f"{each.strategy} from {each.first_day} by {each.by}" for each in model.promoted)
    truth = model.evaluated
    after = ""
    if truth is not None:
        after = f"{_measured(truth.metrics.get(model.metric), truth.interval(model.metric))} on {truth.rows:,} rows"
    return (
        str(model.day),
        model.state,
        _measured(model.value, model.interval),
        ", ".join(map(str, model.spans)) or "never",
        ", ".join(promoted) or "–",
        after or "–",
    )


def _measured(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})" if interval else f"{value:.3f}"
