"""``daystone lineage``: what a day was built from, down to the raw days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from tasks.cli.options import Day, StageOrDataset, of_a_lake
from tasks.cli.place import configured
from tasks.graph import words
from tasks.inference import BatchInference
from tasks.planning import lineage
from tasks.planning.lineage import Ancestor, Lineage, Span
from tasks.planning.plan import bytes_of

if TYPE_CHECKING:
    from tasks.graph.stage import Stage


@click.command("lineage", short_help="Say what a day was built from, as JSON or Mermaid.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option(
    "--stage",
    type=StageOrDataset(),
    default=lambda: BatchInference,
    metavar="STAGE",
    help="Whose lineage; default: predictions.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "mermaid"]),
    default="json",
    show_default=True,
    help="JSON has every run; Mermaid draws the days that were read together as one box.",
)
@of_a_lake
def command(day: date, stage: type[Stage], form: str) -> None:
    """Say of a published day from which runs it was built, from which those were built, and so on down to the raw days.

    Only manifests are read. A run that was superseded meanwhile is named; what it was built from is known no longer.

    \b
    Example:
      daystone lineage --date 2026-03-01 --lake-root lake
      daystone lineage --date 2026-03-01 --format mermaid > lineage.mmd
    """
    found = lineage.trace(configured().partitions, stage.dataset, day)
    if form == "json":
        click.echo(json.dumps(document(found), indent=1))
    else:
        click.echo("\n".join(mermaid(found)))


def document(found: Lineage) -> dict[str, Any]:
    """The lineage as JSON has it: each run with its inputs, the partition that was asked for first."""
    return words.of_day(found.root.day) | {"run": found.root.run, "runs": [_run(each) for each in found.ancestors]}


def _run(each: Ancestor) -> dict[str, Any]:
    told: dict[str, Any] = words.of_day(each.day) | {"run": each.run, "published": each.manifest is not None}
    if each.manifest is None:
        return told
    manifest = json.loads(each.manifest.to_json())
    told |= {name: manifest[name] for name in ("stage", "seconds", "inputs", "settings", "code", "versions")}
    return told | {"rows": each.manifest.rows(), "bytes": bytes_of(each.manifest)}


def mermaid(found: Lineage) -> Iterator[str]:
    """The lineage as a flow chart of Mermaid's, from the raw days to the partition."""
    yield "flowchart LR"
    spans = list(found.spans())
    numbers = {span: number for number, (span, _) in enumerate(spans)}
    superseded = [each.day for each in found.ancestors if each.manifest is None]
    for span, number in numbers.items():
        gone = sum(day.name == span.name and span.first <= day.date <= span.last for day in superseded)
        yield f'    n{number}["{_label(span, gone)}"]'
    for span, read in spans:
        for source in read:
            yield f"    n{numbers[source]} --> n{numbers[span]}"


def _label(span: Span, superseded: int) -> str:
    days = (span.last - span.first).days + 1
    when = f"{span.first}" if days == 1 else f"{span.first} to {span.last}<br/>{days:,} days"
    gone = f"<br/>superseded since{f': {superseded:,}' if days > 1 else ''}" if superseded else ""
    return f"{span.name}<br/>{when}{gone}"
