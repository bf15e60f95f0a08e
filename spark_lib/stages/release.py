"""Judges the predictions of a day by manifests and documents alone: no row is read, and Spark is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any

from spark_lib.evaluation.document import Summary
from spark_lib.lake import Documents, Lake, Partition
from spark_lib.release import decision, document
from spark_lib.release.check import Check, Limits, Outcome, unchecked
from spark_lib.release.document import PAGE, RELEASE, Release
from spark_lib.release.figures import of_run
from spark_lib.release.judging import judge
from spark_lib.report import release as page
from spark_lib.stages import selection

#: The name of the check on how good predictions of earlier days were.
EVALUATION = "evaluation"


def limits(settings: Mapping[str, Any]) -> Limits:
    """The bounds that the values of ``[release]`` say."""
    names = {field.name for field in fields(Limits)}
    return Limits(**{name: value for name, value in settings.items() if name in names})


def of_evaluation(evaluated: Partition) -> Check:
    """What the evaluation of the day before says, as a check: it fails where a bound is missed."""
    found = Summary.of(evaluated.manifest.metrics)
    if found.whole.reason and not found.is_below:
        return unchecked(EVALUATION, f"{evaluated.date}: {found.whole.reason}")
    words = f"{evaluated.date}: {found}"
    return Check(EVALUATION, Outcome.FAILED if found.is_below else Outcome.PASSED, words)


def not_evaluated() -> Check:
    """The check of a day before which nothing can be evaluated yet."""
    return unchecked(EVALUATION, "there are no predictions yet whose outcomes have had time to land")


def build(lake: Lake, predictions: Partition, first: date, bounds: Limits, further: Sequence[Check] = ()) -> Documents:
    """The verdict on a day of predictions, by the releases from the day ``first`` on, by ``further`` checks that were made
    elsewhere, and by the decisions of people.

    Where the day is held, the run that was in force before stays in force, unless it is the one that is held, or was
    withdrawn. Raises DamagedPartition where the card of the model or the release before is not what was published.
    """
    day = predictions.date
    published = {
        other: each
        for other, each in lake.find("release", first, day).items()
        if isinstance(each, Partition)  # a damaged one is as one that is not there: it is only compared with
    }
    before = published.pop(day, None)
    judged, card = of_run(day, predictions.manifest), selection.card_that_scored(lake, day, predictions.manifest)
    reference = card.reference if card is not None else None
    checks = judge(
        judged,
        reference,
        document.earlier([each.manifest for _, each in sorted(published.items())]),
        bounds,
    )
    found = Release(day, predictions.manifest.run, (*checks, *further), decision.read(lake, day), predictions.manifest)
    if found.reasons:
        old = document.parse(before.document(RELEASE), f"{RELEASE} of {day}").in_force if before else None
        # A person may hold the very run that was released before, or withdraw it.
        hold = found.decisions.hold
        out_of_force = {found.judged, *(hold.runs if hold else ())}
        found = replace(found, in_force=old if old is not None and old.run not in out_of_force else None)
    written = page.render(f"Release of {day}: predictions of {lake.use_case}", found, judged, reference)
    return Documents({RELEASE: found.to_json(), PAGE: written.encode()}, found.figures())
