"""Which S3 server is asked, by whose word, and what is refused by name before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake.stores import s3_client, s3_settings
from spark_lib.lake.stores.s3_settings import Said, Server
from spark_lib.session import s3a
from tests.support.aws_files import nothing_said, write

WANTED = "http:// or https:// and the address, as in http://minio:9000"
NO_HOST = "with a host that is none: letters, digits, hyphens and dots make one"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with nothing_said(monkeypatch, tmp_path):
        yield


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("minio:9000", "'minio:9000', without a scheme"),
        ("//minio:9000", "'//minio:9000', without a scheme"),
        ("http:/minio", "'http:/minio', without a scheme"),
        ("ftp://minio", "'ftp://minio', with another scheme"),
        ("s3://bucket", "'s3://bucket', with another scheme"),
        ("http://", "'http://', without a host"),
        ("http://:9000", "'http://:9000', without a host"),
        ("http:///path", "'http:///path', without a host"),
        ("http://minio/path", "'http://minio/path', with a path"),
        ("http://minio?key=secret", "'http://minio' with a query or a fragment"),
        ("http://minio/#end", "'http://minio/' with a query or a fragment"),
        ("http://user:secret@minio", "a url with a user or a password in it"),
        ("http://minio:", "'http://minio:', with a port that is none"),
        ("http://minio:x", "'http://minio:x', with a port that is none"),
        ("http://minio:0", "'http://minio:0', with a port that is none"),
        ("http://minio:65536", "'http://minio:65536', with a port that is none"),
        (" http://minio", "' http://minio', with a blank in it"),
        ("http://minio\n", "'http://minio\\n', with a blank in it"),
        ("  ", "'  ', with a blank in it"),
        ('"http://minio"', "'\"http://minio\"', with quotes in it"),
        ("http://my_minio:9000", f"'http://my_minio:9000', {NO_HOST}"),
        ("http://münchen", f"'http://münchen', {NO_HOST}"),
        ("http://::1:9000", "'http://::1:9000', without a host"),
        ("http://[::g]:9000", f"'http://[::g]:9000', {NO_HOST}"),
        ("http://[1::2::3]:9000", f"'http://[1::2::3]:9000', {NO_HOST}"),
    ],
)
def test_an_endpoint_that_is_no_url_of_a_server_is_refused(
    url: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", url)

    with pytest.raises(ConfigurationError) as refused:
        s3_client.endpoint()

    assert str(refused.value) == f"S3_ENDPOINT: wanted {WANTED}; found {found}. Next: correct S3_ENDPOINT"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://minio:9000", "http://minio:9000"),
        ("HTTPS://s3.example.org/", "https://s3.example.org"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("", ""),
    ],
)
def test_an_endpoint_has_one_spelling(url: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", url)

    assert s3_client.endpoint() == meant


def test_the_endpoint_is_that_of_the_first_who_says_one_and_he_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(
        tmp_path,
        "config",
        "[profile dev]\nregion = eu-west-1\nservices = local\nendpoint_url = http://of-profile\n"
        "[services local]\ns3 =\n  endpoint_url = http://of-services\n",
    )
    assert s3_client.server() == Server(Said(), Said("us-east-1"))

    heard = []
    monkeypatch.setenv("AWS_PROFILE", "dev")
    heard.append(s3_client.server().endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://of-all")
    heard.append(s3_client.server().endpoint)
    s3_client.use(s3_client.Connection(Said("http://of-lake", "--lake-endpoint")))
    heard.append(s3_client.server().endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://of-s3")
    heard.append(s3_client.server().endpoint)
    monkeypatch.setenv("S3_ENDPOINT", "http://first")
    heard.append(s3_client.server().endpoint)

    assert heard == [
        Said("http://of-services", "endpoint_url of s3 in [services local]"),
        Said("http://of-all", "AWS_ENDPOINT_URL"),
        Said("http://of-lake", "--lake-endpoint"),
        Said("http://of-s3", "AWS_ENDPOINT_URL_S3"),
        Said("http://first", "S3_ENDPOINT"),
    ]
    assert s3_client.server().region == Said("eu-west-1", "region of the AWS profile 'dev'")


def test_a_profiles_own_endpoint_is_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, "config", "[default]\nendpoint_url = http://own:1/\n")

    assert s3_client.server().endpoint == Said("http://own:1", "endpoint_url of the AWS profile 'default'")


def test_a_section_of_services_that_says_nothing_more_of_s3_leaves_the_profiles_own_endpoint(tmp_path: Path) -> None:
    write(tmp_path, "config", "[default]\nservices = l\nendpoint_url = http://own:1\n[services l]\ns3 = nothing\n")

    assert s3_client.server().endpoint == Said("http://own:1", "endpoint_url of the AWS profile 'default'")


def test_without_a_file_of_credentials_no_profile_has_any(tmp_path: Path) -> None:
    before = s3_settings.profiles_with_credentials()

    write(tmp_path, "credentials", "[landing]\naws_access_key_id = k\n")

    assert (before, s3_settings.profiles_with_credentials()) == ([], ["landing"])


def test_what_awss_tools_are_to_pass_over_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, "config", "[default]\nendpoint_url = http://own:1\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://elsewhere")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True")
    assert s3_client.endpoint() == ""

    s3_client.use(s3_client.Connection(Said("http://of-lake", "[lake] endpoint")))

    assert s3_client.server().endpoint == Said("http://of-lake", "[lake] endpoint")


@pytest.mark.parametrize(
    "said", [{}, {"AWS_ENDPOINT_URL": "http://h:1/"}, {"AWS_ENDPOINT_URL_S3": "HTTPS://h"}, {"S3_ENDPOINT": "http://h"}]
)
def test_spark_and_boto3_are_told_the_same(said: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    settings = s3a.settings([])

    told = settings["spark.hadoop.fs.s3a.endpoint"]
    assert s3_client.client().meta.endpoint_url == told
    assert settings["spark.hadoop.fs.s3a.endpoint.region"] == s3_client.client().meta.region_name == "eu-central-1"
    if said:
        assert settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] == str(told.startswith("https")).lower()


def test_spark_is_told_awss_own_server_by_its_regions_name_even_where_the_sdk_for_java_would_follow_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert s3a.settings([])["spark.hadoop.fs.s3a.endpoint"] == "https://s3.us-east-1.amazonaws.com"

    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    s3_client.forget_clients()

    assert "spark.hadoop.fs.s3a.endpoint" not in s3a.settings([])


def test_who_works_for_another_process_asks_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://of-driver:1")
    of_driver = s3_client.connection()
    monkeypatch.setenv("S3_ENDPOINT", "http://of-executor:1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    s3_client.use(of_driver)

    assert s3_client.server() == Server(Said("http://of-driver:1", "AWS_ENDPOINT_URL"), Said("us-east-1"))
    assert s3_client.client().meta.endpoint_url == "http://of-driver:1"


def test_awss_own_server_is_asked_whatever_the_environment_of_an_executor_says(monkeypatch: pytest.MonkeyPatch) -> None:
    of_driver = s3_client.connection()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://of-executor:1")

    s3_client.use(of_driver)

    assert s3_client.client().meta.endpoint_url == "https://s3.amazonaws.com"


def test_no_lake_on_s3_looks_at_what_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "minio:9000")

    assert s3_client.connection_to("/data/lake", "/other") == s3_client.Connection()
    with pytest.raises(ConfigurationError):
        s3_client.connection_to("/data/lake", "s3://bucket/lake")


REFUSED = {
    "region": (
        {"AWS_REGION": "EU (Ireland)"},
        "AWS_REGION: wanted the name of a region, as in eu-west-1; found 'EU (Ireland)'. Next: correct AWS_REGION",
    ),
    "ignored": (
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "1"},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: wanted true or false; found '1'. Next: correct it",
    ),
    "profile": (
        {"AWS_PROFILE": "nobody"},
        "AWS_PROFILE: wanted a profile of AWS's files (~/.aws/config, ~/.aws/credentials); found 'nobody'; there are: "
        "dev, lost. Next: correct it, or unset AWS_PROFILE",
    ),
    "services": (
        {"AWS_PROFILE": "lost"},
        "services of the AWS profile 'lost': wanted a section [services nowhere] in AWS's config file; found none. Next: "
        "add it, or remove the line",
    ),
    "endpoint of a profile": (
        {"AWS_PROFILE": "dev"},
        f"endpoint_url of the AWS profile 'dev': wanted {WANTED}; found 'minio:9000', without a scheme. Next: correct "
        "endpoint_url of the AWS profile 'dev'",
    ),
    "certificates": (
        {"AWS_CA_BUNDLE": "/nowhere.pem"},
        "AWS_CA_BUNDLE: wanted a file of certificates (PEM); found '/nowhere.pem': no such file. Next: correct or unset "
        "AWS_CA_BUNDLE",
    ),
    "no certificates": (
        {"REQUESTS_CA_BUNDLE": __file__},
        f"REQUESTS_CA_BUNDLE: wanted a file of certificates (PEM); found {__file__!r}: no certificates. Next: correct or "
        "unset REQUESTS_CA_BUNDLE",
    ),
    "proxy": (
        {"HTTPS_PROXY": "socks5://proxy:1080"},
        "HTTPS_PROXY: wanted the address of a proxy, as in http://proxy:3128; found 'socks5://proxy:1080'. Next: correct "
        "or unset HTTPS_PROXY",
    ),
    "proxy of http": (
        {"S3_ENDPOINT": "http://minio", "http_proxy": "::::"},
        "http_proxy: wanted the address of a proxy, as in http://proxy:3128; found '::::'. Next: correct or unset "
        "http_proxy",
    ),
}


@pytest.mark.parametrize(("environment", "refusal"), REFUSED.values(), ids=REFUSED.keys())
def test_what_awss_tools_would_stumble_over_is_refused_by_name(
    environment: dict[str, str], refusal: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, "config", "[profile dev]\nendpoint_url = minio:9000\n[profile lost]\nservices = nowhere\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as refused:
        s3_client.server()

    assert str(refused.value) == refusal


@pytest.mark.parametrize(
    "environment",
    [
        {"http_proxy": "::::"},  # the server is asked by https
        {"https_proxy": "proxy:3128"},
        {"https_proxy": "http://user:secret@my_proxy:3128/"},
        {"https_proxy": "::::", "no_proxy": "*"},
        {"S3_ENDPOINT": "http://minio", "AWS_CA_BUNDLE": "/nowhere.pem"},  # nothing is checked against it
    ],
)
def test_what_is_not_used_or_works_is_not_refused(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    s3_client.server()


def test_a_directory_of_certificates_is_one_that_servers_are_checked_against(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path))

    assert s3_client.server() == Server(Said(), Said("us-east-1"))


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_a_broken_file_of_awss_tools_is_refused_without_its_content(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, "aws_secret_access_key = hush\n")

    with pytest.raises(ConfigurationError) as refused:
        s3_client.server()

    assert str(refused.value) == (
        f"{path}: wanted a file that AWS's tools can read; found MissingSectionHeaderError in line 1. Next: correct it, or "
        "set AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE to another"
    )


def test_a_directory_in_place_of_a_file_of_awss_tools_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()

    with pytest.raises(ConfigurationError) as refused:
        s3_client.server()

    assert str(refused.value) == (
        f"{tmp_path}/config: wanted a file that AWS's tools can read; found Is a directory. Next: correct it, or set "
        "AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE to another"
    )


def test_a_profile_that_is_missing_where_executors_run_is_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    of_driver = s3_client.connection()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    s3_client.use(of_driver)

    with pytest.raises(ConfigurationError, match=r"^AWS_PROFILE: wanted a profile"):
        s3_client.client()
