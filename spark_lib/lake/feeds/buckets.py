"""Works out by which server, and with whose credentials, each bucket is reached.

Spark tells buckets apart by their names alone, so one name cannot mean two places in one run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from spark_lib.errors import ConfigurationError
from spark_lib.lake.feeds.raw import RawFeed
from spark_lib.lake.stores import s3_client, s3_settings
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said, Server
from spark_lib.lake.stores.store import bucket_of, is_s3


@dataclass(frozen=True)
class Way:
    """How a bucket is reached: by which connection, and what that means in this process."""

    connection: Connection
    server: Server

    @property
    def place(self) -> tuple[str, str, str]:
        """What makes two ways one: server, region and profile, whoever named them."""
        return self.server.endpoint.value, self.server.region.value, self.connection.profile.value

    def __str__(self) -> str:
        profile = self.connection.profile.value
        credentials = f"the profile {profile!r}" if profile else "AWS's own chain of credentials"
        return f"{self.server.name} (region {self.server.region.value}) with {credentials}"


def way(connection: Connection) -> Way:
    """What a connection means in this process. Raises ConfigurationError where it names what cannot be used."""
    return Way(connection, s3_client.server(connection))


def ways(root: str, lake: Connection, feeds: Iterable[RawFeed]) -> dict[str, Way]:
    """The way to the bucket of the lake below ``root``, where it has one, and to those of its feeds.

    Raises ConfigurationError where what names a server cannot be used, where two places lie in buckets of one name that
    are reached in different ways, and for a profile that Spark would not find.
    """
    found: dict[str, tuple[str, Way]] = {}
    if is_s3(root):
        found[bucket_of(root)] = f"the lake {root}", way(lake)
    for feed in feeds:
        directory = feed.directory(date.min)
        if not is_s3(directory):
            continue
        own, bucket = way(feed.connection or lake), bucket_of(directory)
        if feed.format == "parquet":
            _check_spark_finds(own.connection.profile)
        other, others = found.setdefault(bucket, (f"raw feed {feed.name}", own))
        if others.place != own.place:
            raise ConfigurationError(
                f"bucket {bucket!r} of raw feed {feed.name}",
                "one server and one profile for all that is in buckets of this name, by which Spark tells servers apart",
                f"{own}; and for {other}: {others}",
                f"set [{feed.section}] endpoint and profile so that they agree, or use a bucket of another name",
            )
    return {bucket: reached for bucket, (_, reached) in found.items()}


def _check_spark_finds(profile: Said) -> None:
    """Raise ConfigurationError where the profile of a feed that Spark reads is not in the file in which Spark looks."""
    if profile.value and profile.value not in s3_settings.profiles_with_credentials():
        raise ConfigurationError(
            profile.by,
            f"a profile of {s3_settings.credentials_file()}, which is the only file of AWS's that Spark takes a profile from",
            f"{profile.value!r} in AWS's file of configuration alone",
            "write its keys into that file, or land the feed as CSV, which Python reads",
        )
