"""The runs that published days of other datasets were made from and keep, whatever is published in their place."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from spark_lib.registry import promotions
from tasks.graph.staleness import PROMOTION, Day
from tasks.planning.chain import CHAIN
from tasks.training import Training

if TYPE_CHECKING:
    from spark_lib.lake import Lake
    from spark_lib.lake.gc import Kept


def runs(lake: Lake) -> dict[Kept, list[Day]]:
    """Each run that is kept, with the days that were made from it, oldest first: of a selection, the run that it pins and
    all others that it considered; of a release, the predictions in force; and the model of each promotion. Raises DamagedPartition where it cannot be known."""
    found: dict[Kept, list[Day]] = {}
    for stage in (stage for stage in CHAIN if stage.keeps):
        for day, partition in lake.require_whole(lake.find(stage.dataset, date.min, date.max)).items():
            for run in stage.runs_kept(day, partition.manifest):
                found.setdefault(run, []).append(Day(stage.dataset, day))
    for each in promotions.read(lake):
        kept = (Training.dataset, each.model.date, each.model.run)
        found.setdefault(kept, []).append(Day(PROMOTION, each.first_day))
    return found
