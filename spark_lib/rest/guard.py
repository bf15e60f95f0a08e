"""Stands before all routes: asks for the token, and counts each request with its status and its time."""

from __future__ import annotations

import hmac
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_lib.rest.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The route that answers without a token: who watches a service need not be able to use it.
HEALTH = "/health"
_ROUTES = frozenset({"/predictions", "/model", HEALTH, "/metrics", "/openapi.json"})
_SCORES = "/scores/"
_UNAUTHORIZED = b'{"detail":"wanted the header Authorization: Bearer TOKEN with the token of this service"}'


class Guard:
    """An ASGI application around another. Without a ``token`` every request is let in."""

    def __init__(self, app: ASGIApp, metrics: Metrics, token: str | None) -> None:
        self._app = app
        self._metrics = metrics
        self._wanted = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._is_let_in(scope):
                await self._app(scope, receive, seen)
            else:
                await _refuse(seen)
        finally:
            self._metrics.request(_route(scope["path"]), status, perf_counter() - began)

    def _is_let_in(self, scope: Scope) -> bool:
        if self._wanted is None or scope["path"] == HEALTH:
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._wanted)


def _route(path: str) -> str:
    """The route of a path. Paths that are none share one name, because anybody can ask for any."""
    if path in _ROUTES:
        return path
    return "/scores/{entity}" if path.startswith(_SCORES) else "other"


async def _refuse(send: Any) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_UNAUTHORIZED)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": _UNAUTHORIZED})
