"""The verbs of ``daystone`` as commands of click. The module of a verb's name does the work; it is imported when the
verb is called.
"""

from __future__ import annotations

import errno
import importlib
import json
import shlex
import traceback
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_lib.errors import DaystoneError, did_you_mean
from spark_lib.lake.lake import some
from spark_lib.use_case import loading
from tasks.backfill.waiting import Patience
from tasks.cli import exits, render
from tasks.cli import run as runner
from tasks.cli.options import Day, Days, StageOrDataset, of_a_lake, of_a_wait
from tasks.config import check, resolve
from tasks.planning import consent, stale
from tasks.planning.commands import to_rebuild

if TYPE_CHECKING:
    from tasks.cli.land import Landing
    from tasks.graph.stage import Stage

#: The verbs whose modules declare their own options, as ``command``.
OF_THEIR_OWN = ("backfill", "clean", "lineage", "plan", "why")


class Verbs(click.Group):
    """Ends a verb that fails with the reason as the last line of standard error, and the reason's own exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
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
        return sorted([*super().list_commands(ctx), *OF_THEIR_OWN])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A verb, whose module is imported now where it declares its options itself."""
        if name in OF_THEIR_OWN:
            command: click.Command = importlib.import_module(f"tasks.cli.{name}").command
            return command
        return super().get_command(ctx, name)

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


@main.command("run", short_help="Build what is missing of a day.")
@click.argument("stage", type=StageOrDataset(), default="BatchInference", metavar="[STAGE]")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@of_a_wait
@of_a_lake
def run_stage(stage: type[Stage], day: date, wait: float) -> None:
    """Build STAGE of a day, and what is missing of its inputs.

    STAGE is a stage or the dataset that it writes: Snapshot (snapshots), FeatureEngineering (features), ServingFeatures
    (serving), Balancing (balanced), Training (model), ModelSelection (selection), BatchInference (predictions, the
    default).

    \b
    Example:
      daystone run --date 2026-03-01 --lake-root lake
      daystone run features --date 2026-03-01 --set spark.master=local[2]
      daystone run --date 2026-03-01 --wait 4h
    """
    task = runner.make(stage, day)
    if task.complete():
        click.echo(f"nothing to do: {stage.dataset} of {day} is complete")
        say_stale()
        return
    consent.ask([task])
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher, consent.settled():
        outcome = runner.run(task, watcher)
    if wait:
        outcome = runner.run_once_landed(outcome, Patience(wait, lambda words: click.echo(words, err=True)), render.run)
    say_stale()
    raise_if_failed(outcome)
    say_built(outcome)


@main.command(short_help="Build a day anew, in place of what is published.")
@click.argument("stage", type=StageOrDataset(), metavar="STAGE")
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@of_a_lake
def rebuild(stage: type[Stage], day: date) -> None:
    """Build STAGE of a day, complete or damaged or missing, and swap its manifest for the new run's.

    Readers of the old run go on reading it: its files stay until gc. What was built from an older run stays as it
    is, and is listed.

    \b
    Example:
      daystone rebuild features --date 2026-03-01 --lake-root lake
    """
    from tasks.cli import rebuild as rebuilding

    task = runner.make(stage, day)
    task.force = True
    consent.ask([task])
    click.echo(f"log: {resolve.log_file()}", err=True)
    with render.run() as watcher, consent.settled():
        rebuilt = rebuilding.rebuild(task, watcher)
    raise_if_failed(rebuilt.outcome)
    say_built(rebuilt.outcome)
    if rebuilt.old:
        click.echo(f"run {rebuilt.new} took the place of run {rebuilt.old}, whose files stay until gc")
    for dataset, other in rebuilding.built_from_others(task, rebuilt.new):
        click.echo(f"built from an older run: {dataset} of {other}; to follow: {to_rebuild(task, dataset, other)}")


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


@main.command("gc", short_help="Show, or remove, what belongs to no partition.")
@click.option("--yes", is_flag=True, help="Remove it; without this, nothing is changed.")
@click.option("--unpublished", is_flag=True, help="With --yes: runs of days that have no manifest, too.")
@click.option(
    "--older-than",
    type=float,
    metavar="HOURS",
    help="The least age of what is removed.  [default: twice [lake] max_attempt_hours]",
)
@of_a_lake
def collect_garbage(yes: bool, unpublished: bool, older_than: float | None) -> None:
    """Find superseded and abandoned runs, what crashed jobs left, and unfinished uploads of a use case; with --yes,
    remove them.

    Kept whatever their age: published runs, and the model runs that a published selection was made from. A run whose
    day has no manifest is a crashed attempt's, or a published one whose manifest somebody has removed: it goes with
    --unpublished only. Ages are told by the store's own clock.

    \b
    Example:
      daystone gc --lake-root s3://bucket/lake
      daystone gc --lake-root s3://bucket/lake --yes
    """
    from tasks.cli import gc
    from tasks.cli.place import configured

    place = configured()
    found = gc.look(place, older_than)
    removable = found.removable(unpublished)
    for garbage in gc.remove(place, removable) if yes else found.garbage:
        click.echo(f"{'removed ' if yes else ''}{gc.line(place, garbage)}")
    done = removable if yes else found.garbage
    size = sum(garbage.size for garbage in done)
    what = f"{render.count(len(done), 'piece')} of garbage older than {found.older_than_hours:g} hours, {size:,} bytes"
    click.echo(f"{what}, removed" if yes else f"{what}; nothing was removed" + (" (--yes does)" if done else ""))
    left = len(found.garbage) - len(removable)
    if left:
        click.echo(f"of days without a manifest: {render.count(left, 'run')}, which --yes --unpublished removes")


@main.command(short_help="Write sample data to try the chain on.")
@click.option(
    "--use-case",
    type=click.Choice(loading.shipped()),
    default="credit_risk",
    show_default=True,
    help="The shipped use case whose feeds land.",
)
@click.option(
    "--from", "first", type=Day(), default="2026-01-01", show_default=True, metavar="DAY", help="The first day."
)
@click.option(
    "--days",
    type=click.IntRange(1, check.MOST_DAYS),
    show_default="60, or as many as a first model needs",
    help="How many days land.",
)
@click.option(
    "--rows-per-day", type=click.IntRange(min=0), default=500, show_default=True, help="Applications or products a day."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other people and products.")
@click.option("--lake-root", metavar="DIR", help="Where the lake is; outranks [lake] root.")
def sample(use_case: str, first: date, days: int | None, rows_per_day: int, seed: int, lake_root: str | None) -> None:
    """Land days of a use case that ships. credit_risk: applications, and their outcomes once they are known.
    product_category: names and descriptions of products, as CSV with semicolons.

    The truth behind them is kept aside, so that the best possible score is known. The same arguments give the same
    rows; more days extend a sample.

    \b
    Example:
      daystone sample --lake-root lake --from 2026-01-01 --days 60 --rows-per-day 500 --seed 0
      daystone sample --lake-root lake --use-case product_category --rows-per-day 50
    """
    from tasks.cli import sample as sampling

    check.configuration_files()
    if lake_root is not None:
        resolve.give("lake", "root", lake_root)
    root = resolve.default_lake()
    if days is None:
        days = sampling.enough_days(use_case, first)
    with render.counted("sample days", days) as advance:
        place = sampling.write(use_case, root, first, days, rows_per_day, seed, advance)
    landed = f"{rows_per_day:,} {sampling.rows(use_case)}"
    click.echo(f"{render.count(days, 'day')} of {landed} have landed in {place}")
    if sampling.too_short(use_case, first, days):
        day = sampling.first_training(use_case, first)
        click.echo(f"a first model can be trained on {day}: for predictions, land days up to then")
        return
    click.echo("next:")
    click.echo(f"  {sampling.next_command(use_case, root, first, days)}")


@main.command(short_help="Make raw days of a feed from tables.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option("--feed", required=True, metavar="FEED", help="The feed whose days land.")
@click.option("--by", "column", metavar="COLUMN", help="Each row lands on the day of its date in this column.")
@click.option(
    "--spread", type=Days(), metavar="FROM..TO", help="Each row lands on one of these days, drawn by its key."
)
@click.option("--seed", type=int, metavar="N", help="With --spread: another seed draws other days.")
@of_a_lake
def land(
    files: tuple[str, ...], feed: str, column: str | None, spread: tuple[date, date] | None, seed: int | None
) -> None:
    """Land the rows of CSV and Parquet files as days of a raw feed, where the configuration looks for them.

    A file has exactly the columns that the feed declares. The same rows land on the same days, each in one file with
    the flag last. A day whose flag is there is left alone, so what was interrupted goes on when the same command is run
    again.

    \b
    Example:
      daystone land loans.csv --feed applications --by applied_on --lake-root lake
      daystone land clients.parquet --feed applications --spread 2026-01-01..2026-03-31 --seed 0
    """
    from tasks.cli import land as landing

    if column is not None and spread is None:
        if seed is not None:
            raise click.UsageError("wanted --seed with --spread alone; found it with --by")
        found = landing.by_column(files, feed, column)
    elif spread is not None and column is None:
        if seed is None:
            raise click.UsageError("wanted --seed N with --spread, by which the days are drawn; found none")
        found = landing.spread(files, feed, *spread, seed)
    else:
        raise click.UsageError(f"wanted one of --by and --spread; found {'both' if column is not None else 'none'}")
    say_landed(found)


def say_landed(found: Landing) -> None:
    if found.new:
        rows = render.count(sum(day.rows for day in found.new), "row")
        days = f"{render.count(len(found.new), 'day')} from {found.new[0].date} to {found.new[-1].date}"
        click.echo(f"{rows} of {found.feed.name} on {days} have landed, first in {found.directory}")
    else:
        click.echo("nothing was written")
    if found.empty:
        click.echo(f"without a row: {render.count(len(found.empty), 'day')}, {some(found.empty)}")
    if found.left_alone:
        click.echo(
            f"left alone, as the flag was there: {render.count(len(found.left_alone), 'day')}, {some(found.left_alone)}"
        )
    if found.others:
        rows = render.count(sum(day.rows for day in found.others), "row")
        days = f"{render.count(len(found.others), 'day')}, {some(day.date for day in found.others)}"
        click.echo(f"of these with other rows than the files: {days}; {rows} of the files did not land")


@main.command(short_help="Show what there is, day by day.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="The first day.  [default: 13 days before the last]")
@click.option("--to", "last", type=Day(), metavar="DAY", help="The last day.  [default: the newest of the lake]")
@click.option(
    "--verify", is_flag=True, help="Read every file of these days, and hold its content against its checksum."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with the reasons of what is stale.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it as a page, with the lineage of each day and links to reports of models.",
)
@of_a_lake
def status(first: date | None, last: date | None, verify: bool, as_json: bool, html: Path | None) -> None:
    """Show a calendar of days by feeds and datasets: what has landed, and what is published, stale, missing, waiting for
    raw days, blocked, damaged or not due.

    Exits with 35 where a partition is damaged.

    \b
    Example:
      daystone status --from 2026-02-15 --to 2026-03-01 --lake-root lake
      daystone status --verify --lake-root lake
    """
    from tasks.cli.place import configured
    from tasks.cli.sample import USE_CASE
    from tasks.cli.status import report

    place = configured()
    found = report(place, first, last, verify)
    if html is not None:
        from tasks.cli import status_page

        status_page.write(found, place.partitions, html)
        click.echo(f"written: {html}", err=True)
    if as_json:
        click.echo(json.dumps(found.document(), indent=1))
        found.raise_if_damaged()
        return
    if not found.cells:
        click.echo(f"{found.lake} holds nothing of {found.use_case} yet: no raw day has landed, nothing is built")
        sample_days = f", or try: daystone sample --lake-root {found.lake}"
        if found.use_case not in loading.shipped():
            sample_days = ""
        elif found.use_case != USE_CASE:
            sample_days += f" --use-case {found.use_case}"
        click.echo(f"land raw days with their flags{sample_days}")
        return
    console = render.terminal()
    console.print(f"{found.use_case} in {found.lake}", soft_wrap=True, markup=False, highlight=False)
    console.print(render.table_of(found, console))
    for dataset, days in found.stale().items():
        click.echo(f"stale: {dataset} of {some(days)} (daystone why {dataset} --date {days[0]})")
    for line in found.rejections:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for error in found.damaged:
        console.print(str(error), soft_wrap=True, markup=False, highlight=False, style="red")
    if verify:
        unverifiable = (
            f"; of {render.count(found.unverifiable, 'file')} the store keeps no checksum of content"
            if found.unverifiable
            else ""
        )
        click.echo(f"{render.count(found.verified, 'file')} read and held against the manifests{unverifiable}")
    found.raise_if_damaged()


@main.command(short_help="List the files of a partition.")
@click.argument("dataset", type=StageOrDataset())
@click.option("--date", "day", type=Day(), required=True, metavar="DAY", help="The landing day, UTC.")
@click.option("--section", metavar="NAME", help="One group of the files, as in train or validation/unbalanced.")
@of_a_lake
def files(dataset: type[Stage], day: date, section: str | None) -> None:
    """Print the files that are a partition, one path a line: exactly these, never what else lies beside them.

    \b
    Example:
      daystone files predictions --date 2026-03-01 --lake-root lake
      daystone files balanced --date 2026-02-23 --section validation/unbalanced
    """
    from tasks.cli import files as listing

    found = listing.partition(dataset, day)
    sections = listing.sections(found)
    if section is not None and section not in sections:
        there = (
            f"there are {', '.join(name or 'one without a name' for name in sections)}" if sections else "it has none"
        )
        hint = did_you_mean(section, sections)
        raise click.BadParameter(f"no section {section!r} in {dataset.dataset} of {day}{hint}; {there}")
    paths = listing.files(found, section)
    for path in paths:
        click.echo(path)
    if not paths:
        click.echo(f"{dataset.dataset} of {day} is published and has no rows, hence no files", err=True)


@main.command(short_help="Say what is missing on this machine.")
@click.option("--spark", is_flag=True, help="Start Spark too, and try the lake from its executors.")
@of_a_lake
def doctor(spark: bool) -> None:
    """Look at Java, Python, packages, configuration, the lake and the raw feeds; a line each, ok or what to do.

    Writes nothing but a probe, which it removes, into the lake (a missing directory is made). Exits with 1 where
    something is not as it should be.

    \b
    Example:
      daystone doctor --lake-root lake
      daystone doctor --spark --lake-root s3://bucket/lake --set spark.master=spark://host:7077
    """
    from tasks.cli.doctor import examine

    wrong = 0
    for finding in examine(spark):
        wrong += not finding.ok
        say_finding("ok" if finding.ok else "!!", finding.what, finding.text)
    if wrong:
        say_wrong(wrong)
        click.get_current_context().exit(exits.NOT_ALL_WELL)


@main.command("check", short_help="Try a use case on the first rows that have landed.")
@click.argument("reference", required=False, metavar="[MODULE:CLASS]")
@of_a_lake
def check_use_case(reference: str | None) -> None:
    """Try a use case, by default that of the configuration, on the first rows of each feed; a line each, ok or what to
    do.

    Reads the newest days of each feed, at most 3, and the first 1,000 rows of each. Checks columns, keys, times and
    outcomes; runs engineer several times, also with the rows in another order, at another time and with later events
    among them; and asks whether the model of the estimator can be carried. Writes nothing. Exits with the code of the
    first thing that is wrong.

    \b
    Example:
      daystone check my_company.churn:Churn --lake-root lake
      daystone check --set pipeline.first_date=2026-03-01
    """
    from tasks.cli import check as checking

    errors = []
    for one in checking.examine(reference):
        if one.error:
            errors.append(one.error)
        say_finding("!!" if one.error else "--" if one.skipped else "ok", one.what, one.text)
    if errors:
        say_wrong(len(errors))
        click.get_current_context().exit(errors[0].exit_code)


@main.command(short_help="Write a new use case to go on with.")
@click.argument("reference", metavar="MODULE:CLASS")
@click.option(
    "--from", "table", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="A CSV or Parquet file, whose columns the use case is drafted from.",
)  # fmt: skip
def init(reference: str, table: str | None) -> None:
    """Write the module of a use case that loads, and a luigi.cfg, into the working directory. No file is overwritten.

    From the first rows of a FILE come the columns and their types, and a proposal for the key, the entity, the event
    time, the label and the features. What you have to look at is marked TODO.

    \b
    Example:
      daystone init my_company.churn:Churn
      daystone init my_company.churn:Churn --from subscriptions.csv
    """
    from tasks.cli import init as drafting

    written = drafting.write(reference, table)
    for file in written.files:
        click.echo(f"written: {file}")
    click.echo("next, once its TODOs are done:")
    if table is not None:
        days = ["--by", written.by] if written.by else ["--spread", "FROM..TO", "--seed", "0"]
        click.echo(f"  PYTHONPATH=. {shlex.join(['daystone', 'land', table, '--feed', written.feed, *days])}")
    click.echo(f"  PYTHONPATH=. daystone check {reference}")


def say_finding(mark: str, what: str, text: str) -> None:
    """Print a line of ``doctor`` or of ``check``."""
    styled = click.style(mark, fg={"ok": "green", "!!": "red"}.get(mark), bold=mark == "!!")
    click.echo(f"{styled} {what:<16} {' '.join(text.split())}")


def say_wrong(wrong: int) -> None:
    click.echo(f"{render.count(wrong, 'thing')} to mend, marked !!", err=True)
