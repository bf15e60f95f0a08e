"""How a process reaches S3, and what S3 refuses in words: credentials come from AWS's own chain, the endpoint from
``S3_ENDPOINT``, ``AWS_ENDPOINT_URL_S3`` or ``configure``. One client serves a process and its threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_lib.errors import DamagedPartition, LakeError

if TYPE_CHECKING:
    from botocore.client import BaseClient

#: What a connection that is not answered costs before it is called unreachable: 3 times this and two short pauses.
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
TRIES = 3
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
    "404": ("S3's own word on what is not there", "check S3_ENDPOINT: something else answers in its place"),
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


def configured() -> Connection:
    """What ``configure`` was told last."""
    return _connection


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


def client() -> BaseClient:
    """The client of this process (a fork gets its own) for the endpoint that counts now."""
    key = (os.getpid(), endpoint())
    with _clients_lock:
        if key not in _clients:
            import boto3
            from botocore.config import Config

            settings = Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                max_pool_connections=32,
                s3={"addressing_style": "path"} if endpoint() else {},
            )
            made = boto3.session.Session().client(
                "s3", endpoint_url=endpoint() or None, region_name=region(), config=settings
            )
            made.meta.events.register_first("needs-retry.s3", _refuse_another_region)
            _clients[key] = made
        return _clients[key]


def _refuse_another_region(response: tuple[Any, Any] | None, operation: Any, **_: Any) -> None:
    """botocore would find the bucket's region and go on there by itself, where Spark does not follow."""
    from botocore.exceptions import ClientError

    parsed = response[1] if response else {}
    if parsed.get("Error", {}).get("Code") in _OF_ANOTHER_REGION:
        raise ClientError(parsed, operation.name)


def code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_unreachable(error: Exception) -> bool:
    """Whether nothing was sent: no address, no route, nobody listening."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError

    return isinstance(error, EndpointConnectionError | ConnectTimeoutError | ProxyConnectionError | SSLError)


@contextmanager
def told(where: str) -> Iterator[None]:
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
        wanted, next_step = remedy(code_of(error))
        message = error.response.get("Error", {}).get("Message", "")
        found = f"{code_of(error)} to {error.operation_name}" + (f" ({message})" if message else "")
        raise LakeError(where, wanted, found, next_step) from error
    except NoCredentialsError as error:
        wanted, next_step = NO_CREDENTIALS
        raise LakeError(where, wanted, "none", next_step) from error
    except (BotoCoreError, OSError) as error:
        if is_unreachable(error):
            server = endpoint() or "AWS"
            raise LakeError(
                where, f"an answer from {server}", "no connection", "check S3_ENDPOINT and the network, then run again"
            ) from error
        raise LakeError(where, "a whole answer", str(error), "run again once the store answers") from error
