"""The document that pins a model: enough to find its files and to know that they are still the ones that were chosen.

Free of Spark and numpy: whether a selection is complete is asked without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from spark_lib.lake import Documents, Lake, Partition, read_document
from spark_lib.models import card
from spark_lib.models.card import CARD, MODEL, Card, rejected

#: The document that a selection publishes.
SELECTION = "selection.json"


@dataclass(frozen=True)
class Pinned:
    """The model in force: its date, its bytes, their SHA-256, and its card."""

    date: date
    model: bytes
    digest: str
    card: Card


def build(
    chosen: Partition, considered: Sequence[Partition], challenges: Sequence[Mapping[str, Any]] = ()
) -> Documents:
    """Pin ``chosen``, one of the candidates that were ``considered``; ``challenges`` are the comparisons that it won, and
    those that newer ones lost."""
    lost = {
        found["challenger"]: rejected("champion", found["detail"]).document() for found in challenges if found["loses"]
    }
    newer = {str(model.date): model.manifest.metrics["verdict"] for model in considered if model.date > chosen.date}
    figures = {
        "model_date": str(chosen.date),
        "model_digest": chosen.manifest.metrics["model_digest"],
        "rejected": {day: dict(lost.get(day, verdict)) for day, verdict in newer.items()},
        "challenges": [dict(found) for found in challenges],
    }
    document = figures | {"run": chosen.manifest.run, "files": _files(chosen)}
    return Documents({SELECTION: json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"}, figures)


def approved_model(lake: Lake, model: Partition) -> Pinned:
    """The model of an approved training. Raises DamagedPartition where a file is not what was published."""
    return _pinned(lake, model.date, model.manifest.metrics["model_digest"], _files(model))


def pinned(lake: Lake, selection: Partition) -> Pinned:
    """The model that a selection pins, its files verified. Raises DamagedPartition where one is not what was chosen."""
    document = json.loads(selection.document(SELECTION))
    return _pinned(lake, date.fromisoformat(document["model_date"]), document["model_digest"], document["files"])


def _files(model: Partition) -> list[dict[str, Any]]:
    """What is needed to score, and to know that it is still the same."""
    return [
        {"path": file.path, "size": file.size, "sha256": file.checksum.removeprefix("sha256:")}
        for file in model.manifest.files
        if file.path.rpartition("/")[2] in (MODEL, CARD)
    ]


def _pinned(lake: Lake, day: date, digest: str, files: Sequence[Mapping[str, Any]]) -> Pinned:
    read = {
        file["path"].rpartition("/")[2]: read_document(
            lake.store, f"{lake.prefix('model', day)}/{file['path']}", f"sha256:{file['sha256']}"
        )
        for file in files
    }
    return Pinned(day, read[MODEL], digest, card.parse(read[CARD], f"{CARD} of the model of {day}"))
