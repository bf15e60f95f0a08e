"""The tables and views of publications: made where they are missing, checked where they are there, never dropped.

    {table}_rows      the rows of all publications, partitioned by month
    {table}           a view of the rows whose publication the ledger names
    {table}_latest    a view of what the newest day says of each entity
    daystone_ledger, daystone_superseded    which publication stands for a day, and which ones did before

A publication is one load of a day. Its number, and not the run, is in each row: two lakes may publish equal runs, where one
is a copy of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from spark_lib.errors import ConfigurationError, PublishError
from spark_lib.targets.binary_rows import sql_type
from spark_lib.targets.target import Columns, Series

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

#: Columns that we add. The names ``date`` and these are therefore not free for a use case.
LAKE, RUN, PUBLICATION = "daystone_lake", "daystone_run", "daystone_publication"
LEDGER, SUPERSEDED = "daystone_ledger", "daystone_superseded"
#: PostgreSQL cuts a longer name off without a word, so that two names might be one.
_NAME_BYTES = 63
_LOCK_TIMEOUT = "10s"

_LEDGER_COLUMNS = {
    "lake": "text",
    "use_case": "text",
    "dataset": "text",
    "date": "date",
    "run": "text",
    "publication": "bigint",
    "rows": "bigint",
    "published_at": "timestamp with time zone",
}
_SUPERSEDED_COLUMNS = {
    "publication": "bigint",
    "lake": "text",
    "use_case": "text",
    "dataset": "text",
    "date": "date",
    "run": "text",
    "superseded_at": "timestamp with time zone",
}


@dataclass(frozen=True)
class Relation:
    """A table or a view that is there. ``kind`` is that of pg_class, ``columns`` has the types by name, ``key`` the
    columns of the primary key, ``constraint`` its name, and ``parent`` the table that it is a partition of."""

    kind: str
    comment: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    constraint: str
    parent: str


@dataclass(frozen=True)
class Tables:
    """The tables and views of one series in a schema. ``where`` is the database in words."""

    where: str
    schema: str
    series: Series
    name: str
    checked: bool = True

    def __post_init__(self) -> None:
        for name in (self.schema, self.month(date.max), self.latest):
            if self.checked:
                check_name(self.where, name)

    @property
    def rows(self) -> str:
        return f"{self.name}_rows"

    @property
    def latest(self) -> str:
        return f"{self.name}_latest"

    def month(self, day: date) -> str:
        """The name of the partition that has a day."""
        return f"{self.rows}_{day:%Y%m}"

    def statement(self, text: str, **names: str) -> sql.Composed:
        """A statement without parameters, in which ``{rows}`` and so on stand for our relations, and further names for
        identifiers. All of them are quoted."""
        from psycopg import sql

        ours = {"rows": self.rows, "view": self.name, "latest": self.latest, "ledger": LEDGER, "superseded": SUPERSEDED}
        relations = {name: sql.Identifier(self.schema, relation) for name, relation in ours.items()}
        return sql.SQL(text).format(**relations, **{name: sql.Identifier(value) for name, value in names.items()})

    def query(self, text: str, **names: str) -> sql.Composed:
        """The same for a statement with parameters, where psycopg takes a single ``%`` in a name for a place."""
        doubled = replace(self, schema=self.schema.replace("%", "%%"), name=self.name.replace("%", "%%"), checked=False)
        return doubled.statement(text, **{name: value.replace("%", "%%") for name, value in names.items()})

    def found(self, connection: psycopg.Connection[Any], *more: str) -> dict[str, Relation]:
        """The relations of ours that are there, and those of ``more``, by their name. Raises PublishError where a ledger
        is somebody else's."""
        asked = [self.rows, self.name, self.latest, LEDGER, SUPERSEDED, *more]
        rows = connection.execute(_DESCRIBED, [self.schema, asked]).fetchall()
        found = {
            name: Relation(kind, comment, dict(zip(names, kinds, strict=True)), tuple(key), constraint, parent)
            for name, kind, comment, names, kinds, key, constraint, parent in rows
        }
        for name, columns in ((LEDGER, _LEDGER_COLUMNS), (SUPERSEDED, _SUPERSEDED_COLUMNS)):
            if name in found and dict(found[name].columns) != columns:
                raise self._foreign(name, f"a table of the columns {', '.join(columns)}", found[name])
        return found

    def prepare(self, connection: psycopg.Connection[Any], columns: Columns, day: date) -> None:
        """Make what is missing for a day of these columns. Raises ConfigurationError where the columns do not fit what
        is there, and PublishError where a name is somebody else's. Then nothing was changed."""
        statements = self._missing(connection, columns, day)
        if not statements:
            return
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
            lock(connection, f"tables of {self.schema}")
            for statement in self._missing(connection, columns, day):  # another process may have been faster
                connection.execute(statement)

    def _missing(self, connection: psycopg.Connection[Any], columns: Columns, day: date) -> list[sql.Composed]:
        """The statements that make what is missing."""
        wanted = self.wanted(columns)
        month = self.month(day)
        there = self.found(connection, month)
        if (
            not there
            and not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [self.schema]).fetchone()
        ):
            made = self.statement("CREATE SCHEMA {schema}", schema=self.schema).as_string(connection)
            raise ConfigurationError(self.where, f"a schema {self.schema!r}", "none", f"make it: {made}")
        ledgers = {LEDGER: _NEW_LEDGER, SUPERSEDED: _NEW_SUPERSEDED}
        statements = [self.statement(text) for name, text in ledgers.items() if name not in there]
        rows = there.get(self.rows)
        if rows is None:
            statements += self._new_rows(columns, wanted)
        else:
            statements += self._added(connection, rows, columns, wanted)
        if month not in there:
            statements += self._new_month(day)
        elif there[month].parent != self.rows:
            raise self._foreign(month, f"a partition of {self.rows}", there[month])
        present = [name for name in (rows.columns if rows else ()) if name not in ("date", PUBLICATION)]
        shown = (*present, *(name for name in wanted if name not in present and name not in ("date", PUBLICATION)))
        return statements + self._views(there, columns, shown)

    def wanted(self, columns: Columns) -> dict[str, str]:
        """The columns of the rows with PostgreSQL's types. Raises ConfigurationError for one that cannot be a column."""
        wanted = {"date": "date", PUBLICATION: "bigint"}
        for name, kind in columns.schema:
            check_name(self.where, name)
            found = sql_type(kind)
            if found is None:
                raise ConfigurationError(
                    f"{self.where}, column {name!r}",
                    "a type that PostgreSQL has",
                    kind,
                    "publish it as a text, or leave it out",
                )
            if name in (*wanted, LAKE, RUN):
                raise ConfigurationError(
                    f"{self.where}, column {name!r}",
                    "a name that is free",
                    "one of Daystone's own",
                    "name it otherwise",
                )
            wanted[name] = found
        return wanted

    def _new_rows(self, columns: Columns, wanted: Mapping[str, str]) -> list[sql.Composed]:
        from psycopg import sql

        # Texts of the key are ordered by code point: as fast as can be, and alike on every server.
        texts = {name for name in (*columns.entity, *columns.key) if wanted[name] == "text"}
        defined = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind + (' COLLATE "C"' if name in texts else "")))
            for name, kind in wanted.items()
        ]
        return [
            sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({})) PARTITION BY RANGE (date)").format(
                sql.Identifier(self.schema, self.rows),
                sql.SQL(", ").join(defined),
                sql.SQL(", ").join(map(sql.Identifier, key_of(columns))),
            ),
            self.statement("CREATE INDEX ON {rows} (date, {publication})", publication=PUBLICATION),
            self._comment("TABLE", self.rows, "the rows of all publications; readers use the views"),
        ]

    def _added(
        self, connection: psycopg.Connection[Any], rows: Relation, columns: Columns, wanted: Mapping[str, str]
    ) -> list[sql.Composed]:
        """The statements that add nullable columns. Raises ConfigurationError where more than that is needed."""
        from psycopg import sql

        if rows.kind != "p":
            raise self._foreign(self.rows, "a table that is partitioned by date", rows)
        differ = [name for name, kind in wanted.items() if name in rows.columns and rows.columns[name] != kind]
        key = key_of(columns)
        if differ:
            changes = ", ".join(f"ALTER COLUMN {{c{at}}} TYPE {wanted[name]}" for at, name in enumerate(differ))
            names = {f"c{at}": name for at, name in enumerate(differ)}
            raise self._does_not_fit(
                ", ".join(f"{name} {wanted[name]}" for name in differ),
                ", ".join(f"{name} {rows.columns[name]}" for name in differ),
                self._altered(connection, changes, **names),
            )
        if not set(key) <= set(rows.columns):
            missing = ", ".join(name for name in key if name not in rows.columns)
            raise self._does_not_fit(f"the columns {missing} of the key", ", ".join(rows.columns), "")
        if rows.key != key:
            listed = ", ".join(f"{{c{at}}}" for at in range(len(key)))
            names = {f"c{at}": name for at, name in enumerate(key)}
            change = f"DROP CONSTRAINT {{constraint}}, ADD PRIMARY KEY ({listed})"
            raise self._does_not_fit(
                f"the primary key ({', '.join(key)})",
                f"({', '.join(rows.key)})",
                self._altered(connection, change, constraint=rows.constraint, **names) if rows.constraint else "",
            )
        return [
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                sql.Identifier(self.schema, self.rows),
                sql.Identifier(name),
                sql.SQL(kind),
            )
            for name, kind in wanted.items()
            if name not in rows.columns
        ]

    def _new_month(self, day: date) -> list[sql.Composed]:
        """A partition is made alone and attached then, which, unlike CREATE TABLE ... PARTITION OF, lets readers and
        writers of the other partitions go on."""
        from psycopg import sql

        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1) if (first.year, first.month) != (9999, 12) else None
        month = self.month(day)
        return [
            self.statement(
                "CREATE TABLE {schema}.{month} (LIKE {rows} INCLUDING DEFAULTS)", schema=self.schema, month=month
            ),
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(self.schema, self.rows),
                sql.Identifier(self.schema, month),
                sql.Literal(str(first)),
                sql.Literal(str(after)) if after else sql.SQL("MAXVALUE"),
            ),
        ]

    def _views(self, there: Mapping[str, Relation], columns: Columns, shown: tuple[str, ...]) -> list[sql.Composed]:
        """The statements that make the views, or make them anew where the rows have got more columns."""

        all_columns = ("date", LAKE, RUN, *shown)
        statements: list[sql.Composed] = []
        made: list[tuple[str, str, Callable[[], sql.Composed]]] = [
            (self.name, "the published rows", lambda: self._view(shown)),
            (self.latest, "what the newest published day says of each entity", lambda: self._latest(columns)),
        ]
        for name, what, statement in made:
            relation = there.get(name)
            if relation is not None and (relation.kind != "v" or relation.comment != self._marked(what)):
                raise self._foreign(name, f"a view that Daystone made for {self._whose}", relation)
            if relation is None or tuple(relation.columns) != all_columns:
                statements += [statement(), self._comment("VIEW", name, what)]
        return statements

    def _view(self, shown: tuple[str, ...]) -> sql.Composed:
        from psycopg import sql

        return sql.SQL(
            "CREATE OR REPLACE VIEW {} AS SELECT r.date, l.lake AS {}, l.run AS {}, {} FROM {} r JOIN {} l "
            "ON l.publication = r.{} AND l.date = r.date AND l.use_case = {} AND l.dataset = {}"
        ).format(
            sql.Identifier(self.schema, self.name),
            sql.Identifier(LAKE),
            sql.Identifier(RUN),
            sql.SQL(", ").join(sql.Identifier("r", name) for name in shown),
            sql.Identifier(self.schema, self.rows),
            sql.Identifier(self.schema, LEDGER),
            sql.Identifier(PUBLICATION),
            sql.Literal(self.series.use_case),
            sql.Literal(self.series.dataset),
        )

    def _latest(self, columns: Columns) -> sql.Composed:
        from psycopg import sql

        entity = [sql.Identifier(name) for name in (LAKE, *columns.entity)]
        kinds = dict(columns.schema)
        newest = [sql.SQL("{} DESC NULLS LAST").format(sql.Identifier(name)) for name in _order(columns)]
        newest_keys = [
            sql.SQL("{}{} DESC").format(
                sql.Identifier(name), sql.SQL(' COLLATE "C"' if kinds[name] == "string" else "")
            )
            for name in columns.key
        ]
        return sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT DISTINCT ON ({}) * FROM {} ORDER BY {}").format(
            sql.Identifier(self.schema, self.latest),
            sql.SQL(", ").join(entity),
            sql.Identifier(self.schema, self.name),
            sql.SQL(", ").join([*entity, *newest, *newest_keys]),
        )

    @property
    def _whose(self) -> str:
        return f"{self.series.dataset} of {self.series.use_case}"

    def _marked(self, what: str) -> str:
        """The comment by which a relation is recognised as made by us."""
        return f"Daystone, {self._whose}: {what}"

    def _comment(self, kind: str, name: str, what: str) -> sql.Composed:
        from psycopg import sql

        return sql.SQL("COMMENT ON {} {} IS {}").format(
            sql.SQL(kind),
            sql.Identifier(self.schema, name),
            sql.Literal(self._marked(what)),
        )

    def _altered(self, connection: psycopg.Connection[Any], change: str, **names: str) -> str:
        """The statements of a change for a person to run. The views go before and are made again by us."""
        return self.statement("DROP VIEW IF EXISTS {latest}, {view}; ALTER TABLE {rows} " + change, **names).as_string(
            connection
        )

    def _does_not_fit(self, wanted: str, found: str, statement: str) -> ConfigurationError:
        otherwise = "publish to another table"
        return ConfigurationError(
            f"{self.where}, table {self.schema}.{self.rows}",
            wanted,
            found,
            f"run this, and then publish again, or {otherwise}: {statement}" if statement else otherwise,
        )

    def _foreign(self, name: str, wanted: str, found: Relation) -> PublishError:
        kind = {"r": "a table", "p": "a partitioned table", "v": "a view", "m": "a materialized view"}.get(
            found.kind, "another relation"
        )
        return PublishError(
            f"{self.where}, {self.schema}.{name}",
            wanted,
            f"{kind} of somebody else, with the columns {', '.join(found.columns)}",
            "publish to another schema or table, or let its owner rename it",
        )


def key_of(columns: Columns) -> tuple[str, ...]:
    """The primary key of the rows. It begins with the entity, so that a look-up is one search in the index."""
    return tuple(dict.fromkeys((*columns.entity, "date", PUBLICATION, *columns.key)))


def entity_of(rows: Relation) -> tuple[str, ...]:
    """The columns of the entity, by the primary key of the rows."""
    return rows.key[: rows.key.index("date")] if "date" in rows.key else ()


def lock(connection: psycopg.Connection[Any], name: str) -> None:
    """Wait until no other transaction holds this lock, and hold it until the end of this one."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('daystone ' || %s, 0))", [name])


def check_name(where: str, name: str) -> None:
    """Raise ConfigurationError for a name that PostgreSQL would cut off or refuse."""
    if not name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        raise ConfigurationError(
            where,
            f"a name of 1 to {_NAME_BYTES} bytes",
            repr(name),
            "set a shorter schema or table, or name the column otherwise",
        )


def _order(columns: Columns) -> tuple[str, ...]:
    return ("date", columns.event_time) if columns.event_time else ("date",)


_DESCRIBED = """
SELECT c.relname, c.relkind::text, coalesce(obj_description(c.oid, 'pg_class'), ''),
       array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
       array(SELECT format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
       array(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (attnum, place), pg_attribute a
             WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum ORDER BY k.place),
       coalesce((SELECT conname::text FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p'), ''),
       coalesce((SELECT p.relname::text FROM pg_inherits JOIN pg_class p ON p.oid = inhparent WHERE inhrelid = c.oid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = ANY (%s)
"""
_NEW_LEDGER = """
CREATE TABLE {ledger} (
    lake text, use_case text, dataset text, date date, run text NOT NULL, publication bigint NOT NULL UNIQUE,
    rows bigint NOT NULL, published_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (lake, use_case, dataset, date))
"""
_NEW_SUPERSEDED = """
CREATE TABLE {superseded} (
    publication bigint PRIMARY KEY, lake text NOT NULL, use_case text NOT NULL, dataset text NOT NULL, date date NOT NULL,
    run text NOT NULL, superseded_at timestamp with time zone NOT NULL DEFAULT now())
"""
