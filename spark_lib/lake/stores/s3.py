"""The store on S3, or on a server that speaks its protocol. A publish is a put with ``If-None-Match: *``, a swap one
with ``If-Match``.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from spark_lib.errors import LakeError, passing
from spark_lib.lake.stores import s3_client
from spark_lib.lake.stores.cache import Cache
from spark_lib.lake.stores.s3_client import TRIES, Connection, code_of, is_unreachable
from spark_lib.lake.stores.store import Conflict, Entry, Staging, Unanswered, Upload, bucket_of

if TYPE_CHECKING:
    from botocore.client import BaseClient

#: A Parquet footer is mostly in here, so that counting a file's rows is one request.
_TAIL_BYTES = 64 * 1024
_DELETED_AT_ONCE = 1000  # S3's limit
#: The size of the parts in which Spark uploads. S3's etag of a file in parts is the MD5 of the parts' MD5s.
PART_BYTES = 64 * 1024 * 1024

_NO_SUCH_OBJECT = {"NoSuchKey", "404", "NotFound"}
_PRECONDITION_FAILED = {"PreconditionFailed", "412"}
#: Answers to a conditional put that mean: another put of the key was under way, and this one may be sent again.
_MAY_BE_REPEATED = {"ConditionalRequestConflict", "OperationAborted", "409"}


class S3Store:
    """Objects below ``s3://bucket/prefix``. They are asked for over ``connection``; where it is None, over the
    connection of the process, which is the lake's."""

    def __init__(self, root: str, connection: Connection | None = None) -> None:
        self.root = root
        self._connection = connection
        self.bucket = bucket_of(root)
        prefix = root.removeprefix(f"s3://{self.bucket}").removeprefix("/")
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def connection(self) -> Connection:
        return self._connection or s3_client.configured()

    def url(self, key: str) -> str:
        return f"{self.root}/{key}" if key else self.root

    def told(self, key: str = "") -> AbstractContextManager[None]:
        """``s3_client.told`` of an object of this store."""
        return s3_client.told(self.url(key), self.connection)

    def _client(self) -> BaseClient:
        return s3_client.client(self.connection)

    def list(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        return (entry for entry in self._all(prefix, first, last) if not entry.key.endswith("/"))

    def _all(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        """What ``list`` gives, and the markers (``directory/``) that some tools, Spark among them, make for
        directories."""
        directory = self._prefix + (f"{prefix.rstrip('/')}/" if prefix else "")
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": directory + _shared_beginning(first, last)}
        if first:
            asked["StartAfter"] = directory + _just_before(first)
        with self.told(prefix):
            for page in self._client().get_paginator("list_objects_v2").paginate(**asked):
                for item in page.get("Contents", []):
                    segment = item["Key"].removeprefix(directory).partition("/")[0]
                    if last and segment > last and not segment.startswith(last):
                        return
                    # `last.` comes before `last/`, as keys are ordered.
                    if segment < first or (last and segment > last):
                        continue
                    key, modified = item["Key"].removeprefix(self._prefix), item["LastModified"].timestamp()
                    yield Entry(key, item["Size"], _plain(item["ETag"]), modified)

    def read(self, key: str) -> tuple[bytes, str] | None:
        from botocore.exceptions import ClientError

        with self.told(key):
            try:
                body, answer = self._get(key)
                return body, _plain(answer["ETag"])
            except ClientError as error:
                # S3 answers NoSuchKey for an object that it does not have. Any other 404 is from something between,
                # such as a load balancer without its servers.
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def recall(self, entry: Entry) -> bytes | None:
        return Cache(self.connection.cache).recall(self._place(entry.key), entry.etag)

    def remember(self, key: str, etag: str, body: bytes) -> None:
        Cache(self.connection.cache).keep(self._place(key), etag, body)

    def _place(self, key: str) -> str:
        return f"{s3_client.endpoint(self.connection)} {self.url(key)}"

    def open(self, key: str) -> BinaryIO:
        with self.told(key):
            return cast(BinaryIO, _RemoteFile(self, key))

    @contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        from boto3.s3.transfer import TransferConfig

        # The parts have one fixed size, from whose sums the etag can be computed again. Only this thread uploads,
        # because a task has one core.
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
        with tempfile.TemporaryFile() as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            with self.told(key):
                self._client().upload_fileobj(file, self.bucket, self._prefix + key, Config=parts)

    def checksum(self, entry: Entry) -> str:
        return f"etag:{entry.etag}"

    def identity(self, entry: Entry) -> str:
        return entry.etag

    def content_checksum(self, key: str, like: str) -> str:
        from botocore.exceptions import ClientError

        kind, _, value = like.partition(":")
        with self.told(key):
            try:
                answer = self._client().head_object(Bucket=self.bucket, Key=self._prefix + key)
            except ClientError as error:
                if code_of(error) in _NO_SUCH_OBJECT:
                    return "no file"
                raise
        # The etag says nothing about the content where the object is encrypted by a key of one's own, or was uploaded
        # in parts of another size.
        encrypted = answer.get("ServerSideEncryption", "AES256") != "AES256"
        other_parts = "-" in value and int(value.rpartition("-")[2]) != -(-answer["ContentLength"] // PART_BYTES)
        if kind == "etag" and (encrypted or other_parts):
            return ""
        with self.open(key) as file:
            if kind == "sha256":
                return f"sha256:{hashlib.sha256(file.read()).hexdigest()}"  # only documents have it, which are small
            return f"etag:{_etag_of(file, in_parts='-' in value)}"

    def now(self) -> float:
        with self.told():
            answer = self._client().list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

    def uploads(self, prefix: str) -> Iterator[Upload]:
        directory = f"{self._prefix}{prefix.rstrip('/')}/"
        with self.told(prefix):
            for page in (
                self._client().get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=directory)
            ):
                for item in page.get("Uploads", []):
                    key = item["Key"].removeprefix(self._prefix)
                    yield Upload(key, item["UploadId"], item["Initiated"].timestamp())

    def abort(self, upload: Upload) -> None:
        from botocore.exceptions import ClientError

        with self.told(upload.key):
            try:
                self._client().abort_multipart_upload(
                    Bucket=self.bucket, Key=self._prefix + upload.key, UploadId=upload.id
                )
            except ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise

    def create(self, key: str, body: bytes) -> None:
        self._put(key, body, IfNoneMatch="*")

    def replace(self, key: str, body: bytes, etag: str) -> None:
        self._put(key, body, IfMatch=f'"{etag}"')

    def persist(self, keys: Iterable[str]) -> None:
        """Does nothing, because what S3 has acknowledged is durable."""

    def stage(self, prefix: str, run: str) -> Staging:
        # Each file goes to its own run's directory at once. The magic committer keeps jobs that overlap apart.
        return Staging(self.url(prefix), ("date", "run"), leftovers="")

    def adopt(self, staging: Staging, day_directory: str, run_prefix: str) -> None:
        """Does nothing, because the job has written its files to where they stay."""

    def remove(self, prefix: str) -> None:
        self.remove_objects([entry.key for entry in self._all(prefix)])

    def remove_objects(self, keys: Iterable[str]) -> None:
        objects = [{"Key": self._prefix + key} for key in keys]
        with self.told():
            for start in range(0, len(objects), _DELETED_AT_ONCE):
                batch = objects[start : start + _DELETED_AT_ONCE]
                answer = self._client().delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})
                for refused in answer.get("Errors", []):
                    raise LakeError(
                        f"s3://{self.bucket}/{refused['Key']}",
                        "an object that can be deleted",
                        f"{refused.get('Code')}: {refused.get('Message', '')}",
                        "grant s3:DeleteObject in the policy, then run gc",
                    )

    def probe(self) -> None:
        key = f".probe-{secrets.token_hex(8)}"
        self._must_succeed(key)
        try:
            conditions = {
                "If-None-Match: * on an object that exists": (key, {"IfNoneMatch": "*"}),
                "If-Match with a stale ETag": (key, {"IfMatch": f'"{"0" * 32}"'}),
                "If-Match on a missing object": (f"{key}-missing", {"IfMatch": f'"{"0" * 32}"'}),
            }
            ignored = [said for said, (where, condition) in conditions.items() if not self._conflicts(where, condition)]
            if ignored and not self.connection.trust_unconditional_puts:
                raise LakeError(
                    f"{self.root} at {s3_client.server(self.connection).name} ({self._server()})",
                    "a server that honours conditional puts, which make a publish all or nothing",
                    f"it ignored {', '.join(ignored)}",
                    "use a server from the list in docs/operations.md, or set [lake] trust_unconditional_puts = true "
                    "where no two processes ever build the same day",
                )
        finally:
            self.remove_objects([key, f"{key}-missing"])

    def _must_succeed(self, key: str) -> None:
        for _ in range(TRIES):
            try:
                return self.create(key, b"probe")
            except Conflict:
                return None  # our own object, from a try whose answer was lost
            except Unanswered as error:
                cause = error
        raise _no_answer(self.root, cause)

    def _conflicts(self, key: str, condition: Mapping[str, str]) -> bool:
        for _ in range(TRIES):
            try:
                self._put(key, b"probe again", **condition)
            except Conflict:
                return True
            except Unanswered as error:
                cause = error
                continue
            return False
        raise _no_answer(self.root, cause)

    def _server(self) -> str:
        answer = self._client().list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        name = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "")
        return f"server {name}" if name else "a server without a name"

    def _get(self, key: str, **more: str) -> tuple[bytes, dict[str, Any]]:
        """A body, and the answer that brought it. The client repeats requests by itself, but not for a body that is cut
        short, so this does."""
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError

        for left in reversed(range(TRIES)):
            try:
                answer: dict[str, Any] = self._client().get_object(Bucket=self.bucket, Key=self._prefix + key, **more)
                return answer["Body"].read(), answer
            except (FlexibleChecksumError, HTTPClientError, IncompleteReadError) as error:
                if not left or is_unreachable(error):
                    raise
        raise AssertionError("not reached")

    def _put(self, key: str, body: bytes, **condition: str) -> None:
        from botocore.exceptions import ClientError, HTTPClientError

        with self.told(key):
            try:
                self._client().put_object(Bucket=self.bucket, Key=self._prefix + key, Body=body, **condition)
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if code_of(error) in _PRECONDITION_FAILED | _NO_SUCH_OBJECT:
                    raise Conflict(key) from error
                if code_of(error) in _MAY_BE_REPEATED or status == 409 or status >= 500:
                    raise Unanswered(f"{key}: {code_of(error)}") from error
                raise
            except HTTPClientError as error:
                if is_unreachable(error):
                    raise
                raise Unanswered(f"{key}: {error}") from error


class _RemoteFile(io.RawIOBase):
    """An object as a seekable file. Its end is read when it is opened, any other part when it is asked for. All parts
    are from the version that was opened."""

    def __init__(self, store: S3Store, key: str) -> None:
        from botocore.exceptions import ClientError

        self._store = store
        self._key = key
        self._at = 0
        try:
            self._tail, answer = store._get(key, Range=f"bytes=-{_TAIL_BYTES}")
        except ClientError as error:
            if code_of(error) not in ("InvalidRange", "416"):
                raise
            self._tail, self._etag, self._size = b"", "", 0  # an empty object has no range
            return
        self._etag = _plain(answer["ETag"])
        ranged = answer.get("ContentRange", "")
        self._size = int(ranged.rpartition("/")[2]) if ranged else len(self._tail)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size - self._at))
        if wanted:
            view[:wanted] = self._range(self._at, self._at + wanted)
            self._at += wanted
        return wanted

    def _range(self, begin: int, end: int) -> bytes:
        tail_begins = self._size - len(self._tail)
        if begin >= tail_begins:
            return self._tail[begin - tail_begins : end - tail_begins]
        with self._store.told(self._key):
            body, _ = self._store._get(self._key, Range=f"bytes={begin}-{end - 1}", IfMatch=f'"{self._etag}"')
        if len(body) != end - begin:
            raise LakeError(
                self._store.url(self._key), f"{end - begin} bytes from {begin}", f"{len(body)}", "run again"
            )
        return body


def _no_answer(root: str, cause: Unanswered) -> LakeError:
    found = f"none in {TRIES} tries: {cause}"
    return passing(LakeError(root, "an answer to a put", found, "run again once the store answers"))


def _plain(etag: str) -> str:
    return etag.strip('"')


def _etag_of(file: BinaryIO, in_parts: bool) -> str:
    whole, parts = hashlib.md5(usedforsecurity=False), []
    while part := file.read(PART_BYTES):
        whole.update(part)
        parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    if not in_parts:
        return whole.hexdigest()
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _shared_beginning(first: str, last: str) -> str:
    """The characters that every name from ``first`` to ``last`` begins with; none where one of the two is empty."""
    differs = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[:differs] if differs is not None else min(first, last, key=len)


def _just_before(name: str) -> str:
    """A text that sorts before ``name`` with little between them, and that the XML of every server can hold."""
    before = chr(ord(name[-1]) - 1)
    return name[:-1] + before if before > " " else name[:-1]
