"""Cuts columns at their quantiles, and counts rows in the bins of a cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spark_lib.release.sketch import Column, Cut, Sketch

#: The bins that the reference's values are cut into, of about equal numbers of rows.
BINS = 10


def cut_numbers(values: np.ndarray) -> Cut:
    """The cut of numbers [n] at their quantiles 0.1, 0.2, ..., 0.9, without repetitions, and below their least and
    above their greatest value. NaN is left out. Without a value there is one bin.

    A value that many rows share ends a bin, so that equal values are in one bin. Bins of equal width would put nearly
    all scores of a rare outcome into the first one.
    """
    there = values[~np.isnan(values)]
    if not len(there):
        return Cut()
    quantiles = np.quantile(there, np.linspace(0, 1, BINS + 1)[1:], method="inverted_cdf")
    least = there.min()
    below = np.nextafter(least, there.dtype.type(-np.inf))
    return Cut(tuple(np.unique(np.append(quantiles[np.isfinite(quantiles)], below[np.isfinite(below)])).tolist()))


def count_numbers(cut: Cut, values: np.ndarray) -> np.ndarray:
    """How many of the numbers [n] lie in each bin, int64 [bins]. NaN lies in none."""
    edges = np.asarray(cut.edges, values.dtype)
    # NaN is sorted behind everything else, and would be counted in the last bin.
    counts = np.bincount(np.searchsorted(edges, values), minlength=cut.bins)
    if values.dtype.kind == "f":
        counts[-1] -= np.count_nonzero(np.isnan(values))
    return counts


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
    wanted."""
    cut = cut_numbers(values)
    mean, deviation = (float(values.mean()), float(values.std())) if moments and len(values) else (None, None)
    return Column(cut, sketch(count_numbers(cut, values), nulls, rows), mean, deviation)
