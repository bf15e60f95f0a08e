"""Cuts columns at their quantiles, and counts rows in the bins of a cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spark_lib.release.sketch import Column, Cut, Sketch

#: The bins that the reference's values are cut into, of about equal numbers of rows.
BINS = 10


def cut_numbers(values: np.ndarray) -> Cut:
    """The cut of numbers [n] at their quantiles 0.1, 0.2, ..., 0.9, without repetitions, and below their least and
    above their greatest value. NaN is left out. Without a finite value there is one bin.

    Each edge lies between two values that are there, so that a score that another engine rounds otherwise stays in its
    bin; the outer edges lie outside by a ten-thousandth of the span. Bins of equal width would put nearly all scores of
    a rare outcome into the first one.
    """
    there = np.unique(values[np.isfinite(values)], return_counts=True)
    distinct, ranks = there[0].astype(np.float64), np.cumsum(there[1])
    if not len(distinct):
        return Cut()
    least, greatest = float(distinct[0]), float(distinct[-1])
    margin = 1e-4 * (greatest - least) + 1e-6 * max(abs(least), abs(greatest)) or 1e-6
    # The last value of each part of the rows; where a value fills several parts, their edges are one.
    places = np.searchsorted(ranks, ranks[-1] * np.arange(1, BINS) / BINS)
    places = np.unique(places[places < len(distinct) - 1])
    between = (distinct[places] + distinct[places + 1]) / 2
    return Cut((least - margin, *between.tolist(), greatest + margin))


def count_numbers(cut: Cut, values: np.ndarray) -> np.ndarray:
    """How many of the numbers [n] lie in each bin, int64 [bins]. NaN lies in none."""
    # One comparison for each edge is several times as fast as a search for each value.
    with np.errstate(over="ignore"):  # an edge beyond the greatest float32 is infinity, and nothing is above it
        above = [np.count_nonzero(values > values.dtype.type(edge)) for edge in cut.edges]
    there = len(values) - np.count_nonzero(np.isnan(values))
    return -np.diff([there, *above, 0])


def bins_of_numbers(cut: Cut, values: np.ndarray) -> np.ndarray:
    """The bin of each number [n], int64, as ``count_numbers`` counts it; -1 for NaN."""
    with np.errstate(over="ignore"):
        edges = np.asarray(cut.edges).astype(values.dtype)
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))


def count_places(cut: Cut, places: np.ndarray) -> np.ndarray:
    """How many rows have each category, int64 [bins], by their places in the model's matrix, float32 [n]: first the
    known ones, then all others. A place behind these is a null, which is counted nowhere."""
    return np.bincount(places.astype(np.intp), minlength=cut.bins)[: cut.bins]


def count_texts(cut: Cut, texts: Sequence[str | None]) -> np.ndarray:
    """How many texts are each of the known ones, and others, int64 [bins]. None is counted nowhere."""
    place = {value: number for number, value in enumerate(cut.values)}
    found = [place.get(text, len(place)) for text in texts if text is not None]
    return np.bincount(np.asarray(found, np.intp), minlength=cut.bins)


def sketch(counts: np.ndarray, nulls: int = 0, rows: int | None = None) -> Sketch:
    """A sketch of counts [bins]. ``rows`` are those among which nulls were counted; by default all that were counted."""
    return Sketch(tuple(counts.tolist()), nulls, int(counts.sum()) if rows is None else rows)


def of_numbers(values: np.ndarray, nulls: int = 0, rows: int | None = None, moments: bool = False) -> Column:
    """The column of the reference for numbers [n], with their mean and standard deviation where ``moments`` are
    wanted. The order of the numbers makes no difference."""
    cut = cut_numbers(values)
    ordered = np.sort(values)
    mean, deviation = (float(ordered.mean()), float(ordered.std())) if moments and len(values) else (None, None)
    return Column(cut, sketch(count_numbers(cut, values), nulls, rows), mean, deviation)
