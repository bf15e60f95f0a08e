"""``daystone status``: shows what there is, day by day."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_lib.lake.lake import some
from spark_lib.use_case import loading
from tasks.cli import render
from tasks.cli.options import Day, of_a_lake
from tasks.cli.place import configured
from tasks.cli.sample import USE_CASE
from tasks.cli.status import Report, report

if TYPE_CHECKING:
    from tasks.cli.publish import Standing
    from tasks.config.settings import Settings


@click.command("status", short_help="Show what there is, day by day.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="The first day.  [default: 13 days before the last]")
@click.option("--to", "last", type=Day(), metavar="DAY", help="The last day.  [default: the newest of the lake]")
@click.option(
    "--verify", is_flag=True, help="Read every file of these days, and hold its content against its checksum."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with the reasons of what is stale.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it as a page, with the lineage of each day and links to reports of models.",
)
@click.option("--targets", "asks_targets", is_flag=True, help="Ask the targets which of these days they hold.")
@of_a_lake
def command(
    first: date | None, last: date | None, verify: bool, as_json: bool, html: Path | None, asks_targets: bool
) -> None:
    """Show a calendar of days by feeds and datasets: what has landed, and what is published, stale, missing, waiting for
    raw days, blocked, damaged or not due.

    Exits with 35 where a partition is damaged.

    \b
    Example:
      daystone status --from 2026-02-15 --to 2026-03-01 --lake-root lake
      daystone status --verify --lake-root lake
    """
    place = configured()
    found = report(place, first, last, verify)
    standing = _standing(found, place.settings) if asks_targets else []
    if html is not None:
        from tasks.cli import status_page

        status_page.write(found, place.partitions, html)
        click.echo(f"written: {html}", err=True)
    if as_json:
        document = found.document() | (
            {"targets": {each.target: _document(each) for each in standing}} if standing else {}
        )
        click.echo(json.dumps(document, indent=1))
        found.raise_if_damaged()
        return
    if not found.cells:
        click.echo(f"{found.lake} holds nothing of {found.use_case} yet: no raw day has landed, nothing is built")
        sample_days = f", or try: daystone sample --lake-root {found.lake}"
        if found.use_case not in loading.shipped():
            sample_days = ""
        elif found.use_case != USE_CASE:
            sample_days += f" --use-case {found.use_case}"
        click.echo(f"land raw days with their flags{sample_days}")
        return
    console = render.terminal()
    console.print(f"{found.use_case} in {found.lake}", soft_wrap=True, markup=False, highlight=False)
    console.print(render.table_of(found, console))
    for dataset, days in found.stale().items():
        click.echo(f"stale: {dataset} of {some(days)} (daystone why {dataset} --date {days[0]})")
    for each in standing:
        console.print(_words(each), soft_wrap=True, markup=False, highlight=False)
    for line in found.rejections:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for error in found.damaged:
        console.print(str(error), soft_wrap=True, markup=False, highlight=False, style="red")
    if verify:
        unverifiable = (
            f"; of {render.count(found.unverifiable, 'file')} the store keeps no checksum of content"
            if found.unverifiable
            else ""
        )
        click.echo(f"{render.count(found.verified, 'file')} read and held against the manifests{unverifiable}")
    found.raise_if_damaged()


def _standing(found: Report, settings: Settings) -> list[Standing]:
    """What each target of ``[publication] targets`` holds of the days that are shown."""
    from tasks.cli import publish

    names = publish.named((), settings)
    return publish.standing(min(found.cells), max(found.cells), names) if found.cells else []


def _words(each: Standing) -> str:
    if each.error is not None:
        return f"{each.target}: {each.error}"
    said = f"{each.target} holds the predictions in force of {some(each.there) if each.there else 'no day'}"
    if each.missing:
        said += f"; none of {some(each.missing)}"
    if each.other:
        said += f"; others than those in force of {some(each.other)}"
    return said


def _document(each: Standing) -> dict[str, Any]:
    days = {name: [str(day) for day in getattr(each, name)] for name in ("there", "other", "missing")}
    return days | {"error": None if each.error is None else str(each.error)}
