"""The stages of the chain. A stage says when it is built, and from what; the module of the same noun in
``spark_lib.stages`` says how.

    RawPartition -> FeatureEngineering -> Balancing -> Training -> ModelSelection -> BatchInference
          |-> Cleaning -> whatever reads the feed, where the feed declares rules
          |-> Snapshot -> FeatureEngineering, where [features] snapshot asks for it
          |-> ServingFeatures -> Publication                      BatchInference -> Release -> Publication
          \\-> Evaluation, of past predictions                     BatchInference -> Evaluation -> Release
                                      FeatureEngineering, ModelSelection -> ShadowInference
                                                          ModelSelection -> ModelImage

``Daily`` asks for the predictions of a day, and for what people have decided to build beside them.

Luigi finds them by ``luigi --module tasks BatchInference --date 2026-11-20``.
"""

import sys

from tasks.config import files as config_files

if "luigi" not in sys.modules:  # otherwise Luigi has read its files already
    config_files.check_before_luigi()

from tasks.config import defaults  # this imports Luigi, which reads its files at once

defaults.install()

# Luigi reads its configuration when its classes are used, so what uses them is imported after our defaults.
from tasks.backfill import Backfill  # noqa: E402  (after our defaults)
from tasks.balancing import Balancing  # noqa: E402  (after our defaults)
from tasks.cleaning import Cleaning, CleaningRange  # noqa: E402  (after our defaults)
from tasks.daily import Daily  # noqa: E402  (after our defaults)
from tasks.evaluation import Evaluation  # noqa: E402  (after our defaults)
from tasks.features import FeatureEngineering  # noqa: E402  (after our defaults)
from tasks.graph import log, ranges  # noqa: E402  (after our defaults)
from tasks.graph.stage import Stage  # noqa: E402  (after our defaults)
from tasks.image import ModelImage  # noqa: E402  (after our defaults)
from tasks.inference import BatchInference  # noqa: E402  (after our defaults)
from tasks.notification import runs as notification  # noqa: E402  (after our defaults)
from tasks.planning import runs  # noqa: E402  (after our defaults)
from tasks.publication import Publication  # noqa: E402  (after our defaults)
from tasks.raw import RawPartition  # noqa: E402  (after our defaults)
from tasks.release import Release  # noqa: E402  (after our defaults)
from tasks.selection import ModelSelection  # noqa: E402  (after our defaults)
from tasks.serving import ServingFeatures  # noqa: E402  (after our defaults)
from tasks.shadow import ShadowInference  # noqa: E402  (after our defaults)
from tasks.snapshot import Snapshot  # noqa: E402  (after our defaults)
from tasks.training import Training  # noqa: E402  (after our defaults)

ranges.install()
log.install()
runs.install()
notification.install()

__all__ = [
    "Backfill",
    "Balancing",
    "BatchInference",
    "Cleaning",
    "CleaningRange",
    "Daily",
    "Evaluation",
    "FeatureEngineering",
    "ModelImage",
    "ModelSelection",
    "Publication",
    "RawPartition",
    "Release",
    "ServingFeatures",
    "ShadowInference",
    "Snapshot",
    "Stage",
    "Training",
]
