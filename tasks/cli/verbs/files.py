"""``daystone files``: lists the files of a partition."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from spark_lib.errors import did_you_mean
from tasks.cli import files as listing
from tasks.cli.options import Day, StageOrDataset, of_a_lake

if TYPE_CHECKING:
    from tasks.graph.stage import Stage


@click.command("files", short_help="List the files of a partition.")
@click.argument("dataset", type=StageOrDataset())
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--section", metavar="NAME", help="One group of the files, as in train or validation/unbalanced.")
@of_a_lake
def command(dataset: type[Stage], day: date, section: str | None) -> None:
    """Print the files that are a partition, one path a line: exactly these, never what else lies beside them.

    \b
    Example:
      daystone files predictions --date 2026-03-01 --lake-root lake
      daystone files balanced --date 2026-02-23 --section validation/unbalanced
    """
    found = listing.partition(dataset, day)
    sections = listing.sections(found)
    if section is not None and section not in sections:
        there = (
            f"there are {', '.join(name or 'one without a name' for name in sections)}" if sections else "it has none"
        )
        hint = did_you_mean(section, sections)
        raise click.BadParameter(f"no section {section!r} in {dataset.dataset} of {day}{hint}; {there}")
    paths = listing.files(found, section)
    for path in paths:
        click.echo(path)
    if not paths:
        click.echo(f"{dataset.dataset} of {day} is published and has no rows, hence no files", err=True)
