"""credit_risk that stops in the middle of its work, for tests that have to be there at that moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from spark_lib.use_cases.credit_risk import CreditRisk

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Gated(CreditRisk):
    """Says that it has arrived, and goes on once the gate is open."""

    settings = CreditRisk.settings | {"raw.path": "{root}/credit_risk/raw/{feed}/date={date:%Y-%m-%d}"}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        gate = Path(os.environ["GATE"])
        (gate / f"arrived-{os.getpid()}").touch()
        while not (gate / "open").exists():
            sleep(0.02)
        return super().engineer(day, history)
