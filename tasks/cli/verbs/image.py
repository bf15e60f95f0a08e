"""``daystone image``: the model in force as an image that serves it."""

from __future__ import annotations

from datetime import date

import click

from tasks.cli import image as images
from tasks.cli import render
from tasks.cli.options import Day, of_a_lake
from tasks.config import resolve


@click.command("image", short_help="Build the image of a model, and push it.")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--push", "to", default="", metavar="REGISTRY/NAME", help="The repository that the image is pushed to.")
@click.option("--output", default="", metavar="DIRECTORY", help="A directory that the image is written to, too.")
@of_a_lake
def command(day: date, to: str, output: str) -> None:
    """Build the image of the model in force on a day: Python, the REST service, the model and its card. No Docker is needed.
    The same model gives the same image.

    The image has the model's date and run as its tag, and that of REGISTRY/NAME:TAG, too. What is at the registry already is
    not sent again. User and password are those of docker login, or of the environment's DAYSTONE_REGISTRY_USER and
    DAYSTONE_REGISTRY_PASSWORD. DIRECTORY becomes an OCI image layout, as skopeo and podman read it.

    \b
    Example:
      daystone image --date 2026-03-01
      daystone image --date 2026-03-01 --push registry.example.org/risk/loans
      daystone image --date 2026-03-01 --output images
    """
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher:
        made = images.image(day, to, output, watcher)
    click.echo(f"image: {made.digest}, the model of {made.model_date}")
    click.echo(f"tag: {made.tag}")
    if output:
        click.echo(f"written to {output}")
    if made.pushed is not None:
        sent, there = render.count(made.pushed.sent, "blob"), made.pushed.there
        click.echo(f"pushed to {made.to}: {sent} sent, {there} there already")
