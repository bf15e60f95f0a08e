"""Connections to PostgreSQL, and what its refusals mean. No password is ever part of a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_lib.errors import BadData, ConfigurationError, DaystoneError, PublishError

if TYPE_CHECKING:
    import psycopg

#: Of libpq, in seconds and milliseconds. A name may have two addresses, each of which is tried for that time; a server
#: that goes away is noticed within 15 seconds, too. What a user sets in the connection string wins.
_DEFAULTS = {
    "application_name": "daystone",
    "connect_timeout": "6",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "14000",
}
#: Of the session. A server that has lost its client ends the session after a minute, so that its locks are free again.
_SESSION = {
    "timezone": "UTC",
    "client_encoding": "UTF8",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

#: What a role without rights needs. Only an owner of a table or a view may add columns to it.
_GRANTS = (
    "let an owner grant USAGE and CREATE on the schema, and SELECT, INSERT and DELETE on its tables, or make the role "
    "an owner of them"
)


@dataclass(frozen=True)
class Server:
    """A database as libpq's connection string or URL names it. What it leaves out, and the password, come from the
    environment and the files of libpq (``PGHOST``, ``PGPASSFILE`` and so on)."""

    conninfo: str

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        psycopg = _psycopg()
        from psycopg.conninfo import conninfo_to_dict

        try:
            given = conninfo_to_dict(self.conninfo)
        except psycopg.Error:  # its message repeats parts of the string, of which one may be a password
            raise ConfigurationError(
                "PostgreSQL",
                "a connection string or a URL of libpq",
                "one that libpq cannot read",
                "write it as in `host=db.example port=5432 dbname=risk user=writer`",
            ) from None
        if "password" in given:
            raise ConfigurationError(
                "PostgreSQL",
                "a connection string without a password",
                "one with a password",
                "put the password into the file of PGPASSFILE or into PGPASSWORD",
            )
        return _DEFAULTS | given

    @cached_property
    def where(self) -> str:
        """The database in words, for messages."""
        import os

        named = self._parameters
        host = named.get("hostaddr") or named.get("host") or os.environ.get("PGHOST", "the local socket")
        port = named.get("port") or os.environ.get("PGPORT", "5432")
        database = named.get("dbname") or os.environ.get("PGDATABASE", "(of the user's name)")
        return f"PostgreSQL {host}:{port}, database {database}"

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection on which each statement is a transaction of its own, unless a block of ``transaction()`` says
        otherwise. Whatever the server refuses in the block raises a DaystoneError."""
        psycopg = _psycopg()
        parameters = self._parameters
        with told(self.where):
            try:
                connection = psycopg.connect(**parameters, autocommit=True)
            except psycopg.OperationalError as error:
                lines = str(error).strip().splitlines() or ["no answer"]
                raise PublishError(
                    self.where,
                    "a server that lets us in",
                    lines[-1].strip(),
                    "check host, port, user and password, and that the server runs; then run again",
                ) from None
            with connection:
                each = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
                connection.execute(each, [list(_SESSION), list(_SESSION.values())])
                yield connection


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            "PostgreSQL", "psycopg", str(error), 'install it: pip install "daystone[postgres]"'
        ) from error
    return psycopg


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what PostgreSQL refuses in the block into a DaystoneError. Of its answer only the message is repeated, because
    its details may hold values of rows."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _meaning(where, error) from error


def _meaning(where: str, error: psycopg.Error) -> DaystoneError:
    from psycopg import errors

    found = error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    if isinstance(error, errors.InsufficientPrivilege):
        return PublishError(where, "the rights to publish", found, _GRANTS)
    if isinstance(error, errors.LockNotAvailable):
        return PublishError(
            where, "a lock within its time", found, "find who holds it (pg_stat_activity), then run again"
        )
    if isinstance(error, errors.DiskFull | errors.OutOfMemory | errors.TooManyConnections):
        return PublishError(where, "room at the server", found, "make room, then run again; the day was not published")
    if isinstance(error, errors.UniqueViolation | errors.NotNullViolation):
        step = "build the day again; it was not published"
        return BadData(where, "rows with a key, each key once a day", found, step)
    if isinstance(error, errors.DataError):
        return BadData(where, "values that PostgreSQL can hold", found, "correct them; the day was not published")
    if isinstance(error, errors.OperationalError):
        return PublishError(where, "an answer", found, "run again: what is published already is not published twice")
    return PublishError(where, "to publish", found, "correct it, then run again; the day was not published")
