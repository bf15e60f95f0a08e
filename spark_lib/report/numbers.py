"""The sections of a report about numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spark_lib.models.card import Card
from spark_lib.problems.outputs import Outputs
from spark_lib.report.markup import Markup, tag
from spark_lib.report.shares import percent, whole_percent
from spark_lib.report.tables import NUMBER, TEXT, Column, number, section, table

_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 10


def parts(card: Card, calibrated: Outputs, uncalibrated: Outputs | None) -> dict[str, Callable[[], Markup]]:
    """The sections by name."""
    return {
        "errors": lambda: errors(calibrated),
        "predicted_and_observed": lambda: predicted_and_observed(calibrated, card.calibration["coverage"]),
    }


def errors(found: Outputs) -> Markup:
    """Quantiles of what was observed, of what was predicted and of the errors."""
    predicted = found.values[:, 0]
    columns = (Column("Quantile", TEXT), *(Column(whole_percent(share), NUMBER) for share in _SHARES))
    rows = [
        (words, *(digits(value) for value in np.quantile(values, _SHARES)))
        for words, values in (
            ("Observed", found.labels),
            ("Predicted", predicted),
            ("Error (observed less predicted)", found.labels - predicted),
        )
    ]
    return section("How large the errors are", table(columns, rows))


def predicted_and_observed(found: Outputs, coverage: float) -> Markup:
    """Bins of equally many rows by the predicted number: the means, and how many outcomes their intervals hold."""
    predicted, lower, upper = found.values.T
    inside = (found.labels >= lower) & (found.labels <= upper)
    order = np.argsort(predicted, kind="stable")
    columns = (
        Column("Rows", NUMBER),
        Column("Mean predicted", NUMBER),
        Column("Mean observed", NUMBER),
        Column("RMSE", NUMBER),
        Column("Within the interval", NUMBER),
    )
    rows = []
    for places in np.array_split(order, min(_BINS, len(order))):
        error = found.labels[places] - predicted[places]
        rows.append(
            (
                number(len(places)),
                digits(float(predicted[places].mean())),
                digits(float(found.labels[places].mean())),
                digits(float(np.sqrt((error**2).mean()))),
                percent(float(inside[places].mean())),
            )
        )
    note = (
        f"Natural validation rows by the predicted number. Intervals promise {whole_percent(coverage)} over all rows that are"
        " exchangeable with those of the calibration split; not in every bin, and not where rows drift in time."
    )
    return section("Predicted and observed", tag("p", note, class_="note"), table(columns, rows))


def digits(value: float) -> str:
    """A number in its own unit, to five digits."""
    return f"{value:,.5g}"
