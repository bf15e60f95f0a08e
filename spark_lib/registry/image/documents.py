"""The JSON documents of an image: its configuration, its manifest, and what names them by their digest.

The specifications are those of the Open Container Initiative: image-spec 1.1 and distribution-spec 1.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
#: What Docker called the same things before there was a specification.
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_AS_OCI = {"application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER}


@dataclass(frozen=True)
class Blob:
    """A file of an image by the SHA-256 of its bytes, written ``sha256:...``, and its size in bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Blob:
        """A descriptor as JSON has it, with the media types of the Open Container Initiative."""
        kind = document["mediaType"]
        return cls(_AS_OCI.get(kind, kind), document["digest"], document["size"])

    def document(self) -> dict[str, Any]:
        """The blob as JSON has it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Layer:
    """A layer: its packed file, and the digest of its tar before it was packed."""

    blob: Blob
    diff_id: str


def digest_of(body: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def blob_of(media_type: str, body: bytes) -> Blob:
    """The descriptor of a blob."""
    return Blob(media_type, digest_of(body), len(body))


def encoded(document: Mapping[str, Any]) -> bytes:
    """A document as bytes that are the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def manifest(config: bytes, layers: Sequence[Layer], annotations: Mapping[str, str]) -> bytes:
    """The manifest of an image, whose digest is that of the image."""
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob_of(CONFIG, config).document(),
            "layers": [layer.blob.document() for layer in layers],
            "annotations": dict(annotations),
        }
    )


def blobs_of(manifest_body: bytes) -> list[Blob]:
    """All that a manifest names: the configuration, then the layers from the lowest on."""
    found = json.loads(manifest_body)
    return [Blob.of(found["config"]), *map(Blob.of, found["layers"])]
