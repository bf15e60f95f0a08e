"""The cache of layers makes each once, and believes no file that has changed."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from spark_lib.registry.image import layers
from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.documents import Layer, blob_of
from spark_lib.registry.image.layers import Entry

ENTRIES = {"opt/file": Entry(b"content")}


class Counted:
    """Writes a layer, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, file: BinaryIO) -> Layer:
        self.times += 1
        return layers.write(ENTRIES, file)


def test_a_layer_is_made_once_for_a_key(cache: Cache) -> None:
    make = Counted()

    first, again = cache.layer("key", make), cache.layer("key", make)

    assert first == again and make.times == 1
    assert cache.find(first.blob.digest) is not None


def test_a_layer_is_made_again_where_its_file_has_changed(cache: Cache, tmp_path: Path) -> None:
    make = Counted()
    layer = cache.layer("key", make)
    path = cache.find(layer.blob.digest)
    assert path is not None
    path.write_bytes(b"x" * path.stat().st_size)

    assert cache.find(layer.blob.digest) is None
    assert cache.layer("key", make) == layer and make.times == 2


@pytest.mark.parametrize("note", [b"", b"{}", b"[]", b'{"blob": {}, "diff_id": 1}'])
def test_a_layer_is_made_again_where_the_note_of_it_cannot_be_read(cache: Cache, tmp_path: Path, note: bytes) -> None:
    make = Counted()
    layer = cache.layer("key", make)
    (tmp_path / "cache" / "layers" / "key.json").write_bytes(note)

    assert cache.layer("key", make) == layer and make.times == 2


def test_a_blob_with_another_digest_is_not_kept(cache: Cache, tmp_path: Path) -> None:
    wanted = blob_of("application/octet-stream", b"wanted")

    with pytest.raises(ValueError, match="in the place of"):
        cache.keep(wanted, lambda file: file.write(b"other"))  # type: ignore[arg-type,return-value]  # what it returns is not used

    assert cache.find(wanted.digest) is None
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_maker_that_fails_leaves_nothing(cache: Cache, tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> Layer:
        file.write(b"a part")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cache.layer("key", fail)

    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
