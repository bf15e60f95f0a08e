"""What is pushed to a real registry is there, once and whole, also where the registry ends in the middle."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_lib.errors import RegistryUnavailable
from spark_lib.registry.image import credentials, documents, layers
from spark_lib.registry.image.client import Client
from spark_lib.registry.image.documents import CONFIG, Blob, Layer, blob_of
from spark_lib.registry.image.layers import Entry
from spark_lib.registry.image.push import Pushed, push
from spark_lib.registry.image.reference import Reference
from tests.support import registry
from tests.unit.registry.image.conftest import client_of

pytestmark = pytest.mark.processes


class Small:
    """An image of two small layers."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        made: list[Layer] = []
        for name in ("base", "model"):
            body, layer = layers.packed({f"opt/{name}": Entry(os.urandom(5000))})
            self.bodies[layer.blob.digest] = body
            made.append(layer)
        config = documents.encoded({"rootfs": {"diff_ids": [layer.diff_id for layer in made]}})
        self.bodies[blob_of(CONFIG, config).digest] = config
        self.manifest = documents.manifest(config, made, {})
        self.blobs = documents.blobs_of(self.manifest)
        self.digest = documents.digest_of(self.manifest)

    def contents(self, blob: Blob) -> bytes:
        return self.bodies[blob.digest]

    def pushed_by(self, client: Client, *tags: str, contents: Callable[[Blob], bytes | Path] | None = None) -> Pushed:
        return push(client, self.manifest, tags, self.blobs, contents or self.contents)


@pytest.fixture
def image() -> Small:
    return Small()


def test_a_pushed_image_is_pulled_by_its_tags_and_its_digest(
    images: registry.Server, client: Client, image: Small, tmp_path: Path
) -> None:
    done = image.pushed_by(client, "one", "two")

    assert done == Pushed(3, 0, ("one", "two"))
    for reference in ("one", "two", image.digest):
        images.pull(client.repository.name, reference, tmp_path / reference)
    assert (tmp_path / "one" / "opt" / "model").stat().st_size == 5000


def test_what_is_there_is_not_sent_again(client: Client, image: Small) -> None:
    image.pushed_by(client, "one")

    def not_asked(blob: Blob) -> bytes:
        raise AssertionError(blob)

    assert image.pushed_by(client, "one", contents=not_asked) == Pushed(0, 3, ())
    assert image.pushed_by(client, "one", "two", contents=not_asked) == Pushed(0, 3, ("two",))


def test_a_tag_moves_to_the_image_that_is_pushed_last(client: Client, image: Small) -> None:
    other = Small()
    image.pushed_by(client, "one")

    other.pushed_by(client, "one")

    assert client.manifest_digest("one") == other.digest
    assert client.manifest_digest("none") == ""


def test_a_file_is_sent_and_fetched_as_it_is(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(3_000_000))
    blob = blob_of("application/octet-stream", path.read_bytes())

    assert client.send_blob(blob, lambda _: path)

    fetched = io.BytesIO()
    client.fetch_blob(blob, fetched)
    assert fetched.getvalue() == path.read_bytes()


def test_a_registry_that_is_killed_while_it_takes_a_blob_is_unavailable_and_has_the_image_after_another_push(
    tmp_path: Path, image: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "registry"
    directory.mkdir()
    with registry.server(directory) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        repository = Reference(server.host, "loans")
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)

        def half() -> None:
            with pipe.open("wb", buffering=0) as file:
                file.write(b"x" * 2000)
                server.kill()
                try:
                    file.write(b"x" * 10_000_000)
                except BrokenPipeError:
                    return  # nobody reads any more

        sender = threading.Thread(target=half)
        sender.start()
        # A blob of more bytes than come before the registry is gone.
        large = Blob("application/octet-stream", documents.digest_of(b""), 10_002_000)

        with pytest.raises(RegistryUnavailable) as away:
            client_of(repository).send_blob(large, lambda _: pipe)
        sender.join()
        server.start()
        done = image.pushed_by(client_of(repository), "one")

        assert str(away.value) == (
            f"{server.host}/loans: blob {large.digest}: wanted an answer of the registry; found Connection refused, 4 times. "
            "Next: look whether the registry runs and can be reached, then run again: what is there already is not sent again"
        )
        assert done.sent == 3
        server.pull("loans", image.digest, tmp_path / "pulled")


def test_a_push_goes_on_where_it_ended_after_the_registry_was_killed_between_two_blobs(
    tmp_path: Path, image: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        repository = Reference(server.host, "loans")

        def killing(blob: Blob) -> bytes:
            if blob == image.blobs[1]:
                server.kill()
            return image.contents(blob)

        with pytest.raises(RegistryUnavailable, match="found Connection refused, 4 times"):
            image.pushed_by(client_of(repository), "one", contents=killing)
        server.start()

        assert client_of(repository).manifest_digest("one") == ""
        assert image.pushed_by(client_of(repository), "one") == Pushed(2, 1, ("one",))


def test_a_registry_that_comes_back_meanwhile_is_asked_again(
    tmp_path: Path, image: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.kill()
        waited: list[float] = []

        def start(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                server.start()

        done = image.pushed_by(client_of(Reference(server.host, "loans"), start), "one")

    assert done.sent == 3
    assert waited == [0.5, 1.0]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_registry_that_does_not_know_us_says_what_to_do(
    images: registry.Server,
    repository: Reference,
    image: Small,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    is_known: bool,
) -> None:
    if is_known:
        monkeypatch.setenv(credentials.PASSWORD, "another-password-1c9e")
    else:
        monkeypatch.delenv(credentials.USER)
        monkeypatch.delenv(credentials.PASSWORD)
        monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(RegistryUnavailable) as refused:
        image.pushed_by(client_of(repository), "one")

    assert str(refused.value) == (
        f"{repository}: wanted an answer; found the status 401. Next: log in (docker login {images.host}), or set "
        "DAYSTONE_REGISTRY_USER and DAYSTONE_REGISTRY_PASSWORD"
    )


def test_dockers_own_file_lets_us_in(
    images: registry.Server, repository: Reference, image: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(credentials.USER)
    monkeypatch.delenv(credentials.PASSWORD)
    monkeypatch.setenv("DOCKER_CONFIG", str(images.logged_in(tmp_path)))

    assert image.pushed_by(client_of(repository), "one").sent == 3


def test_a_blob_that_is_not_what_it_is_called_is_refused(client: Client, repository: Reference) -> None:
    blob = blob_of("application/octet-stream", b"what was promised")

    with pytest.raises(RegistryUnavailable) as refused:
        client.send_blob(blob, lambda _: b"something else...")

    assert str(refused.value) == (
        f"{repository}: wanted a blob of 17 bytes to be taken; found the status 400: provided digest did not match uploaded "
        "content. Next: ask who operates the registry"
    )


def test_an_image_that_is_not_there_is_said_to_be_missing(client: Client, repository: Reference) -> None:
    with pytest.raises(RegistryUnavailable) as missing:
        client.manifest("none")

    assert str(missing.value) == (
        f"{repository}: wanted the image none; found the status 404: manifest unknown. Next: look whether the name of the "
        "repository and of the image is right"
    )
