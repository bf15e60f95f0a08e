"""Judges the predictions of a day by manifests and documents alone: no row is read, and Spark is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date
from typing import Any

from spark_lib.lake import Documents, Lake, Partition, read_document
from spark_lib.models import card as cards
from spark_lib.models import selection as selections
from spark_lib.models.card import CARD
from spark_lib.models.selection import SELECTION
from spark_lib.release import decision, document
from spark_lib.release.check import Limits
from spark_lib.release.document import PAGE, RELEASE, Release
from spark_lib.release.figures import of_run
from spark_lib.release.judging import judge
from spark_lib.release.sketch import Reference
from spark_lib.report import release as page


def limits(settings: Mapping[str, Any]) -> Limits:
    """The bounds that the values of ``[release]`` say."""
    names = {field.name for field in fields(Limits)}
    return Limits(**{name: value for name, value in settings.items() if name in names})


def build(lake: Lake, predictions: Partition, first: date, bounds: Limits) -> Documents:
    """The verdict on a day of predictions, by the releases from the day ``first`` on, and by the decisions of people.

    Where the day is held, the run that was in force before stays in force, unless it is the one that is held, or was
    withdrawn. Raises
    DamagedPartition where the card of the model or the release before is not what was published.
    """
    day = predictions.date
    published = {
        other: each
        for other, each in lake.find("release", first, day).items()
        if isinstance(each, Partition)  # a damaged one is as one that is not there: it is only compared with
    }
    before = published.pop(day, None)
    judged, reference = of_run(day, predictions.manifest), reference_of(lake, predictions)
    checks = judge(
        judged,
        reference,
        document.earlier([each.manifest for _, each in sorted(published.items())]),
        bounds,
    )
    found = Release(day, predictions.manifest.run, tuple(checks), decision.read(lake, day), predictions.manifest)
    if found.reasons:
        old = document.parse(before.document(RELEASE), f"{RELEASE} of {day}").in_force if before else None
        # A person may hold the very run that was released before, or withdraw it.
        hold = found.decisions.hold
        out_of_force = {found.judged, *(hold.runs if hold else ())}
        found = replace(found, in_force=old if old is not None and old.run not in out_of_force else None)
    written = page.render(f"Release of {day}: predictions of {lake.use_case}", found, judged, reference)
    return Documents({RELEASE: found.to_json(), PAGE: written.encode()}, found.figures())


def reference_of(lake: Lake, predictions: Partition) -> Reference | None:
    """The reference of the model that scored a day. None where its card has none, or is not found any more.

    The card is the one that the day's selection pins, or, where the selection pins another model by now, the one of the
    training that is published for the model's date.
    """
    digest = predictions.manifest.metrics.get("model_digest", "")
    selected = lake.find("selection", predictions.date, predictions.date).get(predictions.date)
    if isinstance(selected, Partition) and selected.manifest.metrics.get("model_digest") == digest:
        chosen = selections.parse(selected.document(SELECTION), f"{SELECTION} of {selected.date}")
        for pin in chosen.files:
            if pin.path.rpartition("/")[2] == CARD:
                key = f"{lake.prefix('model', chosen.model_date)}/{pin.path}"
                body = read_document(lake.store, key, f"sha256:{pin.sha256}")
                return cards.parse(body, f"{CARD} of the model of {chosen.model_date}").reference
    day = date.fromisoformat(predictions.manifest.metrics["model_date"])
    trained = lake.find("model", day, day).get(day)
    if isinstance(trained, Partition) and trained.manifest.metrics.get("model_digest") == digest:
        return cards.parse(trained.document(CARD), f"{CARD} of the model of {day}").reference
    return None
