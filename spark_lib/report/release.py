"""The page of a release: whether the predictions of a day are released, why not, and how the day lies against the
reference of its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spark_lib.release.check import Check, Outcome
from spark_lib.release.document import Release
from spark_lib.release.figures import Figures, OfModel
from spark_lib.release.sketch import Column as Counted
from spark_lib.release.sketch import Cut, Reference, Sketch
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.page import page
from spark_lib.report.shares import bar, percent
from spark_lib.report.tables import NAME, NUMBER, TEXT, Column, figures, number, section, table

#: The columns of a comparison of models, by their headings.
_LEVELS = {"Mean": "mean", "Least": "least", "Greatest": "greatest"}
_OUTCOMES = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.UNCHECKED: "not checked"}


def render(
    title: str, release: Release, judged: Figures, reference: Reference | None, models: Sequence[OfModel] = ()
) -> str:
    """The page as HTML. ``judged`` are the figures of the run that was judged, and ``reference`` is that of its model, as
    far as both are known. ``models`` are those that scored the day, where several did."""
    parts = [
        _verdict(title, release),
        _checks(release.checks),
        _decisions(release),
        _models(models),
        *(_scores(judged, reference) if reference else ()),
        _features(judged, reference) if reference else None,
    ]
    return page(title, joined(*parts))


def _verdict(title: str, release: Release) -> Markup:
    if release.reasons:
        words = "Held"
        why = [tag("p", f"{check.name}: {check.words}.") for check in release.reasons]
        step = (
            f"mend what is wrong and build the day again. Where the day is right as it is: daystone release --date {release.date}"
            " --why TEXT releases it from these reasons and no others."
        )
        force = (
            "Nothing is in force for the day."
            if release.in_force is None
            else f"Run {release.in_force.run}, which was released before, stays in force."
        )
    else:
        rolled_back = release.decisions.rollback is not None
        words = "Rolled back" if rolled_back else "Released"
        step = f"daystone hold --date {release.date} --why TEXT takes that back."
        passed = ", ".join(release.excused)
        why = [tag("p", f"A person has released it from {passed}.")] if passed else []
        before = release.in_force.run if rolled_back and release.in_force is not None else ""
        force = f"Run {before} of the model before is in force." if before else f"Run {release.judged} is in force."
    return joined(
        tag("h1", title),
        tag(
            "div",
            tag("p", words, class_="word"),
            *why,
            tag("p", force),
            tag("p", tag("strong", "Next: "), step),
            class_="verdict" if release.reasons else "verdict approved",
        ),
    )


def _checks(checks: tuple[Check, ...]) -> Markup:
    order = (Outcome.FAILED, Outcome.UNCHECKED, Outcome.PASSED)
    rows = [
        (check.name, _outcome(check.outcome), check.words)
        for check in sorted(checks, key=lambda check: order.index(check.outcome))
    ]
    note = "Each figure has to exceed its bound, and what chance gives for the numbers of rows at hand."
    columns = Column("Check", NAME), Column("Outcome", TEXT), Column("Figures", TEXT)
    return section("Checks", tag("p", note, class_="note"), table(columns, rows, wide=True))


def _outcome(outcome: Outcome) -> Markup:
    kind = {Outcome.PASSED: "passed", Outcome.FAILED: "missed"}.get(outcome)
    return tag("span", _OUTCOMES[outcome], class_=kind)


def _decisions(release: Release) -> Markup | None:
    if not release.decisions.all:
        return None
    rows = [(each.action, each.by, each.at, each.why, ", ".join(each.reasons)) for each in release.decisions.all]
    columns = (
        Column("Decision", TEXT),
        Column("By", NAME),
        Column("At", TEXT),
        Column("Why", TEXT),
        Column("From", NAME),
    )
    return section("What people decided", table(columns, rows, wide=True))


def _models(models: Sequence[OfModel]) -> Markup | None:
    """The scores of each model that scored the day."""
    if not models:
        return None
    rows = [
        (each.model_date, each.role, number(each.rows), *(figures(each.scores.get(name)) for name in _LEVELS.values()))
        for each in models
    ]
    columns = (Column("Model", TEXT), Column("What it is", TEXT), Column("Rows", NUMBER))
    levels = (Column(name, NUMBER) for name in _LEVELS)
    failed = [
        tag("p", f"The model of {each.model_date} scored nothing: {each.failed}") for each in models if each.failed
    ]
    return section("Models that scored the day", *failed, table((*columns, *levels), rows, wide=True))


def _scores(judged: Figures, reference: Reference) -> Iterator[Markup]:
    """The scores of the day and of the reference by their bins."""
    sketches = {} if judged.sketches is None else judged.sketches.scores
    for name, column in reference.scores.items():
        if name in sketches and len(sketches[name].counts) == column.cut.bins:
            yield section(f"Where the {name} lies", _bins(name, column, sketches[name]))


def _bins(name: str, column: Counted, day: Sketch) -> Markup:
    usual, found = _shares(column.sketch), _shares(day)
    rows = [
        (words, percent(expected), bar(expected), percent(share), bar(share))
        for words, expected, share in zip(_words(column.cut), usual, found, strict=True)
        if expected or share
    ]
    columns = (
        Column(name, TEXT),
        Column("Reference", NUMBER),
        Column("", TEXT),
        Column("This day", NUMBER),
        Column("", TEXT),
    )
    caption = f"{number(sum(column.sketch.counts))} validation rows, and {number(sum(day.counts))} of this day"
    return table(columns, rows, caption)


def _shares(sketch: Sketch) -> list[float]:
    rows = sum(sketch.counts)
    return [count / rows if rows else 0.0 for count in sketch.counts]


def _words(cut: Cut) -> list[str]:
    """The bins in words."""
    if cut.is_category:
        return [*cut.values, "any other"]
    if not cut.edges:
        return ["any"]
    between = [f"{low:.4g} to {high:.4g}" for low, high in zip(cut.edges, cut.edges[1:], strict=False)]
    return [f"up to {cut.edges[0]:.4g}", *between, f"above {cut.edges[-1]:.4g}"]


def _features(judged: Figures, reference: Reference) -> Markup | None:
    """The bins of each feature, most of which nobody opens."""
    sketches: Mapping[str, Sketch] = {} if judged.sketches is None else judged.sketches.features
    found = []
    for name, column in reference.features.items():
        day = sketches.get(name)
        if day is None or len(day.counts) != column.cut.bins:
            continue
        nulls = f"null: {_null(column.sketch)} of the reference, {_null(day)} of this day"
        found.append(tag("details", tag("summary", f"{name}; {nulls}"), _bins(name, column, day)))
    return section("Features", *found) if found else None


def _null(sketch: Sketch) -> str:
    return percent(sketch.nulls / sketch.rows) if sketch.rows else "–"
