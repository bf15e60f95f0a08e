"""Serves predictions by REST: puts the application together from the configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from spark_lib.errors import ConfigurationError
from tasks.cli.place import Place


def serve(place: Place, say: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM; ``say`` is told the address. Raises ConfigurationError where the address cannot be
    used or would be open to others, and KeyboardInterrupt after Ctrl-C."""
    _require_extra()
    from spark_lib.rest import app, current, server

    values = place.settings.serve

    def said_by(key: str) -> str:
        return place.settings.said_by("serve", key)

    token = server.token_of(os.environ, values.host, said_by("host"))
    slot = current.Slot(current.newest_of(place.partitions))
    limits = app.Limits(values.max_rows, values.max_body_bytes, values.poll_seconds)
    made = app.create(slot, limits, token)
    listener = server.listening(values.host, values.port, said_by)
    say(f"serving {place.use_case} of {place.partitions.root} at {server.url_of(listener)}")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    current.logger.setLevel(logging.INFO)
    server.run(made, listener)


def _require_extra() -> None:
    """Raise ConfigurationError where the packages of the extra are not installed."""
    try:
        import fastapi
        import uvicorn

        _ = fastapi, uvicorn
    except ImportError as error:
        raise ConfigurationError(
            "daystone serve", "the packages of the extra rest", str(error), 'pip install "daystone[rest]"'
        ) from error
