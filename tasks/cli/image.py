"""Builds the image of a day's model, and puts it where it is pulled from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from tasks.cli import run as runner
from tasks.image import ModelImage

if TYPE_CHECKING:
    from spark_lib.registry.image.push import Pushed

_OPTION = "daystone image --push"


@dataclass(frozen=True)
class Made:
    """The image of a day by its digest, its tag and the date of its model. ``pushed`` says what was sent to the repository
    ``to``; both are empty where it was not to be pushed."""

    digest: str
    tag: str
    model_date: str
    to: str = ""
    pushed: Pushed | None = None


def image(day: date, to: str, output: str, watcher: runner.Watcher) -> Made:
    """Build the image of the model in force on a day where it is not there, write it to the directory ``output``, and push
    it to the repository ``to``, each where it is not empty.

    Raises ConfigurationError for a name of no repository, what building raises, ImageError where the layers cannot be made
    again, and RegistryUnavailable.
    """
    from spark_lib.registry.image import layout, push, reference
    from spark_lib.registry.image.client import Client

    place = reference.parse(to, _OPTION) if to else None
    if place and place.digest:
        raise ConfigurationError(
            _OPTION, "a repository, or a repository and a tag", f"{place}, one image", "leave the digest out"
        )
    outcome = runner.run(runner.make(ModelImage, day), watcher)
    if outcome.error is not None:
        raise outcome.error
    from spark_lib.stages import image as images

    stage = outcome.stage
    (there,) = stage.partitions.require(stage.dataset, day)
    stored = images.read(there)
    contents = images.contents_of(stored)
    tags = [stored.tag, *([place.tag] if place and place.tag else [])]
    if output:
        layout.write(Path(output), stored.manifest, tags, contents)
    made = Made(stored.digest, stored.tag, there.manifest.metrics["model_date"])
    if place is None:
        return made
    pushed = push.push(Client(place, pushes=True), stored.manifest, tags, stored.blobs, contents)
    return Made(made.digest, made.tag, made.model_date, str(place.repository), pushed)
