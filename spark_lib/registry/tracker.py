"""Writes trainings to MLflow: each is a run, and each approved model a registered version that is linked to its run.

MLflow has no creation that only one of two clients can do, so a run is found again by its tags. Whoever finds two runs or
two versions of one training removes one of them, by a rule that all follow: the version with the lowest number stays, and
its run. Where no version is there, the run that began first stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spark_lib.errors import TrackingUnavailable
from spark_lib.registry.client import code_of
from spark_lib.registry.training import MODEL_DIRECTORY, RUN, Training

#: How often a training is looked at before others are taken to change it without end.
_LOOKS = 6
#: What MLflow takes in one request.
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 500
EXISTS, MISSING = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
#: The refusals of what another process has changed since it was looked at. A removed run is an invalid value.
_OVERTAKEN = (EXISTS, MISSING, "INVALID_PARAMETER_VALUE")
_FINISHED = "FINISHED"


@dataclass(frozen=True)
class Tracked:
    """A training in MLflow: its run, the number of its version, which is empty where it was rejected, and whether all of
    it was there before."""

    run_id: str
    version: str
    was_there: bool


@dataclass(frozen=True)
class _There:
    """The runs and the versions of one training that MLflow has, and the numbers of versions that have an alias, where
    that matters."""

    runs: Sequence[Any]
    versions: Sequence[Any]
    aliased: Set[str] = frozenset()

    @property
    def is_ambiguous(self) -> bool:
        """Whether a version may have to be removed."""
        return len(self.versions) > 1 or len(self._linked) < len(self.versions)

    @property
    def version(self) -> Any | None:
        """The version that stays: one with an alias before one without, else the lowest number."""
        return min(self._linked, key=lambda each: (each.version not in self.aliased, int(each.version)), default=None)

    @property
    def run(self) -> Any | None:
        """The run that stays."""
        if self.version is not None:
            return next(run for run in self.runs if run.info.run_id == self.version.run_id)
        return min(self.runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)

    @property
    def surplus_versions(self) -> list[Any]:
        """One that has an alias is never removed: a person may follow it."""
        return [each for each in self.versions if each is not self.version and each.version not in self.aliased]

    @property
    def surplus_runs(self) -> list[Any]:
        followed = {each.run_id for each in self.versions if each.version in self.aliased}
        return [run for run in self.runs if run is not self.run and run.info.run_id not in followed]

    @property
    def _linked(self) -> list[Any]:
        """The versions whose run is there."""
        runs = {run.info.run_id for run in self.runs}
        return [each for each in self.versions if each.run_id in runs]

    def is_settled(self, training: Training) -> bool:
        """Whether there is nothing to write and nothing to remove."""
        is_whole = self.run is not None and self.run.info.status == _FINISHED
        has_version = self.version is not None or not training.is_approved
        return is_whole and has_version and not self.surplus_runs and not self.surplus_versions


@dataclass(frozen=True)
class Tracker:
    """An open connection to a server, of which ``uri`` is the URL, ``experiment_id`` the experiment and ``model`` the
    registered model."""

    client: Any
    uri: str
    experiment_id: str
    model: str

    def track(self, training: Training) -> Tracked:
        """Write what is not there yet. It may be repeated at any time, also after it was killed, and by two at once.

        Raises what MLflow's client raises, and DamagedPartition for a document of the lake.
        """
        overtaken: Exception | None = None
        for look in range(_LOOKS):
            try:
                there = self._look(training)
                if there.run is not None and there.is_settled(training):
                    version = str(there.version.version) if there.version else ""
                    return Tracked(there.run.info.run_id, version, look == 0)
                self._settle(there, training)
            except Exception as error:
                if code_of(error) not in _OVERTAKEN:
                    raise
                overtaken = error
        if overtaken is not None:
            raise overtaken
        raise TrackingUnavailable(
            f"training of {training.date} at {self.uri}",
            "one run",
            f"another one each of {_LOOKS} times",
            "track again when no other process tracks it",
        )

    def url(self, tracked: Tracked) -> str:
        """The page of a run."""
        return f"{self.uri.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{tracked.run_id}"

    def _look(self, training: Training) -> _There:
        """What is there, by two requests. The run of the lake is drawn of 64 random bits, so that there is little to
        compare."""
        of_the_run = f"tags.`{RUN}` = '{training.run}'"
        runs = self.client.search_runs([self.experiment_id], of_the_run)
        versions = self.client.search_model_versions(f"name = '{self.model}' and {of_the_run}")
        found = _There(
            [run for run in runs if training.identity.items() <= run.data.tags.items()],
            [version for version in versions if training.identity.items() <= version.tags.items()],
        )
        if not found.is_ambiguous:
            return found
        # A search leaves out which versions have an alias.
        return replace(found, aliased=set(self.client.get_registered_model(self.model).aliases.values()))

    def _settle(self, there: _There, training: Training) -> None:
        run = there.run or self._new_run(training)
        if run.info.status != _FINISHED:
            self._fill(run.info.run_id, training)
        if training.is_approved and there.version is None:
            self._new_version(run, training)
            return  # others may have one, too: who stays is seen by another look
        for version in there.surplus_versions:
            self.client.delete_model_version(self.model, version.version)
        for surplus in there.surplus_runs:
            self.client.delete_run(surplus.info.run_id)

    def _new_run(self, training: Training) -> Any:
        """A run has its tags from the first moment, so that it is found again whenever this process is killed."""
        name = f"{training.use_case} {training.date}"
        return self.client.create_run(self.experiment_id, tags=training.tags, run_name=name)

    def _fill(self, run_id: str, training: Training) -> None:
        """Write everything of a run, and end it. What is there already is written once more, and stays the same."""
        from mlflow.entities import Metric, Param

        metrics = [Metric(name, value, training.timestamp, 0) for name, value in training.metrics.items()]
        params = [Param(name, value) for name, value in training.params.items()]
        for some in _batches(metrics, _METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=some)
        for some in _batches(params, _PARAMS_AT_ONCE):
            self.client.log_batch(run_id, params=some)
        with tempfile.TemporaryDirectory() as directory:
            for name, content, into in training.documents():
                file = Path(directory, name)
                file.write_bytes(content)
                self.client.log_artifact(run_id, str(file), into or None)
        self.client.set_terminated(run_id, _FINISHED)

    def _new_version(self, run: Any, training: Training) -> None:
        try:
            self.client.create_registered_model(self.model)
        except Exception as error:
            if code_of(error) != EXISTS:
                raise
        source = f"{run.info.artifact_uri}/{MODEL_DIRECTORY}"
        self.client.create_model_version(
            self.model, source, run_id=run.info.run_id, tags=training.tags, await_creation_for=None
        )


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
