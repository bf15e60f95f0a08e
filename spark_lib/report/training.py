"""The report of a training: one page of HTML with its charts, for whoever answers for the model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spark_lib import problems
from spark_lib.models.card import Card, Verdict
from spark_lib.models.training_set import TrainingSet
from spark_lib.problems.problem import Problem
from spark_lib.report import classes, numbers, scores, shares
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.page import page
from spark_lib.report.segments import segments
from spark_lib.report.shares import percent, whole_percent
from spark_lib.report.tables import NAME, NUMBER, TEXT, Column, figures, number, section, table
from spark_lib.use_case import Feature

MOST_FEATURES, MOST_CLASSES = 25, 15
#: Where the sections of a report about scores are made, by their names.
_PARTS: dict[str, Callable[..., dict[str, Callable[[], Markup]]]] = {
    **dict.fromkeys(("ranking", "probabilities", "scores", "decision", "thresholds"), scores.parts),
    **dict.fromkeys(("confusion", "worst_classes", "certainty"), classes.parts),
    **dict.fromkeys(("errors", "predicted_and_observed"), numbers.parts),
}

_ANEW = (
    " To train this day anew: daystone rebuild model; daystone rebuild balanced before it, where the rows or [training]'s window,"
    " delay, split or balancing change."
)
_VERDICTS = {
    "approved": (
        "Approved",
        "selections consider this model: it takes over unless it loses to the one in force, which selection.json says.",
    ),
    "gate": (
        "Rejected: a gate was missed",
        "look at the missed gates and the charts below. Features, the window or the estimator have to change, or the bound"
        " was wrong for this population. No model file was published: days go on with the last approved model." + _ANEW,
    ),
    "features": (
        "Rejected: a feature says nothing",
        "repair the feature, or leave it out of the use case: in the whole training split it has one value, or none. Where that"
        " is as it should be, [training] constant_columns = warn trains with it. No model file was published: days go on with"
        " the last approved model." + _ANEW,
    ),
    "inconclusive": (
        "Rejected: inconclusive",
        "widen [training] window_days, or wait for more outcomes: there are too few to train, to calibrate or to judge a model, so"
        " that nothing is known about it. No model file was published: days go on with the last approved model."
        + _ANEW,
    ),
    "unlabelled": (
        "Rejected: too many rows without an outcome",
        "set [training] label_delay_days to a delay by which outcomes have landed. Those that land late are not like the"
        " others, and a model trained without them would mislead. No model file was published: days go on with the last"
        " approved model." + _ANEW,
    ),
}
_SPLITS = (
    ("train", "Training"),
    ("balanced", "Training, after balancing"),
    ("calibration", "Calibration"),
    ("validation", "Validation"),
)


def render(
    title: str,
    card: Card,
    inputs: Sequence[tuple[str, str]],
    calibrated: Any,
    uncalibrated: Any,
) -> str:
    """The page as HTML. ``inputs`` are what the training read, by name. ``calibrated`` and ``uncalibrated`` are the
    natural validation rows as the card's problem has collected them, or None where no model was measured."""
    confidence = card.settings["confidence"]
    parts = [_verdict(title, card.verdict), _warnings(card.warnings), _gates(card.gates)]
    problem = problems.of_card(card)
    if calibrated is not None:
        for part in problem.report:
            drawn = _PARTS[part](card, calibrated, uncalibrated).get(part)
            parts += [drawn()] if drawn else []
    parts += [
        _importance(card.importance),
        _measured(problem, card.metrics, confidence),
        segments(problem, card),
        _out_of_time(problem, card.metrics, confidence),
        _rows(problem, card.rows),
        _made_of(card, inputs),
    ]
    return page(title, joined(*parts))


def _verdict(title: str, verdict: Verdict) -> Markup:
    words, next_step = _VERDICTS["approved" if verdict.approved else verdict.reason]
    detail = verdict.detail
    return joined(
        tag("h1", title),
        tag(
            "div",
            tag("p", words, class_="word"),
            tag("p", f"{detail[:1].upper()}{detail[1:]}.") if detail else None,
            tag("p", tag("strong", "Next: "), next_step),
            class_="verdict approved" if verdict.approved else "verdict",
        ),
    )


def _warnings(warnings: Sequence[str]) -> Markup:
    """Warnings do not stop a model, but have to be seen."""
    return joined(
        *(tag("p", tag("strong", "Warning: "), f"{words}.", class_="warning", role="note") for words in warnings)
    )


def _gates(gates: Sequence[Mapping[str, Any]]) -> Markup:
    if not gates:
        return Markup()
    columns = (
        Column("Gate", TEXT),
        Column("Measured", NUMBER),
        Column("Rule", TEXT),
        Column("Found", NUMBER),
        Column("Verdict", TEXT),
    )
    rows = [
        (
            gate["words"],
            figures(gate["value"]),
            f"{gate['rule']} {figures(gate['bound'])}",
            figures(gate["end"]),
            tag("span", "passed", class_="passed") if gate["passed"] else tag("span", "missed", class_="missed"),
        )
        for gate in gates
    ]
    note = "A gate looks at the unfavourable end of the metric's interval, not at the measured value."
    return section("Gates", tag("p", note, class_="note"), table(columns, rows))


def _importance(importance: Mapping[str, float]) -> Markup:
    if not importance:
        return Markup()
    ordered = sorted(importance.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    largest = abs(ordered[0][1]) or 1.0
    columns = (Column("Feature", NAME), Column("", "bar"), Column("Importance", NUMBER))
    rows = [(name, shares.bar(abs(value) / largest), figures(value)) for name, value in ordered[:MOST_FEATURES]]
    left = len(ordered) - MOST_FEATURES
    rest = tag("p", f"{left:,} more features are less important.", class_="note") if left > 0 else None
    note = "How much the model uses a feature; not whether the feature causes the outcome."
    return section("What it looks at", tag("p", note, class_="note"), table(columns, rows), rest)


def _measured(problem: Problem, measured: Mapping[str, Any], confidence: float) -> Markup:
    if not measured:
        return Markup()
    before, ends = measured.get("uncalibrated", {}), measured.get("intervals", {})
    columns = (
        Column("Metric", TEXT),
        Column("Before calibration", NUMBER),
        Column("After", NUMBER),
        Column(f"Interval, {whole_percent(confidence)}", NUMBER),
    )
    rows = [
        (metric.words, figures(before.get(name)), figures(measured.get(name)), _interval(ends.get(name)))
        for name, metric in problem.metrics.items()
    ]
    balanced = [
        (f"{metric.words}, balanced rows", figures(None), figures(measured[f"balanced_{name}"]), figures(None))
        for name, metric in problem.metrics.items()
        if f"balanced_{name}" in measured
    ]
    rows += balanced
    meanings = (tag("li", f"{metric.words}: {metric.meaning}.") for metric in problem.metrics.values())
    last = {0: "", 1: "; the last on the balanced ones, before calibration"}.get(
        len(balanced), "; the last two on the balanced ones, before calibration"
    )
    note = f"On the natural validation rows{last}."
    return section("Metrics", tag("p", note, class_="note"), table(columns, rows), tag("ul", *meanings, class_="note"))


def _out_of_time(problem: Problem, measured: Mapping[str, Any], confidence: float) -> Markup:
    """The same metrics on later days, by a model of the days before."""
    later = measured.get("out_of_time")
    if not later:
        return Markup()
    days = "the last landing day" if later["days"] == 1 else f"the last {number(later['days'])} landing days"
    note = (
        f"Of a second model, which was trained and calibrated without {days} of the window. It is judged on the validation rows of"
        f" these days: {problem.in_words(later)}. The model of this page knows all days."
    )
    if "reason" in later:
        reason = later["reason"]
        return section("Out of time", tag("p", note, class_="note"), tag("p", f"{reason[:1].upper()}{reason[1:]}."))
    columns = (
        Column("Metric", TEXT),
        Column("In the window", NUMBER),
        Column("Out of time", NUMBER),
        Column(f"Interval, {whole_percent(confidence)}", NUMBER),
    )
    rows = [
        (metric.words, figures(measured.get(name)), figures(later.get(name)), _interval(later["intervals"].get(name)))
        for name, metric in problem.metrics.items()
    ]
    return section("Out of time", tag("p", note, class_="note"), table(columns, rows))


def _rows(problem: Problem, rows: TrainingSet) -> Markup:
    names = list(problem.names)[:MOST_CLASSES]
    several = [name for name in names if len(problem.names) > 1]
    columns = [Column("Split", TEXT), *(Column(_capital(name), NUMBER) for name in several), Column("Rows", NUMBER)]
    columns += [Column("Prevalence", NUMBER)] if problem.has_prevalence else []
    shown = []
    counted = dict(rows.sides) | ({"balanced": rows.balanced} if rows.balanced else {})
    for name, words in _SPLITS:
        if name in counted:
            cells = [words, *(number(counted[name][of]) for of in several), number(sum(counted[name].values()))]
            if problem.has_prevalence:
                prevalence = counted[name][problem.names[0]] / (sum(counted[name].values()) or math.nan)
                cells.append("–" if math.isnan(prevalence) else percent(prevalence))
            shown.append(cells)
    labelled, unlabelled = rows.labelled, rows.unlabelled
    notes = []
    if labelled + unlabelled:
        share = percent(unlabelled / (labelled + unlabelled))
        words = f"{number(labelled)} rows with an outcome; {number(unlabelled)} without one ({share}) were left out."
        if rows.excluded:
            words += f" {number(rows.excluded)} rows are excluded, because their outcome will never be known."
        apart = rows.on_two_sides
        if apart:
            words += (
                f" {number(apart)} with one are in no split, because their entity is on the other side of the time."
            )
        notes.append(words)
    weights = rows.weights
    if len(set(weights.values())) > 1:
        times = " and ".join(f"a {label} one {weight:.4g} times" for label, weight in sorted(weights.items()))
        notes.append(f"In training counts {times}.")
    return section("Rows", table(columns, shown, wide=len(several) > 2), *(tag("p", words) for words in notes))


def _made_of(card: Card, inputs: Sequence[tuple[str, str]]) -> Markup:
    outcome: dict[str, Any] = {}
    for name, values in card.outcome.items():
        outcome |= {key if name == "classes" else f"{name}, {key}": _in_words(value) for key, value in values.items()}
    outcome |= {f"calibration, {key}": value for key, value in sorted(card.calibration.items())}
    outcome |= {
        f"model, {key}": value
        for key, value in sorted((asdict(card.model) if card.model else {"file": "none"}).items())
    }
    return section(
        "What it was made of",
        table((Column("Input", NAME), Column("Read", NAME)), inputs, "Inputs"),
        _named(outcome, "Classes, calibration and model"),
        _features(card.features),
        _named(card.settings, "Settings"),
        _named(card.versions, "Versions"),
    )


def _features(features: Mapping[str, Feature]) -> Markup:
    columns = [Column("Feature", NAME), *(Column(heading, TEXT) for heading in ("Type", "Null becomes", "Values are"))]
    rows = [
        (
            name,
            feature.type,
            "refused" if feature.needs_values else "a category" if feature.fill is None else _shown(feature.fill),
            _values_are(feature),
        )
        for name, feature in features.items()
    ]
    return table(columns, rows, "Features")


def _values_are(feature: Feature) -> str:
    if feature.text:
        return "texts"
    if feature.is_category:
        return f"{len(feature.categories or ()):,} categories"
    return "codes" if feature.nominal else "amounts"


def _named(values: Mapping[str, Any], caption: str) -> Markup:
    rows = [(name, _shown(value)) for name, value in values.items()]
    return table((Column("Name", NAME), Column("Value", NAME)), rows, caption)


def _in_words(value: Any) -> Any:
    return " or ".join(map(str, value)) if isinstance(value, list) else value


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _interval(ends: Sequence[float] | None) -> str:
    return f"{figures(ends[0])} – {figures(ends[1])}" if ends else "–"
