"""``daystone why``: the story of one partition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from spark_lib.lake.lake import some
from tasks.cli.options import Day, StageOrPublication, of_a_lake, of_targets
from tasks.cli.place import configured
from tasks.graph import words
from tasks.graph.staleness import PUBLISHED
from tasks.planning import story
from tasks.planning.plan import bytes_of
from tasks.planning.story import Story

if TYPE_CHECKING:
    from spark_lib.lake import Manifest
    from tasks.cli import publish
    from tasks.graph.stage import Stage

_HEADING = len("if built now")


@click.command("why", short_help="Tell the story of one partition.")
@click.argument("stage", type=StageOrPublication(), metavar="STAGE")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print the story as JSON.")
@of_targets
@of_a_lake
def command(stage: type[Stage] | None, day: date, as_json: bool, target: tuple[str, ...]) -> None:
    """Say of a partition in which state it is, from which runs, settings and code it was built, who was built from it,
    and what would differ if it were built now. Of predictions it also says which model made them, and which were not
    taken.

    Of a publication say what the release of the day is, which run is in force, and what each target holds. The targets are
    asked.

    Nothing is started and nothing is written.

    \b
    Example:
      daystone why predictions --date 2026-03-01 --lake-root lake
      daystone why model --date 2026-02-23 --json
      daystone why publication --date 2026-03-01 --target risk_db
    """
    if stage is None:
        _tell_publication(day, target, as_json)
        return
    if target:
        raise click.UsageError("--target: wanted publication as STAGE")
    place = configured()
    found = story.tell(place.partitions, place.feeds, stage, day)
    if as_json:
        click.echo(json.dumps(document(found), indent=1))
        return
    for heading, line in lines(found):
        click.echo(f"{heading:<{_HEADING}}  {line}".rstrip())


def lines(found: Story) -> Iterator[tuple[str, str]]:
    """The story for a person: each line with its heading, which is empty where a line goes on."""
    state = words.of_cell(found.cell) if found.cell else "not there, and the chain does not ask for it"
    yield str(found.day), state
    if found.manifest:
        yield from _built(found.manifest)
        yield from _under("chosen", list(found.explained))
    uses = _uses(found)
    yield from _under("used by", uses or ["none that is published"])
    if found.cell and found.cell.state in PUBLISHED:
        yield from _under("if built now", list(words.of_reasons(found.cell.reasons)) or ["the same"])


def _tell_publication(day: date, given: tuple[str, ...], as_json: bool) -> None:
    from tasks.cli import publish

    found = publish.tell(day, publish.named(given))
    if as_json:
        click.echo(json.dumps(_publication_document(found), indent=1))
        return
    said = list(_of_publication(found))
    width = max(len(heading) for heading, _ in said)
    for heading, line in said:
        click.echo(f"{heading:<{width}}  {line}")


def _of_publication(found: publish.Story) -> Iterator[tuple[str, str]]:
    verdict = "none yet" if found.release is None else str(found.release)
    later = "" if found.is_judged or found.release is None else "; it is judged again, because something changed since"
    yield f"predictions of {found.date}", ", ".join(_state(held, found.in_force) for held in found.held)
    yield "release", verdict + later
    yield "in force", f"run {found.in_force}" if found.in_force else "nothing"
    for held in found.held:
        yield held.target, _held(held)


def _state(held: publish.Held, in_force: str) -> str:
    if held.error is not None:
        return f"unknown at {held.target}"
    if held.run and held.run == in_force:
        return f"published at {held.target}"
    return f"{'out of date' if held.run else 'not published'} at {held.target}"


def _held(held: publish.Held) -> str:
    if held.error is not None:
        return str(held.error)
    return f"holds run {held.run}" if held.run else "holds no run"


def _publication_document(found: publish.Story) -> dict[str, Any]:
    return {
        "dataset": "publication",
        "date": str(found.date),
        "release": None if found.release is None else str(found.release),
        "is_judged": found.is_judged,
        "in_force": found.in_force or None,
        "targets": {
            held.target: {"run": held.run or None, "error": None if held.error is None else str(held.error)}
            for held in found.held
        },
    }


def _built(manifest: Manifest) -> Iterator[tuple[str, str]]:
    rows = f"{manifest.rows():,} rows, " if manifest.schema else ""
    yield "run", f"{manifest.run}, built in {manifest.seconds:g} s: {rows}{bytes_of(manifest):,} bytes"
    inputs = [
        f"{given.name} of {given.first}" + (f" to {given.last}" if given.last > given.first else f", {given.ids[0]}")
        for given in manifest.inputs
    ]
    yield from _under("built from", inputs or ["nothing that was recorded"])
    if manifest.settings:
        yield from _under("settings", [f"{name} = {value}" for name, value in sorted(manifest.settings.items())])
    yield from _under("code", [f"{name} {value[:16]}" for name, value in sorted(manifest.code.items())])
    yield from _under("versions", [", ".join(f"{name} {value}" for name, value in sorted(manifest.versions.items()))])


def _uses(found: Story) -> list[str]:
    """Who was built from the partition: the days of each dataset, and those that took an older run apart."""
    now = found.manifest.run if found.manifest else ""
    groups: dict[tuple[str, bool], list[date]] = {}
    for user in found.used_by:
        groups.setdefault((user.day.name, user.run == now), []).append(user.day.date)
    return [
        f"{name} of {some(days)}" + ("" if same else ", built from an older run")
        for (name, same), days in groups.items()
    ]


def _under(heading: str, said: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((heading if place == 0 else "", line) for place, line in enumerate(said) if line)


def document(found: Story) -> dict[str, Any]:
    """The story as JSON has it."""
    told: dict[str, Any] = words.of_day(found.day)
    told |= words.document(found.cell) if found.cell else {"state": None}
    if found.manifest:
        manifest = json.loads(found.manifest.to_json())
        told |= {name: manifest[name] for name in ("run", "seconds", "inputs", "settings", "code", "versions")}
        told |= {"rows": found.manifest.rows(), "bytes": bytes_of(found.manifest), "chosen": list(found.explained)}
    return told | {"used_by": [words.of_day(user.day) | {"run": user.run} for user in found.used_by]}
