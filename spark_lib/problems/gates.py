"""Verdicts on models: what has to hold before a model is used. Each metric is judged at the unfavourable end of its
interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from spark_lib.models.card import APPROVED, Verdict, rejected
from spark_lib.models.training_set import TRAIN, TrainingSet
from spark_lib.problems.problem import LEAST_JUDGED, Gate, Problem, landed


def on_labels(
    problem: Problem, counts: TrainingSet, settings: Mapping[str, Any], sides: Sequence[str], day: date
) -> Verdict:
    """Whether the labelled rows of a balanced set can train and judge a model of ``day``. ``sides`` are the sides of
    the split that this needs."""
    late = unlabelled(counts, settings["max_unlabelled"], day)
    if late:
        return rejected("unlabelled", late)
    few = problem.too_few(counts, sides, settings)
    return rejected("inconclusive", few) if few else APPROVED


def last_fifth(days: Sequence[date]) -> tuple[Sequence[date], Sequence[date]]:
    """The landing ``days`` of a window, in order, cut into those before the last fifth and the last fifth. Of one day
    nothing is before."""
    cut = len(days) * 4 // 5
    return days[:cut], days[cut:]


def too_few_out_of_time(rows: Mapping[str, Mapping[str, int]]) -> str:
    """The reason why a model cannot be judged out of time; empty where it can. ``rows`` are those of each class, by
    what they are for: to ``train`` and to ``calibrate`` are those before the last fifth, to ``judge`` those in it."""
    for purpose, there in rows.items():
        rarer = min(there, key=lambda label: there[label])
        if there[rarer] < LEAST_JUDGED:
            return (
                f"too few to {purpose} out of time by: {there[rarer]:,} {rarer} rows that landed {landed(purpose)}, "
                f"it takes {LEAST_JUDGED} of each class"
            )
    return ""


def not_judged(measured: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The reason why a gate that is set could not be judged; empty where all are judged."""
    reason: str = measured.get("out_of_time", {}).get("reason", "")
    return reason if settings.get("min_out_of_time_area_under_roc", 0.0) else ""


def unlabelled(counts: TrainingSet, limit: float, day: date) -> str:
    """The reason why too many rows have no outcome, with the delay that would be enough; empty where they are few
    enough.

    Outcomes that land late are not like the others, so that leaving them out would bias what is learnt. ``by_day`` of
    the counts has the rows with and without an outcome by landing day. With a delay of d, only rows that landed before
    day - d are used.
    """
    known, unknown = counts.labelled, counts.unlabelled
    if unknown <= limit * (known + unknown):
        return ""
    words = (
        f"{unknown:,} of the {known + unknown:,} rows of the window ({unknown / (known + unknown):.1%}) have no outcome, "
        f"max_unlabelled is {limit:.1%}; "
    )
    by_age = sorted(((day - landed).days, rows) for landed, rows in counts.by_day.items())
    for place, (age, _) in enumerate(by_age[:-1]):
        older = by_age[place + 1 :]
        if sum(without for _, (_, without) in older) <= limit * sum(map(sum, (rows for _, rows in older))):
            return words + f"a label_delay_days of {age} would do, by the rows of this window"
    return words + "no delay within this window would do: see whether the outcomes still land"


def on_columns(
    counts: TrainingSet, choice: str = "auto", null_before: Collection[str] | None = None
) -> tuple[Verdict, list[str]]:
    """Judge the columns that have one value, or none, in all rows of the training split before balancing. Returns the
    verdict, and warnings in words about those columns that it does not reject.

    ``choice`` is ``[training] constant_columns``. ``null_before`` are the features that were null in all rows of the
    training before, or None where there was none.
    """
    found = dict.fromkeys(counts.null_features, "null")
    new = [name for name in found if name not in (null_before or ())]
    found |= {name: f"{value:g}" for name, value in counts.constant_features.items()}
    refused = {"auto": new, "warn": [], "reject": list(found)}[choice]
    rows = counts.rows(TRAIN)

    def said(names: Collection[str]) -> str:
        words = _listed([f"{name} is {found[name]}" for name in names])
        return f"{words} in all {rows:,} rows of the train split"

    others = [name for name in found if name not in refused]
    warnings = [f"{said(others)}: a model learns nothing from {_it(others)}"] if others else []
    if not refused:
        return APPROVED, warnings
    it = _it(refused)
    repair = f"repair {it}, or leave {it} out of the use case's features"
    if choice == "reject":
        return rejected("features", f"{said(refused)}; {repair}"), warnings
    before = "there was no training before" if null_before is None else "not in the training before"
    go_on = (
        "[training] constant_columns = warn would go on, and the next training goes on by itself as long as "
        f"{'it stays' if it == 'it' else 'they stay'} null"
    )
    return rejected("features", f"{said(refused)}, and {before}; {repair}; {go_on}"), warnings


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _it(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"


def judged(gates: Sequence[Gate], measured: Mapping[str, Any], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every gate that is set: its metric on the natural validation rows, the end of the interval that counts, its
    bound, and whether it is passed. What has to be at least something is judged by the lower end, errors by the upper
    one. The gate out of time stands last."""
    found = [
        _gate(gate.metric, gate.words, measured, gate.metric, settings[gate.setting], gate.at_least)
        for gate in gates
        if settings[gate.setting] is not None
    ]
    later, bound = measured.get("out_of_time", {}), settings.get("min_out_of_time_area_under_roc", 0.0)
    if bound and "intervals" in later:
        words = "area under ROC out of time"
        found.append(_gate("out_of_time_area_under_roc", words, later, "area_under_roc", bound, at_least=True))
    return found


def _gate(
    name: str, words: str, measured: Mapping[str, Any], metric: str, bound: float, at_least: bool
) -> dict[str, Any]:
    low, high = measured["intervals"][metric]
    end = low if at_least else high
    return {
        "name": name,
        "words": words,
        "value": measured[metric],
        "end": end,
        "bound": bound,
        "rule": "lower end at least" if at_least else "upper end at most",
        "passed": end >= bound if at_least else end <= bound,
    }


def on_model(gates: Sequence[Mapping[str, Any]], unjudged: str = "") -> Verdict:
    """The verdict of the gates. ``unjudged`` is the reason why a gate that was asked for could not be judged."""
    if unjudged:
        return rejected("inconclusive", unjudged)
    missed = [
        f"{gate['words']} {gate['value']:.4f}, {gate['rule'].partition(' end')[0]} end {gate['end']:.4f} "
        f"{'below' if gate['end'] < gate['bound'] else 'above'} {gate['bound']:.4f}"
        for gate in gates
        if not gate["passed"]
    ]
    return rejected("gate", "; ".join(missed)) if missed else APPROVED
