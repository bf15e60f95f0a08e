"""``daystone plan``: what a run over some days would build, and why, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from tasks.cli import render
from tasks.cli.options import Day, StageOrDataset, of_a_lake
from tasks.cli.place import configured
from tasks.graph import words
from tasks.graph.staleness import Cell
from tasks.graph.staleness import Day as Partition
from tasks.planning import plan, standing
from tasks.planning.chain import CHAIN, later, of, rank
from tasks.planning.plan import Build, Estimate, Plan

if TYPE_CHECKING:
    from tasks.graph.stage import Stage

#: The least width of the column of datasets: those that clean have the names of their feeds behind their own.
_WHAT = max(len(stage.dataset) for stage in CHAIN)
_SPAN = len("2026-01-01 to 2026-01-31")
_SAYS = {Build.WILL: "will be built", Build.MAY: "may be built", None: ""}


@click.command("plan", short_help="Say what would be built, and why.")
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="The first day.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="The last day, which is included.")
@click.option("--stage", type=StageOrDataset(), metavar="STAGE", help="Plan for this stage alone, and what it needs.")
@click.option("--why", is_flag=True, help="Show every reason of what is stale.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON, with all reasons.")
@of_a_lake
def command(first: date, last: date, stage: type[Stage] | None, why: bool, as_json: bool) -> None:
    """Show each day of each stage with its state, what a run of these days will build and may build, and what it takes
    by earlier days.

    A new model may be rejected, so that what waits for it is not built: that may be built. What is published stays, also
    where it is stale, unless [lake] on_stale = rebuild. Nothing is started and nothing is written.

    \b
    Example:
      daystone plan --from 2026-03-01 --to 2026-03-31 --lake-root lake
      daystone plan --from 2026-03-01 --to 2026-03-31 --stage model --why
    """
    found = made(first, last, stage)
    if as_json:
        click.echo(json.dumps(document(found), indent=1))
        return
    for line in lines(found, why):
        click.echo(line)


def made(first: date, last: date, stage: type[Stage] | None) -> Plan:
    """The plan for a stage, or for all that the chain asks for. Raises ConfigurationError for a range that is none."""
    plan.check_range("plan", first, last)
    place = configured()
    used = [each.dataset for each in of(place.case) if each.is_used(place.settings)]
    asked = [later(stage, place.case)[0].dataset] if stage else used
    spans = dict.fromkeys(asked, (first, last))
    states = standing.look(place.partitions, place.feeds, standing.todays(last, [stage] if stage else []), spans)
    return replace(plan.make(states, asked, first, last), note=plan.of_history(place.settings))


def lines(found: Plan, why: bool) -> Iterator[str]:
    """The plan for a person: a line for days of a dataset that are alike, and what it takes."""
    earlier = [day for day in found.builds if day.date < found.first or day.name not in found.cells]
    datasets = sorted({*found.cells, *(day.name for day in earlier)}, key=lambda name: (rank(name), name))
    width = max([_WHAT, *map(len, datasets)])
    for dataset in datasets:
        before = [(found.builds[day], day.date) for day in earlier if day.name == dataset]
        for build, alike in groupby(before, itemgetter(0)):
            yield _line(dataset, width, [day for _, day in alike], "missing", build)
        yield from _of_dataset(found, dataset, width, why)
    for kind, estimate in ((Build.WILL, found.will), (Build.MAY, found.may)):
        yield f"{_SAYS[kind]}: {takes(estimate)}"
    if found.note:
        yield f"note: {found.note}"


def _of_dataset(found: Plan, dataset: str, width: int, why: bool) -> Iterator[str]:
    def alike(item: tuple[date, Cell]) -> tuple[Any, ...]:
        day, cell = item
        reasons = tuple(words.of_reasons(cell.reasons)) if why else ()
        return words.of_cell(cell), found.builds.get(Partition(dataset, day)), reasons

    for (state, build, reasons), cells in groupby(found.cells.get(dataset, {}).items(), alike):
        yield _line(dataset, width, [day for day, _ in cells], state, build)
        for reason in reasons:
            yield f"{'':{width}}    {reason}"


def _line(dataset: str, width: int, days: list[date], state: str, build: Build | None) -> str:
    span = f"{days[0]} to {days[-1]}" if days[1:] else f"{days[0]}"
    line = f"{dataset:<{width}}  {span:<{_SPAN}}  {render.count(len(days), 'day'):>8}  {state}"
    return f"{line}, {_SAYS[build]}" if build else line


def takes(estimate: Estimate) -> str:
    """What some partitions take, in words."""
    if not estimate.partitions:
        return "nothing"
    said = f"{render.count(estimate.partitions, 'partition')}, a job each"
    if estimate.unknown and not estimate.bytes:
        return f"{said}; how long is not known, for none of {', '.join(estimate.unknown)} is published"
    known = f"{said}; about {render.duration(estimate.seconds)} and {estimate.bytes:,} bytes by earlier days"
    return f"{known}, without {', '.join(estimate.unknown)}, of which none is published" if estimate.unknown else known


def document(found: Plan) -> dict[str, Any]:
    """The plan as JSON has it: every cell, and what will and may be built."""
    cells = [
        {"dataset": dataset, "date": str(day)} | words.document(cell)
        for dataset, by_day in found.cells.items()
        for day, cell in by_day.items()
    ]
    builds = {kind.value: [words.of_day(day) for day, build in found.builds.items() if build is kind] for kind in Build}
    estimates = {
        kind.value: {
            "jobs": estimate.partitions,
            "seconds": round(estimate.seconds, 3),
            "bytes": estimate.bytes,
            "unknown": list(estimate.unknown),
        }
        for kind, estimate in ((Build.WILL, found.will), (Build.MAY, found.may))
    }
    note = {"note": found.note} if found.note else {}
    return {"from": str(found.first), "to": str(found.last), "cells": cells, **builds, "estimate": estimates, **note}
