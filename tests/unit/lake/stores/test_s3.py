"""What only S3 does: its refusals, lost answers, cut bodies, and how few requests an answer costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from botocore.utils import parse_timestamp

from spark_lib.errors import ConfigurationError, DamagedPartition, LakeError
from spark_lib.lake import Lake, normalise_root
from spark_lib.lake.stores import open_store, s3_client
from tests.support import s3
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.unit.lakes import DAY, parquet, partition, publish, publish_documents, rows_of, runs_there

pytestmark = pytest.mark.processes


@pytest.fixture
def proxy(versitygw: s3.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """versitygw behind a proxy, which this process talks to."""
    with fault_proxy(versitygw) as between:
        between.server.reach(monkeypatch)
        yield between


@pytest.fixture
def lake(proxy: FaultProxy) -> Lake:
    return Lake(f"s3://{proxy.server.new_bucket()}/lake", "credit_risk")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3a://bucket/lake/", "s3://bucket/lake"),
        ("S3://bucket//lake/./daily//", "s3://bucket/lake/daily"),
    ],
)
def test_a_lake_on_s3_has_one_spelling(given: str, wanted: str) -> None:
    assert normalise_root(given) == wanted
    assert normalise_root(wanted) == wanted


def test_a_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        normalise_root("s3:///lake")

    assert str(refused.value) == (
        "lake root 's3:///lake': wanted s3://bucket/prefix; found no bucket. Next: set [lake] root (--lake-root)"
    )


# What S3 refuses: each with its message, and never "there is nothing".


def test_a_bucket_that_is_not_there_is_an_error(lake: Lake) -> None:
    with pytest.raises(LakeError) as refused:
        Lake("s3://no-such-bucket/lake", "credit_risk").find("features", DAY, DAY)

    assert str(refused.value) == (
        "s3://no-such-bucket/lake/credit_risk/features: wanted a bucket that exists; found NoSuchBucket to "
        "ListObjectsV2 (The specified bucket does not exist.). Next: make the bucket, or correct [lake] root "
        "(--lake-root)"
    )


def test_a_wrong_secret_is_an_error(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_client.forget_clients()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(LakeError) as refused:
        lake.find("features", DAY, DAY)
    s3_client.forget_clients()

    assert refused.value.wanted == "the secret of the access key"
    assert refused.value.found.startswith("SignatureDoesNotMatch to ListObjectsV2")
    assert refused.value.next_step == "check AWS_SECRET_ACCESS_KEY or the profile"


def test_no_credentials_are_an_error(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_client.forget_clients()
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")

    with pytest.raises(LakeError) as refused:
        lake.find("features", DAY, DAY)
    s3_client.forget_clients()

    assert str(refused.value) == (
        f"{lake.root}/credit_risk/features: wanted credentials from AWS's own chain; found none. "
        "Next: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role"
    )


def test_no_route_to_the_endpoint_is_said_within_15_seconds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{s3.free_port()}"
    monkeypatch.setenv("S3_ENDPOINT", endpoint)
    begun = time.monotonic()

    with pytest.raises(LakeError) as refused:
        lake.find("features", DAY, DAY)

    assert time.monotonic() - begun < 15
    assert str(refused.value) == (
        f"{lake.root}/credit_risk/features: wanted an answer from {endpoint}; found no connection. "
        "Next: check S3_ENDPOINT and the network, then run again"
    )


@pytest.mark.parametrize(
    ("status", "code", "wanted", "next_step"),
    [
        (403, "AccessDenied", "permission", "grant it in the policy (docs/operations.md has the least that suffices)"),
        (400, "ExpiredToken", "a token that is valid", "fetch new credentials, then run again"),
        (301, "PermanentRedirect", "the bucket's own region", "set AWS_REGION to the region of the bucket"),
        (503, "SlowDown", "an answer", "run again; where it stays, read the server's log"),
        (500, "InternalError", "an answer", "run again; where it stays, read the server's log"),
    ],
)
def test_a_refusal_is_never_taken_for_a_missing_day(
    proxy: FaultProxy, lake: Lake, status: int, code: str, wanted: str, next_step: str
) -> None:
    publish(lake)
    fault = proxy.add("answer", kind="LIST", times=100, status=status, code=code)

    with pytest.raises(LakeError) as refused:
        lake.is_published("features", DAY)

    assert fault.fired
    assert (refused.value.wanted, refused.value.next_step) == (wanted, next_step)
    assert refused.value.found.startswith(f"{code} to ListObjectsV2")


def test_a_manifest_that_may_not_be_read_is_never_a_missing_day(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake)
    fault = proxy.add("answer", kind="GET", key="/_SUCCESS$", status=403, code="AccessDenied")

    with pytest.raises(LakeError) as refused:
        lake.is_published("features", DAY)

    assert fault.fired
    assert refused.value.found == "AccessDenied to GetObject (of the fault proxy)"


def test_a_policy_that_only_reads_publishes_nothing(proxy: FaultProxy, lake: Lake) -> None:
    proxy.add("answer", kind="PUT", times=100, status=403, code="AccessDenied")

    with pytest.raises(LakeError) as refused:
        publish(lake)

    assert refused.value.found == "AccessDenied to PutObject (of the fault proxy)"


def test_a_directory_is_removed_with_the_markers_that_other_tools_made_for_it(proxy: FaultProxy, lake: Lake) -> None:
    bucket = lake.root.removeprefix("s3://").partition("/")[0]
    for key in ("lake/gone/", "lake/gone/deeper/", "lake/gone/file", "lake/stays/"):
        proxy.server.client().put_object(Bucket=bucket, Key=key)
    assert [entry.key for entry in lake.store.list("gone")] == ["gone/file"]

    lake.store.remove("gone")

    left = proxy.server.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert [item["Key"] for item in left] == ["lake/stays/"]


# Answers that are lost, late or false, on the wire.


@pytest.mark.parametrize(
    "fault",
    [
        {"deed": "drop after"},
        {"deed": "drop after", "times": 2},
        {"deed": "drop before"},
        {"deed": "drop before", "times": 4},
        {"deed": "answer", "status": 503, "code": "SlowDown", "times": 4},
        {"deed": "answer", "status": 500, "code": "InternalError"},
        {"deed": "answer", "status": 409, "code": "ConditionalRequestConflict"},
        {"deed": "answer", "status": 412, "code": "PreconditionFailed"},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
@pytest.mark.parametrize("rebuild", [False, True], ids=["first", "rebuild"])
def test_a_publish_is_settled_by_reading_back(
    proxy: FaultProxy, lake: Lake, fault: dict[str, object], rebuild: bool
) -> None:
    if rebuild:
        publish(lake, [1])
    added = proxy.add(**fault, kind="PUT", key="/_SUCCESS$")

    published = publish(lake, [2, 3], rebuild=rebuild)

    assert added.fired == added.times
    assert partition(lake).manifest.run == published.run
    assert rows_of(lake) == [2, 3]


def test_a_put_that_lands_after_another_run_was_published_loses(proxy: FaultProxy, lake: Lake) -> None:
    winner = publish(lake, [1])
    fault = proxy.add("drop after", kind="PUT", key="/_SUCCESS$")

    stands = publish(lake, [2])

    assert fault.fired
    assert stands.run == winner.run
    assert runs_there(lake) == {winner.run}


@pytest.mark.parametrize("times", [1, 2])
def test_a_body_that_is_cut_short_is_read_again(proxy: FaultProxy, lake: Lake, times: int) -> None:
    publish(lake, [1, 2])
    fault = proxy.add("cut", kind="GET", key="/_SUCCESS$", times=times)

    assert rows_of(lake) == [1, 2]
    assert fault.fired == times


def test_bodies_that_are_always_cut_short_are_an_error_and_never_damage(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake)
    proxy.add("cut", kind="GET", key="/_SUCCESS$", times=100)

    with pytest.raises(LakeError, match="wanted a whole answer"):
        lake.require("features", DAY)


def test_a_body_that_was_altered_on_its_way_is_read_again(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake, [1, 2])
    fault = proxy.add("alter", kind="GET", key="/_SUCCESS$", times=2)

    assert rows_of(lake) == [1, 2]
    assert fault.fired == 2


def test_a_body_that_is_never_what_was_written_is_damage(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake)
    proxy.add("alter", kind="GET", key="/_SUCCESS$", times=100)

    with pytest.raises(
        DamagedPartition, match=r"_SUCCESS: wanted the content that was written; found Expected checksum"
    ):
        lake.require("features", DAY)


def test_a_404_that_is_not_of_s3_is_never_a_missing_object(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake)
    proxy.add("answer", kind="GET", times=100, status=404, code="backend")

    with pytest.raises(LakeError) as refused:
        lake.store.read(f"{lake.prefix('features', DAY)}/_SUCCESS")

    assert refused.value.found.startswith("backend to GetObject")


def test_a_probe_that_nobody_answers_does_not_say_that_conditions_are_ignored(proxy: FaultProxy, lake: Lake) -> None:
    proxy.add("answer", kind="PUT", skip=1, times=100)

    with pytest.raises(LakeError) as refused:
        lake.store.probe()

    assert refused.value.wanted == "an answer to a put"
    assert refused.value.found.startswith("none in 3 tries: ")


def test_a_listing_tells_an_altered_document_of_the_same_size(lake: Lake) -> None:
    (file,) = publish_documents(lake, {"card.json": b"good"}).files
    key = f"{lake.prefix('model', DAY)}/{file.path}"
    assert lake.is_published("model", DAY)

    lake.store.replace(key, b"evil", file.etag)

    with pytest.raises(DamagedPartition, match=rf"card\.json: wanted the etag {file.etag}; found \w+\."):
        lake.is_published("model", DAY)


def test_a_body_of_rows_that_is_cut_short_is_read_again(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake, range(100))
    fault = proxy.add("cut", kind="GET", key=r"\.parquet$")

    assert rows_of(lake) == list(range(100))
    assert fault.fired


def test_a_file_that_was_replaced_by_one_of_the_same_size_is_damage(versitygw: s3.Server, lake: Lake) -> None:
    manifest = publish(lake, [1])
    bucket, _, root = lake.root.removeprefix("s3://").partition("/")
    key = f"{root}/{lake.prefix('features', DAY)}/{manifest.files[0].path}"
    other = versitygw.client().put_object(Bucket=bucket, Key=key, Body=parquet([2]))

    with pytest.raises(DamagedPartition) as caught:
        lake.is_published("features", DAY)

    assert (caught.value.where, caught.value.found) == (
        f"features of 2026-01-01: s3://{bucket}/{key}",
        other["ETag"].strip('"'),
    )
    assert caught.value.wanted == f"the {manifest.files[0].checksum.replace(':', ' ')}"


# The probe.


def test_a_server_that_ignores_conditions_is_refused_by_name(moto: s3.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with fault_proxy(moto) as proxy:
        proxy.server.reach(monkeypatch)
        proxy.add("unconditional", kind="PUT", times=1000)
        lake = Lake(f"s3://{proxy.server.new_bucket()}/lake", "credit_risk")

        with pytest.raises(LakeError) as refused:
            publish(lake)

        assert "a server that honours conditional puts" in refused.value.wanted
        assert "Werkzeug" in refused.value.where
        assert refused.value.found.startswith("it ignored If-None-Match: * on an object that exists")
        assert "trust_unconditional_puts" in refused.value.next_step
        assert list(open_store(lake.root).list("")) == []

        s3_client.use(s3_client.Connection(trust_unconditional_puts=True))
        publish(lake, [7])
        assert rows_of(lake) == [7]


def test_reading_never_probes(proxy: FaultProxy, lake: Lake) -> None:
    assert lake.find("features", DAY, DAY) == {}

    assert set(proxy.counted) <= {"LIST", "PUT"}
    assert [key for kind, key in proxy.log if kind == "PUT" and key.count("/") > 1] == []


# Requests.


def test_days_are_found_by_one_bounded_list_and_a_manifest_is_read_once(proxy: FaultProxy, lake: Lake) -> None:
    days = [DAY + timedelta(days=n) for n in range(5)]
    for day in days:
        publish(lake, day=day)
    proxy.counted.clear()

    assert set(lake.find("features", days[1], days[3])) == set(days[1:4])
    assert proxy.counted == {"LIST": 1, "GET": 3}
    proxy.counted.clear()

    assert set(lake.find("features", days[1], days[3])) == set(days[1:4])
    assert proxy.counted == {"LIST": 1}


@pytest.mark.parametrize(
    ("first", "last", "asked"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), "date=2026-01-01"),
        (date(2026, 1, 1), date(2026, 1, 31), "date=2026-01-"),
        (date(2025, 12, 31), date(2026, 1, 1), "date=202"),
    ],
)
def test_a_list_asks_for_what_the_bounds_have_in_common(
    proxy: FaultProxy, lake: Lake, first: date, last: date, asked: str
) -> None:
    lake.find("features", first, last)

    assert proxy.log[-1] == ("LIST", f"lake/credit_risk/features/{asked}")


@pytest.mark.parametrize(
    ("first", "last"), [("a", ""), ("", "b"), ("", ""), ("a", "ab"), ("ab", "abc"), ("ab", "b"), ("b", "a")]
)
def test_what_the_bounds_have_in_common_hides_no_key(lake: Lake, first: str, last: str) -> None:
    names = ["a", "aa", "ab", "abc", "abd", "b", "ba"]
    for name in names:
        lake.store.create(f"named/{name}/key", b"")

    found = [entry.key.split("/")[1] for entry in lake.store.list("named", first, last)]

    assert found == [name for name in names if first <= name and (not last or name <= last)]


def test_a_listing_of_10_000_keys_is_whole_and_in_order(proxy: FaultProxy, lake: Lake) -> None:
    # A multi-object store is filled fastest behind its back: versitygw lists what lies in its directory.
    keys = [f"many/{n:05}" for n in range(10_000)]
    bucket = lake.root.removeprefix("s3://").partition("/")[0]
    proxy.server.fill(bucket, [f"lake/{key}" for key in keys])
    proxy.counted.clear()

    assert [entry.key for entry in lake.store.list("many")] == keys
    assert proxy.counted == {"LIST": 10}
    proxy.counted.clear()

    assert [entry.key for entry in lake.store.list("many", "04000", "05999")] == keys[4000:6000]
    assert proxy.counted == {"LIST": 3}  # two full pages, and one that begins behind the last key


def test_the_rows_of_a_file_are_counted_by_one_request(proxy: FaultProxy, lake: Lake) -> None:
    publish(lake, day=DAY)  # the probe is behind us
    proxy.counted.clear()

    publish(lake, range(1000), day=date(2026, 5, 1))

    assert proxy.counted == {"PUT": 2, "GET": 1, "LIST": 2}


@pytest.mark.parametrize(
    "said", ["2026-11-29T10:00:00.123Z", "2026-11-29T10:00:00+02:00", "Sun, 29 Nov 2026 10:00:00 GMT", "1764412345"]
)
def test_a_moment_of_an_answer_is_what_botocore_reads(said: str) -> None:
    assert s3_client._moment(said) == parse_timestamp(said)
