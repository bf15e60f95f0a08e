"""What an image stands on: Python as it runs on this machine, or another image that has a Python of the same version."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from spark_lib.errors import ImageError
from spark_lib.registry.image import contents, layers, reference
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.client import Client
from spark_lib.registry.image.documents import DOCKER_LIST, INDEX, Blob, Layer, digest_of
from spark_lib.registry.image.layers import Entries

_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Base:
    """Layers from the lowest on, the Python in them, and the variables of the environment that they need. ``origin`` says
    where another image is from, by its digest; it is empty for this machine's Python."""

    layers: tuple[Layer, ...]
    python: str
    environment: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""


def find(spec: str, cache: Cache, packages: Entries) -> Base:
    """The base that ``[image] base`` names; an empty text is this machine's Python, with the libraries that ``packages``
    need, too. Raises ImageError where it cannot be one, and RegistryUnavailable."""
    architecture = contents.architecture()
    if not spec:
        return _of_this_machine(cache, packages)
    if spec.startswith(reference.LAYOUT):
        found = _of_directory(Path(spec.removeprefix(reference.LAYOUT)), cache)
    else:
        found = _pulled(reference.parse(spec, "[image] base"), architecture, cache)
    _check_fits(spec, found[0], architecture)
    return _of_image(*found)


def _of_this_machine(cache: Cache, packages: Entries) -> Base:
    own = contents.python()
    everything = {**own, **packages}

    def whole() -> Entries:
        return {**own, **contents.libraries(everything, contents.roots(packages))}

    layer = cache.layer(f"python-{layers.key_of(everything)}", lambda file: layers.write(whole(), file))
    environment = {"PATH": _SEARCHED, "LD_LIBRARY_PATH": f"/{contents.LIBRARIES}"}
    return Base((layer,), f"/{contents.PYTHON}", environment)


#: The configuration of an image, its layers' blobs, and where it is from.
_Image = tuple[Mapping[str, Any], list[Blob], str]


def _of_directory(directory: Path, cache: Cache) -> _Image:
    def read(digest: str) -> Path:
        return directory / "blobs" / digest.replace(":", "/")

    try:
        (image,) = json.loads((directory / "index.json").read_bytes())["manifests"]
        manifest = json.loads(read(image["digest"]).read_bytes())
        found = [Blob.of(layer) for layer in manifest["layers"]]
        for blob in found:
            cache.keep(blob, _copier(read(blob.digest)))
        config = json.loads(read(manifest["config"]["digest"]).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"[image] base {reference.LAYOUT}{directory}",
            "a directory with one image, as the image-spec lays it out",
            f"{type(error).__name__}: {error}",
            "write it anew, as by: skopeo copy docker://NAME oci:DIRECTORY",
        ) from error
    return config, found, image["digest"]


def _copier(path: Path) -> Callable[[IO[bytes]], None]:
    def copy(file: IO[bytes]) -> None:
        with path.open("rb") as source:
            shutil.copyfileobj(source, file)

    return copy


def _pulled(image: reference.Reference, architecture: str, cache: Cache) -> _Image:
    client = Client(image)
    kind, body = client.manifest(image.digest or image.tag or "latest")
    if kind in (INDEX, DOCKER_LIST):
        _, body = client.manifest(for_this_machine(str(image), json.loads(body)["manifests"], architecture))
    manifest = json.loads(body)
    found = [Blob.of(layer) for layer in manifest["layers"]]
    described = Blob.of(manifest["config"])
    config = cache.keep(described, partial(client.fetch_blob, described))
    for blob in found:
        cache.keep(blob, partial(client.fetch_blob, blob))
    return json.loads(config.read_bytes()), found, f"{image.repository}@{digest_of(body)}"


def for_this_machine(image: str, offered: Sequence[Mapping[str, Any]], architecture: str) -> str:
    """The digest of the image for this kind of processor, of those that an index offers. Raises ImageError."""
    platforms = [found.get("platform", {}) for found in offered]
    for found, platform in zip(offered, platforms, strict=True):
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return str(found["digest"])
    raise ImageError(
        f"[image] base {image}",
        f"an image for linux/{architecture}, as the packages that are installed here",
        ", ".join(f"{each.get('os')}/{each.get('architecture')}" for each in platforms) or "none",
        "name another image, or build on a machine like those that run it",
    )


def _check_fits(spec: str, config: Mapping[str, Any], architecture: str) -> None:
    there = f"{config.get('os')}/{config.get('architecture')}"
    version = _environment(config).get("PYTHON_VERSION", "")
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    if there != f"linux/{architecture}" or (version and not f"{version}.".startswith(f"{mine}.")):
        raise ImageError(
            f"[image] base {spec}",
            f"an image for linux/{architecture} with Python {mine}, as the packages that are installed here",
            f"one for {there}" + (f" with Python {version}" if version else ""),
            "name another image, or build in an environment like the one of the image",
        )


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    said = config.get("config", {}).get("Env") or []
    return {name: value for name, _, value in (each.partition("=") for each in said)}


def _of_image(config: Mapping[str, Any], blobs: list[Blob], origin: str) -> Base:
    diff_ids = config["rootfs"]["diff_ids"]
    found = tuple(Layer(blob, diff_id) for blob, diff_id in zip(blobs, diff_ids, strict=True))
    return Base(found, "python3", {"PATH": _SEARCHED} | _environment(config), origin)
