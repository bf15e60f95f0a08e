"""Content against checksum: what sizes and etags cannot tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_lib.lake import Lake
from spark_lib.lake.stores import s3 as s3_store
from tests.support import s3
from tests.support.outsiders import Outsider
from tests.unit.lakes import open_attempt, parquet, partition, publish, publish_documents, write

VERSITYGW = pytest.param("versitygw", marks=pytest.mark.processes)
MOTO = pytest.param("moto", marks=pytest.mark.processes)


def disk(server: s3.Server | None, lake_root: str) -> Path:
    """Where the store keeps its objects as files."""
    if server is None:
        return Path(lake_root)
    assert server.directory is not None
    return server.directory / lake_root.removeprefix("s3://")


def test_whole_files_and_documents_are_as_their_manifests_say(lake: Lake) -> None:
    publish(lake, range(1000))
    publish_documents(lake, {"card.json": b"{}", "empty": b""})

    assert partition(lake).verify() == ([], 0)
    assert partition(lake, dataset="model").verify() == ([], 0)


@pytest.mark.parametrize("server", ["local", VERSITYGW], indirect=True)
def test_a_bit_that_flipped_on_the_disk_is_found(lake: Lake, server: s3.Server | None, lake_root: str) -> None:
    publish(lake, [1])
    found = partition(lake)
    (file,) = found.manifest.files
    path = disk(server, lake_root) / found.prefix / file.path
    content = path.read_bytes()
    with path.open("r+b") as opened:  # in place: a new file would have another etag
        opened.write(bytes([content[0] ^ 1]))

    assert lake.find("features", found.date, found.date) == {found.date: found}
    ((damaged,), unverifiable) = partition(lake).verify()

    assert unverifiable == 0
    assert damaged.where == f"features of 2026-01-01: {found.store.url(f'{found.prefix}/{file.path}')}"
    assert damaged.wanted == f"the content of {file.checksum}"
    assert damaged.found not in ("", file.checksum)
    assert damaged.next_step == "restore the file, or build the day anew (daystone rebuild features --date 2026-01-01)"


@pytest.mark.parametrize("server", [VERSITYGW, MOTO], indirect=True)
def test_a_file_that_was_uploaded_in_parts_is_held_against_them(
    lake: Lake, server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_store, "PART_BYTES", 5 * 1024 * 1024)  # the least that S3 takes
    body = parquet(range(1_500_000))
    assert len(body) > s3_store.PART_BYTES
    with open_attempt(lake) as attempt:
        written = write(attempt, [])
        upload(server, f"{attempt.destination}/part-1.parquet", body)
        attempt.commit(type(written)({"": 1_500_000}, written.schema))

    assert [file.checksum[-2:] for file in partition(lake).manifest.files if file.rows] == ["-2"]
    assert partition(lake).verify() == ([], 0)


def upload(server: s3.Server, url: str, body: bytes) -> None:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    client = server.client()
    begun = client.create_multipart_upload(Bucket=bucket, Key=key)
    parts = []
    for number, start in enumerate(range(0, len(body), s3_store.PART_BYTES), 1):
        part = body[start : start + s3_store.PART_BYTES]
        answer = client.upload_part(Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=begun["UploadId"], MultipartUpload={"Parts": parts}
    )


@pytest.mark.parametrize("server", [MOTO], indirect=True)
def test_what_is_encrypted_by_a_key_of_ones_own_has_no_checksum_that_tells(lake: Lake, server: s3.Server) -> None:
    with open_attempt(lake) as attempt:
        bucket, _, key = f"{attempt.destination}/part-0.parquet".removeprefix("s3://").partition("/")
        written = write(attempt, [1], name="other.parquet")
        server.client().put_object(Bucket=bucket, Key=key, Body=parquet([2]), ServerSideEncryption="aws:kms")
        attempt.commit(type(written)({"": 2}, written.schema))

    assert partition(lake).verify() == ([], 1)


def test_a_file_that_is_gone_is_said_beside_the_others(lake: Lake, outsider: Outsider) -> None:
    with open_attempt(lake) as attempt:
        written = write(attempt, [1])
        write(attempt, [2], name="part-1.parquet")
        attempt.commit(type(written)({"": 2}, written.schema))
    found = partition(lake)
    outsider.delete(f"{found.prefix}/{found.manifest.files[0].path}")

    ((damaged,), unverifiable) = found.verify()

    assert damaged.where.endswith("part-0.parquet")
    assert damaged.found.lower().startswith("no ")
    assert unverifiable == 0


@pytest.mark.parametrize("server", [VERSITYGW, MOTO], indirect=True)
def test_a_file_in_parts_of_another_size_has_no_checksum_that_tells(
    lake: Lake, server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_attempt(lake) as attempt:
        written = write(attempt, [], name="empty.parquet")
        monkeypatch.setattr(s3_store, "PART_BYTES", 5 * 1024 * 1024)
        upload(server, f"{attempt.destination}/part-1.parquet", parquet(range(1_500_000)))
        attempt.commit(type(written)({"": 1_500_000}, written.schema))
    monkeypatch.setattr(s3_store, "PART_BYTES", 64 * 1024 * 1024)

    assert partition(lake).verify() == ([], 1)
