"""Readers of what is published at a target, by other means than ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

from spark_lib.lake.stores.store import Store
from spark_lib.targets import Series
from tests.support.patience import PATIENCE


@dataclass
class PostgresReader:
    connection: Any

    def counts(self, of: Series) -> dict[date, int]:
        from psycopg import sql

        table = f"{of.use_case}_{of.dataset}"
        if self.connection.execute("SELECT 1 FROM pg_class WHERE relname = %s", [table]).fetchone() is None:
            return {}
        query = sql.SQL("SELECT date, count(*) FROM {} WHERE daystone_lake = %s GROUP BY date")
        return dict(self.connection.execute(query.format(sql.Identifier(table)), [of.lake]).fetchall())


@dataclass
class CsvReader:
    """Reads the files that are there, and not the ledger."""

    store: Store

    def counts(self, of: Series) -> dict[date, int]:
        found = {}
        for entry in self.store.list(f"{quote(of.lake)}/{of.use_case}/{of.dataset}", "2", "3"):
            content = self.store.read(entry.key)
            rows = content[0].count(b"\n") - 1 if content else 0
            if rows:
                found[date.fromisoformat(entry.key.rpartition("/")[2].removesuffix(".csv"))] = rows
        return found


@dataclass
class SqliteReader:
    path: str

    def counts(self, of: Series) -> dict[date, int]:
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'score'").fetchone():
                return {}
            query = "SELECT date, count(*) FROM score WHERE lake = ? GROUP BY date"
            return {date.fromisoformat(day): count for day, count in connection.execute(query, [of.lake])}


@dataclass
class RedisReader:
    """Counts in one command what the ledger names, as a look-up would find it."""

    client: Any

    def counts(self, of: Series) -> dict[date, int]:
        prefix = f'daystone:{{["{of.lake}", "{of.use_case}", "{of.dataset}"]}}:'
        found = self.client.eval(_COUNTED, 1, f"{prefix}days", prefix)
        return {date.fromisoformat(day.decode()): count for day, count in found if count}


_COUNTED = """
local found = {}
for _, day in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local date, publication, buckets = string.match(day, '^([^|]*)|([^|]*)|([^|]*)|')
    local count = 0
    for bucket = 0, tonumber(buckets) - 1 do
        count = count + redis.call('HLEN', ARGV[1] .. publication .. ':' .. bucket)
    end
    table.insert(found, {date, count})
end
return found
"""
