"""The pages of evaluations: how good published predictions were, of one evaluation by landing day, and of many over
time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from spark_lib.evaluation.document import (
    BELOW,
    JUDGED,
    UNJUDGED,
    WITHIN,
    Day,
    Evaluation,
    Gate,
    Model,
    Part,
    Shadow,
    Summary,
)
from spark_lib.problems.problem import Problem
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.page import page
from spark_lib.report.tables import NAME, NUMBER, TEXT, Column, chart_with, figures, number, section, table
from spark_lib.report.timeline import Line, Point, over_time

#: The verdicts in words, and what to do then.
_VERDICTS = {
    BELOW: ("Below its bounds", "look at the parts below: a model, a segment or some days may say why."),
    UNJUDGED: ("Not judged", "wait for more outcomes, or look at why the days below are not judged."),
    WITHIN: ("Within its bounds", ""),
    JUDGED: ("Judged", "set bounds in [evaluation] by which a day is called good enough."),
}
_NOTE = (
    "Of the published predictions of days whose outcomes have landed since. Intervals are by a bootstrap over groups of"
    " entities. The base rate is what one answer for every row would have, the proportion or the mean of these very outcomes."
)


def render(title: str, problem: Problem, found: Evaluation) -> str:
    """The page of one evaluation as HTML."""
    parts = [
        _verdict(title, found),
        _measured(problem, found.whole),
        _gates(found.gates),
        *_over_days(problem, found),
        _apart(problem, "By model", [(_model(each.model), each.part) for each in found.models]),
        _apart(
            problem,
            "By the share of each model",
            [(_model(each.model), each.part) for each in found.shares],
            "On the days on which several models scored, each its share of the entities.",
        ),
        *(_shadow(problem, each) for each in found.shadows),
        _apart(problem, "By segment", [(str(each), each.part) for each in found.segments]),
        _days(problem, found.days),
    ]
    return page(title, joined(*parts))


def render_over_time(title: str, problem: Problem, found: Mapping[date, Summary]) -> str:
    """The page of many evaluations, by their days, as HTML."""
    judged = dict(sorted(found.items()))
    changes = list(_changes((day, each.models) for day, each in judged.items()))
    parts = [
        tag("h1", title),
        tag("p", _NOTE, class_="note"),
        *_charts(problem, {day: each.whole for day, each in judged.items()}, changes),
        _table_over_time(problem, judged),
    ]
    return page(title, joined(*parts))


def _verdict(title: str, found: Evaluation) -> Markup:
    words, step = _VERDICTS[found.verdict]
    judged = sum(not day.reason for day in found.days)
    said = (
        f"Landing days {found.first} to {found.last}: {judged} of {len(found.days)} are judged, by the outcomes that landed by"
        f" {found.day}."
    )
    sampled = f"Figures are of {number(found.sampled)} of these rows, drawn by their keys." if found.sampled else None
    missed = [tag("p", f"{str(gate)[:1].upper()}{str(gate)[1:]}.") for gate in found.missed]
    why = [tag("p", f"{found.whole.reason[:1].upper()}{found.whole.reason[1:]}.")] if found.whole.reason else []
    return joined(
        tag("h1", title),
        tag(
            "div",
            tag("p", words, class_="word"),
            tag("p", said),
            tag("p", sampled) if sampled else None,
            *missed,
            *why,
            tag("p", tag("strong", "Next: "), step) if step else None,
            class_="verdict" if found.verdict in (BELOW, UNJUDGED) else "verdict approved",
        ),
    )


def _measured(problem: Problem, whole: Part) -> Markup | None:
    if whole.reason:
        return None
    columns = Column("Metric", TEXT), Column("Value", NUMBER), Column("Interval", NUMBER), Column("Base rate", NUMBER)
    rows = [
        (metric.words, figures(whole.metrics[name]), _ends(whole.interval(name)), figures(whole.base.get(name)))
        for name, metric in problem.metrics.items()
        if name in whole.metrics
    ]
    return section("Metrics", tag("p", _NOTE, class_="note"), table(columns, rows, f"{number(whole.rows)} rows"))


def _gates(gates: Sequence[Gate]) -> Markup | None:
    if not gates:
        return None
    columns = (
        Column("Bound", TEXT),
        Column("Of", NAME),
        Column("Measured", NUMBER),
        Column("End that counts", NUMBER),
        Column("Set to", NUMBER),
        Column("Verdict", TEXT),
    )
    rows = [
        (
            gate.words,
            gate.segment or "all rows",
            figures(gate.value),
            figures(gate.end),
            figures(gate.bound),
            tag("span", *(("passed",) if gate.passed else ("missed",)), class_="passed" if gate.passed else "missed"),
        )
        for gate in gates
    ]
    note = "A bound looks at the unfavourable end of the metric's interval, not at the measured value."
    return section("Bounds", tag("p", note, class_="note"), table(columns, rows))


def _over_days(problem: Problem, found: Evaluation) -> Iterator[Markup]:
    parts = {day.date: day.part for day in found.days if not day.reason}
    changes = list(_changes((day.date, day.models) for day in found.days if day.models))
    yield from _charts(problem, parts, changes)


def _charts(problem: Problem, parts: Mapping[date, Part], changes: Sequence[tuple[date, str]]) -> Iterator[Markup]:
    """The metrics that the problem shows with their bands, beside the base rate, and where the predictions lie."""
    judged = {day: part for day, part in parts.items() if not part.reason}
    if not judged:
        return
    span = min(parts), max(parts)
    inside = [mark for mark in changes if span[0] <= mark[0] <= span[1]]
    drawn = []
    for name in problem.shown_later:
        metric = problem.metrics[name]
        lines = [Line([Point.of(day, part.metrics[name], part.interval(name)) for day, part in judged.items()])]
        base = [Point.of(day, part.base[name], None) for day, part in judged.items() if name in part.base]
        lines += [Line(base, "reference")] if base else []
        meaning = f"{metric.meaning}; the dashed line is the base rate's" if base else metric.meaning
        drawn.append((name, metric.words, meaning, lines))
    middle = len(next(iter(judged.values())).levels) // 2
    levels = [
        Line(
            [Point(day, part.levels[middle], part.levels[low], part.levels[-1 - low]) for day, part in judged.items()],
            band="band" if low else "band outer",
        )
        for low in range(middle)
    ]
    drawn.append(("levels", "Where predictions lie", "median, and the middle 50 and 90 % of rows", levels))
    yield section(
        "Over time",
        tag("p", "Upright lines: another model scores, by its date.", class_="note") if inside else None,
        *(
            chart_with(words, over_time(f"over-{name}", words, lines, span, inside), meaning)
            for name, words, meaning, lines in drawn
        ),
    )


def _changes(found: Iterable[tuple[date, Sequence[Model]]]) -> Iterator[tuple[date, str]]:
    """The days on which other models score than on the day before, with the date of the newest."""
    before: Sequence[Model] | None = None
    for day, models in found:
        if models and before is not None and models != before:
            yield day, f"model {max(models).date}"
        before = models or before


def _apart(problem: Problem, title: str, parts: Sequence[tuple[str, Part]], note: str = "") -> Markup | None:
    if not parts:
        return None
    columns = (Column("", NAME), Column("Rows", NUMBER), *_columns(problem), Column("", TEXT))
    rows = [(name, number(part.rows), *_cells(problem, part), part.reason) for name, part in parts]
    return section(title, tag("p", note, class_="note") if note else None, table(columns, rows, wide=True))


def _shadow(problem: Problem, found: Shadow) -> Markup | None:
    rows = [(f"the challenger, {_model(found.model)}", found.challenger), ("what was in force", found.in_force)]
    note = "On the same rows." + (f" The challenger: {found.words}." if found.words else "")
    return _apart(problem, "In the shadow", rows, note)


def _days(problem: Problem, days: Sequence[Day]) -> Markup:
    columns = (
        Column("Landing day", TEXT),
        Column("Models", TEXT),
        Column("Rows", NUMBER),
        Column("Without outcome", NUMBER),
        *_columns(problem),
        Column("", TEXT),
    )
    rows = [
        (
            str(day.date),
            ", ".join(str(model.date) for model in day.models),
            number(day.rows),
            number(day.unlabelled),
            *_cells(problem, day.part),
            day.reason or day.part.reason,
        )
        for day in days
    ]
    return section("By landing day", table(columns, rows, wide=True))


def _table_over_time(problem: Problem, found: Mapping[date, Summary]) -> Markup:
    columns = (
        Column("Evaluation", TEXT),
        Column("Landing days", TEXT),
        Column("Models", TEXT),
        Column("Rows", NUMBER),
        *_columns(problem),
        Column("Verdict", TEXT),
    )
    rows = [
        (
            str(day),
            f"{each.first} to {each.last}",
            ", ".join(str(model.date) for model in each.models),
            number(each.whole.rows),
            *_cells(problem, each.whole),
            str(each),
        )
        for day, each in found.items()
    ]
    return section("Evaluations", table(columns, rows, wide=True))


def _columns(problem: Problem) -> list[Column]:
    return [Column(problem.metrics[name].words, NUMBER) for name in problem.shown_later]


def _cells(problem: Problem, part: Part) -> list[str]:
    return [in_words(part, name) for name in problem.shown_later]


def in_words(part: Part, metric: str) -> str:
    """A metric with its interval, and what the base rate has, where that is known."""
    if part.reason or metric not in part.metrics:
        return "–"
    ends, base = part.interval(metric), part.base.get(metric)
    words = figures(part.metrics[metric]) + (f" ({_ends(ends)})" if ends else "")
    return words if base is None else f"{words}, base rate {figures(base)}"


def _ends(ends: Sequence[float] | None) -> str:
    return f"{figures(ends[0])} – {figures(ends[1])}" if ends else "–"


def _model(model: Model) -> str:
    return f"model of {model.date} ({model.digest[:8]})"
