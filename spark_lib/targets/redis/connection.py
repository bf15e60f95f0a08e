"""Connections to Redis, and what its refusals mean. No password is ever part of a message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spark_lib.errors import ConfigurationError, PublishError

#: Seconds, so that a server that is away or goes away is noticed within 15.
_CONNECT_TIMEOUT, _TIMEOUT = 5, 12
#: The variable from which redis-cli, too, takes the password.
PASSWORD = "REDISCLI_AUTH"  # noqa: S105  # a name of a variable


@dataclass(frozen=True)
class Server:
    """A server as a URL names it (``redis://user@host:6379/0``, ``rediss://`` with TLS). The password comes from
    ``REDISCLI_AUTH``."""

    url: str

    @cached_property
    def where(self) -> str:
        """The server in words, for messages. Raises ConfigurationError for a URL that cannot be used."""
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(self.url)
            host, port, password = parts.hostname, parts.port, parts.password
        except ValueError:  # its message repeats parts of the URL, of which one may be a password
            host, port, password = None, None, None
        if not self.url.startswith(("redis://", "rediss://")) or not host:
            raise ConfigurationError(
                "Redis", "a URL", "one that cannot be read", "write it as in `redis://cache.example:6379/0`"
            )
        if password is not None or "password=" in self.url:
            raise ConfigurationError(
                "Redis", "a URL without a password", "one with a password", f"put the password into {PASSWORD}"
            )
        return f"Redis {host}:{port or 6379}"

    @cached_property
    def _client(self) -> Any:
        where = self.where
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigurationError(where, "redis", str(error), 'install it: pip install "daystone[redis]"') from error
        return redis.Redis.from_url(
            self.url,
            password=os.environ.get(PASSWORD) or None,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            socket_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A client, whose connections are used again. Whatever the server refuses in the block raises PublishError."""
        client = self._client
        import redis

        try:
            yield client
        except redis.exceptions.OutOfMemoryError as error:
            step = "make room, then run again; the day was not published"
            raise PublishError(self.where, "memory at the server", "none left", step) from error
        except redis.exceptions.AuthenticationError as error:
            step = f"check the user and {PASSWORD}"
            raise PublishError(self.where, "a server that lets us in", str(error), step) from error
        except redis.exceptions.RedisError as error:
            found = (str(error).splitlines() or [type(error).__name__])[-1]
            step = "check the server, then run again: what is published already is not published twice"
            raise PublishError(self.where, "an answer", found, step) from error

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}  # another process has connections of its own

    def __setstate__(self, state: dict[str, str]) -> None:
        object.__setattr__(self, "url", state["url"])
