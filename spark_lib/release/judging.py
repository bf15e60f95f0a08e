"""Judges the figures of a day: against the reference of its model, and against the released days before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from statistics import NormalDist

from spark_lib.release import counts_of_rows, trend
from spark_lib.release import psi as index
from spark_lib.release.check import Check, Limits, Outcome, unchecked
from spark_lib.release.figures import Figures
from spark_lib.release.sketch import Column, Reference, Sketch, Sketches

_REFERENCE = "the reference of the model"
#: A check that is still to be made at the level that its share of all checks leaves it.
_Made = Callable[[float], Check]


def judge(day: Figures, reference: Reference | None, earlier: Sequence[Figures], limits: Limits) -> list[Check]:
    """All checks of a day.

    ``reference`` is that of the model which scored the day, None where its card has none. ``earlier`` are the runs in
    force of the released days before it, oldest first, by whatever model. Scores are compared with the days by the same
    model alone; numbers of rows with all of them.

    The level of each check is that of all checks together, divided by their number (Bonferroni).
    """
    found = list(_checks(day, reference, earlier, limits))
    made = sum(not isinstance(each, Check) for each in found)
    return [each if isinstance(each, Check) else each(limits.level / made) for each in found]


def _checks(
    day: Figures, reference: Reference | None, earlier: Sequence[Figures], limits: Limits
) -> Iterator[Check | _Made]:
    yield _rows(day, earlier, limits)
    yield _equal_scores(day, reference, limits)
    same = [each for each in earlier if each.model == day.model and each.sketches is not None]
    pooled, before = _pooled(day, same, limits.min_rows)
    if pooled is None:
        why = "the run of predictions has no sketches: it is of an older Daystone, or of a day without rows"
        yield unchecked("psi of scores", why)
        return
    if reference is None:
        yield unchecked("psi against the reference", "the card of the model has no reference: train a model anew")
    elif pooled is not day:  # a fault of one small day would hardly move the figures of all of them
        # What a small day strays by chance comes on top of what an ordinary one differs.
        yield from _indices(day, reference, replace(limits, max_psi=2 * limits.max_psi), ", this day alone")
    if pooled.rows < limits.min_rows:
        yield unchecked(
            "psi of scores", f"{pooled.rows:,} rows with those of the days before, it takes {limits.min_rows:,}"
        )
        return
    assert pooled.sketches is not None
    if reference is not None:
        yield from _against(pooled, reference, limits)
        yield from _segments(pooled.sketches, reference, limits)
    yield from _recent(pooled.sketches, before, limits)


def _pooled(day: Figures, same: Sequence[Figures], least: int) -> tuple[Figures | None, list[Figures]]:
    """A day of few rows together with the days right before it, until there are ``least`` rows; and the days that are
    left."""
    if day.sketches is None or not day.rows:
        return None, []
    found, left = day, list(same)
    while found.rows < least and left:
        last = left.pop()
        assert found.sketches is not None and last.sketches is not None
        found = replace(
            found,
            rows=found.rows + last.rows,
            scores=_mean_of(found, last),
            sketches=found.sketches.merged(last.sketches),
        )
    return found, left


def _mean_of(one: Figures, other: Figures) -> dict[str, float]:
    """The mean score of two days together, where both have one."""
    if "mean" not in one.scores or "mean" not in other.scores:
        return {}
    return {"mean": (one.rows * one.scores["mean"] + other.rows * other.scores["mean"]) / (one.rows + other.rows)}


def _rows(day: Figures, earlier: Sequence[Figures], limits: Limits) -> Check | _Made:
    """The number of rows against that of earlier days."""
    name = "number of rows"
    if len(earlier) < limits.min_days:
        return unchecked(name, f"{len(earlier)} released days before, it takes {limits.min_days}")
    usual = counts_of_rows.usual(day.date, [(each.date, each.rows) for each in earlier])

    def made(level: float) -> Check:
        ratio = max(limits.max_rows_ratio, math.exp(usual.deviation * _two_sided(level)))
        low, high = usual.least / ratio, usual.greatest * ratio
        words = f"{day.rows:,} rows; {usual.words}, from {low:,.0f} to {high:,.0f} are usual"
        failed = not low <= day.rows <= high
        return _judged(name, failed, words, float(day.rows), low if day.rows < usual.greatest else high)

    return made


def _equal_scores(day: Figures, reference: Reference | None, limits: Limits) -> Check | _Made:
    """Whether all rows have one score, where that is no chance."""
    name = "all scores equal"
    least, greatest = day.scores.get("least"), day.scores.get("greatest")
    if least is None or greatest is None or not day.rows:
        return unchecked(name, "the scores have no least and greatest one")

    def made(level: float) -> Check:
        of_one = [max(column.sketch.counts) / sum(column.sketch.counts) for column in _scores(reference)]
        by_chance = max(of_one) ** day.rows if of_one else 0.0 if day.rows >= limits.min_rows else 1.0
        failed = least == greatest and by_chance < level
        words = (
            f"all {day.rows:,} scores are {least:g}" if least == greatest else f"scores from {least:g} to {greatest:g}"
        )
        return _judged(name, failed, words, greatest - least, 0.0)

    return made


def _scores(reference: Reference | None) -> list[Column]:
    return [] if reference is None else [column for column in reference.scores.values() if sum(column.sketch.counts)]


def _indices(day: Figures, reference: Reference, limits: Limits, suffix: str = "") -> Iterator[Check | _Made]:
    """The indices of scores and features against the reference of the model. ``suffix`` ends the names of the checks."""
    assert day.sketches is not None
    days = 0 if reference.middle is None else (day.date - reference.middle).days
    for name, column in reference.scores.items():
        sketch = day.sketches.scores.get(name)
        yield _psi(f"psi of {name} against the reference{suffix}", sketch, column.sketch, _REFERENCE, limits)
    for name, column in reference.features.items():
        check, sketch = f"psi of feature {name}{suffix}", day.sketches.features.get(name)
        if name in limits.unchecked_features:
            yield unchecked(check, "[release] unchecked_features has it")
        else:
            yield _psi_of_feature(check, sketch, column, days, limits)


def _against(day: Figures, reference: Reference, limits: Limits) -> Iterator[Check | _Made]:
    """The checks against the reference of the model."""
    yield from _indices(day, reference, limits)
    assert day.sketches is not None
    mean = day.scores.get("mean")
    for name, column in reference.scores.items():
        if mean is not None and column.mean is not None and column.deviation is not None:
            rows = day.rows, sum(column.sketch.counts)
            yield _mean(f"mean {name}", mean, column.mean, column.deviation, rows, limits)
    for name, column in reference.features.items():
        sketch = day.sketches.features.get(name)
        if sketch is None:
            continue
        nulls = (sketch.nulls, sketch.rows), (column.sketch.nulls, column.sketch.rows)
        yield _share(f"nulls of {name}", "null", *nulls, limits)
        if column.cut.is_category and len(sketch.counts) == column.cut.bins:
            others = (sketch.counts[-1], sum(sketch.counts)), (column.sketch.counts[-1], sum(column.sketch.counts))
            yield _share(f"unknown categories of {name}", "a text that training did not see", *others, limits)


def _segments(sketches: Sketches, reference: Reference, limits: Limits) -> Iterator[Check | _Made]:
    """The indices of the scores in each segment. Small ones stray further by chance, which the bound has in it."""
    for each in reference.segments:
        name, sketch = f"psi of scores of {each.name}", sketches.segments.get(each.name)
        if sketch is not None and sum(sketch.counts) < limits.min_rows:
            yield unchecked(name, f"{sum(sketch.counts):,} rows, it takes {limits.min_rows:,}")
        else:
            yield _psi(name, sketch, each.scores.sketch, _REFERENCE, limits)


def _recent(sketches: Sketches, before: Sequence[Figures], limits: Limits) -> Iterator[Check | _Made]:
    """The scores against those of released days by the same model."""
    for name, sketch in sketches.scores.items():
        of_days = [each.sketches.scores[name] for each in before if each.sketches and name in each.sketches.scores]
        check = f"psi of {name} against released days"
        if len(of_days) < limits.min_days:
            why = f"{len(of_days)} released days before by the same model, it takes {limits.min_days}"
            yield unchecked(check, why)
            continue
        if any(len(each.counts) != len(sketch.counts) for each in of_days):
            yield unchecked(check, "the days before were counted in other bins")
            continue
        together = reduce(Sketch.merged, of_days)
        yield _psi(check, sketch, together, f"{len(of_days)} released days by the same model", limits)


def _psi(name: str, sketch: Sketch | None, against: Sketch, of: str, limits: Limits) -> Check | _Made:
    if sketch is None:
        return unchecked(name, "the day was scored without counting it")
    if len(sketch.counts) != len(against.counts):
        return unchecked(name, f"the day was counted in {len(sketch.counts)} bins, and {of} in {len(against.counts)}")
    if not sum(sketch.counts) or not sum(against.counts):
        return unchecked(name, "one side has no value")

    def made(level: float) -> Check:
        found = index.psi(sketch.counts, against.counts)
        bound = limits.max_psi
        if found > bound:  # below it chance decides nothing
            bound = max(bound, index.of_chance(sketch.counts, against.counts, level, bound))
        return _judged(name, found > bound, f"PSI {found:.3f} against {of}, the bound is {bound:.3f}", found, bound)

    return made


def _psi_of_feature(name: str, sketch: Sketch | None, column: Column, days: int, limits: Limits) -> Check | _Made:
    """The index of a feature against the reference, or where the feature moves, against the nearest place on its path."""
    if sketch is None or not column.trend or len(sketch.counts) != len(column.sketch.counts):
        return _psi(name, sketch, column.sketch, _REFERENCE, limits)
    day, place = trend.nearest(column, sketch.counts, days)
    of = f"where the trend of the model's window leads in {days} days"
    return _psi(name, replace(sketch, counts=day), replace(column.sketch, counts=place), of, limits)


def _mean(
    name: str, mean: float, usual: float, deviation: float, rows: tuple[int, int], limits: Limits
) -> Check | _Made:
    """The mean of scores that are probabilities: the share of positives that they foretell. PSI hardly moves where a
    rare outcome gets twice as frequent and only few scores are high."""
    if not usual > 0 or not all(rows):
        return unchecked(name, "the reference has no mean above 0")

    def made(level: float) -> Check:
        chance = _two_sided(level) * deviation * math.sqrt(sum(1 / count for count in rows))
        low, high = (
            min(usual / limits.max_mean_ratio, usual - chance),
            max(usual * limits.max_mean_ratio, usual + chance),
        )
        words = f"{mean:.4g}, in the reference {usual:.4g}; from {max(low, 0.0):.4g} to {high:.4g} is usual"
        return _judged(name, not low <= mean <= high, words, mean, low if mean < usual else high)

    return made


def _share(name: str, what: str, day: tuple[int, int], reference: tuple[int, int], limits: Limits) -> Check | _Made:
    """How many rows are ``what``, of how many, against the reference."""
    if not day[1] or not reference[1]:
        return unchecked(name, "one side has no row")

    def made(level: float) -> Check:
        share, usual = day[0] / day[1], reference[0] / reference[1]
        bound = limits.max_share_change
        if share - usual > bound:
            pooled = (day[0] + reference[0]) / (day[1] + reference[1])
            bound = max(bound, index.share_of_chance((day[1], reference[1]), pooled, level))
        words = f"{share:.2%} of rows are {what}, in the reference {usual:.2%}; at most {usual + bound:.2%} is usual"
        return _judged(name, share - usual > bound, words, share, usual + bound)

    return made


def _judged(name: str, failed: bool, words: str, figure: float, bound: float) -> Check:
    return Check(name, Outcome.FAILED if failed else Outcome.PASSED, words, figure, bound)


def _two_sided(level: float) -> float:
    """The quantile of the standard normal distribution that is exceeded, on either side, with probability ``level``."""
    return NormalDist().inv_cdf(1 - level / 2)
