"""An MLflow server beside the lake. It is a mirror of the trainings of the lake, and a desk: a person gives a version of
the registered model an alias, and a promotion follows it. Nothing else is read from MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from spark_lib.errors import AliasRefused, DamagedPartition, TrackingUnavailable
from spark_lib.lake import Lake, Partition
from spark_lib.models.card import Verdict
from spark_lib.registry.client import code_of, connected
from spark_lib.registry.tracker import EXISTS, MISSING, Tracker
from spark_lib.registry.training import DATE, LAKE, RUN, SHA256, USE_CASE, Training

#: The dataset of trainings.
DATASET = "model"


@dataclass(frozen=True)
class Production:
    """The approved ``training`` of the lake that an alias names, and the SHA-256 of its model: ``version`` of the
    ``registered`` model has the ``alias``."""

    training: Partition
    sha256: str
    registered: str
    version: str
    alias: str

    @property
    def model_date(self) -> date:
        return self.training.date

    @property
    def run(self) -> str:
        """The run of the lake."""
        return self.training.manifest.run


@dataclass(frozen=True)
class Registry:
    """An MLflow server, and what it calls the trainings of a use case in a lake. ``lake`` is the name of the lake, and
    ``use_case`` that of the use case's directory. Each answer has to come within ``answer_seconds``."""

    uri: str
    experiment: str
    model: str
    alias: str
    lake: str
    use_case: str
    answer_seconds: int

    def training(self, partition: Partition) -> Training:
        """A published training as MLflow gets it. Raises DamagedPartition, and LakeError for a card of a later format."""
        return Training.of(partition, self.lake, self.use_case)

    @contextmanager
    def tracker(self) -> Iterator[Tracker]:
        """What writes trainings, for the block. The experiment is made where there is none.

        Raises TrackingUnavailable in the whole block, and ConfigurationError where MLflow's client is not installed.
        """
        with connected(self.uri, self.answer_seconds) as client:
            yield Tracker(client, self.uri, self._experiment_id(client), self.model)

    def production(self, lake: Lake) -> Production | None:
        """The training of the lake that the alias names; None where no version has the alias.

        Raises AliasRefused where that is no approved training of this lake, DamagedPartition where the lake's own is
        damaged, and what ``tracker`` raises.
        """
        with connected(self.uri, self.answer_seconds) as client:
            found = self._aliased(client)
        if found is None:
            return None
        where = f"alias {self.alias} of {self.model} at {self.uri}, which version {found.version} has"
        self._check_tags(where, found.tags)
        day = _day(where, found.tags[DATE])
        there = lake.find(DATASET, day, day).get(day)
        if isinstance(there, DamagedPartition):
            raise there
        training = _checked(where, found.tags, day, there)
        return Production(training, found.tags[SHA256], self.model, str(found.version), self.alias)

    def _experiment_id(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(client.create_experiment(self.experiment))
            except Exception as error:
                if code_of(error) != EXISTS:
                    raise
            found = client.get_experiment_by_name(self.experiment)
        if found.lifecycle_stage != "active":
            raise TrackingUnavailable(
                f"experiment {self.experiment} at {self.uri}",
                "one that is not deleted",
                "a deleted one",
                "restore it in MLflow, or set [mlflow] experiment to another name",
            )
        return str(found.experiment_id)

    def _aliased(self, client: Any) -> Any | None:
        """The version that has the alias. What MLflow says of a missing alias is the same as of a bad value, so that the
        model is asked for its aliases."""
        try:
            version = client.get_registered_model(self.model).aliases.get(self.alias)
        except Exception as error:
            if code_of(error) != MISSING:
                raise
            return None
        return None if version is None else client.get_model_version(self.model, version)

    def _check_tags(self, where: str, tags: Mapping[str, str]) -> None:
        """Raise AliasRefused where the tags of a version do not lead to a training of this lake."""
        missing = [tag for tag in (LAKE, USE_CASE, DATE, RUN, SHA256) if not tags.get(tag)]
        if missing:
            raise _refused(where, "a version that daystone track has made", f"one without {', '.join(missing)}")
        for tag, wanted in ((LAKE, self.lake), (USE_CASE, self.use_case)):
            if tags[tag] != wanted:
                raise _refused(where, f"a version of {tag.partition('.')[2]} {wanted}", f"one of {tags[tag]}")


def _day(where: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _refused(where, f"a day in the tag {DATE}", repr(text)) from error


def _checked(where: str, tags: Mapping[str, str], day: date, there: Partition | None) -> Partition:
    """The training of a day, as the lake has it. Raises AliasRefused unless it is as the tags say, and was approved."""
    if there is None:
        raise _refused(where, f"the training of {day} in the lake", "none")
    manifest = there.manifest
    if manifest.run != tags[RUN]:
        raise _refused(where, f"run {manifest.run}, which the lake has of {day} now", f"run {tags[RUN]}")
    verdict = Verdict.of(manifest.metrics["verdict"])
    if not verdict.approved:
        raise _refused(where, "an approved model", f"one that was rejected: {verdict}")
    digest = manifest.metrics["model_digest"]
    if digest != tags[SHA256]:
        raise _refused(where, f"the SHA-256 of the lake's model, {digest}", tags[SHA256])
    return there


def _refused(where: str, wanted: str, found: str) -> AliasRefused:
    step = "give the alias to another version; daystone track brings the versions of the lake's trainings"
    return AliasRefused(where, wanted, found, step)
