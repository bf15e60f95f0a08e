"""Scores a day: one calibrated score for each row of its features."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import BadData, DamagedPartition, ModelError, UseCaseError
from spark_lib.lake import Attempt, Lake, Partition, Rows, Schema
from spark_lib.lake.stores import s3_client
from spark_lib.models import matrix
from spark_lib.models.model import check_digest, check_safe
from spark_lib.models.python_model import PythonModel
from spark_lib.models.selection import Beside
from spark_lib.scoring import counted, engine
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.engine import Engine
from spark_lib.scoring.share import Share
from spark_lib.stages.selection import Pinned, beside_of, pinned_beside
from spark_lib.use_case import Feature, ddl
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    from spark_lib.use_case import UseCase

logger = logging.getLogger("daystone.scoring")


def build(
    score: scoring.Runner,
    case: UseCase,
    features: Partition,
    model: Pinned,
    attempt: Attempt,
    file_rows: int,
    canary: Canary | None = None,
) -> Rows:
    """Write one row for each row of ``features`` into the run of ``attempt``: key, entity, event time, the
    columns of the model's problem (the calibrated ``score`` of a binary one, and ``prediction`` where the model's card
    has a threshold), ``model_date`` and ``model_digest``. Rows of the entities of a ``canary`` are its model's; where that
    model cannot score them, all rows are the ``model``'s, and the figures say why.

    ``score`` is Spark's, or that of a few processes, which write the same. Columns that the card does not name are not
    read. An infinity is given to the model as it is: trees compare it like any other number, and of another model that
    makes no probability of it the score is refused. Raises BadData where the columns are not those of the model's card,
    where a value without a fill is missing,
    where a key, an entity or an event time is null, and where a score is not a probability. Raises DamagedPartition
    where a file of ``features`` cannot be read, or does not have the columns of its manifest. Raises ModelError where
    the model is not the one that the selection names, or is not safe to load.
    """
    second: _Scored | None = None
    rest: Share | None = None
    figures: dict[str, Any] = {}
    if canary is not None:
        said = canary.beside.figures()
        share = Share(names(case.entity_or_key), canary.beside.salt, canary.beside.share)
        try:
            other = _whole(canary.model)
            _check_alike(features, model, other)
            second = _scored(score, case, features, other, attempt, file_rows, share)
            rest = replace(share, inside=False)
            figures["canary"] = said | {"rows": second.done.scores.rows} | _figures(second)
        except (BadData, ModelError, UseCaseError) as error:
            logger.warning("the canary scores nothing of %s: %s", features.date, error)
            figures["canary"] = said | {"rows": 0, "failed": str(error)}
    first = _scored(score, case, features, model, attempt, file_rows, rest)
    scored = [first, second] if second else [first]
    rows = sum(each.done.scores.rows for each in scored)
    if rows != features.manifest.rows():
        raise BadData(
            f"predictions of {features.date}",
            f"a score for each of {features.manifest.rows():,} rows",
            f"{rows:,}",
            "run the stage again; nothing was published",
        )
    files = [file for each in scored for file in each.done.files.items()]
    return Rows(
        {"": sum(count for _, count in files)},
        (*first.job.identity, *first.job.predictions.schema, *scoring.OF_THE_MODEL),
        _figures(first) | figures,
        frozenset(name for name, _ in files),
    )


def as_second(written: Rows, beside: Beside) -> Rows:
    """The rows of a second model, whose figures say by which strategy it scores."""
    return replace(written, metrics={**written.metrics, "strategy": beside.strategy, "share": beside.share})


@dataclass(frozen=True)
class Canary:
    """A second model, and which share of the entities is published as it scores them. In place of a model that is damaged
    stands the error, because the day has its predictions without it."""

    beside: Beside
    model: Pinned | DamagedPartition


def canary(lake: Lake, selection: Partition) -> Canary | None:
    """The canary of a day's selection; None without one. The files of a second model that publishes nothing, as that of a
    shadow, are not looked at."""
    beside = beside_of(selection)
    if beside is None or not beside.share:
        return None
    try:
        second = pinned_beside(lake, selection)
    except DamagedPartition as damage:
        return Canary(beside, damage)
    return Canary(*second) if second is not None else None


@dataclass(frozen=True)
class _Scored:
    """What one model has scored."""

    job: scoring.Job
    done: scoring.Done
    model: Pinned


def _scored(
    score: scoring.Runner,
    case: UseCase,
    features: Partition,
    model: Pinned,
    attempt: Attempt,
    file_rows: int,
    only: Share | None,
) -> _Scored:
    """Score the rows of a day, or of its entities that ``only`` stands for. Raises as ``build`` does."""
    wanted, problem = model.card.features, problems.of_card(model.card)
    check_columns(features, wanted)
    there = dict(features.manifest.schema)
    job = scoring.Job(
        features.store.root,
        s3_client.connection_to(features.store.root, attempt.lake.root, over=attempt.lake.connection),
        identity_of(case, features),
        {name: replace(feature, type=there[name]) for name, feature in wanted.items()},
        runner(model, features.manifest.rows()),
        problem.predictions(model.card.calibration, model.card.decision),
        model.date,
        model.digest,
        attempt.lake.root,
        attempt.prefix(features.date),
        file_rows,
        model.card.reference,
        counted.stride(features.manifest.rows()),
        only,
    )
    done = score(job, features.manifest.files, features.prefix)
    refuse(features, done, job.predictions.wanted)
    return _Scored(job, done, model)


def _figures(scored: _Scored) -> dict[str, Any]:
    """What the manifest says of a model and its scores."""
    job, done, runs = scored.job, scored.done, scored.job.engine
    figures: dict[str, Any] = {
        "model_date": str(scored.model.date),
        "model_digest": scored.model.digest,
        "scores": done.scores.figures(),
        "engine": "onnxruntime" if done.slow else runs.name,
    }
    why = done.slow or (runs.why if isinstance(runs, Engine) else "")
    if why:
        figures["no_forest"] = why
    if isinstance(runs, PythonModel):
        figures["repeated"] = done.repeated
    if job.reference:
        figures["sketches"] = done.sketches.document()
    if done.unseen:
        figures["unseen_categories"] = dict(sorted(done.unseen.items()))
    if done.slow:
        logger.warning(
            "scored by onnxruntime, several times slower than by a forest that numba compiles where Spark's Python runs: %s",
            done.slow,
        )
    return figures


def _whole(model: Pinned | DamagedPartition) -> Pinned:
    """The model of a canary. Raises ModelError where it is damaged."""
    if isinstance(model, DamagedPartition):
        raise ModelError(model.where, model.wanted, model.found, model.next_step)
    return model


def _check_alike(features: Partition, model: Pinned, other: Pinned) -> None:
    """Raise BadData where a canary's rows would have other columns than those of the model in force."""
    ours, theirs = (
        problems.of_card(each.card).predictions(each.card.calibration, each.card.decision).schema
        for each in (model, other)
    )
    if ours != theirs:
        raise BadData(
            f"canary of {features.date}",
            f"the columns {', '.join(dict(ours))}, as the model of {model.date} writes them",
            f"{', '.join(dict(theirs))} of the model of {other.date}",
            "compare the two as a shadow, or promote the other one directly",
        )


def runner(model: Pinned, rows: int) -> Engine | PythonModel:
    """What scores ``rows`` rows: an engine for ONNX, or the pickled pipeline where the card's model is a file of
    joblib."""
    if model.card.is_pickled:
        check_digest(model.model, model.digest, "model.joblib")
        return PythonModel(model.model, model.digest, problems.of_card(model.card).classes)
    check_digest(model.model, model.digest)
    check_safe(model.model)
    return engine.of(model.model, rows)


def refuse(features: Partition, done: scoring.Done, wanted: tuple[str, str]) -> None:
    """Raise BadData where a row has no identity, no value that it needs, or no prediction. ``wanted`` is what every row
    has to have, and what is found in its place."""
    if done.nulls:
        raise BadData(
            f"features of {features.date}",
            f"a value in every row of {', '.join(done.nulls)}",
            "null: " + ", ".join(f"{count:,} of {name}" for name, count in done.nulls.items()),
            "build the day's features again; nothing was published",
        )
    matrix.refuse_missing(done.missing)
    if done.senseless:
        every, others = wanted
        found = f"{done.senseless:,} of {features.manifest.rows():,} {others}"
        if done.not_finite:
            of = ", ".join(f"{count:,} of {name}" for name, count in done.not_finite.items())
            found += f"; features of these rows that are infinite or NaN: {of}"
            next_step = "repair these features, or train a model that takes them, as trees do; nothing was published"
        else:
            found += ", and no infinity or NaN in the features of these rows"
            next_step = "look at the model and at the calibration of its card, and train anew; nothing was published"
        raise BadData(f"predictions of {features.date}", every, found, next_step)


def identity_of(case: UseCase, features: Partition) -> Schema:
    """Key, entity and event time, as far as the use case has them, with their types, each once. Raises BadData where one is not a column."""
    found = dict(features.manifest.schema)
    for name in case.identity:
        if name not in found:
            raise BadData(
                f"features of {features.date}",
                f"a column {name!r}, as the use case has it",
                f"only {', '.join(found)}",
                "build the day's features again with this use case",
            )
    return tuple((name, found[name]) for name in case.identity)


def check_columns(features: Partition, wanted: Mapping[str, Feature]) -> None:
    """Raise BadData where a feature of the model's card is not a column of that type."""
    found = dict(features.manifest.schema)
    declared = ddl.columns(", ".join(f"`{name}` {feature.type}" for name, feature in wanted.items()))
    for name, kind in ((column.name, column.kind) for column in declared):
        if found.get(name) != kind:
            raise BadData(
                f"features of {features.date}",
                f"a column {name!r} of type {kind}, as the model's card has it",
                f"type {found[name]}" if name in found else f"only {', '.join(found)}",
                "build the day's features again with the use case that the model was trained with, or train again",
            )
