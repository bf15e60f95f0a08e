"""``daystone lookup``: says what is published of an entity."""

from __future__ import annotations

import json
from datetime import date

import click

from tasks.cli import lookup as looking
from tasks.cli import publish as publishing
from tasks.cli.options import Day, of_a_lake
from tasks.cli.place import configured


@click.command("lookup", short_help="Look up the published score of an entity.")
@click.argument("entity")
@click.option(
    "--target",
    metavar="NAME",
    show_default="the first of [publication] targets",
    help="A target, as in [target.NAME].",
)
@click.option(
    "--on", type=Day(), metavar="DAY", show_default="today", help="The day from which the age of the score is measured."
)
@click.option("--serving-features", is_flag=True, help="Show the newest published serving features, too.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How it is said."
)
@of_a_lake
def command(entity: str, target: str | None, on: date | None, serving_features: bool, form: str) -> None:
    """Say the newest published score of an entity at a target, with its day, its run and its model. For an entity without
    one, say the fallback that [lookup] declares, marked as such. A score that is older than [lookup] max_age_days is
    marked as stale.

    ENTITY is a value, or column=value,column=value where the entity has several columns, or an object of JSON for values
    with commas. The exit code is 49 where there is neither a score nor a fallback.

    \b
    Example:
      daystone lookup C0004777500 --target cache
      daystone lookup shop=17,customer=C1 --format json
      daystone lookup C0004777500 --serving-features
    """
    place = configured()
    name = publishing.named([target] if target else [], place.settings)[0]
    found = looking.find(place, name, entity, on, serving_features)
    if form == "json":
        click.echo(json.dumps(found.document(), ensure_ascii=False, indent=1))
    else:
        for line in found.lines():
            click.echo(line)
    if found.answer.kind != "score" and (warning := looking.holds_nothing(place, name)):
        click.echo(warning, err=True)
    found.require()
