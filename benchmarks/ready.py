"""What the benchmarks of scoring share: models and lakes, which are made when they are first asked for, and warm
contestants.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import made
from benchmarks.sides import Side
from spark_lib.scoring.engine import LEAST_ROWS

#: The rows that warm a contestant. Fewer would be scored by ONNX Runtime, and leave the forest cold.
WARM_ROWS = LEAST_ROWS


@dataclass
class Bench:
    """A directory with models and lakes, each made when it is first asked for, and how often everything is measured."""

    directory: str
    rows: int
    pairs: int
    _models: dict[str, made.Model] = field(default_factory=dict)
    _lakes: dict[tuple[object, ...], str] = field(default_factory=dict)

    def model(self, name: str) -> made.Model:
        if name not in self._models:
            self._models[name] = made.model(name, self.directory)
        return self._models[name]

    def lake(self, rows: int, width: int, shares: Sequence[float] = made.EVEN) -> str:
        """The root of a lake with a day of features; the machine has written it when this returns."""
        asked = (rows, width, *shares)
        if asked not in self._lakes:
            root = f"{self.directory}/lake-{len(self._lakes)}"
            self._lakes[asked] = made.land(root, rows, width, shares)
            os.sync()
        return self._lakes[asked]

    def warm(self, side: Side, width: int) -> None:
        self.warm_by(side, self.lake(WARM_ROWS, width))

    def warm_by(self, side: Side, small: str) -> None:
        target = f"{self.directory}/warm"
        side.warm(small, target)
        shutil.rmtree(target)

    def run_warm(self, side: Side, rows: int, source: str, small: str, target: str) -> float:
        """Seconds of a job right after a ``small`` one."""
        self.warm_by(side, small)
        return side.run(rows, source, target)
