"""Pins the model in force, and reads a pinned model with its files verified.

Nothing here imports Spark or numpy, because the question whether a selection is complete is asked without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from spark_lib.errors import DamagedPartition, ModelError
from spark_lib.lake import Documents, Lake, Manifest, Partition, read_document
from spark_lib.lake.manifest import File
from spark_lib.models import card
from spark_lib.models import selection as documents
from spark_lib.models.card import CARD, MODEL, PICKLE, Card, Verdict, rejected
from spark_lib.models.selection import SELECTION, Beside, Challenge, Pin, Selection
from spark_lib.registry.promotions import InForce, Model, Promotion


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


def build_promoted(lake: Lake, stands: InForce) -> Documents:
    """Pin the model that a person has promoted, and a second one that scores beside it, as the promotions have them.

    Raises DamagedPartition where a file of the promoted model is not what was promoted: a training that is built again is
    another run, and is not promoted by that. A second model that is damaged
    fails where it scores, alone.
    """
    model, decided = stands.champion.model, stands.decided
    try:
        _pinned(lake, model.date, model.digest, model.files)
    except DamagedPartition as error:
        raise DamagedPartition(
            error.where,
            error.wanted,
            error.found,
            "restore the file, or promote another model (daystone models; daystone promote --model DATE --why TEXT): one that "
            "is trained again is not promoted by that",
        ) from error
    beside = _beside(decided.strategy, stands.beside, stands.share) if stands.beside else None
    because = f"{decided.strategy} from {decided.first_day} on, by {decided.by}: {decided.why}"
    selection = Selection(
        model.date, model.digest, model.run, model.files, promoted=stands.name, because=because, beside=beside
    )
    return Documents({SELECTION: selection.to_json()}, selection.figures())


def promotable(lake: Lake, model: Partition) -> Model:
    """The model of a training as a promotion records it. Raises ModelError where the training was rejected, and
    DamagedPartition where a file of the model is not what was published."""
    verdict = Verdict.of(model.manifest.metrics["verdict"])
    if not verdict.approved:
        raise ModelError(
            f"model of {model.date}",
            "an approved training",
            str(verdict),
            f"promote another one (daystone models), or train it anew (daystone rebuild model --date {model.date})",
        )
    approved_model(lake, model)
    return Model(model.date, model.manifest.run, model.manifest.metrics["model_digest"], _pins(model))


def approved_model(lake: Lake, model: Partition) -> Pinned:
    """The model of an approved training. Raises DamagedPartition where a file is not what was published."""
    return _pinned(lake, model.date, model.manifest.metrics["model_digest"], _pins(model))


def pinned(lake: Lake, selection: Partition) -> Pinned:
    """The model that a selection pins, its files verified. Raises DamagedPartition where a file is not what was
    chosen."""
    found = _parsed(selection)
    return _pinned(lake, found.model_date, found.model_digest, found.files)


def beside_of(selection: Partition) -> Beside | None:
    """What a selection says of its second model, whose files are not looked at; None where it has none."""
    return _parsed(selection).beside


def pinned_beside(lake: Lake, selection: Partition) -> tuple[Beside, Pinned] | None:
    """The second model of a selection, its files verified; None where it has none. Raises DamagedPartition where a file
    is not what was promoted."""
    beside = beside_of(selection)
    if beside is None:
        return None
    return beside, _pinned(lake, beside.model_date, beside.model_digest, beside.files)


def that_scored(lake: Lake, day: date, predictions: Manifest) -> Pinned:
    """The model that a run of predictions was scored by: the one that the day's selection pins, or, where the selection
    pins another by now, the one of the training that is published for its date.

    Raises ModelError where neither is that model, and DamagedPartition where a file is not what was published.
    """
    files = _that_scored(lake, day, predictions)
    if files is None:
        raise lost(lake, day, predictions)
    return _pinned(lake, _model_date(predictions), predictions.metrics["model_digest"], files)


def card_that_scored(lake: Lake, day: date, predictions: Manifest) -> Card | None:
    """The card of that model, without the model itself; None where it is not found any more. Raises DamagedPartition where
    it is not what was published."""
    files = _that_scored(lake, day, predictions) or ()
    of = _model_date(predictions)
    cards = (_read(lake, of, file) for file in files if _name(file) == CARD)
    return next((card.parse(body, f"{CARD} of the model of {of}") for body in cards), None)


def lost(lake: Lake, day: date, predictions: Manifest) -> ModelError:
    """The error for a model that is not found any more. Raises DamagedPartition where that is why."""
    of = _model_date(predictions)
    for dataset, place in (("selection", day), ("model", of)):
        lake.require_whole(lake.find(dataset, place, place))
    return ModelError(
        f"model of {of}",
        f"the model that scored {day}, {predictions.metrics.get('model_digest')}",
        "another one, in the selection of that day and in the training",
        f"score the day anew (daystone rebuild predictions --date {day}), and release it",
    )


def _parsed(selection: Partition) -> Selection:
    return documents.parse(selection.document(SELECTION), f"{SELECTION} of {selection.date}")


def _beside(strategy: str, second: Promotion, share: float) -> Beside:
    model = second.model
    return Beside(strategy, model.date, model.digest, model.run, model.files, share, salt=second.name if share else "")


def _that_scored(lake: Lake, day: date, predictions: Manifest) -> Sequence[Pin] | None:
    """The files of the model that a run was scored by; None where they are not found. What is damaged is passed over."""
    digest, of = predictions.metrics.get("model_digest"), _model_date(predictions)
    selected = lake.find("selection", day, day).get(day)
    if isinstance(selected, Partition) and selected.manifest.metrics.get("model_digest") == digest:
        return _parsed(selected).files
    if isinstance(selected, Partition) and (beside := _parsed(selected).beside) and beside.model_digest == digest:
        return beside.files
    trained = lake.find("model", of, of).get(of)
    if isinstance(trained, Partition) and trained.manifest.metrics.get("model_digest") == digest:
        return _pins(trained)
    return None


def _model_date(predictions: Manifest) -> date:
    return date.fromisoformat(predictions.metrics["model_date"])


def _pins(model: Partition) -> tuple[Pin, ...]:
    """The files that scoring needs, with the checksums that show whether they have changed."""
    return tuple(
        Pin(file.path, file.size, file.checksum.removeprefix("sha256:"))
        for file in model.manifest.files
        if _name(file) in (MODEL, PICKLE, CARD)
    )


def _pinned(lake: Lake, day: date, digest: str, files: Sequence[Pin]) -> Pinned:
    read = {_name(file): _read(lake, day, file) for file in files}
    model = next(read[name] for name in (MODEL, PICKLE) if name in read)
    return Pinned(day, model, digest, card.parse(read[CARD], f"{CARD} of the model of {day}"))


def _read(lake: Lake, day: date, file: Pin) -> bytes:
    return read_document(lake.store, f"{lake.prefix('model', day)}/{file.path}", f"sha256:{file.sha256}")


def _name(file: Pin | File) -> str:
    return file.path.rpartition("/")[2]
