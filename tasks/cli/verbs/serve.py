"""``daystone serve``: answers with predictions by REST."""

from __future__ import annotations

import click

from tasks.cli import exits
from tasks.cli import serve as serving
from tasks.cli.options import of_a_lake
from tasks.cli.place import configured


@click.command("serve", short_help="Answer with predictions by REST.")
@click.option(
    "--target",
    default="",
    metavar="NAME",
    show_default="the first of [publication] targets",
    help="Where /scores/ENTITY looks scores up, as in [target.NAME].",
)
@of_a_lake
@click.pass_context
def command(ctx: click.Context, target: str) -> None:
    """Score rows that are posted to /predictions by the model of the newest released day, as the batch does. A newer
    released day changes the model while requests go on. SIGTERM and Ctrl-C finish requests in flight.

    GET /scores/ENTITY answers with the published score of an entity, or with the fallback of [lookup], as
    daystone lookup does.

    Where and how much is [serve] in the configuration. On another address than loopback each request has to show the
    token that the environment's DAYSTONE_SERVE_TOKEN holds.

    \b
    Example:
      daystone serve --lake-root lake
      daystone serve --lake-root lake --set serve.port=8080
      daystone serve --target cache
    """
    try:
        serving.serve(configured(), lambda words: click.echo(words, err=True), target)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        ctx.exit(exits.INTERRUPTED)
    click.echo("stopped", err=True)
