"""The sections of a report about several classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spark_lib.models.card import Card
from spark_lib.problems import multiclass
from spark_lib.problems.outputs import Outputs
from spark_lib.report.markup import Markup, tag
from spark_lib.report.shares import percent
from spark_lib.report.tables import NAME, NUMBER, Column, figures, number, section, table

#: The most classes of a confusion matrix; of more, the worst are shown.
MOST_CLASSES = 15
WORST = 10
_BINS = 10


def parts(card: Card, calibrated: Outputs, uncalibrated: Outputs | None) -> dict[str, Callable[[], Markup]]:
    """The sections by name."""
    names = [str(value) for value in card.outcome["classes"]["values"]]
    return {
        "confusion": lambda: confusion(calibrated, names),
        "worst_classes": lambda: worst_classes(calibrated, names),
        "certainty": lambda: certainty(calibrated),
    }


def confusion(found: Outputs, names: list[str]) -> Markup:
    """The confusion matrix, of the largest classes where there are many."""
    cells = multiclass.confusion(found)
    shown = np.argsort(-cells.sum(axis=1), kind="stable")[:MOST_CLASSES]
    columns = [
        Column("Is, taken for", NAME),
        *(Column(names[place], NUMBER) for place in shown),
        Column("Rows", NUMBER),
    ]
    rows = [
        (names[place], *(number(int(cells[place, taken])) for taken in shown), number(int(cells[place].sum())))
        for place in shown
    ]
    left = len(names) - len(shown)
    note = "Natural validation rows by their class, and by the class that the model gives the greatest probability."
    if left > 0:
        note += f" {left:,} smaller {'class is' if left == 1 else 'classes are'} left out."
    return section("What is taken for what", tag("p", note, class_="note"), table(columns, rows, wide=True))


def worst_classes(found: Outputs, names: list[str]) -> Markup:
    """The classes that are found least, with the classes that they are most often taken for."""
    cells = multiclass.confusion(found)
    rows, hits = cells.sum(axis=1), np.diag(cells)
    there = [place for place in range(len(names)) if rows[place]]
    worst = sorted(there, key=lambda place: (hits[place] / rows[place], -rows[place], place))[:WORST]
    columns = (
        Column("Class", NAME),
        Column("Rows", NUMBER),
        Column("Found (recall)", NUMBER),
        Column("Right where said (precision)", NUMBER),
        Column("Most often taken for", NAME),
    )
    shown = []
    for place in worst:
        others = cells[place].copy()
        others[place] = 0
        taken = int(others.argmax())
        said = int(cells[:, place].sum())
        shown.append(
            (
                names[place],
                number(int(rows[place])),
                percent(hits[place] / rows[place]),
                percent(hits[place] / said) if said else "–",
                f"{names[taken]} ({number(int(others[taken]))} rows)" if others[taken] else "–",
            )
        )
    missing = [names[place] for place in range(len(names)) if not rows[place]]
    note = tag("p", f"Without a validation row: {', '.join(missing)}.", class_="note") if missing else None
    return section("The classes that it finds least", table(columns, shown), note)


def certainty(found: Outputs) -> Markup:
    """Bins of equally many rows by the probability of the likeliest class, and how often it was right."""
    sure, right = found.values.max(axis=1), found.values.argmax(axis=1) == found.labels
    order = np.argsort(sure, kind="stable")
    columns = (
        Column("Rows", NUMBER),
        Column("Mean probability", NUMBER),
        Column("Right", NUMBER),
        Column("Apart", NUMBER),
    )
    rows = []
    for places in np.array_split(order, min(_BINS, len(order))):
        mean, share = float(sure[places].mean()), float(right[places].mean())
        rows.append((number(len(places)), percent(mean), percent(share), figures(abs(mean - share))))
    note = "Rows by how sure the model is of the likeliest class: of rows with 90 %, nine in ten should be right."
    return section("Is it as sure as it should be?", tag("p", note, class_="note"), table(columns, rows))
