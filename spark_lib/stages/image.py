"""Builds the image of the model that a selection pins, and finds its layers again. Spark is not needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spark_lib.errors import ImageError
from spark_lib.lake import Documents, Lake, Partition
from spark_lib.models import selection as selections
from spark_lib.models.card import MODEL, PICKLE
from spark_lib.models.selection import SELECTION
from spark_lib.registry.image import contents, documents, pickled
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.documents import Blob
from spark_lib.registry.image.recipe import Model, Recipe
from spark_lib.stages.selection import Pinned, pinned

#: The names of the documents.
MANIFEST, CONFIG, MODEL_LAYER = "manifest.json", "config.json", "model.tar.gz"


def build(
    lake: Lake, selection: Partition, name: str, use_case: str, base: str, cache: Cache | None = None
) -> Documents:
    """The image of the model that ``selection`` pins. ``name`` is that of the lake, and ``base`` says what the image stands
    on.

    Raises ImageError where it cannot be built, RegistryUnavailable where its base cannot be pulled, and DamagedPartition
    where a file of the model is not what was chosen.
    """
    found = pinned(lake, selection)
    run = selections.parse(selection.document(SELECTION), f"{SELECTION} of {selection.date}").run
    recipe = Recipe(base, cache or Cache(), _packages_for(found))
    model = Model(name, use_case, found.date, run, found.digest, _file_of(found), found.model, found.card.to_json())
    made = recipe.image(model)
    figures = {
        "image_digest": made.digest,
        "tag": model.tag,
        "model_date": str(found.date),
        "model_run": run,
        "model_digest": found.digest,
        "base": recipe.base.origin,
        "layers": [
            {"holds": what, "digest": layer.blob.digest, "bytes": layer.blob.size} for what, layer in made.layers
        ],
        "packages": dict(recipe.versions),
    }
    return Documents({MANIFEST: made.manifest, CONFIG: made.config, MODEL_LAYER: made.model_layer}, figures)


def _file_of(model: Pinned) -> str:
    return PICKLE if model.card.is_pickled else MODEL


def _packages_for(model: Pinned) -> tuple[str, ...]:
    """The packages that a model needs beside those of the service. Raises ImageError."""
    if not model.card.is_pickled:
        return ()
    return (*contents.OF_PICKLES, *pickled.packages_of(model.model, model.digest))


@dataclass(frozen=True)
class Stored:
    """An image as a partition of the lake has it: the documents, and the digest and the tag of its model."""

    manifest: bytes
    config: bytes
    model_layer: bytes
    base: str
    packages: tuple[str, ...]
    digest: str
    tag: str

    @property
    def blobs(self) -> list[Blob]:
        """All that has to be where the image is: its configuration, and its layers from the lowest on."""
        return documents.blobs_of(self.manifest)


def read(image: Partition) -> Stored:
    """The image of a partition. Raises DamagedPartition where a file is not what was published."""
    figures = image.manifest.metrics
    return Stored(
        image.document(MANIFEST),
        image.document(CONFIG),
        image.document(MODEL_LAYER),
        image.manifest.settings["image.base"],
        tuple(figures["packages"]),
        figures["image_digest"],
        figures["tag"],
    )


def contents_of(image: Stored, cache: Cache | None = None) -> Callable[[Blob], bytes | Path]:
    """What gives the bytes of a blob of an image, or the file that has them. Layers that the cache does not have any more
    are made again, which gives the same ones where the same packages are installed; else it raises ImageError."""
    kept = cache or Cache()
    known = {documents.digest_of(body): body for body in (image.config, image.model_layer)}

    def found(blob: Blob) -> bytes | Path:
        if blob.digest in known:
            return known[blob.digest]
        path = kept.find(blob.digest)
        if path is None:
            Recipe(image.base, kept, image.packages).make_layers()
            path = kept.find(blob.digest)
        if path is None:
            raise _other(image, blob)
        return path

    return found


def _other(image: Stored, blob: Blob) -> ImageError:
    day = json.loads(image.config)["config"]["Labels"]["io.daystone.model_date"]
    return ImageError(
        f"layer {blob.digest}",
        f"the layer that the image of the model of {day} was built with",
        "none in the cache, and another one of what is installed here",
        "go on where the image's packages are installed (its manifest in the lake names them), or build the image again "
        "(daystone rebuild image --date DATE)",
    )
