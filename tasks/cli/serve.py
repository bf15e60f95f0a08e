"""Serves predictions by REST: puts the application together from the configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from tasks.cli.place import Place
from tasks.config import targets

if TYPE_CHECKING:
    from spark_lib.lookups import Released
    from spark_lib.rest.app import Scores
    from spark_lib.rest.current import Slot


def serve(place: Place, say: Callable[[str], None], target: str = "") -> None:
    """Answer requests until SIGTERM; ``say`` is told the address. Scores are looked up at ``target``, or at the first of
    ``[publication] targets``. Raises ConfigurationError where the address cannot be used or would be open to others, and
    where scores cannot be looked up at ``target``, and KeyboardInterrupt after Ctrl-C."""
    _require_extra()
    from spark_lib.rest import app, current, server

    values = place.settings.serve

    def said_by(key: str) -> str:
        return place.settings.said_by("serve", key)

    token = server.token_of(os.environ, values.host, said_by("host"))
    slot = current.Slot(current.newest_of(place.partitions))
    limits = app.Limits(values.max_rows, values.max_body_bytes, values.poll_seconds)
    where, why_not = _target(place, target)
    scores = _scores(place, where, slot) if where else None
    made = app.create(slot, limits, token, scores)
    listener = server.listening(values.host, values.port, said_by)
    say(f"serving {place.use_case} of {place.partitions.root} at {server.url_of(listener)}")
    say(why_not or f"scores are looked up at {where}")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    current.logger.setLevel(logging.INFO)
    server.run(made, listener)


def _target(place: Place, given: str) -> tuple[str, str]:
    """The target that scores are looked up at; without one an empty text, and why there is none. Raises
    ConfigurationError for one that is given and cannot be used."""
    name = given or next(iter(place.settings.targets), "")
    if not name:
        return "", "no scores are looked up: [publication] targets names no target"
    if not targets.is_of_files(name):
        return name, ""
    if given:
        raise ConfigurationError(
            "daystone serve --target",
            "a target that can be asked for one entity, as PostgreSQL and Redis",
            f"{name}, whose files would be read whole for each request",
            "publish to a database, and name that target",
        )
    return "", f"no scores are looked up: {name} is a target of files; --target names another one"


def _scores(place: Place, target: str, slot: Slot) -> Scores:
    """Scores at a target. A prior is that of the model that answers, which is at hand."""
    from tasks.cli import lookup

    def newest() -> Released | None:
        current = slot.current
        return None if current is None else (current.model_date, current.model_digest, current.card)

    return lookup.Scores(lookup.at(place, target, newest))


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
