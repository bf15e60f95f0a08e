"""Evaluates the predictions of past days by the outcomes that have landed since. The outcomes are joined as training joins
them; all else is computed by the driver, from one number, or a few, for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.evaluation.bounds import of_settings
from spark_lib.evaluation.document import EVALUATION, NO_PREDICTIONS, NOTHING, PAGE, Day, Evaluation, Model
from spark_lib.frames.files import unreadable_files_named
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Documents, Lake, Partition, RawDays, days
from spark_lib.learning.splitting import group
from spark_lib.problems.problem import GROUP, SCORE, Problem
from spark_lib.release import in_force
from spark_lib.report import evaluation as page
from spark_lib.stages import outcomes as outcomes_of
from spark_lib.stages.outcomes import EXCLUDED, OUTCOME
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from spark_lib.evaluation.judging import Rows
    from spark_lib.use_case import UseCase

#: The most rows that are brought to the driver. Of more rows, so many are drawn by a hash of the key.
MOST_ROWS = 1_000_000
_SEGMENT, _SHADOW = "_segment_", "_shadow"
#: The columns of predictions that say which model scored a row.
_MODEL = ("model_date", "model_digest")


@dataclass(frozen=True)
class Published:
    """What there is to evaluate of the days of ``[first, last]``: the ``predictions`` in force and the ``features`` behind
    them, by day, and those of a challenger in the ``shadow``. ``held`` says of a day with a release why nothing is in
    force. Features are read where the use case declares segments, and are empty elsewhere."""

    first: date
    last: date
    predictions: Mapping[date, Partition]
    held: Mapping[date, str] = field(default_factory=dict)
    features: Mapping[date, Partition] = field(default_factory=dict)
    shadow: Mapping[date, Partition] = field(default_factory=dict)

    @property
    def partitions(self) -> list[Partition]:
        """Every partition that is read."""
        return [each for found in (self.predictions, self.features, self.shadow) for _, each in sorted(found.items())]


def published(lake: Lake, first: date, last: date, with_features: bool) -> Published:
    """Find what is in force on the days of ``[first, last]``: what the release of a day says where it has one, and the
    published predictions elsewhere. Raises DamagedPartition where one of these is not whole."""
    released = in_force.find(lake, first, last)
    others = {
        day: found
        for day, found in lake.find("predictions", first, last).items()
        if day not in released.partitions and day not in released.held
    }
    predictions = released.partitions | lake.require_whole(others)

    def beside(dataset: str) -> dict[date, Partition]:
        found = lake.find(dataset, first, last)
        return lake.require_whole({day: each for day, each in found.items() if day in predictions})

    features = beside("features") if with_features else {}
    return Published(first, last, predictions, released.held, features, beside("shadow"))


@unreadable_files_named()
def build(
    spark: SparkSession,
    case: UseCase,
    day: date,
    found: Published,
    outcomes: RawDays,
    settings: Mapping[str, Any],
    later: RawDays | None = None,
) -> Documents:
    """The evaluation of ``day``: ``evaluation.json`` and the page ``evaluation.html``.

    ``outcomes`` are the days of the label's feed from the first judged day to ``day``, or where the label lands with the
    rows those of the judged days, with ``later`` for what becomes known later. ``settings`` are those of the stage.
    Raises BadData for an outcome outside of its set.
    """
    problem = problems.of(case.label)
    counted, table = _read(spark, case, problem, found, outcomes, settings["max_unlabelled"], later)
    measured = Evaluation(day, found.first, found.last, problem.name, tuple(counted), NOTHING)
    if table is not None:
        judged = [each.date for each in counted if not each.reason]
        measured = _judged(problem, case, measured, _rows(case, table, judged), settings)
    title = f"Evaluation of {day}: {problem.title(case.label.column)}"
    written = page.render(title, problem, measured)
    return Documents({EVALUATION: measured.to_json(), PAGE: written.encode()}, measured.summary().document())


def _judged(
    problem: Problem, case: UseCase, counted: Evaluation, rows: Rows, settings: Mapping[str, Any]
) -> Evaluation:
    """The evaluation with what its judged ``rows`` give."""
    from spark_lib.evaluation import judging

    by_day = judging.by_day(problem, rows, settings)
    whole, segments = judging.whole(problem, rows, settings), judging.by_segment(problem, rows, settings)
    own = "evaluation."
    bounds = {name.removeprefix(own): value for name, value in settings.items() if name.startswith(own)}
    known = sum(each.labelled for each in counted.days if not each.reason)
    return replace(
        counted,
        days=tuple(replace(each, part=by_day.get(each.date, each.part)) for each in counted.days),
        whole=whole,
        models=judging.by_model(problem, rows, settings),
        segments=segments,
        shares=judging.by_share(problem, rows, settings),
        shadows=judging.by_shadow(problem, rows, settings),
        gates=judging.held(problem, whole, segments, of_settings(problem, bounds, case.segments)),
        sampled=len(rows.labels) if len(rows.labels) < known else 0,
    )


def _read(
    spark: SparkSession,
    case: UseCase,
    problem: Problem,
    found: Published,
    outcomes: RawDays,
    max_unlabelled: float,
    later: RawDays | None,
) -> tuple[list[Day], pa.Table | None]:
    """Every day of the window, and the rows of those that are judged; None where none is."""
    if not found.predictions:
        return [_day(day, found, (), max_unlabelled) for day in days(found.first, found.last)], None
    rows = _labelled(spark, case, problem, found, outcomes, later).persist()
    try:
        counted = _counted(rows, found, max_unlabelled)
        judged = [each.date for each in counted if not each.reason]
        return counted, _collected(case, rows, judged) if judged else None
    finally:
        rows.unpersist()


def _labelled(
    spark: SparkSession, case: UseCase, problem: Problem, found: Published, outcomes: RawDays, later: RawDays | None
) -> DataFrame:
    """A row for each prediction in force: key, ``landed``, model, ``SCORE``, ``GROUP``, its segments, what a challenger
    said of it, its ``label`` and ``EXCLUDED``."""
    from pyspark.sql import functions as F

    keys = list(names(case.key))
    rows = _of_days(
        spark, found.predictions, *keys, problem.published().alias(SCORE), *_MODEL, group(case.entity_or_key)
    )
    if found.features:
        segments = [F.col(name).alias(f"{_SEGMENT}{place}") for place, name in enumerate(case.segments)]
        rows = rows.join(_of_days(spark, found.features, *keys, *segments), [*keys, "landed"], "left")
    if found.shadow:
        said = [problem.published().alias(_SHADOW), *(F.col(name).alias(f"{_SHADOW}_{name}") for name in _MODEL)]
        rows = rows.join(_of_days(spark, found.shadow, *keys, *said), [*keys, "landed"], "left")
    known = outcomes_of.joined(spark, case, rows, outcomes, later)
    return known.withColumn("label", problem.label(F.col(OUTCOME)).cast("double")).drop(OUTCOME)


def _of_days(spark: SparkSession, found: Mapping[date, Partition], *columns: Any) -> DataFrame:
    """Columns of partitions, with the day that their rows ``landed``. Days may have other columns besides: a threshold
    that was set between two of them adds one."""
    from pyspark.sql import functions as F

    by_schema: dict[Any, list[Partition]] = {}
    for _, partition in sorted(found.items()):
        by_schema.setdefault(tuple(partition.manifest.schema_of("")), []).append(partition)
    read = [
        read_partitions(spark, alike).select(*columns, F.col("date").alias("landed")) for alike in by_schema.values()
    ]
    return reduce(lambda one, other: one.unionByName(other), read)


def _counted(rows: DataFrame, found: Published, max_unlabelled: float) -> list[Day]:
    """Every day of the window with its rows, and why it is not judged."""
    from pyspark.sql import functions as F

    known, excluded = F.col("label").isNotNull(), F.col(EXCLUDED)
    counts = (
        rows.groupBy("landed", *_MODEL)
        .agg(F.count_if(known).alias("labelled"), F.count_if(excluded).alias("excluded"), F.count("*").alias("rows"))
        .collect()
    )
    by_day: dict[date, list[Any]] = {}
    for row in counts:
        by_day.setdefault(row["landed"], []).append(row)
    return [_day(day, found, by_day.get(day, []), max_unlabelled) for day in days(found.first, found.last)]


def _day(day: date, found: Published, counts: Sequence[Any], max_unlabelled: float) -> Day:
    if day not in found.predictions:
        return Day(day, reason=found.held.get(day, NO_PREDICTIONS))
    rows, labelled, excluded = (sum(count[name] for count in counts) for name in ("rows", "labelled", "excluded"))
    unlabelled = rows - labelled - excluded
    reason = ""
    if not labelled:
        reason = "no row with an outcome" if rows else "no row"
    elif unlabelled > max_unlabelled * (labelled + unlabelled):
        share = unlabelled / (labelled + unlabelled)
        reason = f"{unlabelled:,} of {labelled + unlabelled:,} rows ({share:.1%}) have no outcome, max_unlabelled is {max_unlabelled:.1%}"
    models = tuple(sorted(Model(count["model_date"], count["model_digest"]) for count in counts))
    return Day(day, found.predictions[day].manifest.run, rows, labelled, unlabelled, excluded, models, reason=reason)


def _collected(case: UseCase, rows: DataFrame, judged: Sequence[date]) -> pa.Table:
    """The rows of the judged days that have an outcome, without their keys."""
    from pyspark.sql import functions as F

    known = rows.where(F.col("label").isNotNull() & F.col("landed").isin(list(judged)))
    if known.count() > MOST_ROWS:
        keys = names(case.key)
        known = known.orderBy(F.xxhash64(*keys), *keys).limit(MOST_ROWS)
    return known.drop(*names(case.key), EXCLUDED).toArrow()


def _rows(case: UseCase, table: pa.Table, judged: Sequence[date]) -> Rows:
    """The collected rows as arrays."""
    import numpy as np

    from spark_lib.evaluation.judging import Rows
    from spark_lib.problems import outputs

    models, of_models = _models(table, "")
    shadow = shadow_models = None
    if _SHADOW in table.column_names:
        there = table[_SHADOW].is_valid().to_numpy()
        said = outputs.floats(table[_SHADOW].filter(table[_SHADOW].is_valid()))
        shadow = np.full((table.num_rows, *said.shape[1:]), np.nan)
        shadow[there] = said
        theirs, of_theirs = _models(table, f"{_SHADOW}_")
        shadow_models = np.where(there, of_theirs + len(models), -1)
        models = [*models, *theirs]
    return Rows(
        outputs.floats(table[SCORE]),
        table["label"].to_numpy(),
        table[GROUP].to_numpy(),
        np.searchsorted(np.array(judged, "datetime64[D]"), table["landed"].to_numpy().astype("datetime64[D]")),
        of_models,
        judged,
        models,
        {
            name: table[f"{_SEGMENT}{place}"].to_pylist()
            for place, name in enumerate(case.segments)
            if f"{_SEGMENT}{place}" in table.column_names
        },
        shadow,
        shadow_models,
    )


def _models(table: pa.Table, prefix: str) -> tuple[list[Model], Any]:
    """The models that scored rows, and the place of each row's among them [n]. A row that no challenger has scored has
    one of no name."""
    import numpy as np

    told = list(zip(*(table[f"{prefix}{name}"].to_pylist() for name in _MODEL), strict=True))
    distinct = {each: place for place, each in enumerate(dict.fromkeys(told))}
    models = [Model(each[0] or date.min, each[1] or "") for each in distinct]
    return models, np.array([distinct[each] for each in told], np.intp)
