"""The stages of the chain, in its order: the one place from which command lines, tables and pictures take it."""

from __future__ import annotations

from spark_lib.errors import ConfigurationError
from spark_lib.lake import CLEAN
from spark_lib.use_case import UseCase
from tasks import cleaning
from tasks.balancing import Balancing
from tasks.cleaning import Cleaning
from tasks.evaluation import Evaluation
from tasks.features import FeatureEngineering
from tasks.graph.stage import Stage, expanded
from tasks.image import ModelImage
from tasks.inference import BatchInference
from tasks.release import Release
from tasks.selection import ModelSelection
from tasks.serving import ServingFeatures
from tasks.shadow import ShadowInference
from tasks.snapshot import Snapshot
from tasks.training import Training

CHAIN: tuple[type[Stage], ...] = (
    Cleaning,
    Snapshot,
    FeatureEngineering,
    ServingFeatures,
    Balancing,
    Training,
    ModelSelection,
    BatchInference,
    ShadowInference,
    Evaluation,
    Release,
    ModelImage,
)
#: The stages by the dataset that each writes.
BY_DATASET = {stage.dataset: stage for stage in CHAIN}
#: The stages by each name that a person may give: that of the class, and that of the dataset.
BY_NAME = {name: stage for stage in CHAIN for name in (stage.__name__, stage.dataset)}
#: The stages as a message lists them. One that cleans is named by its dataset, which has the feed.
NAMES = ", ".join(f"{stage.__name__} ({stage.dataset}{'/FEED' if stage is Cleaning else ''})" for stage in CHAIN)


def of(case: UseCase) -> tuple[type[Stage], ...]:
    """The stages of a use case, in the order of the chain: one that cleans for each feed that declares rules."""
    return expanded(CHAIN, case)


def later(stage: type[Stage], case: UseCase) -> tuple[type[Stage], ...]:
    """The stages of a use case from one on. Raises ConfigurationError for one that cleans a feed without rules."""
    stages = of(case)
    if stage not in stages:
        cleaned = ", ".join(case.cleaned_feeds) or "none is declared"
        raise ConfigurationError(
            stage.dataset,
            f"a feed that declares rules: {cleaned}",
            f"{stage.dataset.removeprefix(CLEAN)!r}, which is read as it landed",
            "name another stage, or the raw feed's own files",
        )
    return stages[stages.index(stage) :]


def named(name: str) -> type[Stage] | None:
    """The stage of a name that a person may give; None where there is none. One that cleans has the name of its
    dataset, ``clean/<feed>``."""
    if name.startswith(CLEAN) and name != CLEAN:
        return cleaning.of(name.removeprefix(CLEAN))
    found = BY_NAME.get(name)
    return None if found is Cleaning else found


def known() -> list[str]:
    """The names of ``named`` that are the same for every use case."""
    return [name for name in BY_NAME if named(name)]


def of_dataset(dataset: str) -> type[Stage] | None:
    """The stage that writes a dataset; None where there is none."""
    return named(dataset) if dataset.startswith(CLEAN) else BY_DATASET.get(dataset)


def rank(dataset: str) -> int:
    """The place of a dataset in the order of the chain; behind all others where no stage writes it."""
    kinds = [stage.dataset for stage in CHAIN]
    found = dataset.partition("/")[0] if dataset.startswith(CLEAN) else dataset
    return kinds.index(found) if found in kinds else len(kinds)
