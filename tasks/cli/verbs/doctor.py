"""``daystone doctor``: says what is missing on this machine."""

from __future__ import annotations

import click

from tasks.cli import exits
from tasks.cli.doctor import examine
from tasks.cli.findings import say_finding, say_wrong
from tasks.cli.options import of_a_lake


@click.command("doctor", short_help="Say what is missing on this machine.")
@click.option("--spark", is_flag=True, help="Start Spark too, and try the lake from its executors.")
@of_a_lake
def command(spark: bool) -> None:
    """Look at Java, Python, packages, configuration, the lake and the raw feeds; a line each, ok or what to do.

    Writes nothing but a probe, which it removes, into the lake (a missing directory is made). Exits with 1 where
    something is not as it should be.

    \b
    Example:
      daystone doctor --lake-root lake
      daystone doctor --spark --lake-root s3://bucket/lake --set spark.master=spark://host:7077
    """
    wrong = 0
    for finding in examine(spark):
        wrong += not finding.ok
        say_finding("ok" if finding.ok else "!!", finding.what, finding.text)
    if wrong:
        say_wrong(wrong)
        click.get_current_context().exit(exits.NOT_ALL_WELL)
