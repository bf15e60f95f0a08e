"""Which model answers: that of the newest released day, changed by one assignment when a newer day is released."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from spark_lib.errors import DaystoneError
from spark_lib.lake import Lake
from spark_lib.models.card import Card
from spark_lib.release import in_force
from spark_lib.release.document import Summary
from spark_lib.rest import scorer
from spark_lib.rest.scorer import Scorer
from spark_lib.stages import selection

logger = logging.getLogger("daystone.rest")

#: What a card has for comparisons with days of predictions, which nobody who asks for a prediction needs.
_NOT_TOLD = ("reference",)


@dataclass(frozen=True)
class Current:
    """The model that answers: the day whose predictions were released, the run of these predictions, and the model that
    scored them with its card. A model that an image carries has no released day, and ``run`` is its own."""

    released: date | None
    run: str
    model_date: date
    model_digest: str
    card: Card
    scorer: Scorer

    def document(self) -> dict[str, Any]:
        """The card and where it comes from, as JSON has it."""
        card = {name: value for name, value in self.card.document().items() if name not in _NOT_TOLD}
        return {**self.identity} | {"card": card}

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """Which model it is."""
        released = {} if self.released is None else {"released": str(self.released)}
        return {"model_date": str(self.model_date), "model_digest": self.model_digest} | released


class Slot:
    """Holds the model that answers, by its attribute ``current``; None before there is one. A request takes it once and
    keeps it to its end, so that it may be changed at any time."""

    def __init__(self, newest: Callable[[Current | None], Current | None]) -> None:
        self._newest = newest
        self._is_looked_for = False
        self.current: Current | None = None
        self.failures = 0
        #: Why the last look for a newer model failed; empty where it did not.
        self.fault = ""

    def refresh(self) -> None:
        """Look for a newer released day. What fails is logged and counted, and the model that answers stays."""
        try:
            found = self._newest(self.current)
        except Exception as error:
            # A service goes on with the model that it has, whatever a lake or its files have come to.
            self.failures += 1
            fault = str(error) if isinstance(error, DaystoneError) else f"{type(error).__name__}: {error}"
            if fault != self.fault:
                logger.error("no look for a newer model: %s", fault)
            self.fault = fault
            return
        self.fault = ""
        if found is not self.current or not self._is_looked_for:
            self.current = found
            _log(found)
        self._is_looked_for = True


def _log(current: Current | None) -> None:
    if current is None:
        logger.warning("no model answers: no day has predictions in force")
        return
    told = (current.model_date, current.released, current.model_digest)
    logger.info("the model of %s answers, by the release of %s (%s)", *told)


def newest_of(lake: Lake) -> Callable[[Current | None], Current | None]:
    """What finds the model of the newest released day of a lake, given the one that answers now; None where nothing is in
    force, because a day whose predictions are held is not served by their model either. The one that answers is returned
    where it is the one still, and its scorer is taken on where another day was scored by the same model."""

    def newest(current: Current | None) -> Current | None:
        release = in_force.newest(lake)
        if release is None:
            return None
        summary = Summary.of(release.manifest.metrics).in_force
        assert summary is not None  # as newest() says
        if current is not None and (current.released, current.run) == (release.date, summary.run):
            return current
        predictions = in_force.run_of(release)
        assert predictions is not None  # as its manifest says
        if current is not None and current.model_digest == predictions.metrics["model_digest"]:
            same = (current.model_date, current.model_digest, current.card, current.scorer)
            return Current(release.date, predictions.run, *same)
        model = selection.that_scored(lake, release.date, predictions)
        made = scorer.of(model)
        return Current(release.date, predictions.run, model.date, model.digest, model.card, made)

    return newest
