"""``sample``: days that land where the chain looks for them, and the command that comes next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import s3
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


def test_the_sample_lands_and_the_next_command_is_printed(daystone: Verbs) -> None:
    result = daystone("sample", "--days", 60, "--rows-per-day", 2)

    flags = sorted(daystone.root.glob("credit_risk/raw/*/date=*/_SUCCESS"))
    assert (result.code, result.stderr) == (0, "")
    assert len(flags) == 120
    assert (daystone.root / "credit_risk" / "truth" / "date=2026-03-01").is_dir()
    assert result.stdout.splitlines() == [
        f"60 days of 2 applications have landed in {daystone.root}/credit_risk/raw",
        "next:",
        f"  daystone run --date 2026-03-01 --lake-root {daystone.root}",
    ]


def test_another_first_day_than_the_use_cases_own_is_in_the_next_command(daystone: Verbs) -> None:
    result = daystone("sample", "--from", "2025-03-01", "--days", 60, "--rows-per-day", 1)

    assert shlex.split(result.stdout.splitlines()[-1])[-2:] == ["--set", "pipeline.first_date=2025-03-01"]


def test_another_use_case_than_the_configurations_is_in_the_next_command(daystone: Verbs) -> None:
    config = daystone.home / "mine.cfg"
    config.write_text("[pipeline]\nuse_case = my_company.churn:Churn\n")

    result = daystone("sample", "--days", 60, "--rows-per-day", 1, LUIGI_CONFIG_PATH=str(config))

    assert result.stdout.splitlines()[-1] == (
        f"  daystone run --date 2026-03-01 --lake-root {daystone.root} --use-case credit_risk"
    )


@pytest.mark.parametrize(
    ("section", "setting", "refusal"),
    [
        (
            "raw.applications",
            "path = {root}/landing/{feed}/{date:%%Y-%%m-%%d}",
            "path: wanted its default, '{root}/{use_case}/raw/{feed}/date={date:%Y-%m-%d}', by which the sample lands; "
            "found '{root}/landing/{feed}/{date:%Y-%m-%d}'",
        ),
        ("raw", "flag = _DONE", "flag: wanted its default, '_SUCCESS', by which the sample lands; found '_DONE'"),
        (
            "raw.outcomes.credit_risk",
            "profile = landing",
            "profile: wanted none, as the sample lands in the lake; found 'landing'",
        ),
    ],
    ids=["path", "flag", "profile"],
)
def test_a_sample_that_the_chain_would_look_for_elsewhere_is_refused(
    daystone: Verbs, section: str, setting: str, refusal: str
) -> None:
    config = daystone.home / "mine.cfg"
    config.write_text(f"[{section}]\n{setting}\n")

    result = daystone("sample", "--days", 3, "--rows-per-day", 1, LUIGI_CONFIG_PATH=str(config))

    assert (result.code, last_line(result)) == (
        31,
        f"Error: [{section}] {refusal}. Next: land a sample without this setting, as in a configuration of its own",
    )
    assert not list(daystone.root.rglob("_SUCCESS"))


def test_a_sample_that_is_too_short_for_a_model_says_up_to_when_it_has_to_reach(daystone: Verbs) -> None:
    result = daystone("sample", "--days", 10, "--rows-per-day", 1)

    assert "a first model can be trained on 2026-02-23" in result.stdout.splitlines()[-1]


def test_a_sample_is_never_written_over_landed_data(daystone: Verbs) -> None:
    daystone.land("2026-01-02", 1)

    result = daystone("sample", "--days", 3, "--rows-per-day", 1)

    assert result.code == 31
    assert "sample data never mixes with landed data" in last_line(result)


@pytest.fixture
def proxy(versitygw: s3.Server) -> Iterator[FaultProxy]:
    """versitygw behind a proxy, which the verbs talk to."""
    with fault_proxy(versitygw) as between:
        yield between


def objects(server: s3.Server, root: str) -> dict[str, tuple[bytes, object]]:
    """Every object of a lake by its key, with when it was written."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    client = server.client()
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for item in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            found[item["Key"].removeprefix(f"{prefix}/")] = body, item["LastModified"]
    return found


def test_a_sample_on_s3_is_the_one_of_a_directory_and_a_second_call_writes_nothing(
    daystone: Verbs, proxy: FaultProxy
) -> None:
    root, asked = f"s3://{proxy.server.new_bucket()}/a lake", ["--days", 9, "--rows-per-day", 5, "--seed", 3]
    daystone("sample", *asked)
    on_disk = {
        str(path.relative_to(daystone.root)): path.read_bytes() for path in daystone.root.rglob("*") if path.is_file()
    }

    result = daystone("sample", *asked, "--lake-root", root, **proxy.server.environment)

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f"9 days of 5 applications have landed in {root}/credit_risk/raw"
    written = objects(proxy.server, root)
    assert {key: body for key, (body, _) in written.items()} == on_disk
    puts = [key for kind, key in proxy.log if kind == "PUT"]
    flags = [at for at, key in enumerate(puts) if key.endswith("applications/date=2026-01-02/_SUCCESS")]
    assert flags == [max(at for at, key in enumerate(puts) if "applications/date=2026-01-02/" in key)]

    again = daystone("sample", *asked, "--lake-root", root, **proxy.server.environment)

    assert again.stdout == result.stdout
    assert objects(proxy.server, root) == written


def test_a_sample_on_s3_that_was_interrupted_goes_on_where_it_stopped(daystone: Verbs, proxy: FaultProxy) -> None:
    root, asked = f"s3://{proxy.server.new_bucket()}/lake", ["--days", 4, "--rows-per-day", 5]
    whole, options = f"s3://{proxy.server.new_bucket()}/lake", proxy.server.environment
    daystone("sample", *asked, "--lake-root", whole, **options)
    proxy.add("answer", kind="PUT", key="applications/date=2026-01-03/part", status=403, code="AccessDenied")

    stopped = daystone("sample", *asked, "--lake-root", root, **options)

    assert stopped.code == 36
    assert last_line(stopped) == (
        f"Error: {root}/credit_risk/raw/applications/date=2026-01-03/part-00000.parquet: wanted permission; found "
        "AccessDenied to PutObject (of the fault proxy). Next: grant it in the policy (docs/operations.md has the least that "
        "suffices)"
    )
    before = objects(proxy.server, root)
    assert "credit_risk/raw/outcomes/date=2026-01-02/_SUCCESS" in before
    assert "credit_risk/raw/applications/date=2026-01-03/_SUCCESS" not in before

    assert daystone("sample", *asked, "--lake-root", root, **options).code == 0

    after = objects(proxy.server, root)
    assert {key: body for key, (body, _) in after.items()} == {
        key: body for key, (body, _) in objects(proxy.server, whole).items()
    }
    assert all(after[key] == before[key] for key in before if "date=2026-01-03" not in key)


def test_a_sample_on_s3_is_never_written_over_landed_data_or_another_sample(
    daystone: Verbs, versitygw: s3.Server
) -> None:
    bucket = versitygw.new_bucket()
    theirs = "credit_risk/raw/outcomes/date=2026-01-02"
    versitygw.client().put_object(Bucket=bucket, Key=f"lake/{theirs}/part.parquet", Body=b"theirs")

    refused = daystone("sample", "--days", 3, "--lake-root", f"s3://{bucket}/lake", **versitygw.environment)

    assert refused.code == 31
    assert last_line(refused) == (
        f"Error: s3://{bucket}/lake/{theirs}: wanted an empty directory, or one of a sample; found files, and no sample.json "
        f"in s3://{bucket}/lake/credit_risk/truth. Next: use another lake root; sample data never mixes with landed data"
    )
    assert list(objects(versitygw, f"s3://{bucket}/lake")) == [f"{theirs}/part.parquet"]

    daystone("sample", "--days", 1, "--rows-per-day", 1, "--lake-root", f"s3://{bucket}/other", **versitygw.environment)
    other = daystone(
        "sample", "--days", 1, "--rows-per-day", 2, "--lake-root", f"s3://{bucket}/other", **versitygw.environment
    )

    assert other.code == 31
    assert "use that sample's arguments (more days extend it), or another lake root" in last_line(other)


def test_a_sample_of_products_lands_as_csv_up_to_the_first_day_with_a_model(daystone: Verbs) -> None:
    result = daystone("sample", "--use-case", "product_category", "--rows-per-day", 2)

    assert (result.code, result.stderr) == (0, "")
    assert len(list(daystone.root.glob("product_category/raw/products/date=*/_SUCCESS"))) == 61
    assert result.stdout.splitlines() == [
        f"61 days of 2 products have landed in {daystone.root}/product_category/raw",
        "next:",
        f"  daystone run --date 2026-03-02 --lake-root {daystone.root} --use-case product_category",
    ]
    (file,) = daystone.root.glob("product_category/raw/products/date=2026-01-01/part-*")
    assert file.read_bytes().startswith(b"id_produto;nome;descricao;categoria;cadastro\nP")


def test_a_sample_that_the_chain_would_read_by_other_rules_is_refused(daystone: Verbs) -> None:
    config = daystone.home / "mine.cfg"
    config.write_text("[raw.products]\nseparator = ,\n")

    result = daystone("sample", "--use-case", "product_category", "--days", 1, LUIGI_CONFIG_PATH=str(config))

    assert (result.code, last_line(result)) == (
        31,
        "Error: [raw.products] separator: wanted its default, ';', by which the sample lands; found ','. Next: land a sample "
        "without this setting, as in a configuration of its own",
    )
    assert not list(daystone.root.rglob("_SUCCESS"))
