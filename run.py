"""The command line of Daystone: ``daystone``, or ``python run.py`` in a checkout. ``tasks.cli`` has its verbs."""

from __future__ import annotations

import sys

import click

try:
    from tasks.cli.main import main
except Exception as refused:  # a ConfigurationError: Luigi reads its files when it is imported
    if not hasattr(refused, "exit_code"):
        raise
    if "doctor" in sys.argv[1:2]:
        click.echo(f"!! {'configuration':<16} {refused}")
        click.echo("1 thing to mend, marked !!; the rest cannot be looked at before that", err=True)
        sys.exit(1)
    click.echo(f"Error: {refused}", err=True)
    sys.exit(refused.exit_code)

__all__ = ["main"]

if __name__ == "__main__":
    main()
