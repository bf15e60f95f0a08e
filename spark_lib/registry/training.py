"""A published training in the words of MLflow: parameters, metrics, tags and artifacts. Nothing here imports MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from spark_lib.lake import Partition
from spark_lib.models import card as cards
from spark_lib.models.card import CARD, MODEL, PICKLE, REPORT, Card, Verdict

#: The tags that lead from a run or a version of MLflow back to a partition of a lake.
LAKE, USE_CASE, DATE, RUN = "daystone.lake", "daystone.use_case", "daystone.date", "daystone.run"
#: The tags that say what it is: the verdict, the SHA-256 of an approved model's file, and where the partition lies.
VERDICT, SHA256, PARTITION = "daystone.verdict", "daystone.sha256", "daystone.partition"
#: The directory of the model's file among the artifacts of a run.
MODEL_DIRECTORY = "model"
#: What MLflow takes at most: signs of a parameter's value, of a tag's and of a name.
_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_NAME = 6_000, 5_000, 250
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_. -]")


@dataclass(frozen=True)
class Training:
    """A run of the dataset ``model``: its partition in the lake that is called ``lake``, and its card."""

    partition: Partition
    card: Card
    lake: str
    use_case: str

    @classmethod
    def of(cls, partition: Partition, lake: str, use_case: str) -> Training:
        """Read the card of a partition. Raises DamagedPartition, and LakeError for a card of a later format."""
        return cls(partition, cards.parse(partition.document(CARD)), lake, use_case)

    @property
    def date(self) -> date:
        return self.partition.date

    @property
    def run(self) -> str:
        """The run of the lake."""
        return self.partition.manifest.run

    @property
    def verdict(self) -> Verdict:
        return Verdict.of(self.partition.manifest.metrics["verdict"])

    @property
    def is_approved(self) -> bool:
        return self.verdict.approved

    @property
    def identity(self) -> dict[str, str]:
        """The tags by which the run is found again."""
        return {LAKE: self.lake, USE_CASE: self.use_case, DATE: str(self.date), RUN: self.run}

    @property
    def tags(self) -> dict[str, str]:
        found = self.identity | {
            VERDICT: str(self.verdict)[:_LONGEST_TAG],
            PARTITION: self.partition.store.url(self.partition.prefix),
        }
        return found | ({SHA256: self.partition.manifest.metrics["model_digest"]} if self.is_approved else {})

    @property
    def params(self) -> dict[str, str]:
        """The settings that the training was made by."""
        return {_name(name): str(value)[:_LONGEST_PARAM] for name, value in self.card.settings.items()}

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the card, those within others behind a slash. The ends of an interval are ``low`` and ``high``."""
        return dict(_numbers(self.card.metrics))

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970 of the beginning of the day. A metric that is sent again is the same one then."""
        return 86_400_000 * (self.date - date(1970, 1, 1)).days

    def documents(self) -> Iterator[tuple[str, bytes, str]]:
        """The name and the content of each artifact, and the directory that it goes into, which is empty for most."""
        there = {file.path.rpartition("/")[2] for file in self.partition.manifest.files}
        for name, into in ((CARD, ""), (REPORT, ""), (MODEL, MODEL_DIRECTORY), (PICKLE, MODEL_DIRECTORY)):
            if name in there:
                yield name, self.partition.document(name), into


def _numbers(metrics: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for key, value in metrics.items():
        name = f"{before}{_name(str(key))}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}/")
        elif _is_number(value):
            yield name[:_LONGEST_NAME], float(value)
        elif isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
            yield f"{name}/low"[:_LONGEST_NAME], float(value[0])
            yield f"{name}/high"[:_LONGEST_NAME], float(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(text: str) -> str:
    """A name that MLflow takes: it refuses most signs, and what would be a step up in a path."""
    name = _NOT_IN_A_NAME.sub("_", text)[:_LONGEST_NAME]
    return name if name.strip(".") else "_"
