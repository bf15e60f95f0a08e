"""A directory of images, as other programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spark_lib.errors import ImageError
from spark_lib.registry.image import documents, layers, layout
from spark_lib.registry.image.documents import CONFIG, Blob, blob_of
from spark_lib.registry.image.layers import Entry


def image(content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The manifest of an image of one file, and its blobs."""
    body, layer = layers.packed({"opt/file": Entry(content)})
    config = documents.encoded({"rootfs": {"diff_ids": [layer.diff_id]}})
    return documents.manifest(config, [layer], {}), {layer.blob.digest: body, blob_of(CONFIG, config).digest: config}


def write(directory: Path, content: bytes, *tags: str) -> str:
    manifest, blobs = image(content)
    layout.write(directory, manifest, tags, lambda blob: blobs[blob.digest])
    return documents.digest_of(manifest)


def tags_of(directory: Path) -> dict[str, str]:
    found = json.loads((directory / "index.json").read_bytes())["manifests"]
    return {each["annotations"]["org.opencontainers.image.ref.name"]: each["digest"] for each in found}


def test_every_file_is_named_by_its_digest(tmp_path: Path) -> None:
    digest = write(tmp_path / "images", b"one", "v1")

    blobs = list((tmp_path / "images" / "blobs" / "sha256").iterdir())
    assert len(blobs) == 3
    assert all(documents.digest_of(path.read_bytes()) == f"sha256:{path.name}" for path in blobs)
    assert tags_of(tmp_path / "images") == {"v1": digest}
    assert json.loads((tmp_path / "images" / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_images_stand_beside_each_other_and_a_tag_moves(tmp_path: Path) -> None:
    one = write(tmp_path, b"one", "v1", "newest")

    two = write(tmp_path, b"two", "v2", "newest")

    assert tags_of(tmp_path) == {"v1": one, "v2": two, "newest": two}


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ImageError) as refused:
        write(tmp_path, b"one", "v1")

    assert str(refused.value) == (
        f"{tmp_path}: wanted an empty directory, or one of images; found other files. Next: name another directory"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    write(tmp_path, b"one", "v1")
    blobs = tmp_path / "blobs" / "sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"")

    write(tmp_path, b"one", "v1")

    assert documents.digest_of(largest.read_bytes()) == f"sha256:{largest.name}"


def test_a_blob_of_docker_has_the_name_of_the_open_containers(tmp_path: Path) -> None:
    found = Blob.of({"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": "sha256:0", "size": 1})

    assert found.media_type == documents.LAYER


def test_a_place_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")

    for place in (file, file / "below"):
        with pytest.raises(ImageError) as refused:
            write(place, b"one", "v1")
        assert str(refused.value).startswith(f"{place}: wanted a directory that can be written to; found ")
        assert str(refused.value).endswith(": Not a directory. Next: name another directory, or correct it")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("index", [b"", b"[]", b'{"schemaVersion": 2}'])
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: bytes) -> None:
    write(tmp_path, b"one", "v1")
    (tmp_path / "index.json").write_bytes(index)

    with pytest.raises(ImageError) as refused:
        write(tmp_path, b"two", "v2")

    assert str(refused.value).startswith(f"{tmp_path}/index.json: wanted an index of images; found ")
    assert str(refused.value).endswith(". Next: remove the directory, or name another")
