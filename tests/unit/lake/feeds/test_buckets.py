"""How the server and the credentials of each bucket are told apart, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake import RawFeed
from spark_lib.lake.feeds import buckets
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said
from tests.support.aws_files import nothing_said, write

LAKE = Connection(Said("http://lake:1", "[lake] endpoint"))
PARTNERS = Said("http://partners:2", "[raw.orders] endpoint")
LANDING = Said("landing", "[raw.orders] profile")


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file of credentials with a profile, in a process to which nothing else is said of S3."""
    with nothing_said(monkeypatch, tmp_path):
        write(tmp_path, "config", "[profile of-config]\nregion = eu-west-1\n")
        yield write(tmp_path, "credentials", "[landing]\naws_access_key_id = key\naws_secret_access_key = hush\n")


def feed(name: str, place: str, connection: Connection | None = None, format: str = "parquet") -> RawFeed:
    path = f"{place}/{{feed}}/{{date:%Y-%m-%d}}"
    return RawFeed(name, "/lake", "shop", path, format=format, connection=connection)


def places(ways: Mapping[str, buckets.Way]) -> dict[str, tuple[str, str, str]]:
    return {bucket: way.place for bucket, way in ways.items()}


def test_the_lake_and_each_feed_have_the_way_to_their_own_bucket() -> None:
    own = Connection(LAKE.endpoint, own=PARTNERS, profile=LANDING)
    feeds = [feed("orders", "s3://partners", own), feed("visits", "s3://lake/raw"), feed("returns", "/mnt/returns")]

    ways = buckets.ways("s3://lake/shop", LAKE, feeds)

    assert places(ways) == {
        "lake": ("http://lake:1", "us-east-1", ""),
        "partners": ("http://partners:2", "us-east-1", "landing"),
    }


def test_where_nothing_is_on_s3_nothing_that_names_a_server_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "minio:9000")

    assert buckets.ways("/lake", LAKE, [feed("orders", "/mnt/orders", Connection(own=PARTNERS))]) == {}


def test_a_bucket_of_the_lake_s_name_on_another_server_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        buckets.ways("s3://data/lake", LAKE, [feed("orders", "s3://data", Connection(own=PARTNERS))])

    assert str(refused.value) == (
        "bucket 'data' of raw feed orders: wanted one server and one profile for all that is in buckets of this name, by which "
        "Spark tells servers apart; found http://partners:2 (region us-east-1) with AWS's own chain of credentials; and for the "
        "lake s3://data/lake: http://lake:1 (region us-east-1) with AWS's own chain of credentials. Next: set [raw.orders] "
        "endpoint and profile so that they agree, or use a bucket of another name"
    )


def test_two_feeds_in_one_bucket_with_two_profiles_are_refused() -> None:
    feeds = [
        feed("visits", "s3://partners", Connection(own=PARTNERS)),
        feed("orders", "s3://partners", Connection(own=PARTNERS, profile=LANDING)),
    ]

    with pytest.raises(ConfigurationError) as refused:
        buckets.ways("/lake", LAKE, feeds)

    assert str(refused.value) == (
        "bucket 'partners' of raw feed orders: wanted one server and one profile for all that is in buckets of this name, by "
        "which Spark tells servers apart; found http://partners:2 (region us-east-1) with the profile 'landing'; and for raw "
        "feed visits: http://partners:2 (region us-east-1) with AWS's own chain of credentials. Next: set [raw.orders] endpoint "
        "and profile so that they agree, or use a bucket of another name"
    )


def test_a_feed_that_names_the_lakes_own_server_shares_its_bucket() -> None:
    own = Connection(own=Said("http://lake:1", "[raw.orders] endpoint"))

    assert places(buckets.ways("s3://data/lake", LAKE, [feed("orders", "s3://data", own)])) == {
        "data": ("http://lake:1", "us-east-1", "")
    }


def test_a_profile_that_spark_would_not_find_is_refused_for_a_feed_that_spark_reads(credentials: Path) -> None:
    own = Connection(own=PARTNERS, profile=Said("of-config", "[raw.orders] profile"))

    with pytest.raises(ConfigurationError) as refused:
        buckets.ways("/lake", LAKE, [feed("orders", "s3://partners", own)])

    assert str(refused.value) == (
        f"[raw.orders] profile: wanted a profile of {credentials}, which is the only file of AWS's that Spark takes a profile "
        "from; found 'of-config' in AWS's file of configuration alone. Next: write its keys into that file, or land the feed as "
        "CSV, which Python reads"
    )
    assert list(buckets.ways("/lake", LAKE, [feed("orders", "s3://partners", own, format="csv")])) == ["partners"]
