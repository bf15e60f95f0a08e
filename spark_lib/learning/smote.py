"""Makes synthetic minority rows by SMOTE-NC (Chawla et al. 2002, section 6.1): each lies between a row and one of its
nearest neighbours.

Every task of Spark holds the whole minority, in the order of its keys, and makes the rows of some of its chunks. Rows
go from executor to executor, never to the driver. Everything is drawn, searched and summed on one thread, by chunk or
over the whole minority in the order of keys. So the same rows and seed give the same synthetic rows, however the rows
are partitioned and however many tasks there are. Workers import this module, so pyspark is imported inside the function
that needs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.learning.neighbours import EXACT_UP_TO, nearest
from spark_lib.use_case import Feature
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_CHUNK = 4096  # rows whose neighbours are searched at once
_CODES = 256  # the most values of a nominal feature
_BATCH = 65_536  # synthetic rows at once
_TASK = "_task"


def synthesised(
    minority: DataFrame,
    key: Key,
    features: Mapping[str, Feature],
    count: int,
    seed: int,
    neighbours: int = 5,
    exact_up_to: int = EXACT_UP_TO,
) -> DataFrame:
    """``count`` synthetic rows: the columns of ``minority``, and ``copy`` INT: 1, 2, ... for the rows made from one
    row.

    ``key`` is unique. Every row makes ``count // rows`` synthetic rows; the rest is made by rows that are drawn, one
    each. Features are made as ``synthesise`` says. Other columns are those of the row that a synthetic row was made
    from. No rows make no synthetic rows.

    Above ``exact_up_to`` rows neighbours are approximate. Raises ConfigurationError where that needs faiss and it is
    not installed.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import IntegerType, StructType

    schema = StructType(list(minority.schema)).add("copy", IntegerType(), False)
    rows = minority.count()
    if not rows or count <= 0:
        return minority.limit(0).withColumn("copy", F.lit(0))
    if rows > exact_up_to and importlib.util.find_spec("faiss") is None:
        raise ConfigurationError(
            "balancing by smote",
            f"faiss, to search neighbours among more than {exact_up_to} minority rows",
            f"{rows} minority rows, and no faiss",
            'pip install "daystone[approximate]" wherever Spark\'s Python runs, or balance by another strategy',
        )
    tasks = min(-(-rows // _CHUNK), minority.sparkSession.sparkContext.defaultParallelism)

    order = [(name, "ascending") for name in names(key)]

    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(batches)
        task = table.column(_TASK)[0].as_py()
        (ordered,) = table.drop_columns([_TASK]).sort_by(order).combine_chunks().to_batches()
        yield from synthesise(ordered, features, count, seed, neighbours, exact_up_to, range(task, rows, tasks))

    copies = minority.withColumn(_TASK, F.explode(F.sequence(F.lit(0), F.lit(tasks - 1))))
    return copies.repartitionById(tasks, _TASK).mapInArrow(made, schema)


def synthesise(
    table: pa.RecordBatch,
    features: Mapping[str, Feature],
    count: int,
    seed: int,
    neighbours: int,
    exact_up_to: int,
    chunks: Iterable[int],
) -> Iterator[pa.RecordBatch]:
    """Make the synthetic rows of some ``chunks`` of a table, which is sorted by key. All its chunks together make
    ``count``.

    A number is uniform between the row's own and that of one of its ``neighbours`` nearest rows, by one gap for all
    columns. An integer is rounded to the nearest, half to even, and has all its digits. A nominal feature or a boolean
    is the most frequent value of all these neighbours; ties are drawn. In the search it takes a column for each of its
    values, but one column for two values. Where one of two numbers is null, NaN or infinite, nothing lies between them:
    the synthetic row takes the nearer of the two unchanged.
    """
    k = min(neighbours, table.num_rows - 1)
    repeats = np.full(table.num_rows, count // table.num_rows)
    repeats[np.random.default_rng(seed).choice(table.num_rows, count % table.num_rows, replace=False)] += 1
    nominal = {
        name
        for name, feature in features.items()
        if feature.nominal or feature.is_category or pa.types.is_boolean(table[name].type)
    }
    kinds = {name: _kinds(table[name]) for name in nominal}
    search = nearest(_points(table, features, kinds), k, exact_up_to)
    for chunk in chunks:
        begin = chunk * _CHUNK
        if begin >= table.num_rows:
            return
        random = np.random.default_rng([seed, chunk])
        makes = repeats[begin : begin + _CHUNK]
        bases = begin + np.flatnonzero(makes)
        if not len(bases):
            continue
        found = search(bases) if k else bases[:, None]  # an only row is its own neighbour
        place = np.repeat(np.arange(len(bases)), makes[bases - begin])
        copy = 1 + np.arange(len(place)) - np.searchsorted(place, place)
        for start in range(0, len(place), _BATCH):
            part = slice(start, start + _BATCH)
            yield _batch(table, features, kinds, bases[place[part]], found[place[part]], copy[part], random)


def _kinds(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The distinct values of a column, ascending with null last, and the place [n] of each row's value among them."""
    found = pc.unique(column)
    found = found.take(pc.sort_indices(found))
    return found, pc.index_in(column, found).to_numpy()


def _points(
    table: pa.RecordBatch, features: Mapping[str, Feature], kinds: Mapping[str, tuple[pa.Array, np.ndarray]]
) -> np.ndarray:
    """The coordinates of the rows, float32 [n, d].

    Numbers are divided by their standard deviation. Two values of a nominal feature are 1 apart, which is the median of
    these deviations, as in the paper. A number that is not finite lies at the feature's ``fill``, or at the mean. A
    null of a nominal feature is a value of its own.
    """
    found: list[np.ndarray] = []
    for name, feature in features.items():
        if name in kinds:
            values, codes = kinds[name]
            if len(values) > _CODES:
                raise BadData(
                    "balancing by smote",
                    f"at most {_CODES} values of a nominal feature, each of which is a column of the search",
                    f"{len(values):,} of {name}",
                    "group its values, leave `nominal` out where they have an order, or balance by another strategy",
                )
            one_hot = [((codes == code) / np.sqrt(2)).astype(np.float32) for code in range(len(values))]
            found += one_hot if len(values) != 2 else [codes]  # two values are 1 apart on a line
            continue
        numbers = _numbers(table[name])
        there = np.isfinite(numbers)
        fill = numbers[there].mean() if feature.fill is None and there.any() else float(feature.fill or 0)
        numbers = np.where(there, numbers, fill)
        numbers -= numbers.mean()
        with np.errstate(over="ignore"):  # where the deviation is infinite, all numbers become 0 and do not count
            found.append(numbers / (numbers.std() or 1.0))
    return np.ascontiguousarray(np.array(found, np.float32).T)


def _batch(
    table: pa.RecordBatch,
    features: Mapping[str, Feature],
    kinds: Mapping[str, tuple[pa.Array, np.ndarray]],
    own: np.ndarray,
    nearby: np.ndarray,
    copy: np.ndarray,
    random: np.random.Generator,
) -> pa.RecordBatch:
    """A synthetic row for each of the rows ``own`` [m], from their neighbours [m, k]."""
    gap = random.random(len(own))
    other = nearby[np.arange(len(own)), random.integers(nearby.shape[1], size=len(own))]
    columns = []
    names = table.schema.names
    for name, column in zip(names, table.columns, strict=True):
        if name in kinds:
            values, codes = kinds[name]
            columns.append(values.take(_voted(codes[nearby], random)))
        elif name in features:
            columns.append(_between(column.take(own), column.take(other), gap))
        else:
            columns.append(column.take(own))
    return pa.RecordBatch.from_arrays([*columns, pa.array(copy, pa.int32())], names=[*names, "copy"])


def _voted(codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The most frequent code of each row of codes [m, k]: [m]. Of several that are equally frequent one is drawn."""
    votes = (codes[:, :, None] == codes[:, None, :]).sum(axis=2)
    voted: np.ndarray = codes[np.arange(len(codes)), (votes + random.random(votes.shape)).argmax(axis=1)]
    return voted


def _between(own: pa.Array, other: pa.Array, gap: np.ndarray) -> pa.Array:
    """Values between ``own`` and ``other``, of the same type: ``gap`` [m] in [0, 1) is the part of the way from the
    first."""
    a, b = _numbers(own), _numbers(other)
    if pa.types.is_integer(own.type):
        start, end = (column.fill_null(0).cast(pa.int64()).to_numpy() for column in (own, other))
        between = _between_integers(start, end, gap)
    else:
        with np.errstate(invalid="ignore"):  # infinities, which are not used
            between = np.clip(a * (1 - gap) + b * gap, np.minimum(a, b), np.maximum(a, b))
    if pa.types.is_decimal(own.type):
        wide = pa.decimal256(60, own.type.scale)
        moved = pc.add(own, pa.array(np.nan_to_num(between - a)).cast(wide))
        ends = [end.cast(moved.type) for end in (own, other)]
        low, high = pc.min_element_wise(*ends), pc.max_element_wise(*ends)
        values = pc.min_element_wise(pc.max_element_wise(moved, low), high).cast(own.type)
    else:
        values = pa.array(between).cast(own.type)
    whole = pc.if_else(pa.array(gap < 0.5), own, other)
    return pc.if_else(pa.array(np.isfinite(a) & np.isfinite(b)), values, whole)


def _between_integers(own: np.ndarray, other: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The same for int64, exact over the whole range: the way from one to the other is a uint64, which can always hold
    it."""
    up = other >= own
    start, end = own.view(np.uint64), other.view(np.uint64)
    way = np.where(up, end - start, start - end)
    step = np.rint(gap * way).astype(np.uint64)  # less than the way, however it is rounded, as the gap is below 1
    between: np.ndarray = np.where(up, start + step, start - step).view(np.int64)
    return between


def _numbers(column: pa.Array) -> np.ndarray:
    """A column as float64 [n]; null becomes NaN."""
    numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers
