"""Mirrors a training that was just published to MLflow, where that is configured, whatever MLflow does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_lib.errors import TrackingUnavailable
from tasks.graph.log import logger
from tasks.graph.stage import Stage, explained

if TYPE_CHECKING:
    from spark_lib.lake import Manifest
    from tasks.config.sections import mlflow


def mirror(stage: Stage, manifest: Manifest) -> None:
    """Track what a stage has just published. A day never fails by MLflow: whatever goes wrong is one warning, which names
    the command that catches up. After ``[mlflow] max_seconds`` the chain goes on."""
    failure = _failure(lambda: _track(stage, manifest), stage.settings.mlflow)
    if failure is None:
        return
    reason = explained(f"tracking of {stage.dataset} of {stage.date}", failure)
    command = f"daystone track --from {stage.date} --to {stage.date}"
    words = f"not tracked: {reason}. To catch up: {command}"
    traceback = None if reason is failure else failure
    logger.warning("%s of %s is %s", stage.dataset, stage.date, words, exc_info=traceback)
    stage.progress(100, f"{stage.summary(manifest)}; {words}")


def _track(stage: Stage, manifest: Manifest) -> None:
    registry = stage.settings.registry(stage.lake)
    partition = stage.partitions.partition(stage.dataset, stage.date, manifest)
    with registry.tracker() as tracker:
        tracker.track(registry.training(partition))


def _failure(work: Callable[[], None], values: mlflow) -> BaseException | None:
    """What ``work`` raises in a thread of its own, or TrackingUnavailable when the time is up; None where all went well.

    Each request of MLflow's client has a limit of its own, which a server that sends a byte now and then never reaches.
    The thread of such a one is left to itself: it holds nothing that another part of the run waits for.
    """
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)  # also an exit, which ends no training that is published

    thread = threading.Thread(target=guarded, name="mlflow", daemon=True)
    thread.start()
    thread.join(values.max_seconds)
    if thread.is_alive():
        wanted = f"a tracked training within {values.max_seconds:g} s"
        step = "look at the server, or raise [mlflow] max_seconds"
        return TrackingUnavailable(f"MLflow at {values.uri}", wanted, "none", step)
    return raised[0] if raised else None
