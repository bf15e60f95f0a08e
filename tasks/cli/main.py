"""``daystone``: a command of click, whose verbs are in modules of their own. That of a verb is imported when the verb is
called.
"""

from __future__ import annotations

import errno
import importlib
import pkgutil
import traceback
from typing import Any

import click

from spark_lib.errors import DaystoneError, did_you_mean
from tasks.cli import exits, outcomes, verbs
from tasks.cli import run as runner
from tasks.config import resolve
from tasks.notification import runs as notification

#: Each is the name of a module below ``verbs``, which has it as ``command``.
VERBS = sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))


class Verbs(click.Group):
    """Ends a verb that fails with the reason as the last line of standard error, and the reason's own exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with notification.told(outcomes.warn):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except DaystoneError as error:
            fail(ctx, error.exit_code, str(error))
        except KeyboardInterrupt:
            fail(ctx, exits.INTERRUPTED, "stopped; what is published stays, and the next run goes on from there")
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `| head`: click knows what to do
            log_traceback()
            fail(ctx, DaystoneError.exit_code, f"{type(error).__name__}: {error}")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *VERBS])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return super().get_command(ctx, name)
        command: click.Command = importlib.import_module(f"{verbs.__name__}.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            ctx.fail(f"No such verb {args[0]!r}{did_you_mean(args[0], known)}.")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:3}", text) for code, text in exits.table().items()])


def log_traceback() -> None:
    """Write the traceback of the exception at hand into the log; where that cannot be written, show it and why."""
    shown = traceback.format_exc()
    try:
        file = resolve.log_file()
        with file.open("a") as log:
            log.write(shown)
    except (DaystoneError, OSError) as unwritten:
        click.echo(f"{shown}no log: {unwritten}", err=True)
    else:
        click.echo(f"traceback: {file}", err=True)


def fail(ctx: click.Context, code: int, reason: str) -> None:
    click.echo(f"{click.style('Error', fg='red')}: {' '.join(reason.split())}", err=True)
    ctx.exit(code)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(runner.VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """Daily batch machine learning on Spark, where done means done.

    \b
    A first look:
      daystone sample --lake-root lake
      daystone run --date 2026-03-01 --lake-root lake
      daystone status --lake-root lake
    """
