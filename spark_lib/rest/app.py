"""The FastAPI application. It is made from the objects that it is given, so that a process may have several."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from spark_lib._version import __version__
from spark_lib.errors import DaystoneError, UnknownEntity
from spark_lib.rest import openapi
from spark_lib.rest.current import Current, Slot, logger
from spark_lib.rest.guard import HEALTH, Guard
from spark_lib.rest.metrics import CONTENT_TYPE, Metrics
from spark_lib.rest.rows import Refused, TooManyRows, parsed
from spark_lib.rest.scorer import Scored

if TYPE_CHECKING:
    from starlette.types import Receive

#: A model that is quick scores up to so many rows on the thread of the event loop, which costs less than another thread.
MOST_INLINE = 64
_JSON = "application/json"


class Scores(Protocol):
    """Where published scores are looked up."""

    def of(self, entity: str) -> Mapping[str, Any] | None:
        """The score of an entity with its date and its model, or the fallback, as JSON has them; None where there is
        neither. It is called by threads. Raises UnknownEntity for what is no entity, and another DaystoneError where no
        score can be looked up."""
        ...


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how often a newer model is looked for."""

    max_rows: int = 1_000
    max_body_bytes: int = 1_048_576
    poll_seconds: float = 30.0


class TooLarge(Exception):
    """A body has more bytes than are allowed."""


def create(slot: Slot, limits: Limits, token: str | None = None, scores: Scores | None = None) -> FastAPI:
    """The application that answers by the model in ``slot``, which it looks after while it runs. With a ``token`` each
    route but /health asks for it. The route of scores is there where ``scores`` are."""
    metrics = Metrics()

    @asynccontextmanager
    async def looked_after(app: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look(slot, limits.poll_seconds))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    # The pages that FastAPI has for people come from another server.
    app = FastAPI(
        title="Daystone",
        version=__version__,
        description="Predictions by the model of the newest released day.",
        docs_url=None,
        redoc_url=None,
        lifespan=looked_after,
    )
    app.add_middleware(Guard, metrics=metrics, token=token)

    async def predictions(request: Request) -> Response:
        current = slot.current
        if current is None:
            return _no_model(limits)
        headers = dict(request.scope["headers"])
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON.encode():
            return _answer({"detail": f"wanted a body of the type {_JSON}"}, 415)
        try:
            rows = parsed(await _body(request.receive, headers, limits.max_body_bytes), limits.max_rows)
            found = await _scored(current, rows)
        except TooLarge as error:
            return _answer({"detail": f"wanted a body of at most {limits.max_body_bytes} bytes; found {error}"}, 413)
        except TooManyRows as error:
            return _answer({"detail": f"wanted at most {limits.max_rows} rows; found {error}"}, 413)
        except Refused as refused:
            return _answer({"detail": [fault.document() for fault in refused.faults]}, 422)
        except ClientDisconnect:
            return _answer({"detail": "the connection ended before the body"}, 400)  # nobody reads it; it is counted
        except DaystoneError as error:
            logger.error("no prediction: %s", error)
            return _answer({"detail": f"the model cannot be run: {error}"}, 503)
        metrics.scored(len(rows), found.unseen)
        return _answer({**current.identity, "predictions": found.predictions, "unseen_categories": found.unseen})

    # A plain route of Starlette's: FastAPI would look for parameters in each request, which costs as much as the model.
    app.router.add_route("/predictions", predictions, methods=["POST"])

    @app.get("/model", summary="The model that answers, with its card")
    async def model() -> Response:
        return _no_model(limits) if slot.current is None else _answer(slot.current.document())

    @app.get(HEALTH, summary="Whether a model is there, and which")
    async def health() -> Response:
        if slot.current is None:
            return _no_model(limits)
        return _answer({"status": "ok", **slot.current.identity})

    @app.get("/metrics", summary="Counts for Prometheus")
    async def counts() -> Response:
        return Response(metrics.text(slot), media_type=CONTENT_TYPE)

    if scores is not None:

        @app.get("/scores/{entity:path}", summary="The published score of an entity")
        async def score(entity: str) -> Response:
            try:
                found = await run_in_threadpool(scores.of, entity)
            except UnknownEntity as error:
                return _answer({"detail": str(error)}, 422)
            except DaystoneError as error:
                # It names servers, which is for who operates them.
                logger.error("no look-up: %s", error)
                answer = _answer({"detail": "scores cannot be looked up now; the log of the service says why"}, 503)
                answer.headers["Retry-After"] = str(max(1, round(limits.poll_seconds)))
                return answer
            return _answer({"detail": "no score of this entity"}, 404) if found is None else _answer(found)

    base = app.openapi
    app.openapi = lambda: openapi.document(base(), slot.current, token is not None)  # type: ignore[method-assign]  # FastAPI's own way
    return app


async def _look(slot: Slot, seconds: float) -> None:
    """Look for a newer model, now and again and again."""
    while True:
        await asyncio.to_thread(slot.refresh)
        await asyncio.sleep(seconds)


async def _scored(current: Current, rows: list[Any]) -> Scored:
    if current.scorer.is_quick and len(rows) <= MOST_INLINE:
        return _checked_and_scored(current, rows)
    return await run_in_threadpool(_checked_and_scored, current, rows)


def _checked_and_scored(current: Current, rows: list[Any]) -> Scored:
    return current.scorer.score(current.scorer.columns.checked(rows))


async def _body(receive: Receive, headers: Mapping[bytes, bytes], most: int) -> bytes:
    """The body of a request. Raises TooLarge before more than that is in memory, and ClientDisconnect."""
    said = headers.get(b"content-length", b"")
    if said.isdigit() and int(said) > most:
        raise TooLarge(said.decode())
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise TooLarge("more")
    return bytes(body)


def _no_model(limits: Limits) -> Response:
    answer = _answer({"status": "no model", "detail": "no released day yet, or its model cannot be loaded"}, 503)
    answer.headers["Retry-After"] = str(max(1, round(limits.poll_seconds)))
    return answer


#: Made once, because it takes longer to make than an answer takes to write.
_ENCODER = json.JSONEncoder(allow_nan=False)


def _answer(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(_ENCODER.encode(document).encode(), status, media_type=_JSON)
