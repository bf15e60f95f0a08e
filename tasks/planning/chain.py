"""The stages of the chain, in its order: the one place from which command lines, tables and pictures take it."""

from __future__ import annotations

from tasks.balancing import Balancing
from tasks.features import FeatureEngineering
from tasks.graph.stage import Stage
from tasks.inference import BatchInference
from tasks.release import Release
from tasks.selection import ModelSelection
from tasks.serving import ServingFeatures
from tasks.snapshot import Snapshot
from tasks.training import Training

CHAIN: tuple[type[Stage], ...] = (
    Snapshot,
    FeatureEngineering,
    ServingFeatures,
    Balancing,
    Training,
    ModelSelection,
    BatchInference,
    Release,
)
#: The stages by the dataset that each writes.
BY_DATASET = {stage.dataset: stage for stage in CHAIN}
#: The stages by each name that a person may give: that of the class, and that of the dataset.
BY_NAME = {name: stage for stage in CHAIN for name in (stage.__name__, stage.dataset)}
#: The stages as a message lists them.
NAMES = ", ".join(f"{stage.__name__} ({stage.dataset})" for stage in CHAIN)
