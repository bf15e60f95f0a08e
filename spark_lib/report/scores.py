"""The sections of a report about scores, with their charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spark_lib.models.card import Card
from spark_lib.problems import metrics
from spark_lib.problems.metrics import Scored
from spark_lib.report import charts, curves
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.shares import percent, whole_percent
from spark_lib.report.tables import NUMBER, TEXT, Column, chart_with, charts_in_a_row, figures, number, section, table

#: The resamplings for the bands around curves.
REPLICATES = 200
HISTOGRAM_BINS = 25
#: The fitted calibrations in words.
_KINDS = {"shift": "a shift of the log-odds", "platt": "Platt's curve", "isotonic": "an isotonic curve"}
_ROOM = 16  # letters of a class's name in a chart


def parts(card: Card, calibrated: Scored, uncalibrated: Scored | None) -> dict[str, Callable[[], Markup]]:
    """The sections by name. There are none where the rows have only one of the classes."""
    if not (calibrated.positives.any() and calibrated.negatives.any()):
        return {}
    of = card.outcome["classes"]
    classes = str(of["positive"]), " or ".join(map(str, of["negative"]))
    confidence, seed = card.settings["confidence"], card.settings.get("seed", 0)
    decided = card.metrics.get("at_threshold")
    of_decision = {"decision": lambda: decision(decided, classes, confidence)} if decided else {}
    return {
        "ranking": lambda: ranking(calibrated, card.metrics.get("intervals", {}), classes, confidence, seed),
        "probabilities": lambda: probabilities(
            calibrated, uncalibrated, card.calibration, card.calibrations_tried, classes, confidence
        ),
        "scores": lambda: scores(calibrated, classes),
        "thresholds": lambda: thresholds(calibrated, classes),
        **of_decision,
    }


def ranking(
    found: Scored, intervals: Mapping[str, Sequence[float]], classes: tuple[str, str], confidence: float, seed: int
) -> Markup:
    positive, negative = classes
    short = [_short(name) for name in classes]

    def area(name: str) -> str:
        value, ends = metrics.METRICS[name](found), intervals.get(name)
        return f"area {value:.3f} ({ends[0]:.3f} – {ends[1]:.3f})" if ends else f"area {value:.3f}"

    roc, pr = (
        curves.with_band(found, points, REPLICATES, confidence, seed)
        for points in (curves.roc, curves.precision_by_recall)
    )
    by_roc = charts.roc(
        roc,
        area("area_under_roc"),
        (f"flagged among {short[1]}", f"flagged among {short[0]} (recall)"),
        f"{positive} flagged by {negative} flagged, {area('area_under_roc')}; 0.5 is chance.",
    )
    by_pr = charts.precision_by_recall(
        pr,
        area("area_under_pr"),
        found.prevalence,
        (f"flagged among {short[0]} (recall)", f"{short[0]} among the flagged (precision)"),
        f"Precision by recall, {area('area_under_pr')}; the prevalence is {percent(found.prevalence)}.",
    )
    drawn = "groups of entities among " if found.grouped else ""
    note = (
        "Rows are flagged from the highest score down. The band holds each point of the curve with a confidence of"
        f" {whole_percent(confidence)}, by {REPLICATES} resamplings of {drawn}the natural validation rows."
    )
    return section(
        "How well it ranks",
        tag("p", note, class_="note"),
        charts_in_a_row(chart_with("ROC curve", by_roc), chart_with("Precision by recall", by_pr)),
    )


def probabilities(
    calibrated: Scored,
    uncalibrated: Scored | None,
    calibration: Mapping[str, Any],
    tried: Sequence[Mapping[str, Any]],
    classes: tuple[str, str],
    confidence: float,
) -> Markup:
    axes = ("mean score of the bin", f"{_short(classes[0])} among the bin's rows")
    drawn = [("after", "After calibration", calibrated)]
    if uncalibrated is not None and calibration["kind"] != "none":
        drawn.insert(0, ("before", "Before calibration", uncalibrated))
    shown = []
    for name, words, found in drawn:
        bins = curves.bins(found, confidence)
        error = metrics.calibration_error(found)
        description = f"{words}: proportion of {classes[0]} by mean score in {len(bins)} bins, error {figures(error)}."
        chart = charts.reliability(f"calibration-{name}", words, bins, axes, description)
        shown.append(chart_with(words, chart, f"calibration error {figures(error)}", _bins(bins, _short(classes[0]))))
    kind = {"none": "Scores were not calibrated.", "prior": "Calibrated by the exact correction of resampling."}.get(
        calibration["kind"],
        f"Calibrated by {_KINDS.get(calibration['kind'], calibration['kind'])} on the calibration split.",
    )
    note = (
        f"{kind} Of the rows with a score of 10 %, one in ten should be {classes[0]}: points on the dashed line. Bins hold"
        f" equally many rows; upright lines are Wilson intervals of {whole_percent(confidence)}."
    )
    return section(
        "Are scores probabilities?", tag("p", note, class_="note"), charts_in_a_row(*shown), _tried(tried, calibration)
    )


def _tried(tried: Sequence[Mapping[str, Any]], calibration: Mapping[str, Any]) -> Markup | None:
    """The calibrations that the one of the card was chosen from."""
    if not tried:
        return None
    columns = (
        Column("Calibration", TEXT),
        Column("Log loss", NUMBER),
        Column("Behind the best", NUMBER),
        Column("Standard error", NUMBER),
        Column("", TEXT),
    )
    rows = [
        (
            each["kind"],
            f"{each['log_loss']:.5f}",
            f"{each['behind']:.5f}",
            f"{each['standard_error']:.5f}",
            "chosen" if each["kind"] == calibration["kind"] else "",
        )
        for each in tried
    ]
    note = (
        "By cross-validation on the calibration split. The first that is behind the best by at most half a standard error"
        " is chosen: the simplest that these rows do not speak against. An isotonic curve makes ties: it has to be ahead of"
        " the others by a whole one."
    )
    return joined(tag("p", note, class_="note"), table(columns, rows, "Calibrations tried"))


def _bins(bins: Sequence[curves.Bin], positive: str) -> Markup:
    columns = (
        Column("Mean score", NUMBER),
        Column("Rows", NUMBER),
        Column(positive, NUMBER),
        Column("Interval", NUMBER),
    )
    rows = [
        (
            percent(found.score),
            number(found.rows),
            percent(found.share),
            f"{percent(found.low)} – {percent(found.high)}",
        )
        for found in bins
    ]
    return table(columns, rows)


def scores(found: Scored, classes: tuple[str, str]) -> Markup:
    upto = charts.rounded_up(float(found.scores[-1]))
    positives, negatives = curves.histogram(found, upto, HISTOGRAM_BINS)
    panels = [
        (f"{_short(classes[0])}: {number(found.positives.sum())} rows", positives),
        (f"{_short(classes[1])}: {number(found.negatives.sum())} rows", negatives),
    ]
    description = (
        f"Shares of {classes[0]} and of {classes[1]} by score, in {HISTOGRAM_BINS} bins up to {percent(upto)}."
    )
    chart = charts.histogram(panels, upto, ("calibrated score", "rows of the class"), description)
    return section("Where the scores lie", charts_in_a_row(chart_with("Scores by outcome", chart)))


#: What is measured at the threshold of predictions, in words.
_AT_THRESHOLD = {
    "precision": "Precision: the positives' share of the positive predictions",
    "recall": "Recall: the positive predictions' share of the positives",
    "false_positive_rate": "False positive rate: the positive predictions' share of the negatives",
    "flagged": "Share of rows with a positive prediction",
}


def decision(measured: Mapping[str, Any], classes: tuple[str, str], confidence: float) -> Markup:
    """The confusion matrix at the threshold of predictions, and what follows from it with intervals."""
    threshold = f"{measured['threshold']:g}"
    kinds = (Column("Is", TEXT), Column(f"Score from {threshold}", NUMBER), Column("Below", NUMBER))
    matrix = [
        (_short(classes[0]), number(measured["true_positives"]), number(measured["false_negatives"])),
        (_short(classes[1]), number(measured["false_positives"]), number(measured["true_negatives"])),
    ]
    columns = (
        Column("Metric", TEXT),
        Column("Value", NUMBER),
        Column(f"Interval, {whole_percent(confidence)}", NUMBER),
    )
    rows = [
        (words, _percent(measured[name]), _ends(measured["intervals"][name])) for name, words in _AT_THRESHOLD.items()
    ]
    note = (
        f"Predictions by this model are positive ({classes[0]}) from a score of {threshold} on, which was [decision] threshold"
        " when it was trained. Natural validation rows."
    )
    return section(
        "At the threshold of predictions", tag("p", note, class_="note"), table(kinds, matrix), table(columns, rows)
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _ends(ends: Sequence[float] | None) -> str:
    return f"{percent(ends[0])} – {percent(ends[1])}" if ends else "–"


def thresholds(found: Scored, classes: tuple[str, str]) -> Markup:
    columns = (
        Column("Flag rows from", TEXT),
        Column("Score", NUMBER),
        Column("Flagged", NUMBER),
        Column("Share", NUMBER),
        Column("Precision", NUMBER),
        Column("Recall", NUMBER),
        Column("True positives", NUMBER),
        Column("False positives", NUMBER),
        Column("False negatives", NUMBER),
        Column("True negatives", NUMBER),
    )
    rows = [
        (
            at.name,
            figures(at.threshold),
            number(at.flagged),
            percent(at.flagged_share),
            "–" if math.isnan(at.precision) else percent(at.precision),
            percent(at.recall),
            number(at.true_positives),
            number(at.false_positives),
            number(at.false_negatives),
            number(at.true_negatives),
        )
        for at in curves.operating_points(found)
    ]
    note = (
        f"On the natural validation rows; positive is {classes[0]}. Precision is the positives' share of the flagged, recall the"
        " flagged's share of the positives. The threshold of the best F1 was chosen on these rows, so that it flatters a"
        " little. Rows of one score are flagged together."
    )
    return section("At a threshold", tag("p", note, class_="note"), table(columns, rows, wide=True))


def _short(name: str) -> str:
    """A class's name where there is little room."""
    return name if len(name) <= _ROOM else f"{name[: _ROOM - 1]}…"
