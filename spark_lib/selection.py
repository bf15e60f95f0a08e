"""The document that pins a model: enough to find its files and to know that they are still the ones that were chosen.

Free of Spark and numpy: whether a selection is complete is asked without them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from spark_lib.lake import Documents, Lake, Partition, read_document

#: The names of the documents: what a training publishes, and what a selection does.
MODEL, CARD, SELECTION = "model.onnx", "card.json", "selection.json"


@dataclass(frozen=True)
class Pinned:
    """The model in force: its date, its bytes, their SHA-256, and its card."""

    date: date
    model: bytes
    digest: str
    card: dict[str, Any]


def build(considered: Sequence[Partition]) -> Documents:
    """Pin the last of ``considered``, the newest approved model; the ones before it are newer and were rejected."""
    chosen = considered[-1]
    figures = {
        "model_date": str(chosen.date),
        "model_digest": chosen.manifest.metrics["model_digest"],
        "rejected": {str(model.date): model.manifest.metrics["verdict"] for model in considered[:-1]},
    }
    files = [
        {"path": file.path, "size": file.size, "sha256": file.checksum.removeprefix("sha256:")}
        for file in chosen.manifest.files
    ]
    document = figures | {"run": chosen.manifest.run, "files": files}
    return Documents({SELECTION: json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"}, figures)


def pinned(lake: Lake, selection: Partition) -> Pinned:
    """The model that a selection pins, its files verified. Raises DamagedPartition where one is not what was chosen."""
    document = json.loads(selection.document(SELECTION))
    day = date.fromisoformat(document["model_date"])
    files = {
        file["path"].rpartition("/")[2]: read_document(
            lake.store, f"{lake.prefix('model', day)}/{file['path']}", f"sha256:{file['sha256']}"
        )
        for file in document["files"]
    }
    return Pinned(day, files[MODEL], document["model_digest"], json.loads(files[CARD]))
