"""Judges the predictions of a day by manifests and documents alone: no row is read, and Spark is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any

from spark_lib.errors import NothingToDecide
from spark_lib.evaluation.document import Summary
from spark_lib.lake import Documents, Lake, Partition
from spark_lib.registry.promotions import BLUE_GREEN
from spark_lib.release import decision, document
from spark_lib.release.check import Check, Limits, Outcome, unchecked
from spark_lib.release.document import PAGE, RELEASE, Release
from spark_lib.release.figures import of_models, of_run
from spark_lib.release.judging import judge
from spark_lib.report import release as page
from spark_lib.stages import selection

#: The name of the check on how good predictions of earlier days were.
EVALUATION = "evaluation"
#: The dataset of a second model's scores.
SECOND = "shadow"


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


def build(
    lake: Lake,
    predictions: Partition,
    first: date,
    bounds: Limits,
    further: Sequence[Check] = (),
    with_second: bool = False,
) -> Documents:
    """The verdict on a day of predictions, by the releases from the day ``first`` on, by ``further`` checks that were made
    elsewhere, and by the decisions of people.

    The page compares the models that scored the day; the scores of a second model only ``with_second``, and where they are
    there by now. Where the day is held, the run that was in force before stays in force, unless it is the one that is held, or was
    withdrawn. Where people have rolled the day back, what the model before says is in force. Raises DamagedPartition where
    the card of the model or the release before is not what was published.
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
    if found.decisions.rollback is not None and not found.reasons:
        found = _rolled_back(lake, found)
    elif found.reasons:
        old = document.parse(before.document(RELEASE), f"{RELEASE} of {day}") if before else None
        found = replace(found, in_force=None)
        if old is not None and old.in_force is not None and not _is_out_of_force(old, old.in_force.run, found):
            found = replace(found, in_force=old.in_force, dataset=old.dataset)
    second = lake.find(SECOND, day, day).get(day) if with_second else None
    models = of_models(predictions.manifest, second.manifest if isinstance(second, Partition) else None)
    written = page.render(f"Release of {day}: predictions of {lake.use_case}", found, judged, reference, models)
    return Documents({RELEASE: found.to_json(), PAGE: written.encode()}, found.figures())


def the_model_before(lake: Lake, day: date) -> Partition:
    """The scores of a day by the model before a blue-green release. Raises NotPublished where they are not there,
    DamagedPartition where they are not whole, and NothingToDecide where they are those of a challenger."""
    (found,) = lake.require(SECOND, day)
    strategy = found.manifest.metrics.get("strategy")
    if strategy != BLUE_GREEN:
        raise NothingToDecide(
            f"rollback of {day}",
            f"a {BLUE_GREEN} release, whose model before goes on scoring",
            f"scores of a challenger, released by the strategy {strategy}",
            f"put the model before in force again (daystone demote --from {day} --rebuild --why TEXT)",
        )
    return found


def _is_out_of_force(old: Release, run: str, found: Release) -> bool:
    """Whether the run of the release before cannot stay in force: a person may hold the very run, withdraw it, or hold a day
    that was rolled back."""
    hold = found.decisions.hold
    return run == found.judged or (hold is not None and (run in hold.runs or old.dataset == SECOND))


def _rolled_back(lake: Lake, found: Release) -> Release:
    return replace(found, in_force=the_model_before(lake, found.date).manifest, dataset=SECOND)
