"""Connects a process to S3, and turns refusals of S3 into errors.

Credentials come from AWS's own chain. The server and the region are those that ``s3_settings`` resolves. One client for
each connection serves a process and its threads.

Every request goes over a ``Connection``. A raw feed with a server or credentials of its own names one. Where a function
here is given none, the request goes over the one that the process was configured with, which is the lake's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spark_lib.errors import DamagedPartition, LakeError, passing
from spark_lib.lake.stores import s3_settings
from spark_lib.lake.stores.s3_settings import NOBODY, Said, Server
from spark_lib.lake.stores.store import is_s3

if TYPE_CHECKING:
    from botocore.client import BaseClient

#: Seconds to wait for a connection. A server is called unreachable after 3 times this and two short pauses.
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
TRIES = 3
_OF_ANOTHER_REGION = (
    "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301",
)  # fmt: skip
#: For S3's code of an error, or for the status where there is no code: what was wanted, and the next step.
#: What S3 answers where the same request may succeed a little later, besides its errors of the server.
_OF_OVERLOAD = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "429")
_SERVER_ERROR = 500
_REMEDIES = {
    "NoSuchKey": ("an object", "find out what removed it, then run again"),
    "PreconditionFailed": ("the object that was opened", "run again: it was written anew meanwhile"),
    "NoSuchBucket": ("a bucket that exists", "make the bucket, or correct [lake] root (--lake-root)"),
    "InvalidAccessKeyId": ("credentials that the server knows", "check AWS_ACCESS_KEY_ID or the profile"),
    "XAdminUserNotFound": (
        "credentials that the server knows",
        "check AWS_ACCESS_KEY_ID or the profile",
    ),  # of versitygw
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

#: What a profile of AWS's files decides: credentials, and the region. Where a feed names a profile, variables of the
#: environment mend none of these.
_OF_A_PROFILE = (
    "InvalidAccessKeyId", "XAdminUserNotFound", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403", "400",
    *_OF_ANOTHER_REGION,
)  # fmt: skip


@dataclass(frozen=True)
class Connection:
    """What configuration says about S3.

    ``endpoint`` is the endpoint, and who said it. ``trust_unconditional_puts`` says that a server is used even if it
    ignores conditions. ``cache`` is the directory for manifests that were read once. ``own`` is the endpoint, and
    ``profile`` the profile of AWS's files, that a raw feed names for itself: both outrank the environment. ``resolved``
    says that another process has worked all this out with its own environment, so that ours does not count; only then
    has ``region`` a value, the region to sign for.
    """

    endpoint: Said = NOBODY
    trust_unconditional_puts: bool = False
    cache: str = ""
    own: Said = NOBODY
    profile: Said = NOBODY
    region: Said = NOBODY
    resolved: bool = False

    @property
    def suspect(self) -> str:
        """What a feed has said of it, to be checked where it is refused; empty for the lake's."""
        return " and ".join(said.by for said in (self.own, self.profile) if said.value)


_connection = Connection()
_clients: dict[tuple[int, Server, str], BaseClient] = {}
_clients_lock = threading.Lock()


def use(connection: Connection) -> None:
    """Reach S3 as this says, from here on, where nothing else is said."""
    global _connection
    _connection = connection


def forget_clients() -> None:
    """Make new clients from now on, with the credentials and the region that hold now."""
    with _clients_lock:
        _clients.clear()
    _resolved.cache_clear()


def configured() -> Connection:
    """The connection that was set last."""
    return _connection


def _or_configured(over: Connection | None) -> Connection:
    return over or _connection


def connection(over: Connection | None = None) -> Connection:
    """A connection, for another process to ask the same server over it. Raises ConfigurationError as ``server``
    does."""
    found = server(over)
    return replace(_or_configured(over), endpoint=found.endpoint, cache="", region=found.region, resolved=True)


def connection_to(*roots: str, over: Connection | None = None) -> Connection:
    """``connection`` where one of these places is on S3; else nothing that names a server is looked at."""
    return connection(over) if any(map(is_s3, roots)) else Connection()


def credentials_by(over: Connection | None = None) -> str:
    """Which link of AWS's chain gives this process the credentials of a connection, as ``env``; empty where none does.

    Raises ConfigurationError for a profile that is not there, and LakeError for a chain that breaks.
    """
    import boto3

    profile = _or_configured(over).profile
    s3_settings.check_profile(profile)
    with told("credentials", over):
        found = boto3.session.Session(profile_name=profile.value or None).get_credentials()
    return str(found.method) if found else ""


def remedy(code: str, over: Connection | None = None) -> tuple[str, str]:
    """What was wanted where S3 answers with this code of error over a connection, and the next step."""
    if code == "404":
        suspect = server(over).suspect
        return "S3's own word on what is not there", f"check {suspect}: something else answers in its place"
    wanted, next_step = _REMEDIES.get(code, ("an answer", "run again; where it stays, read the server's log"))
    asked = _or_configured(over)
    if not asked.suspect:
        return wanted, next_step
    if code == "NoSuchBucket":
        return wanted, f"check {asked.suspect}, make the bucket, or correct the feed's path"
    if asked.profile.value and code in _OF_A_PROFILE:
        return wanted, f"check {asked.suspect}"
    return wanted, f"check {asked.suspect}, or {next_step}"


def no_credentials(over: Connection | None = None) -> tuple[str, str]:
    """What was wanted where a connection has no credentials, and the next step."""
    profile = _or_configured(over).profile
    if not profile.value:
        return (
            "credentials from AWS's own chain",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role",
        )
    return (
        f"credentials of the AWS profile {profile.value!r}",
        f"write them into {s3_settings.credentials_file()}, or correct {profile.by}",
    )


def server(over: Connection | None = None) -> Server:
    """The server that is asked over a connection, and the region that is signed for; who said so. Raises
    ConfigurationError where what names them cannot be used."""
    asked = _or_configured(over)
    if asked.resolved:
        return Server(asked.endpoint, asked.region)
    return _resolved(asked, tuple(os.environ.get(name) for name in s3_settings.VARIABLES))


@lru_cache(maxsize=32)
def _resolved(connection: Connection, environment: tuple[str | None, ...]) -> Server:
    return s3_settings.resolve(connection.endpoint, connection.own, connection.profile)


def endpoint(over: Connection | None = None) -> str:
    """The url of the server; empty for AWS's own. Raises ConfigurationError as ``server`` does."""
    return server(over).endpoint.value


def address(over: Connection | None = None) -> str:
    """The url that requests go to: of AWS's own, too, that of the region."""
    # S3A takes AWS's central address for none.
    return str(client(over).meta.endpoint_url).replace("//s3.amazonaws.com", f"//s3.{region(over)}.amazonaws.com")


def region(over: Connection | None = None) -> str:
    """The region to sign for. Raises ConfigurationError as ``server`` does."""
    return server(over).region.value


def client(over: Connection | None = None) -> BaseClient:
    """The client of this process (a fork gets its own) for the server and the profile that count now."""
    asked, connection = server(over), _or_configured(over)
    profile = connection.profile
    key = (os.getpid(), asked, profile.value)
    with _clients_lock:
        if key not in _clients:
            import boto3
            import botocore.session
            from botocore.config import Config

            if connection.resolved:
                s3_settings.check_profile(profile)  # credentials are of the place where a process runs
            settings = Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                max_pool_connections=32,
                s3={"addressing_style": "path"} if asked.endpoint.value else {},
                ignore_configured_endpoint_urls=True,  # `server` has read them, or ignored them on purpose
            )
            session = botocore.session.get_session()
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
            made = boto3.session.Session(botocore_session=session, profile_name=profile.value or None).client(
                "s3", endpoint_url=asked.endpoint.value or None, region_name=asked.region.value, config=settings
            )
            made.meta.events.register_first("needs-retry.s3", _refuse_another_region)
            _clients[key] = made
        return _clients[key]


def _moment(said: str) -> datetime:
    """What botocore reads from a timestamp. It takes a tenth of a millisecond for one, and a listing has a
    thousand; those of a listing are ISO 8601, which Python reads at once."""
    from botocore.utils import parse_timestamp

    with suppress(TypeError, ValueError):
        found = datetime.fromisoformat(said)
        if found.tzinfo is not None:
            return found
    other: datetime = parse_timestamp(said)
    return other


def _refuse_another_region(response: tuple[Any, Any] | None, operation: Any, **_: Any) -> None:
    """Raise botocore's error for a bucket of another region. botocore would go on in that region by itself, but Spark
    would not."""
    from botocore.exceptions import ClientError

    parsed = response[1] if response else {}
    if parsed.get("Error", {}).get("Code") in _OF_ANOTHER_REGION:
        raise ClientError(parsed, operation.name)


def code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_overloaded(error: Any) -> bool:
    """Whether S3 answers that it cannot serve the request now: it is too much, or something failed on its side."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in _OF_OVERLOAD or status >= _SERVER_ERROR


def is_unreachable(error: Exception) -> bool:
    """Whether nothing was sent: no address, no route, nobody listening."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError

    return isinstance(error, EndpointConnectionError | ConnectTimeoutError | ProxyConnectionError | SSLError)


@contextmanager
def told(where: str, over: Connection | None = None) -> Iterator[None]:
    """What S3 refuses over a connection, or never answers, as a LakeError that says what to do; never as "there is
    nothing"."""
    from botocore import exceptions as aws
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
        wanted, next_step = remedy(code_of(error), over)
        message = error.response.get("Error", {}).get("Message", "")
        found = f"{code_of(error)} to {error.operation_name}" + (f" ({message})" if message else "")
        refusal = LakeError(where, wanted, found, next_step)
        raise (passing(refusal) if is_overloaded(error) else refusal) from error
    except NoCredentialsError as error:
        wanted, next_step = no_credentials(over)
        raise LakeError(where, wanted, "none", next_step) from error
    except (
        aws.CredentialRetrievalError,
        aws.InvalidConfigError,
        aws.PartialCredentialsError,
        aws.SSOError,
        aws.TokenRetrievalError,
        aws.UnknownCredentialError,
    ) as error:
        wanted, next_step = no_credentials(over)
        raise LakeError(where, wanted, str(error).rstrip("."), f"correct what it names, or {next_step}") from error
    except (BotoCoreError, OSError) as error:
        if is_unreachable(error):
            raise _unreachable(where, error, server(over)) from error
        raise passing(LakeError(where, "a whole answer", str(error), "run again once the store answers")) from error


def _unreachable(where: str, error: Exception, asked: Server) -> LakeError:
    """Who did not answer, and which variable or setting has named it."""
    from botocore.exceptions import ProxyConnectionError, SSLError

    name, found, suspect = asked.name, "no connection", asked.suspect
    if not asked.endpoint.value and "endpoint_url" in getattr(error, "kwargs", {}):
        address = urlsplit(str(error.kwargs["endpoint_url"]))  # type: ignore[attr-defined]  # botocore has no types
        name = f"AWS at {address.scheme}://{address.netloc}"
    if isinstance(error, ProxyConnectionError):
        proxy = s3_settings.proxy_variable("http" if asked.endpoint.value.startswith("http://") else "https")
        found, suspect = f"no connection to the proxy that {proxy} names", f"{proxy} and the network"
    elif isinstance(error, SSLError):
        found = f"no connection by TLS: {error.kwargs.get('error')}"
        suspect = f"{asked.endpoint.by or 'the network'} and AWS_CA_BUNDLE"
    refusal = LakeError(where, f"an answer from {name}", found, f"check {suspect}, then run again")
    return refusal if isinstance(error, SSLError) else passing(refusal)  # a certificate stays what it is
