"""Puts an image together, and finds its blobs again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from spark_lib.registry.image import base as bases
from spark_lib.registry.image import contents, documents, layers
from spark_lib.registry.image.base import Base
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.documents import Layer
from spark_lib.registry.image.layers import Entry

#: A user without rights, of whom no container has another file.
USER = "1000:1000"
PORT = 8080
#: The module of the service.
SERVICE = "spark_lib.rest.standalone"
#: The files of the model in its layer.
CARD, IDENTITY = "card.json", "model.json"
_LABELS = "io.daystone"
_OPENED = "org.opencontainers.image"


@dataclass(frozen=True)
class Model:
    """What an image carries: a model's file by its name, its card, and where it is from. ``lake`` is the lake's name, or
    its root."""

    lake: str
    use_case: str
    date: date
    run: str
    digest: str
    file: str
    body: bytes
    card: bytes

    @property
    def tag(self) -> str:
        """The tag of its image: the model's date and run."""
        return f"{self.date}-{self.run}"

    @property
    def identity(self) -> dict[str, str]:
        """Where it is from, as JSON has it."""
        return {
            "lake": self.lake,
            "use_case": self.use_case,
            "model_date": str(self.date),
            "model_run": self.run,
            "model_digest": self.digest,
        }


@dataclass(frozen=True)
class Image:
    """An image: its manifest, its configuration and the packed layer of its model. ``layers`` are all of its layers by
    what they hold."""

    manifest: bytes
    config: bytes
    model_layer: bytes
    layers: tuple[tuple[str, Layer], ...]

    @property
    def digest(self) -> str:
        return documents.digest_of(self.manifest)


class Recipe:
    """Builds images on the base that ``spec`` names, with packages of this environment. ``names`` are those that a pickled
    model needs, beside the packages of the service."""

    def __init__(self, spec: str, cache: Cache, names: tuple[str, ...] = ()) -> None:
        self._spec = spec
        self._cache = cache
        self._names = names

    @cached_property
    def _packages(self) -> tuple[layers.Entries, dict[str, str]]:
        return contents.packages((*contents.OF_ONNX, *self._names))

    @property
    def versions(self) -> Mapping[str, str]:
        """The packages in the image, with their versions."""
        return self._packages[1]

    @cached_property
    def base(self) -> Base:
        return bases.find(self._spec, self._cache, self._packages[0])

    def make_layers(self) -> None:
        """Have all layers but the model's in the cache. Raises ImageError, RegistryUnavailable."""
        _ = self._beside

    @cached_property
    def _beside(self) -> tuple[tuple[str, Layer], ...]:
        """The layers below the model's, by what they hold."""
        below = [("python" if not self.base.origin else "base", layer) for layer in self.base.layers]
        made = [
            (
                name,
                self._cache.layer(f"{name}-{layers.key_of(entries)}", layers.writer(entries)),
            )
            for name, entries in (("packages", self._packages[0]), ("service", contents.service()))
        ]
        return (*below, *made)

    def image(self, model: Model) -> Image:
        """The image of a model. Raises ImageError, and RegistryUnavailable where its base cannot be pulled."""
        packed, layer = layers.packed(
            {
                f"{contents.MODEL}/{model.file}": Entry(model.body),
                f"{contents.MODEL}/{CARD}": Entry(model.card),
                f"{contents.MODEL}/{IDENTITY}": Entry(documents.encoded(model.identity)),
            }
        )
        whole = (*self._beside, ("model", layer))
        config = documents.encoded(self._config(model, whole))
        manifest = documents.manifest(config, [layer for _, layer in whole], _labels(model))
        return Image(manifest, config, packed, whole)

    def _config(self, model: Model, whole: tuple[tuple[str, Layer], ...]) -> dict[str, Any]:
        made = f"{model.date}T00:00:00Z"  # an image of the same model is the same whenever it is built
        environment = dict(self.base.environment) | {
            "PYTHONPATH": f"/{contents.PACKAGES}:/{contents.SERVICE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/tmp",  # noqa: S108  (of the container)
            "LANG": "C.UTF-8",
            "DAYSTONE_MODEL": f"/{contents.MODEL}",
        }
        return {
            "created": made,
            "os": "linux",
            "architecture": contents.architecture(),
            "config": {
                "User": USER,
                "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
                "Entrypoint": [self.base.python, "-m", SERVICE],
                "WorkingDir": "/opt/daystone",
                "ExposedPorts": {f"{PORT}/tcp": {}},
                "StopSignal": "SIGTERM",
                "Labels": _labels(model),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for _, layer in whole]},
            "history": [{"created": made, "created_by": f"daystone image: {name}"} for name, _ in whole],
        }


def _labels(model: Model) -> dict[str, str]:
    """What leads from an image back to the lake."""
    return {f"{_LABELS}.{name}": value for name, value in model.identity.items()} | {
        f"{_OPENED}.title": f"{model.use_case} of {model.date}",
        f"{_OPENED}.version": model.tag,
    }
