"""``daystone sql``: answers a query over the published days of a lake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import click

from spark_lib.frames.catalog import Catalog
from spark_lib.lake.lake import some
from tasks.cli import sql
from tasks.cli.options import Day, of_a_lake
from tasks.cli.place import configured

_FORMS = {"table": sql.as_table, "csv": sql.as_csv, "json": sql.as_json}


@click.command("sql", short_help="Answer a query of SQL over what is published.")
@click.argument("query", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMS)),
    default="table",
    show_default=True,
    help=f"A table has at most {sql.MOST_SHOWN:,} rows, the others all.",
)
@click.option("--from", "first", type=Day(), metavar="DAY", help="The first day of the views; default: the first one.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="The last day of the views; default: the newest one.")
@of_a_lake
def command(query: str | None, form: str, first: date | None, last: date | None) -> None:
    """Answer a query in Spark's SQL over views of the published days: predictions, released (the predictions in force),
    features, serving_features, snapshots and balanced. Without a query, list the views with their days and columns.

    A view has exactly the rows of the files that manifests name, with their date as the last column.

    \b
    Example:
      daystone sql "SELECT date, count(*), avg(score) FROM released GROUP BY date" --lake-root lake
      daystone sql "SELECT * FROM predictions" --from 2026-03-01 --format csv > predictions.csv
    """
    place = configured()
    days = first or date.min, last or date.max
    if query is None:
        for line in _listed(sql.views_of(place, *days)):
            click.echo(line)
        return
    answer = sql.asked(place, query, *days, at_most=sql.MOST_SHOWN if form == "table" else None)
    for line in _FORMS[form](answer):
        click.echo(line)
    if answer.is_cut:
        click.echo(f"the first {sql.MOST_SHOWN:,} rows; --format csv has all", err=True)


def _listed(found: Catalog) -> Iterator[str]:
    for view in found.views.values():
        days = view.days
        spans = f"{days[0]} to {days[-1]}, {len(days):,} days" if len(days) > 1 else str(days[0]) if days else "no day"
        yield f"{view.name} ({spans})"
        yield "    " + ", ".join(f"{name} {kind}" for name, kind in (*view.columns, *view.added))
    for name, why in found.left_out.items():
        yield f"{name}: not there, {why}"
    if found.held:
        yield f"held, hence without a row in released: {some(found.held)}"
