"""The store on S3, or on a server that speaks its protocol. A publish is a put with ``If-None-Match: *``, a swap one
with ``If-Match``.

Credentials come from AWS's own chain, the endpoint from ``S3_ENDPOINT``, ``AWS_ENDPOINT_URL_S3`` or ``configure``. One
client serves a process and its threads.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.lake.cache import Cache
from spark_lib.lake.store import Conflict, Entry, Staging, Unanswered, Upload

if TYPE_CHECKING:
    from botocore.client import BaseClient

#: What a connection that is not answered costs before it is called unreachable: 3 times this and two short pauses.
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_TRIES = 3
#: A Parquet footer is mostly in here, so that counting a file's rows is one request.
_TAIL_BYTES = 64 * 1024
_DELETED_AT_ONCE = 1000  # S3's limit
#: The parts in which Spark uploads: of a file in parts, S3's etag is the MD5 of the parts' MD5s.
PART_BYTES = 64 * 1024 * 1024

_NO_SUCH_OBJECT = {"NoSuchKey", "404", "NotFound"}
_PRECONDITION_FAILED = {"PreconditionFailed", "412"}
#: To a conditional put: another put of the key was under way, and this one may be sent again.
_MAY_BE_REPEATED = {"ConditionalRequestConflict", "OperationAborted", "409"}
_OF_ANOTHER_REGION = (
    "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301",
)  # fmt: skip
#: By S3's code of error, or the status where it gives none: what was wanted, and the next step.
_REMEDIES = {
    "NoSuchKey": ("an object", "find out what removed it, then run again"),
    "PreconditionFailed": ("the object that was opened", "run again: it was written anew meanwhile"),
    "NoSuchBucket": ("a bucket that exists", "make the bucket, or correct [lake] root (--lake-root)"),
    "InvalidAccessKeyId": ("credentials that the server knows", "check AWS_ACCESS_KEY_ID or the profile"),
    "SignatureDoesNotMatch": ("the secret of the access key", "check AWS_SECRET_ACCESS_KEY or the profile"),
    "ExpiredToken": ("a token that is valid", "fetch new credentials, then run again"),
    "InvalidToken": ("a token that is valid", "fetch new credentials, then run again"),
    "RequestTimeTooSkewed": ("a clock within 15 minutes of the server's", "set the clock of this machine"),
    "AccessDenied": ("permission", "grant it in the policy (docs/operations.md has the least that suffices)"),
    # An answer to HEAD has no code: a wrong secret looks like a policy that refuses.
    "403": ("permission", "check the secret and the policy (docs/operations.md has the least that suffices)"),
    "400": (
        "a token, a region and a clock that are right",
        "fetch new credentials and check AWS_REGION, then run again",
    ),
    **dict.fromkeys(_OF_ANOTHER_REGION, ("the bucket's own region", "set AWS_REGION to the region of the bucket")),
}

NO_CREDENTIALS = (
    "credentials from AWS's own chain",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role",
)


@dataclass(frozen=True)
class Connection:
    """What configuration says about S3: ``endpoint`` where the environment names none, whether a server that ignores
    conditions is to be used all the same, the directory in which manifests are kept once they were read, and the region
    where the environment names none."""

    endpoint: str = ""
    trust_unconditional_puts: bool = False
    cache: str = ""
    region: str = ""


_connection = Connection()
_clients: dict[tuple[int, str], BaseClient] = {}
_clients_lock = threading.Lock()


def configure(endpoint: str = "", trust_unconditional_puts: bool = False, cache: str = "", region: str = "") -> None:
    """Say once a process what its configuration says about S3."""
    global _connection
    _connection = Connection(endpoint, trust_unconditional_puts, cache, region)


def forget_clients() -> None:
    """Make new clients from here on, with the credentials and the region that hold now."""
    with _clients_lock:
        _clients.clear()


def connection() -> Connection:
    """How this process reaches S3, for another one to ``configure``."""
    return replace(_connection, endpoint=endpoint(), cache="", region=region())


def credentials_by() -> str:
    """Which link of AWS's chain gives this process its credentials, as ``env``; empty where none does."""
    import boto3

    found = boto3.session.Session().get_credentials()
    return str(found.method) if found else ""


def remedy(code: str) -> tuple[str, str]:
    """What was wanted where S3 answers with this code of error, and the next step."""
    return _REMEDIES.get(code, ("an answer", "run again; where it stays, read the server's log"))


def endpoint() -> str:
    """The url of the server; empty for AWS's own."""
    return os.environ.get("S3_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL_S3") or _connection.endpoint


def region() -> str:
    """The region to sign for."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _connection.region
    if named:
        return named
    import boto3

    return boto3.session.Session().region_name or "us-east-1"  # of the profile


class S3Store:
    """Objects below ``s3://bucket/prefix``."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.bucket, _, prefix = root.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def url(self, key: str) -> str:
        return f"{self.root}/{key}" if key else self.root

    def list(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        return (entry for entry in self._all(prefix, first, last) if not entry.key.endswith("/"))

    def _all(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        """What ``list`` gives, and the markers (``directory/``) that some tools make for directories, Spark's among them."""
        directory = self._prefix + (f"{prefix.rstrip('/')}/" if prefix else "")
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": directory + _shared_beginning(first, last)}
        if first:
            asked["StartAfter"] = directory + _just_before(first)
        with _told(self.url(prefix)):
            for page in _client().get_paginator("list_objects_v2").paginate(**asked):
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

        with _told(self.url(key)):
            try:
                body, answer = self._get(key)
                return body, _plain(answer["ETag"])
            except ClientError as error:
                if _code(error) in _NO_SUCH_OBJECT:
                    return None
                raise

    def recall(self, entry: Entry) -> bytes | None:
        return Cache(_connection.cache).recall(self._place(entry.key), entry.etag)

    def remember(self, key: str, etag: str, body: bytes) -> None:
        Cache(_connection.cache).keep(self._place(key), etag, body)

    def _place(self, key: str) -> str:
        return f"{endpoint()} {self.url(key)}"

    def open(self, key: str) -> BinaryIO:
        with _told(self.url(key)):
            return cast(BinaryIO, _RemoteFile(self, key))

    def checksum(self, entry: Entry) -> str:
        return f"etag:{entry.etag}"

    def content_checksum(self, key: str, like: str) -> str:
        kind, _, value = like.partition(":")
        with _told(self.url(key)):
            answer = _client().head_object(Bucket=self.bucket, Key=self._prefix + key)
        # Of what is encrypted by a key of one's own, the etag says nothing about the content.
        if kind == "etag" and answer.get("ServerSideEncryption", "AES256") != "AES256":
            return ""
        with self.open(key) as file:
            if kind == "sha256":
                return f"sha256:{hashlib.sha256(file.read()).hexdigest()}"  # of a document, which is small
            return f"etag:{_etag_of(file, in_parts='-' in value)}"

    def now(self) -> float:
        with _told(self.root):
            answer = _client().list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

    def uploads(self, prefix: str) -> Iterator[Upload]:
        directory = f"{self._prefix}{prefix.rstrip('/')}/"
        with _told(self.url(prefix)):
            for page in (
                _client().get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=directory)
            ):
                for item in page.get("Uploads", []):
                    key = item["Key"].removeprefix(self._prefix)
                    yield Upload(key, item["UploadId"], item["Initiated"].timestamp())

    def abort(self, upload: Upload) -> None:
        from botocore.exceptions import ClientError

        with _told(self.url(upload.key)):
            try:
                _client().abort_multipart_upload(Bucket=self.bucket, Key=self._prefix + upload.key, UploadId=upload.id)
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

    def create(self, key: str, body: bytes) -> None:
        self._put(key, body, IfNoneMatch="*")

    def replace(self, key: str, body: bytes, etag: str) -> None:
        self._put(key, body, IfMatch=f'"{etag}"')

    def persist(self, keys: Iterable[str]) -> None:
        """What S3 has acknowledged is durable."""

    def stage(self, prefix: str, run: str) -> Staging:
        # Each file goes to its own run's directory at once; the magic committer keeps overlapping jobs apart.
        return Staging(self.url(prefix), ("date", "run"), leftovers="")

    def adopt(self, staging: Staging, day_directory: str, run_prefix: str) -> None:
        """The job has written where its files stay."""

    def remove(self, prefix: str) -> None:
        self.remove_objects([entry.key for entry in self._all(prefix)])

    def remove_objects(self, keys: Iterable[str]) -> None:
        objects = [{"Key": self._prefix + key} for key in keys]
        with _told(self.root):
            for start in range(0, len(objects), _DELETED_AT_ONCE):
                batch = objects[start : start + _DELETED_AT_ONCE]
                answer = _client().delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})
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
            if ignored and not _connection.trust_unconditional_puts:
                raise LakeError(
                    f"{self.root} at {endpoint() or 'AWS'} ({self._server()})",
                    "a server that honours conditional puts, which make a publish all or nothing",
                    f"it ignored {', '.join(ignored)}",
                    "use a server from the list in docs/operations.md, or set [lake] trust_unconditional_puts = true "
                    "where no two processes ever build the same day",
                )
        finally:
            self.remove_objects([key, f"{key}-missing"])

    def _must_succeed(self, key: str) -> None:
        for _ in range(_TRIES):
            try:
                return self.create(key, b"probe")
            except Conflict:
                return None  # one's own, of a try whose answer was lost
            except Unanswered as error:
                cause = error
        raise LakeError(
            self.root, "an answer to a put", f"none in {_TRIES} tries: {cause}", "run again once the store answers"
        )

    def _conflicts(self, key: str, condition: Mapping[str, str]) -> bool:
        for _ in range(_TRIES):
            try:
                self._put(key, b"probe again", **condition)
            except Conflict:
                return True
            except Unanswered:
                continue
            return False
        return False

    def _server(self) -> str:
        answer = _client().list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        name = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "")
        return f"server {name}" if name else "a server without a name"

    def _get(self, key: str, **more: str) -> tuple[bytes, dict[str, Any]]:
        """A body and the answer that brought it. The client repeats requests by itself, but no body that is cut short."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        for left in reversed(range(_TRIES)):
            try:
                answer: dict[str, Any] = _client().get_object(Bucket=self.bucket, Key=self._prefix + key, **more)
                return answer["Body"].read(), answer
            except (HTTPClientError, IncompleteReadError) as error:
                if not left or _is_unreachable(error):
                    raise
        raise AssertionError("not reached")

    def _put(self, key: str, body: bytes, **condition: str) -> None:
        from botocore.exceptions import ClientError, HTTPClientError

        with _told(self.url(key)):
            try:
                _client().put_object(Bucket=self.bucket, Key=self._prefix + key, Body=body, **condition)
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if _code(error) in _PRECONDITION_FAILED | _NO_SUCH_OBJECT:
                    raise Conflict(key) from error
                if _code(error) in _MAY_BE_REPEATED or status == 409 or status >= 500:
                    raise Unanswered(f"{key}: {_code(error)}") from error
                raise
            except HTTPClientError as error:
                if _is_unreachable(error):
                    raise
                raise Unanswered(f"{key}: {error}") from error


class _RemoteFile(io.RawIOBase):
    """An object as a seekable file: its end is read when it is opened, any other part when it is asked for, all from
    the version that was opened."""

    def __init__(self, store: S3Store, key: str) -> None:
        from botocore.exceptions import ClientError

        self._store = store
        self._key = key
        self._at = 0
        try:
            self._tail, answer = store._get(key, Range=f"bytes=-{_TAIL_BYTES}")
        except ClientError as error:
            if _code(error) not in ("InvalidRange", "416"):
                raise
            self._tail, self._etag, self._size = b"", "", 0  # of an empty object no range can be had
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
        with _told(self._store.url(self._key)):
            body, _ = self._store._get(self._key, Range=f"bytes={begin}-{end - 1}", IfMatch=f'"{self._etag}"')
        if len(body) != end - begin:
            raise LakeError(
                self._store.url(self._key), f"{end - begin} bytes from {begin}", f"{len(body)}", "run again"
            )
        return body


def _client() -> BaseClient:
    """The client of this process (a fork gets its own) for the endpoint that counts now."""
    key = (os.getpid(), endpoint())
    with _clients_lock:
        if key not in _clients:
            import boto3
            from botocore.config import Config

            settings = Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
                max_pool_connections=32,
                s3={"addressing_style": "path"} if endpoint() else {},
            )
            client = boto3.session.Session().client(
                "s3", endpoint_url=endpoint() or None, region_name=region(), config=settings
            )
            client.meta.events.register_first("needs-retry.s3", _refuse_another_region)
            _clients[key] = client
        return _clients[key]


def _refuse_another_region(response: tuple[Any, Any] | None, operation: Any, **_: Any) -> None:
    """botocore would find the bucket's region and go on there by itself, where Spark does not follow."""
    from botocore.exceptions import ClientError

    parsed = response[1] if response else {}
    if parsed.get("Error", {}).get("Code") in _OF_ANOTHER_REGION:
        raise ClientError(parsed, operation.name)


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


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _shared_beginning(first: str, last: str) -> str:
    """The characters that every name from ``first`` to ``last`` begins with; none where one of them is no bound."""
    differs = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[:differs] if differs is not None else min(first, last, key=len)


def _just_before(name: str) -> str:
    """A text that sorts before ``name``, with little between them, and that every server's XML can hold."""
    before = chr(ord(name[-1]) - 1)
    return name[:-1] + before if before > " " else name[:-1]


def _is_unreachable(error: Exception) -> bool:
    """Whether nothing was sent: no address, no route, nobody listening."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError

    return isinstance(error, EndpointConnectionError | ConnectTimeoutError | ProxyConnectionError | SSLError)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What S3 refuses, or never answers, as a LakeError that says what to do; never as "there is nothing"."""
    from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, NoCredentialsError

    try:
        yield
    except FlexibleChecksumError as error:
        raise DamagedPartition(
            where,
            "the content that was written",
            str(error),
            "restore the object, or build the day anew (daystone rebuild STAGE --date DAY)",
        ) from error
    except ClientError as error:
        wanted, next_step = remedy(_code(error))
        message = error.response.get("Error", {}).get("Message", "")
        found = f"{_code(error)} to {error.operation_name}" + (f" ({message})" if message else "")
        raise LakeError(where, wanted, found, next_step) from error
    except NoCredentialsError as error:
        wanted, next_step = NO_CREDENTIALS
        raise LakeError(where, wanted, "none", next_step) from error
    except (BotoCoreError, OSError) as error:
        if _is_unreachable(error):
            server = endpoint() or "AWS"
            raise LakeError(
                where, f"an answer from {server}", "no connection", "check S3_ENDPOINT and the network, then run again"
            ) from error
        raise LakeError(where, "a whole answer", str(error), "run again once the store answers") from error
