"""What both command lines say where S3 refuses: the exact message, a true exit code, and never "missing"."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support import s3
from tests.support.checkout import ROOT
from tests.support.fault_proxy import fault_proxy
from tests.support.processes import Commands, Result

pytestmark = pytest.mark.processes

REGION, BUCKET = "eu-west-1", "the-bucket"
READER = {"AWS_ACCESS_KEY_ID": "READER", "AWS_SECRET_ACCESS_KEY": "the-readers-secret"}
GRANT = "Next: grant it in the policy (docs/operations.md has the least that suffices)"


@dataclass(frozen=True)
class Machine:
    """Commands in a directory of their own, on a server with users and a region of its own."""

    server: s3.Server
    commands: Commands

    def luigi(self, root: str = f"s3://{BUCKET}/lake", **environment: str) -> Result:
        asked = ["--module", "tasks", "BatchInference", "--date", "2026-03-01", "--lake-root", root]
        return self.commands.luigi(*asked, env=self.environment | environment)

    def daystone(self, *verb: str, root: str = f"s3://{BUCKET}/lake", **environment: str) -> Result:
        command = [sys.executable, str(ROOT / "run.py"), *verb, "--lake-root", root]
        return self.commands.run(command, env=self.environment | environment)

    @property
    def environment(self) -> dict[str, str]:
        state = {f"XDG_{name}_HOME": str(self.commands.cwd / name.lower()) for name in ("STATE", "CACHE")}
        return self.server.environment | {"AWS_REGION": REGION} | state

    def keys(self) -> list[str]:
        found = client(self.server).list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [item["Key"] for item in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """A server of another region, with a bucket in which a raw day has landed, and a user who may only read it."""
    home = tmp_path_factory.mktemp("europe")
    (home / "users").mkdir()
    with s3.versitygw(home, "--region", REGION, "--iam-dir", str(home / "users")) as server:
        owner = client(server)
        owner.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for feed in ("applications", "outcomes"):
            owner.put_object(Bucket=BUCKET, Key=f"lake/credit_risk/raw/{feed}/date=2026-01-01/_SUCCESS")
        add_user(server, READER)
        reads = {
            "Effect": "Allow",
            "Principal": {"AWS": [READER["AWS_ACCESS_KEY_ID"]]},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
        owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [reads]}))
        yield server


@pytest.fixture
def machine(server: s3.Server, tmp_path: Path) -> Machine:
    return Machine(server, Commands(tmp_path))


REFUSALS = {
    "wrong secret": (
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        BUCKET,
        "wanted the secret of the access key; found SignatureDoesNotMatch to ListObjectsV2 (The request signature we "
        "calculated does not match the signature you provided. Check your key and signing method.). Next: check "
        "AWS_SECRET_ACCESS_KEY or the profile",
    ),
    "unknown key": (
        {"AWS_ACCESS_KEY_ID": "NOBODY"},
        BUCKET,
        "wanted credentials that the server knows; found InvalidAccessKeyId to ListObjectsV2 (The AWS Access Key Id you "
        "provided does not exist in our records.). Next: check AWS_ACCESS_KEY_ID or the profile",
    ),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"},
        BUCKET,
        "wanted credentials from AWS's own chain; found none. Next: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "AWS_PROFILE, or the machine's role",
    ),
    "missing bucket": (
        {},
        "no-such-bucket",
        "wanted a bucket that exists; found NoSuchBucket to ListObjectsV2 (The specified bucket does not exist.). "
        "Next: make the bucket, or correct [lake] root (--lake-root)",
    ),
    "wrong region": (
        {"AWS_REGION": "us-east-1"},
        BUCKET,
        "wanted the bucket's own region; found AuthorizationHeaderMalformed to ListObjectsV2 (The authorization header is "
        'malformed; the region "us-east-1" is wrong; expecting "eu-west-1"). Next: set AWS_REGION to the region of the '
        "bucket",
    ),
}


@pytest.mark.parametrize(("environment", "bucket", "refusal"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_said_by_both_command_lines(
    machine: Machine, environment: dict[str, str], bucket: str, refusal: str
) -> None:
    both_say(machine, f"s3://{bucket}/lake", refusal, **environment)


def test_an_expired_token_is_said_by_both_command_lines(machine: Machine) -> None:
    with fault_proxy(machine.server) as proxy:
        fault = proxy.add("answer", times=1000, status=400, code="ExpiredToken")

        both_say(
            machine,
            f"s3://{BUCKET}/lake",
            "wanted a token that is valid; found ExpiredToken to ListObjectsV2 (of the fault proxy). Next: fetch new "
            "credentials, then run again",
            S3_ENDPOINT=proxy.server.endpoint,
        )

        assert fault.fired


def test_an_endpoint_where_nobody_listens_is_said_at_once(machine: Machine) -> None:
    endpoint = f"http://127.0.0.1:{s3.free_port()}"

    both_say(machine, f"s3://{BUCKET}/lake", no_connection(endpoint), S3_ENDPOINT=endpoint)


def test_a_server_that_is_away_is_named_with_the_variable_that_named_it(machine: Machine) -> None:
    endpoint = f"http://127.0.0.1:{s3.free_port()}"

    both_say(
        machine,
        f"s3://{BUCKET}/lake",
        no_connection(endpoint).replace("S3_ENDPOINT", "AWS_ENDPOINT_URL"),
        S3_ENDPOINT="",
        AWS_ENDPOINT_URL=endpoint,
    )


@pytest.mark.parametrize(
    ("environment", "refusal"),
    [
        (
            {"S3_ENDPOINT": "minio:9000"},
            "S3_ENDPOINT: wanted http:// or https:// and the address, as in http://minio:9000; found 'minio:9000', "
            "without a scheme. Next: correct S3_ENDPOINT",
        ),
        (
            {"AWS_PROFILE": "nobody", "AWS_CONFIG_FILE": "/nowhere"},
            "AWS_PROFILE: wanted a profile of AWS's files (~/.aws/config, ~/.aws/credentials); found 'nobody'; there are: "
            "none. Next: correct it, or unset AWS_PROFILE",
        ),
    ],
    ids=["endpoint", "profile"],
)
def test_what_names_no_server_is_refused_by_both_command_lines_and_doctor(
    machine: Machine, environment: dict[str, str], refusal: str
) -> None:
    environment = {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere"} | environment

    luigi = machine.luigi(**environment)
    run = machine.daystone("run", "--date", "2026-03-01", **environment)
    doctor = machine.daystone("doctor", **environment)

    assert (luigi.code, luigi.last_error, luigi.stderr.count("ERROR: ")) == (30, refusal, 1)
    assert "Traceback" not in luigi.stderr
    assert (run.code, run.stderr) == (31, f"Error: {refusal}\n")
    assert (doctor.code, doctor.stdout.splitlines()[-1]) == (1, f"!! s3               {refusal}")


def test_an_endpoint_of_an_option_is_refused_by_its_name(machine: Machine) -> None:
    command = ["--module", "tasks", "BatchInference", "--date", "2026-03-01", "--lake-root", f"s3://{BUCKET}/lake"]

    refused = machine.commands.luigi(*command, "--lake-endpoint", "minio:9000", env=machine.environment)

    assert (refused.code, refused.last_error) == (
        30,
        "--lake-endpoint: wanted http:// or https:// and the address, as in http://minio:9000; found 'minio:9000', without "
        "a scheme. Next: correct --lake-endpoint",
    )


def test_doctor_says_which_server_is_asked_and_by_whose_word(machine: Machine) -> None:
    doctor = machine.daystone("doctor", S3_ENDPOINT="", AWS_ENDPOINT_URL=machine.server.endpoint)

    assert (
        f"ok s3               {machine.server.endpoint}, by AWS_ENDPOINT_URL; region eu-west-1, by AWS_REGION; credentials "
        "by env" in doctor.stdout
    )


def test_an_endpoint_that_never_answers_is_said_within_15_seconds(machine: Machine) -> None:
    _, starting = timed(machine, f"http://127.0.0.1:{s3.free_port()}")  # what a busy machine takes to start the command
    with silence() as endpoint:
        result, taken = timed(machine, endpoint)

    assert result.code == 36
    assert result.stderr.endswith(f"{no_connection(endpoint)}\n")
    assert 3 < taken < 15 + starting


def timed(machine: Machine, endpoint: str) -> tuple[Result, float]:
    begun = time.monotonic()
    result = machine.daystone("status", S3_ENDPOINT=endpoint)
    return result, time.monotonic() - begun


def test_who_may_only_read_sees_what_is_there_and_publishes_nothing(machine: Machine) -> None:
    before = machine.keys()
    denied = f"wanted permission; found AccessDenied to PutObject (Access Denied.). {GRANT}"

    status = machine.daystone("status", **READER)
    doctor = machine.daystone("doctor", **READER)
    built = machine.commands.luigi(
        "--module", "tests.unit.stubs.quick", "Leaf", "--date", "2026-01-01", "--lake-root", f"s3://{BUCKET}/lake",
        env=machine.environment | READER,
    )  # fmt: skip

    assert status.code == 0
    assert ["2026-01-01", "landed", "missing"] in [line.split()[:3] for line in status.stdout.splitlines()], (
        status.stdout
    )
    (wrong,) = (line for line in doctor.stdout.splitlines() if line.startswith("!! "))
    assert doctor.code == 1
    assert wrong.startswith(f"!! lake             s3://{BUCKET}/lake/.probe-")
    assert wrong.endswith(denied)
    assert built.code == 30
    assert built.last_error.startswith(f"Leaf of 2026-01-01: s3://{BUCKET}/lake/.probe-")
    assert built.last_error.endswith(denied)
    assert machine.keys() == before


def both_say(machine: Machine, root: str, refusal: str, **environment: str) -> None:
    luigi = machine.luigi(root, **environment)
    status = machine.daystone("status", root=root, **environment)

    assert (luigi.code, luigi.last_error) == (
        35,
        f"BatchInference of 2026-03-01: {root}/credit_risk/predictions: {refusal}",
    )
    assert (status.code, status.stdout) == (36, "")
    assert status.stderr.splitlines()[-1].partition("/credit_risk/")[2].partition(": ")[2] == refusal


def no_connection(endpoint: str) -> str:
    return f"wanted an answer from {endpoint}; found no connection. Next: check S3_ENDPOINT and the network, then run again"


@contextmanager
def silence() -> Iterator[str]:
    """An endpoint as behind a firewall that drops: a listener whose queue is full, so that no connection is answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for client_ in waiting:
                client_.setblocking(False)
                client_.connect_ex(listener.getsockname())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for client_ in waiting:
                client_.close()


def client(server: s3.Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=s3.ACCESS_KEY,
        aws_secret_access_key=s3.SECRET_KEY,
        region_name=REGION,
    )


def add_user(server: s3.Server, keys: dict[str, str]) -> None:
    command = [s3.program(), "admin", "--access", s3.ACCESS_KEY, "--secret", s3.SECRET_KEY, "--region", REGION]
    command += ["--endpoint-url", server.endpoint, "create-user", "--role", "user"]
    command += ["--access", keys["AWS_ACCESS_KEY_ID"], "--secret", keys["AWS_SECRET_ACCESS_KEY"]]
    subprocess.run(command, check=True, capture_output=True)
