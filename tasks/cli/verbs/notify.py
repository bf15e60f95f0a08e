"""``daystone notify``: tries the addresses that are told when something is wrong."""

from __future__ import annotations

import click

from tasks.cli import notify as notifying
from tasks.cli.options import of_a_lake


@click.command("notify", short_help="Send a test message to all addresses of [notify].")
@click.option("--test", "is_test", is_flag=True, required=True, help="Send one message that says it is a test.")
@of_a_lake
def command(is_test: bool) -> None:
    """Send a message to all addresses: those of [notify] urls, of the environment's DAYSTONE_NOTIFY_URLS and of the file
    [notify] urls_file. No address is shown.

    \b
    Example:
      daystone notify --test
    """
    failed = []
    for name, error in notifying.test().items():
        click.echo(f"{name}: {'sent' if error is None else error.found}")
        failed += [error] if error is not None else []
    if failed:
        raise failed[0]
