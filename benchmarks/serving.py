"""Measures what a prediction by REST costs: `POST /predictions` of one row, against ONNX Runtime in a bare endpoint of
FastAPI with the same model.

    python -m benchmarks.serving [--pairs 15] [--keep]

Both are processes of uvicorn with the same settings. One connection asks them in turn, 500 times each in a round. What counts is the
median of a round's requests, as the seconds of 1,000 of them. ``make bench`` runs it too.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import made
from benchmarks.commands import environment
from benchmarks.result import Result, judge, options, parsed, record
from spark_lib.models.card import ModelFile
from spark_lib.models.model import digest
from spark_lib.rest import app, scorer, server
from spark_lib.rest.current import Current, Slot
from spark_lib.stages.selection import Pinned
from spark_lib.use_case import Feature

WIDTH = 20
PAIRS = 15
REQUESTS = 500
GOAL = 1.3
OURS, BARE = "ours", "bare"


def results(pairs: int = PAIRS) -> list[Result]:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        model = Path(made.forest(f"{directory}/model", WIDTH).directory, "model.onnx")
        row = {name: round(float(value), 3) for name, value in zip(made.names(WIDTH), _noise(), strict=True)}
        with running(OURS, model) as ours, running(BARE, model) as bare:
            _check_same(ours.ask(row), bare.ask(row))
            for side in (ours, bare):
                side.seconds(row)
            taken = [(ours.seconds(row), bare.seconds(row)) for _ in range(pairs)]
        name = f"1,000 requests of one row of {WIDTH} features by a forest, one after the other / onnxruntime in a bare endpoint"
        return [judge(name, taken, goal=GOAL)]


def _noise() -> Any:
    return np.random.default_rng(0).normal(size=WIDTH)


def _check_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    found = one["predictions"][0]["score"], other["score"]
    if abs(found[0] - found[1]) > 1e-9:
        raise AssertionError(f"wanted one score by both; found {found[0]} and {found[1]}")


class Side:
    """A service in a process of its own, and the one connection to it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, row: Mapping[str, float]) -> dict[str, Any]:
        head, _, body = self._asked(self._request(row)).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(f"wanted an answer of 200; found {head!r} {body!r}")
        found: dict[str, Any] = json.loads(body)
        return found

    def seconds(self, row: Mapping[str, float]) -> float:
        """The seconds of 1,000 requests, by the median of some."""
        request = self._request(row)
        taken = []
        for _ in range(REQUESTS):
            begun = time.perf_counter()
            self._asked(request)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken) * 1_000

    def _request(self, row: Mapping[str, float]) -> bytes:
        body = json.dumps(row).encode()
        head = f"POST /predictions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def _asked(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        found = b""
        while True:
            found += self._socket.recv(65_536)
            head, ends, body = found.partition(b"\r\n\r\n")
            if ends:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if len(body) >= length:
                    return found


@contextmanager
def running(side: str, model: Path) -> Iterator[Side]:
    """A process that serves the model."""
    command = [sys.executable, "-m", "benchmarks.serving", "--serve", side, str(model)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # it is a pipe
            yield Side(int(process.stdout.readline()))
        finally:
            process.kill()


def serve(side: str, model: Path) -> None:
    """Serve on a free port of this machine, and print the port."""
    listener = server.listening("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    server.run({OURS: _ours, BARE: _bare}[side](model.read_bytes()), listener)


def _ours(model: bytes) -> Any:
    card = made.card_of(
        {name: Feature("FLOAT") for name in made.names(WIDTH)}, ModelFile("model.onnx", digest(model), len(model))
    )
    pinned = Pinned(date(2026, 3, 1), model, digest(model), card)
    current = Current(date(2026, 3, 1), "0" * 16, pinned.date, pinned.digest, card, scorer.of(pinned))
    slot = Slot(lambda _: current)
    slot.refresh()
    return app.create(slot, app.Limits())


def _bare(model: bytes) -> Any:
    """What a user would write: a model of pydantic for the row, and a session on one thread."""
    import onnxruntime
    from fastapi import FastAPI
    from pydantic import create_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = made.names(WIDTH)
    row_of_features = create_model("Row", **dict.fromkeys(names, (float, ...)))  # type: ignore[call-overload]  # names are made
    bare = FastAPI()

    async def predictions(row: Any) -> dict[str, float]:
        matrix = np.array([[getattr(row, name) for name in names]], np.float32)
        return {"score": float(session.run(["probabilities"], {"features": matrix})[0][0, 1])}

    predictions.__annotations__["row"] = row_of_features
    bare.post("/predictions")(predictions)
    return bare


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], Path(sys.argv[3]))
        return
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parsed(parser)
    record(results(given.pairs), given.into)


if __name__ == "__main__":
    main()
