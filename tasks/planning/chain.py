"""The stages of the chain, in its order: the one place from which command lines, tables and pictures take it."""

from __future__ import annotations

from tasks.balancing import Balancing
from tasks.features import FeatureEngineering
from tasks.graph.stage import Stage
from tasks.inference import BatchInference
from tasks.selection import ModelSelection
from tasks.serving import ServingFeatures
from tasks.training import Training

CHAIN: tuple[type[Stage], ...] = (
    FeatureEngineering,
    ServingFeatures,
    Balancing,
    Training,
    ModelSelection,
    BatchInference,
)
