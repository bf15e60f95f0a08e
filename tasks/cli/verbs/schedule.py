"""``daystone schedule``: writes what cron or systemd needs to run each day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tasks.cli import moments, schedule
from tasks.cli.options import of_a_lake
from tasks.cli.place import configured

#: The most days of summer time that are named.
_NAMED = 2


@click.command("schedule", short_help="Write a schedule for cron or systemd.")
@click.option("--cron", is_flag=True, help="Print the lines for crontab -e.")
@click.option("--systemd", type=click.Path(), metavar="DIR", help="Write a service and its timer into this directory.")
@click.option(
    "--at",
    default="05:00",
    show_default=True,
    metavar="WHEN",
    help="HH:MM, @daily, @weekly, @hourly or a cron expression.",
)
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="The time zone of --at.")
@click.option(
    "--environment",
    "file",
    default="",
    show_default="none",
    metavar="FILE",
    help="A private file of NAME=VALUE lines with the secrets that a run needs.",
)
@of_a_lake
def command(cron: bool, systemd: str | None, at: str, timezone: str, file: str) -> None:
    """Write what runs `daystone run --date yesterday` of this configuration by itself, with --publish where [publication]
    targets are set. The day that is built is the landing day before the moment, UTC, whatever the time zone is.

    \b
    Example:
      daystone schedule --cron --at 06:30 --timezone Europe/Berlin
      daystone schedule --systemd ~/.config/systemd/user --at "30 5 * * mon-fri"
    """
    if cron == (systemd is not None):
        raise click.UsageError("wanted either --cron or --systemd DIR")
    when = moments.parse(at, timezone)
    job = schedule.job(configured(), file)
    if systemd is None:
        for line in schedule.crontab(job, when):
            click.echo(line)
    else:
        for path in schedule.write(Path(systemd).expanduser(), schedule.units(job, when)):
            click.echo(f"written: {path}")
        click.echo(f"then: systemctl --user daemon-reload && systemctl --user enable --now {job.name}.timer", err=True)
    odd = when.odd(datetime.now(UTC))
    if odd:
        click.echo(f"note: {'; '.join(odd[:_NAMED])}; another time of day comes once each day", err=True)
    left = [] if file else schedule.left_out()
    if left:
        click.echo(
            f"note: a scheduled run will not have {', '.join(left)}: put them into a file for --environment", err=True
        )
