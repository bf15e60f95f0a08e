"""Says how a run ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from tasks.cli import render
from tasks.cli import run as runner
from tasks.graph.log import logger
from tasks.planning import stale

if TYPE_CHECKING:
    from spark_lib.errors import DaystoneError
    from tasks.cli.promote import Promoted
    from tasks.cli.publish import Published, Report, Withdrawn
    from tasks.cli.release import Decided


def say(words: str) -> None:
    """Say on standard error what a person should know meanwhile, and in the log."""
    click.echo(words, err=True)
    logger.info(words)


def warn(words: str) -> None:
    """Warn on standard error, and in the log."""
    click.echo(f"warning: {words}", err=True)
    logger.warning(words)


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


def say_promoted(done: Promoted) -> None:
    made = done.made
    said = "recorded: " if done.new else "nothing to record, it is there: "
    steps = f" ({', '.join(f'{step.share:.0%} from day {step.day} on' for step in made.steps)})" if made.steps else ""
    click.echo(
        f"{said}promotion {made.name} of the model of {made.model.date}, {made.strategy}{steps}, from {made.first_day} on, "
        f"by {made.by}"
    )
    if done.rebuilt:
        click.echo(f"built again: {_days(done.rebuilt)}")


def say_published(report: Report) -> None:
    """Say what was published at each target, and raise the first error."""
    for published in report.published:
        click.echo(f"{published.target}: {_words(published)}")
    raise_first(report.errors)


def say_withdrawn(day: date, done: Withdrawn) -> None:
    """Say who holds the day, and where it was taken back, and raise the first error."""
    if done.decided is not None:
        say_decided(day, done.decided)
    else:
        click.echo(f"{day} is held already, and nothing is in force")
    for name in done.taken:
        click.echo(f"{name}: predictions of {day} are not there any more")
    raise_first(done.errors)


def _words(published: Published) -> str:
    there = (
        f"{_days(published.there)} {'was' if len(published.there) == 1 else 'were'} there" if published.there else ""
    )
    if not published.rows:
        return f"nothing to do, {published.dataset} of {there}" if there else "nothing to do, nothing is in force"
    rows = render.count(sum(published.rows.values()), "row")
    done = f"published {published.dataset} of {_days(published.rows)} ({rows})"
    return f"{done}; {there}" if there else done


def _days(days: Collection[date]) -> str:
    """One day by its date, and many by their number and the first and the last."""
    if len(days) == 1:
        return str(min(days))
    return f"{len(days):,} days, {min(days)} to {max(days)}"


def raise_first(errors: Sequence[DaystoneError]) -> None:
    if errors:
        render.say_also(errors[1:])
        raise errors[0]
