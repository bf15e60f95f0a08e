"""Compares a new model with the one before it, on the same rows. Neither of the two was trained on these rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import BadData
from spark_lib.frames.files import columns_of, unreadable_files_named
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Lake, Partition
from spark_lib.learning.resampling import drawn
from spark_lib.learning.splitting import group
from spark_lib.models import matrix
from spark_lib.models.model import check_digest, check_safe
from spark_lib.models.python_model import PythonModel
from spark_lib.models.selection import Challenge
from spark_lib.models.training_set import NATURAL
from spark_lib.problems.problem import GROUP, ONE, OTHER
from spark_lib.scoring.rows import scored_by, scored_with
from spark_lib.stages.selection import Pinned, approved_model
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.use_case import UseCase

#: The most validation rows that are compared. Of more rows, a sample is drawn.
ROWS = 100_000
#: These settings have to be equal. Otherwise one model may have been trained on rows that the other validates on.
_OF_THE_SPLIT = ("split", "train_validation_split_proportion", "calibration_proportion")
_REBUILT = "the balanced rows were rebuilt after the newer model was trained; rebuild that training, too"


@unreadable_files_named()
def compare(
    spark: Callable[[], SparkSession],
    case: UseCase,
    lake: Lake,
    challenger: Partition,
    champion: Partition,
    balanced: Partition,
    settings: Mapping[str, Any],
) -> Challenge:
    """Compare the model ``challenger`` with the ``champion``, on the natural validation rows of ``balanced``.

    ``balanced`` has to be the run that the challenger was trained on. Otherwise the two are not compared. The rest is
    as in ``compare_models``. ``spark`` starts Spark, and is called only where Spark is needed.
    """
    trained_on = [run for given in challenger.manifest.inputs if given.name == "balanced" for run in given.ids]
    hindrance = "" if balanced.manifest.run in trained_on else _REBUILT
    new, old = approved_model(lake, challenger), approved_model(lake, champion)
    return compare_models(spark, case.key, new, old, balanced, settings, hindrance)


def compare_models(
    spark: Callable[[], SparkSession],
    key: Key,
    new: Pinned,
    old: Pinned,
    balanced: Partition,
    settings: Mapping[str, Any],
    hindrance: str = "",
) -> Challenge:
    """Compare ``new`` with ``old`` on the natural validation rows of ``balanced``.

    The models' problem says by which metric, with an interval by the paired bootstrap, and when ``new`` loses: it has
    to show that it is not worse by more than ``champion_margin``. Where the two cannot be compared ``new`` does not
    lose, and ``detail`` says why.
    """
    unknown = Challenge(new.date, old.date, loses=False, detail=f"not compared with the model of {old.date}: ")
    hindrance = hindrance or incomparable(new, old, balanced)
    if hindrance:
        return replace(unknown, detail=unknown.detail + hindrance)
    rows = read_partitions(spark(), [balanced], NATURAL)
    try:
        matrix.check_filled(rows, old.card.features)
    except BadData as error:
        return replace(unknown, detail=unknown.detail + error.found)
    if balanced.manifest.rows(NATURAL) > ROWS:
        rows = drawn(rows, key, ROWS, settings["seed"])
    found = problems.of_card(new.card).compared(
        _scored_twice(rows.withColumn(GROUP, group(new.card.entity)), new, old),
        (new.card.calibration, old.card.calibration),
        settings,
        f"the model of {old.date}",
    )
    return Challenge(new.date, old.date, found.loses, found.words, found.difference, found.interval)


def incomparable(challenger: Pinned, champion: Pinned, balanced: Partition) -> str:
    """The reason, by the two cards, why a champion cannot be judged on the challenger's validation rows; empty where it
    can."""
    new, old = challenger.card, champion.card
    for name in _OF_THE_SPLIT:
        ours, theirs = (card.settings.get(name) for card in (new, old))
        if ours != theirs:
            return f"[training] {name} was {theirs} and is {ours}, so that it was trained on rows that now validate"
    if new.settings["split"] != "entity":
        return "the rows are split by time, so that it was trained on entities that now validate"
    if new.entity != old.entity:
        was, now = (", ".join(names(card.entity)) for card in (old, new))
        return f"the use case's entity was {was} and is {now}"
    ours, theirs = problems.of_card(new), problems.of_card(old)
    if ours != theirs:
        return f"the use case's {theirs.what} were {theirs} and are {ours}"
    columns = dict(balanced.manifest.schema)
    for feature, declared in old.features.items():
        ((name, kind),) = columns_of(f"`{feature}` {declared.type}").items()
        if columns.get(name) != kind:
            return f"it needs a feature {name!r} of type {kind}, which the rows no longer have"
    return ""


def _scored_twice(rows: DataFrame, challenger: Pinned, champion: Pinned) -> DataFrame:
    """Add what the two models give, uncalibrated, as ``ONE`` and ``OTHER``."""
    for name, model in ((ONE, challenger), (OTHER, champion)):
        classes = problems.of_card(model.card).classes
        if model.card.is_pickled:
            runs = PythonModel(model.model, model.digest, classes)
            rows = scored_with(runs, rows, rows.columns, model.card.features, name, classes)
            continue
        check_digest(model.model, model.digest)
        check_safe(model.model)
        rows = scored_by(
            model.model, rows, rows.columns, model.card.features, digest=model.digest, name=name, classes=classes
        )
    return rows
