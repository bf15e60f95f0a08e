"""A layer is the same bytes wherever and whenever it is made from the same files."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib.registry.image import layers
from spark_lib.registry.image.layers import Entry

_PARTS = st.text("abcé-_. ", min_size=1, max_size=60).filter(lambda part: part not in (".", "..") and part.strip())
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)


def files_of(body: bytes) -> dict[str, tuple[bytes | None, int]]:
    """The entries of a layer as tar has them: None for a directory, else the bytes; and the mode."""
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {
            member.name: (None if member.isdir() else tar.extractfile(member).read(), member.mode)  # type: ignore[union-attr]  # a file
            for member in tar.getmembers()
        }


@settings(max_examples=25)
@given(st.dictionaries(_PATHS, st.binary(max_size=2000), max_size=8))
def test_a_layer_has_its_files_in_one_order_without_times_and_owners(files: dict[str, bytes]) -> None:
    # A path that is a directory of another one is no file.
    files = {path: body for path, body in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    entries = {path: Entry(body) for path, body in files.items()}

    body, layer = layers.packed(entries)

    assert layers.packed(dict(reversed(entries.items())))[0] == body
    assert {path: found for path, (found, _) in files_of(body).items() if found is not None} == files
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} <= {
        (0, 0, 0, "", "")
    }
    assert layer.blob.digest == f"sha256:{hashlib.sha256(body).hexdigest()}" and layer.blob.size == len(body)
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(body)).hexdigest()}"


def test_neither_the_time_nor_the_place_of_a_file_changes_a_layer(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"the same")
    other.write_bytes(b"the same")
    os.utime(other, (1, 1))
    os.chmod(other, 0o600)

    first, second = ({"opt/file": Entry(path)} for path in (one, other))

    assert layers.packed(first) == layers.packed(second)


def test_a_changed_file_has_another_key(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = layers.key_of({"opt/file": Entry(path)})

    path.write_bytes(b"longer")

    assert layers.key_of({"opt/file": Entry(path)}) != before
    assert layers.key_of({"opt/other": Entry(b"a")}) != layers.key_of({"opt/other": Entry(b"b")})


def test_programs_can_be_run_and_directories_are_added(tmp_path: Path) -> None:
    path = tmp_path / "python3"
    path.write_bytes(b"program")

    body, _ = layers.packed({"usr/bin/python3": layers.program(path), "tmp": Entry(None, 0o1777)})

    assert files_of(body) == {
        "tmp": (None, 0o1777),
        "usr": (None, 0o755),
        "usr/bin": (None, 0o755),
        "usr/bin/python3": (b"program", 0o755),
    }
