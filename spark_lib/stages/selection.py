"""Pins the model in force, and reads a pinned model with its files verified.

Nothing here imports Spark or numpy, because the question whether a selection is complete is asked without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from spark_lib.errors import ModelError
from spark_lib.lake import Documents, Lake, Manifest, Partition, read_document
from spark_lib.models import card
from spark_lib.models import selection as documents
from spark_lib.models.card import CARD, MODEL, PICKLE, Card, Verdict, rejected
from spark_lib.models.selection import SELECTION, Challenge, Pin, Selection


@dataclass(frozen=True)
class Pinned:
    """The model in force: its date, its bytes, their SHA-256, and its card."""

    date: date
    model: bytes
    digest: str
    card: Card


def build(chosen: Partition, considered: Sequence[Partition], challenges: Sequence[Challenge] = ()) -> Documents:
    """Pin ``chosen``, one of the candidates in ``considered``. ``challenges`` are the comparisons that ``chosen`` won,
    and those that newer models lost."""
    lost = {found.challenger: rejected("champion", found.detail) for found in challenges if found.loses}
    newer = {
        model.date: Verdict.of(model.manifest.metrics["verdict"]) for model in considered if model.date > chosen.date
    }
    selection = Selection(
        chosen.date,
        chosen.manifest.metrics["model_digest"],
        chosen.manifest.run,
        _pins(chosen),
        {day: lost.get(day, verdict) for day, verdict in newer.items()},
        tuple(challenges),
    )
    return Documents({SELECTION: selection.to_json()}, selection.figures())


def approved_model(lake: Lake, model: Partition) -> Pinned:
    """The model of an approved training. Raises DamagedPartition where a file is not what was published."""
    return _pinned(lake, model.date, model.manifest.metrics["model_digest"], _pins(model))


def pinned(lake: Lake, selection: Partition) -> Pinned:
    """The model that a selection pins, its files verified. Raises DamagedPartition where a file is not what was
    chosen."""
    found = documents.parse(selection.document(SELECTION), f"{SELECTION} of {selection.date}")
    return _pinned(lake, found.model_date, found.model_digest, found.files)


def that_scored(lake: Lake, day: date, predictions: Manifest) -> Pinned:
    """The model that a run of predictions was scored by: the one that the day's selection pins, or, where the selection
    pins another by now, the one of the training that is published for its date.

    Raises ModelError where neither is that model, and DamagedPartition where a file is not what was published.
    """
    digest, of = predictions.metrics["model_digest"], date.fromisoformat(predictions.metrics["model_date"])
    selected = lake.require_whole(lake.find("selection", day, day)).get(day)
    if selected is not None and selected.manifest.metrics["model_digest"] == digest:
        return pinned(lake, selected)
    trained = lake.require_whole(lake.find("model", of, of)).get(of)
    if trained is not None and trained.manifest.metrics.get("model_digest") == digest:
        return approved_model(lake, trained)
    raise ModelError(
        f"model of {of}",
        f"the model that scored {day}, {digest}",
        "another one, in the selection of that day and in the training",
        f"score the day anew (daystone rebuild predictions --date {day}), and release it",
    )


def _pins(model: Partition) -> tuple[Pin, ...]:
    """The files that scoring needs, with the checksums that show whether they have changed."""
    return tuple(
        Pin(file.path, file.size, file.checksum.removeprefix("sha256:"))
        for file in model.manifest.files
        if file.path.rpartition("/")[2] in (MODEL, PICKLE, CARD)
    )


def _pinned(lake: Lake, day: date, digest: str, files: Sequence[Pin]) -> Pinned:
    read = {
        file.path.rpartition("/")[2]: read_document(
            lake.store, f"{lake.prefix('model', day)}/{file.path}", f"sha256:{file.sha256}"
        )
        for file in files
    }
    model = next(read[name] for name in (MODEL, PICKLE) if name in read)
    return Pinned(day, model, digest, card.parse(read[CARD], f"{CARD} of the model of {day}"))
