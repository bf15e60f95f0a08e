"""Which S3 server a feed with a server or a profile of its own is read from, and what is refused by the feed's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake.stores import s3_client
from spark_lib.lake.stores.s3_settings import Said, Server
from tests.support.aws_files import nothing_said, write

OF_ORDERS = Said("http://of-feed:1/", "[raw.orders] endpoint")
LANDING = Said("landing", "[raw.orders] profile")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with nothing_said(monkeypatch, tmp_path):
        yield


def test_what_a_feed_says_of_its_server_comes_before_all_that_speaks_for_the_lake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://of-lake")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://of-lake")

    of_feed = s3_client.server(s3_client.Connection(own=OF_ORDERS))

    assert of_feed.endpoint == Said("http://of-feed:1", "[raw.orders] endpoint")
    assert s3_client.server().endpoint == Said("http://of-lake", "S3_ENDPOINT")


def test_the_profile_of_a_feed_names_its_server_and_its_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(
        tmp_path,
        "config",
        "[profile landing]\nregion = eu-west-1\nservices = l\n[services l]\ns3 =\n  endpoint_url = http://p\n",
    )
    monkeypatch.setenv("S3_ENDPOINT", "http://of-lake")
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    by_profile = s3_client.server(s3_client.Connection(profile=LANDING))
    by_endpoint = s3_client.server(s3_client.Connection(own=OF_ORDERS, profile=LANDING))

    assert by_profile.endpoint == Said("http://p", "endpoint_url of s3 in [services l]")
    assert by_endpoint.endpoint.value == "http://of-feed:1"
    assert by_profile.region == by_endpoint.region == Said("eu-west-1", "region of the AWS profile 'landing'")


def test_a_profile_that_names_no_server_has_the_lakes_and_the_region_as_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, "credentials", "[landing]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    connection = s3_client.Connection(Said("http://of-lake", "[lake] endpoint"), profile=LANDING)

    assert s3_client.server(connection) == Server(
        Said("http://of-lake", "[lake] endpoint"), Said("us-west-2", "AWS_REGION")
    )
    assert s3_client.credentials_by(connection) == "shared-credentials-file"


def test_the_endpoint_of_a_profile_is_passed_over_where_awss_tools_are_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, "config", "[profile landing]\nendpoint_url = http://p\n")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")

    assert s3_client.endpoint(s3_client.Connection(profile=LANDING)) == ""
    assert s3_client.endpoint(s3_client.Connection(own=OF_ORDERS, profile=LANDING)) == "http://of-feed:1"


def test_a_profile_of_a_feed_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "credentials", "[other]\naws_access_key_id = a\n")

    with pytest.raises(ConfigurationError) as refused:
        s3_client.server(s3_client.Connection(own=OF_ORDERS, profile=LANDING))

    assert str(refused.value) == (
        "[raw.orders] profile: wanted a profile of AWS's files (~/.aws/config, ~/.aws/credentials); found 'landing'; there are: "
        "other. Next: correct [raw.orders] profile, or add the profile"
    )


def test_a_profile_of_a_feed_that_is_missing_where_executors_run_is_refused_there(tmp_path: Path) -> None:
    write(tmp_path, "credentials", "[landing]\naws_access_key_id = a\n")
    of_driver = s3_client.connection(s3_client.Connection(own=OF_ORDERS, profile=LANDING))
    write(tmp_path, "credentials", "")

    with pytest.raises(ConfigurationError, match=r"^\[raw.orders\] profile: wanted a profile"):
        s3_client.client(of_driver)
