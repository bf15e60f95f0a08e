"""Measures what it takes to publish a day of predictions: into PostgreSQL against Spark's JDBC writer and against a bare
COPY, and into Redis against bare commands in pipelines.

    python -m benchmarks.publication [--rows 1000000] [--pairs 3] [--keep]

All read the same Parquet file and write to servers on this machine, in turn. Our side has everything in its time: the ledger,
the count against the manifest, and for PostgreSQL two indexes, which the bare COPY fills, too. Spark's writer makes a table
without a key; it is measured with the same indexes as well. It commits each of its two partitions on its own. ``make bench``
runs this too.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from benchmarks.result import Result, judge, run
from spark_lib.lake.tables import arrow_schema
from spark_lib.session.session import session
from spark_lib.targets import Columns, Day, Series
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tests.support import postgres, redis

ROWS = 1_000_000
PAIRS = 3
#: Rows of a batch, as the lake gives them to targets.
BATCH = 65_536
#: Commands of a pipeline of the bare client.
COMMANDS = 10_000
JDBC = "org.postgresql:postgresql:42.7.8"
SERIES = Series("lake", "loans", "predictions")
SCHEMA = (
    ("loan_id", "string"),
    ("customer_id", "string"),
    ("loan_time", "timestamp"),
    ("score", "double"),
    ("model_date", "date"),
    ("model_digest", "string"),
)
COLUMNS = Columns(SCHEMA, ("customer_id",), ("loan_id",), "loan_time")
_NEW_TABLE = """
CREATE TABLE {table} (
    date date, publication bigint, loan_id text COLLATE "C", customer_id text COLLATE "C", loan_time timestamptz,
    score float8, model_date date, model_digest text, PRIMARY KEY (customer_id, date, publication, loan_id));
CREATE INDEX ON {table} (date, publication)
"""


def results(rows: int = ROWS, pairs: int = PAIRS) -> list[Result]:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory,
        postgres.server() as database,
        redis.server(Path(directory)) as cache,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("PGPASSWORD", postgres.PASSWORD)
        environment.setenv("REDISCLI_AUTH", redis.PASSWORD)
        file = f"{directory}/day.parquet"
        pq.write_table(made(rows), file)
        conninfo = database.conninfo(database.new_database())
        spark = session(conf={"spark.ui.enabled": "false", "spark.jars.packages": JDBC})
        try:
            to_database: list[tuple[str, Callable[[], None]]] = [
                ("ours", ours(PostgresTarget(conninfo), file, rows)),
                ("JDBC", by_jdbc(spark, database, conninfo, file, with_key=False)),
                ("JDBC with the key", by_jdbc(spark, database, conninfo, file, with_key=True)),
                ("COPY", by_copy(conninfo, file)),
            ]
            taken = measured(to_database, pairs)
        finally:
            spark.stop()
        to_cache: list[tuple[str, Callable[[], None]]] = [
            ("ours", ours(RedisTarget(cache.url()), file, rows)),
            ("bare", by_pipeline(cache, file)),
        ]
        of_cache = measured(to_cache, pairs)
    what = f"publishing {rows / 1e6:g} million predictions into"
    return [
        _against(f"{what} PostgreSQL / Spark's JDBC writer into a table without a key", taken, "JDBC", 0.5),
        _against(f"{what} PostgreSQL / Spark's JDBC writer into the same key", taken, "JDBC with the key"),
        _against(f"{what} PostgreSQL / a bare COPY into the same key", taken, "COPY", 1.3),
        _against(f"{what} Redis / bare commands in pipelines", of_cache, "bare", 1.3),
    ]


def _against(name: str, taken: dict[str, list[float]], other: str, goal: float | None = None) -> Result:
    return judge(name, list(zip(taken["ours"], taken[other], strict=True)), goal=goal)


def made(rows: int) -> pa.Table:
    """A day of predictions of nearly as many customers."""
    draw = np.random.default_rng(0)
    numbers = np.arange(rows)
    begins = np.datetime64(datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None), "us")
    return pa.Table.from_arrays(
        [
            pa.array([f"L{number:012d}" for number in numbers]),
            pa.array([f"C{number:010d}" for number in draw.integers(0, 10 * rows, rows)]),
            pa.array(begins + draw.integers(0, 86_400_000_000, rows), pa.timestamp("us")).cast(
                pa.timestamp("us", "UTC")
            ),
            pa.array(draw.random(rows)),
            pa.array([date(2026, 2, 23)] * rows, pa.date32()),
            pa.array(["8408f50dc86af9d3aab7f48a00a243e5bd2abd26f0943e928a5f2c6bde889570"] * rows),
        ],
        schema=arrow_schema(SCHEMA),
    )


def ours(target: Any, file: str, rows: int) -> Callable[[], None]:
    numbers = itertools.count()

    def publish() -> None:
        number = next(numbers)
        day = date(2026, 3, 1) + timedelta(days=number)
        target.publish([Day(SERIES, day, f"{number:016x}", COLUMNS, rows, lambda: batches(file))])

    return publish


def by_jdbc(spark: Any, database: postgres.Server, conninfo: str, file: str, with_key: bool) -> Callable[[], None]:
    """Spark's writer over two connections: into a table that it makes, which has no key, or into one with the same key as
    ours."""
    import psycopg

    named = dict(word.split("=") for word in conninfo.split())
    url = f"jdbc:postgresql://127.0.0.1:{database.port}/{named['dbname']}?reWriteBatchedInserts=true"
    given = {
        "user": named["user"],
        "password": postgres.PASSWORD,
        "driver": "org.postgresql.Driver",
        "batchsize": "10000",
    }
    numbers = itertools.count()

    def write() -> None:
        table = f"{'keyed' if with_key else 'plain'}_{next(numbers)}"
        frame = spark.read.parquet(file).repartition(2)
        if with_key:
            with psycopg.connect(conninfo) as connection:
                connection.execute(_NEW_TABLE.format(table=table))
            frame = frame.selectExpr("DATE'2026-03-01' AS date", "0L AS publication", "*")
        frame.write.jdbc(url, table, mode="append", properties=given)

    return write


def by_copy(conninfo: str, file: str) -> Callable[[], None]:
    """What one would write with psycopg and pyarrow: CSV COPY of batches in one transaction, into a table with the same
    key."""
    import psycopg

    numbers = itertools.count()

    def copy() -> None:
        number = next(numbers)
        with psycopg.connect(conninfo) as connection:
            connection.execute(_NEW_TABLE.format(table=f"bare_{number}"))
            with connection.cursor().copy(f"COPY bare_{number} FROM STDIN (FORMAT csv)") as sink:
                for batch in batches(file):
                    more = [pa.array([date(2026, 3, 1)] * batch.num_rows), pa.array([number] * batch.num_rows)]
                    table = pa.Table.from_arrays(
                        [*more, *batch.columns], names=["date", "publication", *batch.schema.names]
                    )
                    body = pa.BufferOutputStream()
                    csv.write_csv(table, body, csv.WriteOptions(include_header=False))
                    sink.write(body.getvalue().to_pybytes())

    return copy


def by_pipeline(cache: redis.Server, file: str) -> Callable[[], None]:
    """One SET for each customer, with the score, as one would write it."""
    import redis as client

    connection = client.Redis.from_url(cache.url(), password=redis.PASSWORD)

    def write() -> None:
        for batch in batches(file):
            columns = batch.select(["customer_id", "score"]).to_pydict()
            rows = list(zip(columns["customer_id"], columns["score"], strict=True))
            for start in range(0, len(rows), COMMANDS):
                pipeline = connection.pipeline(transaction=False)
                for customer, score in rows[start : start + COMMANDS]:
                    pipeline.set(f"score:{customer}", score)
                pipeline.execute()

    return write


def batches(file: str) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(file).iter_batches(BATCH)


def measured(ways: list[tuple[str, Callable[[], None]]], pairs: int) -> dict[str, list[float]]:
    """The seconds of each way, round after round, each first in turn. The first round, which warms up, is left out."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in ways}
    for turn in range(pairs + 1):
        first = turn % len(ways)
        for name, way in ways[first:] + ways[:first]:
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return {name: taken[1:] for name, taken in seconds.items()}


def main() -> None:
    run(__doc__, results, PAIRS, rows=ROWS)


if __name__ == "__main__":
    main()
