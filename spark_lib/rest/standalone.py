"""The service of an image: answers by the model that lies beside it, without a lake. An image starts it as
``python -m spark_lib.rest.standalone``.

The environment says where: DAYSTONE_SERVE_HOST (127.0.0.1), DAYSTONE_SERVE_PORT (8080), and DAYSTONE_MODEL, the directory of
the model. On another address than loopback each request has to show the token of DAYSTONE_SERVE_TOKEN.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from spark_lib.errors import ConfigurationError, DamagedPartition, DaystoneError
from spark_lib.models import card as cards
from spark_lib.models.card import CARD
from spark_lib.rest import app, current, scorer, server
from spark_lib.rest.current import Current
from spark_lib.stages.selection import Pinned

#: Which model it is, beside the model and its card.
IDENTITY = "model.json"
HOST, PORT, MODEL = "DAYSTONE_SERVE_HOST", "DAYSTONE_SERVE_PORT", "DAYSTONE_MODEL"
_INTERRUPTED = 130


def model_in(directory: Path) -> Current:
    """The model of a directory, ready to answer. Raises DamagedPartition where a file is missing or cannot be read, and
    ModelError where the model's bytes are not those that were trained."""
    try:
        identity = json.loads((directory / IDENTITY).read_bytes())
        card = cards.parse((directory / CARD).read_bytes())
        day, digest, run = date.fromisoformat(identity["model_date"]), identity["model_digest"], identity["model_run"]
        assert card.model is not None  # a model without a file is in force nowhere
        body = (directory / card.model.file).read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedPartition(
            str(directory),
            f"{IDENTITY}, {CARD} and the file of a model",
            f"{type(error).__name__}: {error}",
            f"set {MODEL} to the directory of the image's model, or build the image again",
        ) from error
    return Current(None, run, day, digest, card, scorer.of(Pinned(day, body, digest, card)))


def port_of(environment: Mapping[str, str]) -> int:
    """The port to listen on. Raises ConfigurationError."""
    said = environment.get(PORT, "8080")
    if not (said.isdecimal() and said.isascii() and int(said) < 2**16):
        raise ConfigurationError(PORT, "a number from 0 to 65535", repr(said), "correct it")
    return int(said)


def serve(environment: Mapping[str, str]) -> None:
    """Answer requests until SIGTERM or Ctrl-C. Raises ConfigurationError where the address cannot be used or would be open
    to others, what ``model_in`` raises, and KeyboardInterrupt after Ctrl-C."""
    host = environment.get(HOST, "127.0.0.1")
    token = server.token_of(environment, host, HOST)
    port = port_of(environment)
    found = model_in(Path(environment.get(MODEL, "/opt/daystone/model")))
    slot = current.Slot(lambda _: found)
    slot.refresh()
    made = app.create(slot, app.Limits(), token)
    listener = server.listening(host, port, {"host": HOST, "port": PORT}.__getitem__)
    _say(f"serving the model of {found.model_date}, {found.model_digest}, at {server.url_of(listener)}")
    server.run(made, listener)


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def main() -> int:
    """Serve, and return the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        serve(os.environ)
    except DaystoneError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
