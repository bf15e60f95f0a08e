"""``doctor --spark``: the lake tried from executors, whose environment and disk are not the driver's."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from spark_lib.lake.stores import s3_client
from spark_lib.session import executors
from tests.support import s3
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Commands, Result

CLUSTER = "local-cluster[1,1,1024]"
QUICK = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


def test_a_local_lake_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    result = doctor(tmp_path, f"{tmp_path}/lake", "local[2]", {})

    line = line_of("executors", result)
    assert line.startswith("ok executors        of local[2]: Python 3.")
    assert line.endswith(f" on {platform.node()}, and Spark write and read {tmp_path}/lake")
    assert list((tmp_path / "lake").iterdir()) == []


def test_executors_of_a_cluster_find_the_endpoint_of_the_configuration(tmp_path: Path, versitygw: s3.Server) -> None:
    bucket = versitygw.new_bucket()
    environment = {name: value for name, value in versitygw.environment.items() if name != "S3_ENDPOINT"}

    result = doctor(
        tmp_path, f"s3://{bucket}/lake", CLUSTER, environment, "--set", f"lake.endpoint={versitygw.endpoint}"
    )

    line = line_of("executors", result)
    assert line.startswith(f"ok executors        of {CLUSTER}: Python 3.")
    assert line.endswith(f", credentials by env, and Spark write and read s3://{bucket}/lake")
    assert "Contents" not in versitygw.client().list_objects_v2(Bucket=bucket)
    assert s3.SECRET_KEY not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("theirs", "refusal"),
    [
        (
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            "wanted the secret of the access key; found SignatureDoesNotMatch to GetObject (The request signature we "
            "calculated does not match the signature you provided. Check your key and signing method.). Next: check "
            "AWS_SECRET_ACCESS_KEY or the profile, of the executors: this process reaches the lake",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": "", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"},
            "wanted credentials from AWS's own chain; found none. Next: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role, of the executors: this process reaches the lake",
        ),
    ],
    ids=["wrong secret", "no credentials"],
)
def test_it_is_the_executors_that_lack_them(
    tmp_path: Path, versitygw: s3.Server, theirs: dict[str, str], refusal: str
) -> None:
    bucket = versitygw.new_bucket()
    options = [f'"spark.executorEnv.{name}": "{value}"' for name, value in theirs.items()]

    result = doctor(
        tmp_path,
        f"s3://{bucket}/lake",
        CLUSTER,
        versitygw.environment,
        "--set",
        f"spark.conf={{{', '.join(options)}}}",
    )

    assert result.code == 1
    assert line_of("lake", result).startswith("ok ")
    line = line_of("executors", result)
    assert line.startswith(f"!! executors        s3://{bucket}/lake/.probe-")
    assert line.endswith(f"/driver (Python of the executors, on {platform.node()}): {refusal}")
    assert "Contents" not in versitygw.client().list_objects_v2(Bucket=bucket)


def test_a_directory_that_executors_do_not_share_is_no_lake(tmp_path: Path) -> None:
    """What a worker on another machine sees of a lake in a directory of the driver's."""
    seen = executors.look(str(tmp_path / "of another machine"), ".probe-1", s3_client.connection())

    assert str(seen.refused) == (
        f"{tmp_path}/of another machine on {platform.node()}: wanted the place that the driver writes to; found another "
        "one: what either writes the other does not find. Next: put the lake where every machine finds it: a file system "
        "that all mount at this path, or s3://"
    )


def doctor(home: Path, root: str, master: str, environment: dict[str, str], *options: str) -> Result:
    command = [sys.executable, str(ROOT / "run.py"), "doctor", "--spark", "--lake-root", root]
    own = {"XDG_STATE_HOME": str(home / "state"), "SPARK_LOCAL_IP": "127.0.0.1", **QUICK, **environment}
    return Commands(home).run([*command, "--set", f"spark.master={master}", *options], env=own, timeout=PATIENCE)


def line_of(what: str, result: Result) -> str:
    """The finding about a thing, of which there is one."""
    found = [line for line in result.stdout.splitlines() if line[3:].startswith(f"{what} ")]
    assert len(found) == 1, result.stdout + result.stderr
    return found[0]
