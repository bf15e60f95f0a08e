"""The report of a training: one page of HTML with its charts, for whoever answers for the model.

The page contains all that it needs and runs nothing: it reads the same on a screen, on a phone, on paper and in ten
years. The same training gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spark_lib.models.card import Card, Classes, Verdict
from spark_lib.models.training_set import TrainingSet
from spark_lib.problems.metrics import Scored
from spark_lib.report import charts, scores
from spark_lib.report.charts import percent, whole_percent
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.tables import NAME, NUMBER, TEXT, Column, figures, number, section, table
from spark_lib.use_case import Feature

STYLE = Path(__file__).with_name("report.css")
MOST_FEATURES = 25

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
_METRICS = {
    "area_under_roc": ("Area under ROC", "0.5 is chance, 1 is perfect"),
    "area_under_pr": ("Area under PR", "of precision by recall: the prevalence is chance, 1 is perfect"),
    "brier": ("Brier score", "the mean squared error of the probability: 0 is perfect"),
    "log_loss": ("Log loss", "0 is perfect; to be certain and wrong costs most"),
    "calibration_error": (
        "Calibration error",
        "the mean distance of probability and proportion in ten bins: 0 is perfect",
    ),
    "mean_score": ("Mean score", "the proportion of positives that the scores foretell"),
    "prevalence": ("Prevalence", "the proportion of positives that there is"),
    "calibration_in_the_large": (
        "Calibration in the large",
        "the mean score less the prevalence: 0 is perfect, above 0 too many positives are foretold",
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
    calibrated: Scored | None,
    uncalibrated: Scored | None,
) -> str:
    """The page as HTML. ``inputs`` are what the training read, by name. ``calibrated`` and ``uncalibrated`` are the
    natural validation rows by score, or None where no model was measured."""
    confidence = card.settings["confidence"]
    parts = [_verdict(title, card.verdict), _warnings(card.warnings), _gates(card.gates)]
    if calibrated is not None and calibrated.positives.any() and calibrated.negatives.any():
        classes = _classes(card.classes)
        seed = card.settings.get("seed", 0)
        parts += [
            scores.ranking(calibrated, card.metrics.get("intervals", {}), classes, confidence, seed),
            scores.probabilities(
                calibrated, uncalibrated, card.calibration, card.calibrations_tried, classes, confidence
            ),
            scores.scores(calibrated, classes),
            scores.thresholds(calibrated, classes),
        ]
    parts += [
        _importance(card.importance),
        _measured(card.metrics, confidence),
        _out_of_time(card.metrics, confidence),
        _rows(card.rows),
        _made_of(card, inputs),
    ]
    return _page(title, joined(*parts))


def _page(title: str, body: Markup) -> str:
    # The policy lets a browser neither fetch nor run anything, whatever the page holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = joined(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', tag('main', body)), lang='en')}\n"


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
    rows = [(name, charts.bar(abs(value) / largest), figures(value)) for name, value in ordered[:MOST_FEATURES]]
    left = len(ordered) - MOST_FEATURES
    rest = tag("p", f"{left:,} more features are less important.", class_="note") if left > 0 else None
    note = "How much the model uses a feature; not whether the feature causes the outcome."
    return section("What it looks at", tag("p", note, class_="note"), table(columns, rows), rest)


def _measured(measured: Mapping[str, Any], confidence: float) -> Markup:
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
        (words, figures(before.get(name)), figures(measured.get(name)), _interval(ends.get(name)))
        for name, (words, _) in _METRICS.items()
    ]
    rows += [
        (f"{_METRICS[name][0]}, balanced rows", figures(None), figures(measured.get(f"balanced_{name}")), figures(None))
        for name in ("area_under_roc", "area_under_pr")
    ]
    meanings = (tag("li", f"{words}: {meaning}.") for words, meaning in _METRICS.values())
    note = "On the natural validation rows; the last two on the balanced ones, before calibration."
    return section("Metrics", tag("p", note, class_="note"), table(columns, rows), tag("ul", *meanings, class_="note"))


def _out_of_time(measured: Mapping[str, Any], confidence: float) -> Markup:
    """The same metrics on later days, by a model of the days before."""
    later = measured.get("out_of_time")
    if not later:
        return Markup()
    days = "the last landing day" if later["days"] == 1 else f"the last {number(later['days'])} landing days"
    note = (
        f"Of a second model, which was trained and calibrated without {days} of the window. It is judged on the validation rows of"
        f" these days: {number(later['rows'])} rows, {number(later['positives'])} positive. The model of this page knows all days."
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
        (words, figures(measured.get(name)), figures(later.get(name)), _interval(later["intervals"].get(name)))
        for name, (words, _) in _METRICS.items()
    ]
    return section("Out of time", tag("p", note, class_="note"), table(columns, rows))


def _rows(rows: TrainingSet) -> Markup:
    columns = (
        Column("Split", TEXT),
        *(Column(name, NUMBER) for name in ("Positive", "Negative", "Rows", "Prevalence")),
    )
    shown = []
    counted = dict(rows.sides) | ({"balanced": rows.balanced} if rows.balanced else {})
    for name, words in _SPLITS:
        if name in counted:
            positive, negative = counted[name]["positive"], counted[name]["negative"]
            both = positive + negative
            share = percent(positive / both) if both else "–"
            shown.append((words, number(positive), number(negative), number(both), share))
    labelled, unlabelled = rows.labelled, rows.unlabelled
    notes = []
    if labelled + unlabelled:
        share = percent(unlabelled / (labelled + unlabelled))
        words = f"{number(labelled)} rows with an outcome; {number(unlabelled)} without one ({share}) were left out."
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
    return section("Rows", table(columns, shown), *(tag("p", words) for words in notes))


def _made_of(card: Card, inputs: Sequence[tuple[str, str]]) -> Markup:
    positive, negative = _classes(card.classes)
    outcome = {"positive": positive, "negative": negative}
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
    columns = [Column("Feature", NAME), *(Column(heading, TEXT) for heading in ("Type", "Null becomes", "Numbers are"))]
    rows = [
        (
            name,
            feature.type,
            "refused" if feature.fill is None else _shown(feature.fill),
            "codes" if feature.nominal else "amounts",
        )
        for name, feature in features.items()
    ]
    return table(columns, rows, "Features")


def _named(values: Mapping[str, Any], caption: str) -> Markup:
    rows = [(name, _shown(value)) for name, value in values.items()]
    return table((Column("Name", NAME), Column("Value", NAME)), rows, caption)


def _classes(classes: Classes) -> tuple[str, str]:
    return str(classes.positive), " or ".join(map(str, classes.negative))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _interval(ends: Sequence[float] | None) -> str:
    return f"{figures(ends[0])} – {figures(ends[1])}" if ends else "–"
