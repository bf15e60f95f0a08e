"""Redis as a target: the rows of a day are hashes that are never changed, and one write makes them visible."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from spark_lib.errors import ConfigurationError, PublishError
from spark_lib.lake.tables import arrow_schema
from spark_lib.targets import binary_rows
from spark_lib.targets.redis import scripts
from spark_lib.targets.redis.connection import Server
from spark_lib.targets.target import MODEL_DATE, Columns, Day, Score, Series, asked, overtaken

if TYPE_CHECKING:
    import pyarrow as pa

#: Entities of a hash on average. Redis stores a hash compactly up to 512 fields, and sizes vary.
_BUCKET = 250
_COMMANDS_AT_ONCE = 100
#: A load that takes longer than this loses its rows to the next publication, and is refused then.
_LONGEST_LOAD = timedelta(hours=12)


@dataclass(frozen=True)
class _Publication:
    """A publication as the ledger has it."""

    date: date
    name: str
    buckets: int
    run: str

    def __str__(self) -> str:
        return f"{self.date}|{self.name}|{self.buckets}|{self.run}"


class RedisTarget:
    """A server by its URL, without a password (see ``Server``). Of several rows of an entity in a day the newest is
    stored. Superseded rows expire ``keep`` after they were superseded."""

    def __init__(self, url: str, *, keep: timedelta = timedelta(hours=1)) -> None:
        self._server = Server(url)
        self._keep = keep
        self._columns: dict[Series, Columns] = {}

    def publish(self, days: Iterable[Day]) -> None:
        given = list(days)
        with self._server.connected() as client:
            self._check_policy(client)
            # The ledger as it is now. Where that changes before a day's turn, another process was there.
            before = {(day.series, day.date): _standing(client, day.series, day.date) for day in given}
            for day in given:
                key = day.series, day.date
                before[key] = self._publish(client, day, before[key])
            for series in dict.fromkeys(day.series for day in given):
                self._sweep(client, series)

    def published(self, series: Series, first: date, last: date) -> dict[date, str]:
        with self._server.connected() as client:
            return {found.date: found.run for found in _held(client, series, first, last)}

    def withdraw(self, series: Series, day: date) -> None:
        with self._server.connected() as client:
            while (found := _standing(client, series, day)) is not None:
                _switch(client, series, day, found, None)

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        with self._server.connected() as client:
            columns = self._columns.get(series) or self._newest_columns(client, series)
            if columns is None:
                return None
            field = _field_of(columns, entity)
            prefix = f"{_key(series)}:"
            found = client.eval(scripts.LOOKUP, 1, f"{prefix}days", prefix, field, zlib.crc32(field))
        if found is None:
            return None
        publication, described, row = _parsed(found[0]), json.loads(found[1]), found[2]
        columns = self._columns[series] = _columns(described)
        schema = arrow_schema(columns.schema)
        stored = [name for name in schema.names if name not in described["constants"]]
        values = dict(zip(stored, binary_rows.values(row, _subset(schema, stored)), strict=True))
        for name, constant in described["constants"].items():
            (values[name],) = binary_rows.values(bytes.fromhex(constant), _subset(schema, [name]))
        in_order = {name: values[name] for name in schema.names}
        return Score(in_order, publication.run, in_order.get(MODEL_DATE), publication.date)

    def check(self) -> None:
        with self._server.connected() as client:
            self._check_policy(client)

    def _check_policy(self, client: Any) -> None:
        policy = client.info("memory").get("maxmemory_policy", "noeviction")
        if policy.startswith("allkeys"):
            raise PublishError(
                self._server.where,
                "a server that keeps keys without expiry",
                f"the eviction policy {policy}, which may drop any key",
                "set maxmemory-policy to noeviction or to one of volatile-*, or publish to another server",
            )

    def _newest_columns(self, client: Any, series: Series) -> Columns | None:
        newest = client.zrevrange(f"{_key(series)}:days", 0, 0)
        described = client.get(f"{_key(series)}:{_parsed(newest[0]).name}") if newest else None
        if described is None:
            return None
        columns = self._columns[series] = _columns(json.loads(described))
        return columns

    def _publish(self, client: Any, day: Day, before: _Publication | None) -> _Publication:
        held = next(iter(_held(client, day.series, day.date, day.date)), None)
        if held is not None and held.run == day.run:
            return held
        table = _newest_of_each(day)
        buckets = -(-table.num_rows // _BUCKET)
        publication = _Publication(day.date, secrets.token_hex(8), buckets, day.run)
        self._load(client, day, table, publication)
        now = _switch(client, day.series, day.date, before, publication)
        if now != publication:
            raise overtaken(self._server.where, day, before.run if before else "", now.run if now else "")
        self._columns.pop(day.series, None)
        return publication

    def _load(self, client: Any, day: Day, table: pa.Table, publication: _Publication) -> None:
        prefix = f"{_key(day.series)}:{publication.name}"
        announced = int(_LONGEST_LOAD.total_seconds())
        client.eval(scripts.ANNOUNCE, 1, f"{_key(day.series)}:superseded", str(publication), announced)
        constants, table = _without_constants(table)
        fields: list[list[bytes]] = [[] for _ in range(publication.buckets)]
        names = list(dict.fromkeys(day.columns.entity))
        for batch in table.to_batches(max_chunksize=binary_rows.ROWS_AT_ONCE):
            entities = _fields(batch, names)
            rows = binary_rows.each_row_of(batch.select([name for name in batch.schema.names if name not in constants]))
            for entity, row in zip(entities, rows, strict=True):
                fields[zlib.crc32(entity) % publication.buckets] += (entity, row)
        added = 0
        filled = [bucket for bucket, pairs in enumerate(fields) if pairs]
        for start in range(0, len(filled), _COMMANDS_AT_ONCE):
            pipeline = client.pipeline(transaction=False)
            for bucket in filled[start : start + _COMMANDS_AT_ONCE]:
                pipeline.execute_command("HSET", f"{prefix}:{bucket}", *fields[bucket])
            added += sum(pipeline.execute())
        if added != table.num_rows:
            raise PublishError(
                f"{self._server.where}, {day}",
                f"{table.num_rows:,} entities",
                f"{added:,} that the server took",
                "run again; the day was not published",
            )
        described = {"columns": asdict(day.columns), "rows": day.rows, "run": day.run}
        described["constants"] = {name: row.hex() for name, row in constants.items()}
        client.set(prefix, json.dumps(described))

    def _sweep(self, client: Any, series: Series) -> None:
        """Let the rows of superseded publications expire. A list says which these are, so that nothing is forgotten where
        a process is killed."""
        superseded = f"{_key(series)}:superseded"
        seconds = int(self._keep.total_seconds())
        for member in client.eval(scripts.SWEPT, 1, superseded, 0):
            publication = _parsed(member)
            prefix = f"{_key(series)}:{publication.name}"
            keys = [prefix, *(f"{prefix}:{bucket}" for bucket in range(publication.buckets))]
            for start in range(0, len(keys), 10 * _COMMANDS_AT_ONCE):
                pipeline = client.pipeline(transaction=False)
                for key in keys[start : start + 10 * _COMMANDS_AT_ONCE]:
                    pipeline.expire(key, seconds)
                pipeline.execute()
            client.zrem(superseded, member)


def _key(series: Series) -> str:
    """What all keys of a series begin with. Braces within would end the part that a cluster looks at."""
    name = json.dumps([series.lake, series.use_case, series.dataset]).replace("{", "(").replace("}", ")")
    return f"daystone:{{{name}}}"


def _parsed(member: bytes) -> _Publication:
    day, name, buckets, run = member.decode().split("|", 3)
    return _Publication(date.fromisoformat(day), name, int(buckets), run)


def _standing(client: Any, series: Series, day: date) -> _Publication | None:
    """What the ledger says of a day."""
    found = client.zrangebyscore(f"{_key(series)}:days", day.toordinal(), day.toordinal())
    return _parsed(found[0]) if found else None


def _held(client: Any, series: Series, first: date, last: date) -> Iterator[_Publication]:
    """What the ledger says of days, as far as their rows are there. All keys of the server are without expiry, so that they
    are lost together."""
    members = client.zrangebyscore(f"{_key(series)}:days", first.toordinal(), last.toordinal())
    found = [_parsed(member) for member in members]
    if found:
        described = client.mget([f"{_key(series)}:{each.name}" for each in found])
        yield from (each for each, there in zip(found, described, strict=True) if there)


def _switch(
    client: Any, series: Series, day: date, before: _Publication | None, after: _Publication | None
) -> _Publication | None:
    """Put a publication in place of another one, and return the one that stands now."""
    keys = [f"{_key(series)}:days", f"{_key(series)}:superseded"]
    now = client.eval(scripts.SWITCH, 2, *keys, str(before or ""), str(after or ""), day.toordinal())
    return _parsed(now) if now else None


def _columns(described: Mapping[str, Any]) -> Columns:
    found = described["columns"]
    schema = tuple((name, kind) for name, kind in found["schema"])
    return Columns(schema, tuple(found["entity"]), tuple(found["key"]), found["event_time"])


def _newest_of_each(day: Day) -> pa.Table:
    """The rows of a day, of each entity the newest. Raises BadData where their number is not that of the manifest."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = arrow_schema(day.columns.schema)
    table = pa.Table.from_batches(day.batches(), schema)
    day.check_rows(table.num_rows)
    entity, event = list(day.columns.entity), [name for name in [day.columns.event_time] if name]
    # A missing event time counts as the oldest.
    sorted_by = [*[table.column(name).is_valid() for name in event], *map(table.column, [*event, *day.columns.key])]
    by = pa.table([*map(table.column, entity), *sorted_by], [f"c{at}" for at in range(len(entity) + len(sorted_by))])
    table = table.take(pc.sort_indices(by, [(name, "ascending") for name in by.schema.names]))
    if table.num_rows < 2:
        return table
    last = np.zeros(table.num_rows, bool)
    last[-1] = True
    for name in entity:
        column = table.column(name).combine_chunks()
        last[:-1] |= np.asarray(pc.not_equal(column[:-1], column[1:]))
    return table.filter(pa.array(last))


def _without_constants(table: pa.Table) -> tuple[dict[str, bytes], pa.Table]:
    """The columns that have one value throughout, each as a row of one field, and the table. Such a value, as the digest of
    a model, is stored once a day."""
    import pyarrow.compute as pc

    found: dict[str, bytes] = {}
    for name in table.schema.names:
        column = table.column(name)
        comparable = table.num_rows and not column.null_count and not str(column.type).startswith("list")
        if comparable and pc.all(pc.equal(column, column[0])).as_py():
            (found[name],) = binary_rows.each_row_of(table.select([name]).slice(0, 1).to_batches()[0])
    return found, table


def _subset(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def _fields(batch: pa.RecordBatch, names: list[str]) -> list[bytes]:
    """The entities of a batch as names of fields: the text of one column, or a list in JSON of those of several."""
    import pyarrow as pa

    texts = [batch.column(name).cast(pa.string()).to_pylist() for name in names]
    if len(texts) == 1:
        return [text.encode() for text in texts[0]]
    return [json.dumps(values).encode() for values in zip(*texts, strict=True)]


def _field_of(columns: Columns, entity: Mapping[str, Any]) -> bytes:
    """An entity that is asked for, as ``_fields`` has it. Raises ConfigurationError where its values are of other types."""
    import pyarrow as pa

    schema = arrow_schema(columns.schema)
    values = asked(columns.entity, entity)
    try:
        arrays = [pa.array([str(value)]).cast(schema.field(name).type) for name, value in values.items()]
    except pa.ArrowException as error:
        raise ConfigurationError(
            "look-up of an entity", "values of the columns' types", str(error), "correct the values"
        ) from error
    return _fields(pa.RecordBatch.from_arrays(arrays, list(values)), list(values))[0]
