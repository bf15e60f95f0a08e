"""Says what ``doctor`` and ``check`` have found, a line each."""

from __future__ import annotations

import click

from tasks.cli import render


def say_finding(mark: str, what: str, text: str) -> None:
    """Print a line of ``doctor`` or of ``check``."""
    styled = click.style(mark, fg={"ok": "green", "!!": "red"}.get(mark), bold=mark == "!!")
    click.echo(f"{styled} {what:<16} {' '.join(text.split())}")


def say_wrong(wrong: int) -> None:
    click.echo(f"{render.count(wrong, 'thing')} to mend, marked !!", err=True)
