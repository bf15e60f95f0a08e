"""What an image stands on: another image is taken layer by layer, and one that does not fit is refused."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from spark_lib.errors import ImageError, RegistryUnavailable
from spark_lib.registry.image import base, documents, layers, layout
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.client import Client
from spark_lib.registry.image.documents import CONFIG, Blob, blob_of
from spark_lib.registry.image.layers import Entry
from spark_lib.registry.image.push import push
from tests.support import registry

MINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
FITTING = {"os": "linux", "architecture": MINE, "config": {"Env": ["PATH=/somewhere", f"PYTHON_VERSION={PYTHON}.1"]}}


class Other:
    """An image by somebody else."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        body, self.layer = layers.packed({"usr/local/bin/python3": Entry(b"a Python")})
        described = documents.encoded({**config, "rootfs": {"type": "layers", "diff_ids": [self.layer.diff_id]}})
        self.manifest = documents.manifest(described, [self.layer], {})
        self._bodies = {self.layer.blob.digest: body, blob_of(CONFIG, described).digest: described}

    def contents(self, blob: Blob) -> bytes:
        return self._bodies[blob.digest]

    def write(self, directory: Path) -> str:
        layout.write(directory, self.manifest, ["python"], self.contents)
        return f"oci:{directory}"

    def push(self, client: Client, tag: str) -> None:
        push(client, self.manifest, [tag], documents.blobs_of(self.manifest), self.contents)


def test_the_layers_and_the_environment_of_a_directory_are_taken(cache: Cache, tmp_path: Path) -> None:
    other = Other(FITTING)

    found = base.find(other.write(tmp_path / "python"), cache, {})

    assert found.layers == (other.layer,)
    assert found.python == "python3"
    assert found.environment == {"PATH": "/somewhere", "PYTHON_VERSION": f"{PYTHON}.1"}
    assert found.origin == documents.digest_of(other.manifest)
    assert cache.find(other.layer.blob.digest) is not None


@pytest.mark.processes
def test_an_image_at_a_registry_is_pulled_by_its_tag(
    cache: Cache, client: Client, images: registry.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(images.logged_in(tmp_path)))
    other = Other(FITTING)
    other.push(client, "3.11-slim")

    found = base.find(f"{client.repository}:3.11-slim", cache, {})

    assert found.layers == (other.layer,)
    assert found.origin == f"{client.repository}@{documents.digest_of(other.manifest)}"
    assert cache.find(other.layer.blob.digest) is not None


@pytest.mark.processes
def test_the_environments_password_is_not_shown_to_the_registry_of_a_base(
    cache: Cache, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with pytest.raises(RegistryUnavailable) as refused:
        base.find(f"{client.repository}:3.11-slim", cache, {})

    assert str(refused.value) == (
        f"{client.repository}: wanted the image 3.11-slim; found the status 401: authentication required. Next: log in "
        f"(docker login {client.repository.host})"
    )


@pytest.mark.processes
def test_of_images_for_many_machines_the_one_for_this_is_pulled(cache: Cache, client: Client) -> None:
    others = {"amd64": Other(FITTING | {"architecture": "amd64"}), "arm64": Other(FITTING | {"architecture": "arm64"})}
    for name, other in others.items():
        other.push(client, name)
    index = {name: documents.digest_of(other.manifest) for name, other in others.items()}

    found = base.for_this_machine("python", _platforms(index), MINE)

    assert found == index[MINE]
    with pytest.raises(ImageError) as refused:
        base.for_this_machine("python", _platforms(index), "riscv64")
    assert str(refused.value) == (
        "[image] base python: wanted an image for linux/riscv64, as the packages that are installed here; found linux/amd64, "
        "linux/arm64. Next: name another image, or build on a machine like those that run it"
    )


def _platforms(index: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    return [
        {"digest": digest, "platform": {"os": "linux", "architecture": machine}} for machine, digest in index.items()
    ]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"os": "windows", "architecture": MINE}, f"one for windows/{MINE}"),
        ({"os": "linux", "architecture": "s390x"}, "one for linux/s390x"),
        (FITTING | {"config": {"Env": ["PYTHON_VERSION=3.1.4"]}}, f"one for linux/{MINE} with Python 3.1.4"),
        (FITTING | {"config": {"Env": ["PYTHON_VERSION=2.7"]}}, f"one for linux/{MINE} with Python 2.7"),
    ],
)
def test_an_image_that_cannot_run_what_is_installed_here_is_refused(
    cache: Cache, tmp_path: Path, config: Mapping[str, Any], found: str
) -> None:
    spec = Other(config).write(tmp_path / "python")

    with pytest.raises(ImageError) as refused:
        base.find(spec, cache, {})

    assert str(refused.value) == (
        f"[image] base {spec}: wanted an image for linux/{MINE} with Python {PYTHON}, as the packages that are installed here; "
        f"found {found}. Next: name another image, or build in an environment like the one of the image"
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / "index.json").unlink(),
        lambda directory: (directory / "index.json").write_text("[]"),
        lambda directory: (directory / "index.json").write_text(json.dumps({"manifests": []})),
        lambda directory: [path.write_bytes(b"{}") for path in (directory / "blobs" / "sha256").iterdir()],
    ],
)
def test_a_directory_that_holds_no_image_is_refused(cache: Cache, tmp_path: Path, damage: Any) -> None:
    spec = Other(FITTING).write(tmp_path / "python")
    damage(tmp_path / "python")

    with pytest.raises(ImageError, match="wanted a directory with one image, as the image-spec lays it out; found "):
        base.find(spec, cache, {})
