"""Evaluates the predictions of past days, day by day, and lays the evaluations of many days side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from spark_lib.errors import BelowBound, ConfigurationError, DamagedPartition, DaystoneError
from spark_lib.evaluation.document import Summary
from spark_lib.lake import Partition, days
from spark_lib.problems import Problem
from spark_lib.report import evaluation as report
from spark_lib.report.tables import figures
from tasks.cli import run as runner
from tasks.evaluation import Evaluation
from tasks.inference import BatchInference

#: The signs between the columns of a table.
_GAP = "  "
#: The columns at its left that are no numbers.
_TEXTS = 2


@dataclass
class Report:
    """What was evaluated, by day, and why other days were not, the first error first."""

    problem: Problem
    use_case: str
    found: dict[date, Summary] = field(default_factory=dict)
    errors: list[DaystoneError] = field(default_factory=list)

    @property
    def below(self) -> BelowBound | None:
        """The error where the newest evaluation misses a bound."""
        day = max(self.found, default=None)
        if day is None or not self.found[day].is_below:
            return None
        return BelowBound(
            f"evaluation of {day}",
            "the bounds of [evaluation] to be met",
            "; ".join(self.found[day].missed),
            f"look which model, segment or days are to blame: its page is one of daystone files evaluation --date {day}",
        )


def evaluate(first: date, last: date, watcher: runner.Watcher) -> Report:
    """Evaluate the days of ``[first, last]`` that were not evaluated yet, oldest first, with one session of Spark. Days
    before which there are no predictions to judge are left out.

    Raises NothingToEvaluate where that leaves none. A day that fails does not keep the others from being evaluated.
    """
    if last < first:
        raise ConfigurationError(
            "evaluate", "a first day that is not after the last", f"{first} to {last}", "correct --from, --to"
        )
    task = Evaluation(date=first)
    settings, lake = task.settings, task.partitions
    wanted = _to_judge(task, days(first, last))
    if not wanted:
        raise Evaluation(date=last).nothing()
    done = Report(settings.problem, lake.use_case)
    complete = task.complete_among(lake.find(task.dataset, wanted[0], wanted[-1]), wanted)
    for day in wanted:
        if day not in complete:
            outcome = runner.run(task.clone(Evaluation, date=day), watcher)
            done.errors += [] if outcome.error is None else [outcome.error]
    found = lake.find(task.dataset, wanted[0], wanted[-1])
    for day in wanted:
        match found.get(day):
            case Partition() as there:
                done.found[day] = Summary.of(there.manifest.metrics)
            case DamagedPartition() as damage:
                done.errors += [] if any(damage.where == error.where for error in done.errors) else [damage]
    return done


def _to_judge(task: Evaluation, asked: Sequence[date]) -> list[date]:
    """The days of which there are predictions to judge: one listing."""
    windows = {day: task.window(day, task.settings) for day in asked}
    windows = {day: (first, last) for day, (first, last) in windows.items() if first <= last}
    if not windows:
        return []
    earliest, latest = min(first for first, _ in windows.values()), max(last for _, last in windows.values())
    scored = sorted(task.partitions.find(BatchInference.dataset, earliest, latest))
    return [day for day, (first, last) in windows.items() if any(first <= each <= last for each in scored)]


def table(found: Report) -> Iterator[str]:
    """The evaluations as lines of a table: the day, its models, rows, the share without an outcome, the metrics that the
    problem shows, and the verdict."""
    rows = [["date", "model", "rows", "no outcome", *_headings(found.problem, found.found), "verdict"]]
    for day, each in found.found.items():
        share = each.unlabelled / each.rows if each.rows else 0.0
        cells = [str(day), _models(each), f"{each.whole.rows:,}", f"{share:.1%}"]
        rows.append([*cells, *_cells(found.problem, found.found, each), str(each)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:_TEXTS], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[_TEXTS:-1], widths[_TEXTS:], strict=False)]
        yield _GAP.join([*left, *right, row[-1]])


def _models(each: Summary) -> str:
    """The newest of the models, and how many others there are."""
    if not each.models:
        return "none"
    more = f" and {len(each.models) - 1}" if each.models[1:] else ""
    return f"{max(each.models).date}{more}"


def _headings(problem: Problem, found: Mapping[date, Summary]) -> Iterator[str]:
    for name in problem.shown_later:
        yield problem.metrics[name].words.lower() if name != problem.headline else problem.headline_words
        if _has_base(found, name):
            yield "base rate"


def _cells(problem: Problem, found: Mapping[date, Summary], each: Summary) -> Iterator[str]:
    for name in problem.shown_later:
        value, ends = each.whole.metrics.get(name), each.whole.interval(name)
        is_headline = name == problem.headline and ends
        yield f"{figures(value)} ({figures(ends[0])} – {figures(ends[1])})" if is_headline and ends else figures(value)
        if _has_base(found, name):
            yield figures(each.whole.base.get(name))


def _has_base(found: Mapping[date, Summary], name: str) -> bool:
    return any(name in each.whole.base for each in found.values())


def page(found: Report) -> str:
    """The page of all evaluations over time, as HTML."""
    title = f"Evaluations of {found.use_case}, {min(found.found)} to {max(found.found)}"
    return report.render_over_time(title, found.problem, found.found)
