"""What Spark is told of each bucket, and what it cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake.feeds.buckets import Way, way
from spark_lib.lake.stores import s3_client
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.session import s3a
from tests.support.aws_files import nothing_said, write

LAKE = Connection(Said("http://lake:1", "[lake] endpoint"))
PARTNERS = Said("http://partners:2", "[raw.orders] endpoint")
LANDING = Said("landing", "[raw.orders] profile")
FEEDS = Connection(LAKE.endpoint, own=PARTNERS, profile=LANDING)
PROVIDER = "org.apache.hadoop.fs.s3a.auth.ProfileAWSCredentialsProvider"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file of credentials with a profile, in a process to which nothing else is said of S3. Spark was told of no
    bucket."""
    monkeypatch.setattr(s3a, "_TOLD", s3a._Told())
    with nothing_said(monkeypatch, tmp_path):
        write(
            tmp_path,
            "config",
            "[profile government]\nregion = us-gov-west-1\nuse_fips_endpoint = true\n"
            "[profile of-config]\nregion = eu-west-1\n",
        )
        yield write(tmp_path, "credentials", "[landing]\naws_access_key_id = key\naws_secret_access_key = hush\n")


def ways(**connections: Connection) -> dict[str, Way]:
    return {bucket: way(connection) for bucket, connection in connections.items()}


def test_spark_is_told_of_the_buckets_that_are_reached_in_another_way_and_never_what_is_in_a_profile(
    credentials: Path,
) -> None:
    s3_client.use(LAKE)

    settings = s3a.settings([]) | s3a.bucket_settings(ways(lake=LAKE, partners=FEEDS), local=True)

    assert settings["spark.hadoop.fs.s3a.endpoint"] == "http://lake:1"
    assert {name: value for name, value in settings.items() if ".bucket." in name} == {
        "spark.hadoop.fs.s3a.bucket.partners.endpoint": "http://partners:2",
        "spark.hadoop.fs.s3a.bucket.partners.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.bucket.partners.path.style.access": "true",
        "spark.hadoop.fs.s3a.bucket.partners.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.bucket.partners.aws.credentials.provider": PROVIDER,
        "spark.hadoop.fs.s3a.bucket.partners.auth.profile.name": "landing",
        "spark.hadoop.fs.s3a.bucket.partners.auth.profile.file": str(credentials),
    }


def test_executors_elsewhere_look_for_the_file_of_credentials_where_they_run() -> None:
    told = s3a.bucket_settings(ways(partners=FEEDS), local=False)

    assert "spark.hadoop.fs.s3a.bucket.partners.auth.profile.file" not in told


def test_one_process_reaches_a_bucket_in_one_way() -> None:
    s3a.bucket_settings(ways(partners=Connection(own=PARTNERS)), local=True)

    with pytest.raises(ConfigurationError) as refused:
        s3a.bucket_settings(ways(partners=LAKE), local=True)

    assert str(refused.value) == (
        "bucket 'partners' in Spark's session: wanted one server and one profile in one process, as before: http://partners:2 "
        "(region us-east-1) with AWS's own chain of credentials; found http://lake:1 (region us-east-1) with AWS's own chain of "
        "credentials. Next: run what reads the other one by a command of its own"
    )


def test_a_running_session_is_told_of_a_bucket_once_and_a_later_one_of_all() -> None:
    told: list[tuple[str, str]] = []
    hadoop = SimpleNamespace(set=lambda *setting: told.append(setting))
    spark = SimpleNamespace(sparkContext=SimpleNamespace(_jsc=SimpleNamespace(hadoopConfiguration=lambda: hadoop)))
    s3a.bucket_settings(ways(lake=LAKE), local=True)

    for _ in range(2):
        s3a.tell(spark, ways(lake=LAKE, partners=Connection(own=PARTNERS)), local=True)

    assert told == [
        ("fs.s3a.bucket.partners.endpoint.region", "us-east-1"),
        ("fs.s3a.bucket.partners.endpoint", "http://partners:2"),
        ("fs.s3a.bucket.partners.path.style.access", "true"),
        ("fs.s3a.bucket.partners.connection.ssl.enabled", "false"),
    ]
    later = s3a.bucket_settings(ways(lake=LAKE), local=True)
    assert later["spark.hadoop.fs.s3a.bucket.partners.endpoint"] == "http://partners:2"
    with pytest.raises(ConfigurationError, match=r"^bucket 'partners' in Spark's session: wanted one server"):
        s3a.tell(spark, ways(partners=LAKE), local=True)


def test_a_bucket_of_a_fips_profile_needs_its_endpoint_by_name() -> None:
    fips = Connection(profile=Said("government", "[raw.orders] profile"))

    with pytest.raises(ConfigurationError) as refused:
        s3a.bucket_settings(ways(partners=fips), local=True)

    assert str(refused.value) == (
        "[raw.orders] profile: wanted an endpoint that Spark can be told for this bucket alone; found FIPS endpoints of AWS, "
        "which have no other name there. Next: name the url, as in [raw.<feed>] endpoint = "
        "https://s3-fips.us-gov-west-1.amazonaws.com"
    )
    named = Connection(
        own=Said("https://s3-fips.us-gov-west-1.amazonaws.com", "[raw.orders] endpoint"), profile=fips.profile
    )
    told = s3a.bucket_settings(ways(partners=named), local=True)
    assert told["spark.hadoop.fs.s3a.bucket.partners.endpoint"] == "https://s3-fips.us-gov-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "org.apache.hadoop.fs.s3a.auth.NoAuthWithAWSException: No AWS Credentials provided by "
            "ProfileAWSCredentialsProvider : software.amazon.awssdk.core.exception.SdkClientException: Profile file "
            "contained no credentials for profile 'landing'",
            "wanted credentials of the AWS profile 'landing'; found none. Next: write them into {file}, or "
            "correct [raw.orders] profile",
        ),
        (
            "software.amazon.awssdk.services.s3.model.S3Exception: The secret is another. (Service: S3, Status Code: 403, "
            "Request ID: L):SignatureDoesNotMatch",
            "wanted the secret of the access key; found SignatureDoesNotMatch (The secret is another.). Next: check "
            "[raw.orders] endpoint and [raw.orders] profile",
        ),
        (
            "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Connection refused",
            "wanted an answer from http://partners:2; found Connection refused. Next: check [raw.orders] endpoint and the "
            "network, then run again",
        ),
    ],
    ids=["no credentials", "a wrong secret", "no connection"],
)
def test_what_spark_is_refused_of_a_feed_names_what_the_feed_says(error: str, said: str, credentials: Path) -> None:
    s3a.bucket_settings(ways(partners=FEEDS), local=True)

    refusal = s3a.refusal(f": java.io.IOException: getFileStatus on s3a://partners/orders/x: {error}\n")

    assert str(refusal) == f"s3://partners/orders/x (Spark, the driver): {said.format(file=credentials)}"
