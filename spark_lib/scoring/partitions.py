"""Scores a partition, file by file. Spark hands out slices of its files. Python workers read, score and write them, and
no row goes through the JVM.

A task returns the names of the files that it wrote. Only files of tasks whose result Spark took enter a manifest. Files
of an attempt that died, of a speculative twin or of a zombie are ignored. Workers import this module, so pyspark is
imported on the driver only.
"""

from __future__ import annotations

import secrets
import sys
import zipimport
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import DaystoneError
from spark_lib.lake import Schema, footers
from spark_lib.lake.lake import damaged, unreadable
from spark_lib.lake.manifest import File
from spark_lib.lake.stores import open_store, s3_client
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Store
from spark_lib.lake.tables import arrow_schema
from spark_lib.models import matrix
from spark_lib.models.python_model import PythonModel
from spark_lib.release.sketch import Reference, Sketches
from spark_lib.scoring.counted import Counted
from spark_lib.scoring.engine import Engine
from spark_lib.scoring.predictions import Distribution, Predictions
from spark_lib.scoring.share import Share
from spark_lib.use_case import Feature
from spark_lib.use_case.protocol import BY_MODEL

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.sql import SparkSession

#: The most bytes for one task. A task costs Spark 50 to 150 ms, so there is one for each core, and there are more only
#: where a lost task would cost minutes.
TASK_BYTES = 2**31
#: The rows of a row group of the scores. A worker holds this many at a time.
_GROUP_ROWS = 2**19
#: The columns that are added to key, entity, event time and the predictions.
OF_THE_MODEL: Schema = tuple(zip(BY_MODEL, ("date", "string"), strict=True))


@dataclass(frozen=True)
class Slice:
    """The row groups of a file whose middle lies in its bytes [start, stop), counted without the footer. ``footer`` is
    the checksum of the file's footer, or empty where it is not known."""

    key: str
    start: int
    stop: int
    footer: str = ""


@dataclass(frozen=True)
class Job:
    """All that a task needs: the lake that it reads and how to reach it, the columns that are copied (``identity``) and
    those of the matrix (``features``) with the types in the manifest, what makes the scores and the ``predictions`` of them,
    and where they go, at most ``rows_a_file`` rows into one file. The columns of the ``reference`` are counted, features on
    every ``stride``-th row; without one nothing is. Rows of other entities than ``only`` stands for are passed over."""

    source: str
    connection: s3_client.Connection
    identity: Schema
    features: Mapping[str, Feature]
    engine: Engine | PythonModel
    predictions: Predictions
    model_date: date
    model_digest: str
    target: str
    prefix: str
    rows_a_file: int
    reference: Reference | None = None
    stride: int = 1
    only: Share | None = None


@dataclass
class Done:
    """What a task wrote and saw.

    ``files`` are the rows of each file by name. ``nulls`` are counted by column of the identity, ``missing`` values by
    feature without a fill. ``unseen`` are the texts by category that training did not see.
    ``repeated`` rows have the features of an earlier one. ``senseless`` rows have no prediction
    that makes sense; ``not_finite`` says, by feature, how many of these have an infinity or NaN. ``slow`` is the reason
    why no forest was compiled. ``sketches`` count the rows by the columns of the reference.
    """

    scores: Distribution
    files: dict[str, int] = field(default_factory=dict)
    nulls: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    senseless: int = 0
    not_finite: Counter[str] = field(default_factory=Counter)
    slow: str = ""
    sketches: Sketches = field(default_factory=Sketches)

    def merge(self, other: Done) -> None:
        self.files |= other.files
        self.scores.merge(other.scores)
        self.nulls += other.nulls
        self.missing += other.missing
        self.unseen += other.unseen
        self.repeated += other.repeated
        self.senseless += other.senseless
        self.not_finite += other.not_finite
        self.slow = self.slow or other.slow
        self.sketches = self.sketches.merged(other.sketches)


#: What scores all rows of a partition's files below a prefix: Spark, or processes of the driver.
Runner = Callable[[Job, Sequence[File], str], Done]


def shared(files: Sequence[File], prefix: str, tasks: int) -> list[list[Slice]]:
    """Divide the bytes of the files, in their order, into equal shares, one for each task."""
    total = sum(file.size for file in files)
    bounds = [total * task // tasks for task in range(tasks + 1)]
    shares: list[list[Slice]] = [[] for _ in range(tasks)]
    begin = 0
    for file in files:
        for task, (low, high) in enumerate(pairwise(bounds)):
            start, stop = max(low - begin, 0), min(high - begin, file.size)
            if start < stop:
                shares[task].append(Slice(f"{prefix}/{file.path}", start, stop, file.footer))
        begin += file.size
    return [share for share in shares if share]


def run(spark: SparkSession, job: Job, files: Sequence[File], prefix: str) -> Done:
    """Score all rows of a partition's files, and return what the tasks did together. Raises what a task raised."""
    cores = spark.sparkContext.defaultParallelism
    tasks = max(cores, -(-sum(file.size for file in files) // TASK_BYTES))
    shares = shared(files, prefix, tasks)
    if not shares:
        return together(job, [])

    handed_out = spark.sparkContext.parallelize(list(enumerate(shares)), len(shares))
    return together(job, handed_out.map(lambda share: attempted(job, share[1], share[0])).collect())


def together(job: Job, answers: Iterable[Done | DaystoneError]) -> Done:
    """What tasks did together. Raises the first error among their answers."""
    found = Done(job.predictions.distribution())
    for answer in answers:
        if isinstance(answer, DaystoneError):
            raise answer
        found.merge(answer)
    return found


def attempted(job: Job, share: Sequence[Slice], task: int) -> Done | DaystoneError:
    """Score a share. An error of ours is returned, so that the driver raises it: if the task raised it, Spark would try
    the task again, which would not help."""
    try:
        return scored(job, share, task)
    except DaystoneError as error:
        return error
    finally:
        _forget_archives()


def _forget_archives() -> None:
    """Drop the importers of archives (pyspark.zip), which would cost 0.1 s a task.

    Before a task, Spark's worker lets every importer look at its place again, and those of archives read them from one
    end to the other. A dropped importer comes back when something is imported.
    """
    for place, importer in list(sys.path_importer_cache.items()):
        if isinstance(importer, zipimport.zipimporter):
            del sys.path_importer_cache[place]


def scored(job: Job, share: Sequence[Slice], task: int) -> Done:
    """Score a share into files of its own."""
    trees = job.engine.forest if isinstance(job.engine, Engine) else None
    done = Done(job.predictions.distribution(), slow=trees.why_not_compiled() if trees else "")
    counted = Counted(job.reference, job.stride) if job.reference else None

    def batches() -> Iterator[pa.RecordBatch]:
        for read in _rows(job, share):
            rows = job.only.of(read) if job.only else read
            if not rows.num_rows:
                continue
            given = job.engine.of_rows(rows, job.features)
            done.missing.update(given.missing)
            done.unseen.update(given.unseen)
            done.repeated += given.repeated
            done.nulls += Counter({name: rows.column(name).null_count for name, _ in job.identity})
            if done.nulls or done.missing:  # nothing will be published: from here on rows are only counted
                continue
            predicted = job.predictions.columns(given.scores)
            senseless = np.flatnonzero(job.predictions.senseless(predicted))
            if len(senseless):
                done.senseless += len(senseless)
                done.not_finite.update(matrix.not_finite(rows.take(senseless), job.features))
            if not done.senseless:
                done.scores.add(predicted)
                if counted:
                    counted.add(rows, job.features, given, predicted)
                yield _output(job, rows, predicted)

    done.files = _written(job, f"part-{task:05d}-{secrets.token_hex(8)}", batches())
    done.sketches = counted.sketches() if counted else done.sketches
    return done


def _rows(job: Job, share: Sequence[Slice]) -> Iterator[pa.RecordBatch]:
    """The rows of slices, with the columns of the identity first; columns that are not needed are left out. Raises
    DamagedPartition for a file that cannot be read whole, or whose footer or columns are not those of the manifest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = open_store(job.source, job.connection)
    types = dict(job.identity) | {name: feature.type for name, feature in job.features.items()}
    wanted = arrow_schema(tuple(types.items()))
    categories = _read_as_dictionaries(job)
    for part in share:
        try:
            with _opened(store, part.key) as opened:
                # Spark writes a checksum into every page. Without this check a flipped bit would be scored as another
                # number. The columns of a row group are asked for together: on S3 each request costs as much as many
                # megabytes.
                footer = footers.read(opened)
                metadata = footers.parsed(footer)
                file = pq.ParquetFile(
                    opened,
                    metadata=metadata,
                    pre_buffer=True,
                    page_checksum_verification=True,
                    read_dictionary=categories,
                )
                _check_columns(store.url(part.key), wanted, file.schema_arrow)
                if part.footer not in ("", footers.checksum(footer)):
                    as_published = f"the footer {part.footer}, as its manifest says"
                    raise damaged(store.url(part.key), as_published, footers.checksum(footer))
                for group in _groups(metadata, part):
                    left = metadata.row_group(group).num_rows
                    for rows in file.iter_batches(job.engine.rows_at_once, [group], wanted.names, use_threads=False):
                        left -= rows.num_rows
                        yield rows
                    if left:
                        raise damaged(store.url(part.key), f"{left:,} more rows in row group {group}", "no more")
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise unreadable(store.url(part.key), error) from error


def _opened(store: Store, key: str) -> Any:
    """A file for Arrow. Arrow opens a local file by itself, which is a quarter faster than through Python."""
    import pyarrow as pa

    return pa.OSFile(store.url(key)) if isinstance(store, LocalStore) else store.open(key)


def _read_as_dictionaries(job: Job) -> list[str]:
    """The categories, so that each text of a row group is made and looked up once, and not once a row. A pipeline gets
    its columns as they landed."""
    if isinstance(job.engine, PythonModel):
        return []
    identity = dict(job.identity)
    return [name for name, feature in job.features.items() if feature.is_category and name not in identity]


def _check_columns(url: str, wanted: pa.Schema, found: pa.Schema) -> None:
    import pyarrow as pa

    for column in wanted:
        place = found.get_field_index(column.name)  # negative also for a name that is there twice
        there = found.field(place).type if place >= 0 else None
        if there is not None and pa.types.is_dictionary(there):
            there = there.value_type
        if there != column.type:
            raise damaged(
                url,
                f"a column {column.name!r} of type {column.type}, as its manifest says",
                f"type {there}" if there else f"only {', '.join(found.names)}",
            )


def _groups(metadata: pq.FileMetaData, part: Slice) -> Iterator[int]:
    """The row groups whose middle lies in the slice. So each row group is in exactly one of the slices that make up a
    file."""
    begin = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        size = sum(group.column(column).total_compressed_size for column in range(group.num_columns))
        if part.start <= begin + size // 2 < part.stop:
            yield number
        begin += size


def _output(job: Job, rows: pa.RecordBatch, predicted: Mapping[str, Any]) -> pa.RecordBatch:
    import pyarrow as pa

    kinds = arrow_schema(job.identity)
    columns = [rows.column(column.name).cast(column.type) for column in kinds]
    columns += [
        values if isinstance(values, pa.Array) else pa.array(values)
        for values in (predicted[name] for name, _ in job.predictions.schema)
    ]
    for value in (job.model_date, job.model_digest):  # the same in every row: stored once
        columns.append(pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, np.int32), pa.array([value])))
    return pa.RecordBatch.from_arrays(columns, names=[*kinds.names, *dict(job.predictions.schema), *BY_MODEL])


def _written(job: Job, name: str, batches: Iterator[pa.RecordBatch]) -> dict[str, int]:
    """Write batches into files, and return the rows of each by name. Each file but the last has as many whole row groups
    as ``rows_a_file`` has room for. The result names only files that are whole."""
    import pyarrow.parquet as pq

    store = open_store(job.target, job.connection)
    found: dict[str, int] = {}
    rows = min(_GROUP_ROWS, job.rows_a_file)
    groups = _groups_of(rows, batches)
    for first in groups:
        file = f"{name}-{len(found):03d}.snappy.parquet"
        count = 0
        with (
            store.writing(f"{job.prefix}/{file}") as opened,
            pq.ParquetWriter(
                opened,
                first.schema,
                use_dictionary=[*BY_MODEL],
                compression={column: "none" if column == "score" else "snappy" for column in first.schema.names},
                store_schema=False,
                write_page_checksum=True,
            ) as writer,
        ):
            for group in chain([first], islice(groups, job.rows_a_file // rows - 1)):
                writer.write_table(group)
                count += group.num_rows
        found[file] = count
    return found


def _groups_of(rows: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of ``rows`` rows; the last one may have fewer."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        rest = batch
        while rest.num_rows:
            part = rest.slice(0, rows - sum(one.num_rows for one in held))
            rest = rest.slice(part.num_rows)
            held.append(part)
            if sum(one.num_rows for one in held) == rows:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)
