"""Pushes an image to a repository: what is missing there, and then its tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_lib.registry.image.client import Client
from spark_lib.registry.image.documents import Blob, digest_of


@dataclass(frozen=True)
class Pushed:
    """How many blobs were sent, and how many were there already. ``tags`` are those that did not have this image
    before."""

    sent: int
    there: int
    tags: tuple[str, ...]


def push(
    client: Client,
    manifest: bytes,
    tags: Sequence[str],
    blobs: Sequence[Blob],
    contents: Callable[[Blob], bytes | Path],
) -> Pushed:
    """Have an image at a repository by all of its ``tags``. Where it is there already, only its tags are asked for. Raises
    RegistryUnavailable, and what ``contents`` raises."""
    digest = digest_of(manifest)
    missing = tuple(tag for tag in tags if client.manifest_digest(tag) != digest)
    if not missing:
        return Pushed(0, len(blobs), ())
    sent = sum(client.send_blob(blob, contents) for blob in blobs)
    for tag in missing:
        client.send_manifest(manifest, tag)
    return Pushed(sent, len(blobs) - sent, missing)
