"""Images in a directory, as the image-spec lays them out: other programs read it (``skopeo copy oci:DIR:TAG ...``,
``podman pull oci:DIR:TAG``)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from spark_lib.errors import ImageError
from spark_lib.registry.image.cache import sha256_of
from spark_lib.registry.image.documents import INDEX, MANIFEST, Blob, blob_of, digest_of, encoded

_TAG = "org.opencontainers.image.ref.name"
_LAYOUT = {"imageLayoutVersion": "1.0.0"}


def write(directory: Path, manifest: bytes, tags: Iterable[str], contents: Callable[[Blob], bytes | Path]) -> None:
    """Add an image to a directory, which is made where it is not there. A tag that another image has moves to this one.

    Raises ImageError where the directory holds something else, or cannot be written to.
    """
    try:
        _write(directory, manifest, tags, contents)
    except OSError as error:
        raise ImageError(
            str(directory),
            "a directory that can be written to",
            f"{error.filename or directory}: {error.strerror}",
            "name another directory, or correct it",
        ) from error


def _write(directory: Path, manifest: bytes, tags: Iterable[str], contents: Callable[[Blob], bytes | Path]) -> None:
    if directory.exists() and any(directory.iterdir()) and not (directory / "oci-layout").is_file():
        raise ImageError(
            str(directory), "an empty directory, or one of images", "other files", "name another directory"
        )
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    document = json.loads(manifest)
    for blob in [Blob.of(document["config"]), *map(Blob.of, document["layers"])]:
        path = blobs / blob.digest.removeprefix("sha256:")
        if not path.is_file() or sha256_of(path) != blob.digest:
            _put(path, contents(blob))
    _put(blobs / digest_of(manifest).removeprefix("sha256:"), manifest)
    _put(directory / "oci-layout", encoded(_LAYOUT))
    _put(directory / "index.json", encoded(_index(directory, blob_of(MANIFEST, manifest), list(tags))))


def _index(directory: Path, image: Blob, tags: list[str]) -> dict[str, object]:
    path = directory / "index.json"
    try:
        there = json.loads(path.read_bytes())["manifests"] if path.is_file() else []
    except (ValueError, KeyError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise ImageError(str(path), "an index of images", found, "remove the directory, or name another") from error
    others = [found for found in there if found.get("annotations", {}).get(_TAG) not in tags]
    tagged = [{**image.document(), "annotations": {_TAG: tag}} for tag in tags]
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*others, *tagged]}


def _put(path: Path, content: bytes | Path) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    if isinstance(content, bytes):
        beside.write_bytes(content)
    else:
        shutil.copyfile(content, beside)
    os.replace(beside, path)
