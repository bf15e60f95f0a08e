"""Two S3 servers in one process, neither of which knows the other's keys: a lake on one and a raw feed on the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spark_lib.errors import LakeError
from spark_lib.frames.landing import Spread, land
from spark_lib.lake import Lake, RawFeed
from spark_lib.lake.stores import open_store, s3_client
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.use_case import Feed
from tests.support import s3

pytestmark = pytest.mark.processes

DAY = date(2026, 1, 1)
ENDPOINT, PROFILE = "[raw.orders] endpoint", "[raw.orders] profile"


@pytest.fixture
def credentials(
    versitygw: s3.Server, feeds_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The environment names the lake's server and its keys; a file has those of the feed."""
    versitygw.reach(monkeypatch)
    file = tmp_path / "credentials"
    file.write_text(
        feeds_server.profile("landing")
        + versitygw.profile("swapped")
        + feeds_server.profile("misspelt", secret_key="wrong")
        + "[empty]\nregion = us-east-1\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    s3_client.forget_clients()
    yield file
    s3_client.forget_clients()


@pytest.fixture
def feed(credentials: Path, feeds_server: s3.Server) -> RawFeed:
    """A feed of which a day has landed."""
    bucket = feeds_server.new_bucket()
    feeds_server.land(bucket, "orders", DAY, b"rows")
    connection = Connection(own=Said(feeds_server.endpoint, ENDPOINT), profile=Said("landing", PROFILE))
    path = f"s3://{bucket}/{{feed}}/{{date:%Y-%m-%d}}"
    return RawFeed("orders", "/lake", "shop", path, connection=connection)


def with_profile(feed: RawFeed, profile: str) -> RawFeed:
    assert feed.connection is not None
    return replace(feed, connection=replace(feed.connection, profile=Said(profile, PROFILE)))


def content(lake: Lake, key: str) -> bytes:
    found = lake.store.read(key)
    assert found is not None
    return found[0]


def refusal(feed: RawFeed) -> LakeError:
    with pytest.raises(LakeError) as refused:
        feed.landed(DAY, DAY)
    return refused.value


def test_each_is_asked_at_its_own_server_with_its_own_keys(feed: RawFeed, versitygw: s3.Server) -> None:
    lake = Lake(f"s3://{versitygw.new_bucket()}/lake", "shop")

    lake.store.create("before", b"of the lake")
    (file,) = feed.landed(DAY, DAY)[DAY].files
    with feed.open(file) as opened:
        rows = opened.read()
    lake.store.create("after", b"of the lake")

    assert rows == b"rows"
    assert [entry.key for entry in lake.store.list("")] == ["after", "before"]


def test_a_table_lands_at_the_server_of_its_feed(feed: RawFeed, feeds_server: s3.Server, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order\na\nb\n")
    feed = replace(feed, format="csv")
    next_day = date(2026, 1, 2)

    landed = land(feed, Feed("order STRING", key="order"), [f"{tmp_path}/orders.csv"], Spread(DAY, next_day, 0))

    assert [(day.date, day.state) for day in landed] == [(DAY, "other"), (next_day, "new")]
    bucket, key = feed.directory(next_day).removeprefix("s3://").split("/", 1)
    body = feeds_server.client().get_object(Bucket=bucket, Key=f"{key}/landed.csv")["Body"].read()
    assert body.startswith(b"order\n")


def test_two_lakes_on_two_servers_are_written_in_one_process(feed: RawFeed, versitygw: s3.Server) -> None:
    """Their roots are spelt alike: both servers have a bucket of one name."""
    assert feed.connection is not None
    bucket = feed.directory(DAY).split("/")[2]
    versitygw.client().create_bucket(Bucket=bucket)
    one = Lake(f"s3://{bucket}/lake", "shop")
    other = Lake(f"s3://{bucket}/lake", "shop", feed.connection)

    one.store.create("key", b"of one")
    other.store.create("key", b"of the other")

    assert [content(lake, "key") for lake in (one, other)] == [b"of one", b"of the other"]


def test_a_worker_asks_the_server_of_the_feed_whatever_its_environment_says(
    feed: RawFeed, versitygw: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = replace(feed, connection=s3_client.connection(feed.connection))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("S3_ENDPOINT", versitygw.endpoint)

    assert handed_over.has_landed(DAY)
    assert s3_client.region(handed_over.connection) == "us-east-1"


def test_clients_are_made_once_for_each_server_and_profile(feed: RawFeed) -> None:
    of_feed = s3_client.client(feed.connection)

    assert s3_client.client(feed.connection) is of_feed
    assert s3_client.client() is not of_feed
    assert s3_client.client(with_profile(feed, "swapped").connection) is not of_feed


def test_keys_of_the_lakes_server_are_refused_by_name(feed: RawFeed) -> None:
    refused = refusal(with_profile(feed, "swapped"))

    assert refused.wanted == "credentials that the server knows"
    assert refused.next_step == f"check {ENDPOINT} and {PROFILE}"


def test_the_environments_keys_are_not_those_of_the_feed(feed: RawFeed) -> None:
    assert feed.connection is not None

    refused = refusal(replace(feed, connection=replace(feed.connection, profile=Said())))

    assert refused.wanted == "credentials that the server knows"
    assert refused.next_step == f"check {ENDPOINT}, or check AWS_ACCESS_KEY_ID or the profile"


def test_a_wrong_secret_in_the_profile_is_refused_by_name(feed: RawFeed) -> None:
    refused = refusal(with_profile(feed, "misspelt"))

    assert refused.wanted == "the secret of the access key"
    assert refused.next_step == f"check {ENDPOINT} and {PROFILE}"


def test_a_profile_without_keys_is_refused_by_name_though_the_environment_has_some(
    feed: RawFeed, credentials: Path
) -> None:
    refused = refusal(with_profile(feed, "empty"))

    assert (refused.wanted, refused.found, refused.next_step) == (
        "credentials of the AWS profile 'empty'",
        "none",
        f"write them into {credentials}, or correct {PROFILE}",
    )


def test_a_server_of_a_feed_that_does_not_answer_is_named_with_who_named_it(feed: RawFeed) -> None:
    assert feed.connection is not None
    nowhere = f"http://127.0.0.1:{s3.free_port()}"

    refused = refusal(replace(feed, connection=replace(feed.connection, own=Said(nowhere, ENDPOINT))))

    assert (refused.wanted, refused.next_step) == (
        f"an answer from {nowhere}",
        f"check {ENDPOINT} and the network, then run again",
    )


def test_a_bucket_that_the_server_of_the_feed_has_not_is_said_with_what_named_the_server(feed: RawFeed) -> None:
    with pytest.raises(LakeError) as refused:
        list(open_store("s3://no-such-bucket/orders", feed.connection).list(""))

    assert refused.value.next_step == f"check {ENDPOINT} and {PROFILE}, make the bucket, or correct the feed's path"
