"""The manifest as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.lake.manifest import File, Input, Manifest, Schema, parse, schema_hash, to_rebuild

SOME = Manifest(
    run="0123456789abcdef",
    stage="FeatureEngineering",
    files=(File("run=0123456789abcdef/part-0.parquet", 812, "sha256:ab", 3),),
    sections=("",),
    schema=(("id", "bigint"), ("score", "double")),
    settings={"trees": 20},
    code={"package": "0.1.0"},
    inputs=(Input("raw/applications", date(2026, 1, 1), date(2026, 1, 2), ("aa", "bb")),),
    versions={"pyspark": "4.1.2"},
    seconds=1.5,
    metrics={"nulls": {"age": 0}},
)

text = st.text(max_size=8)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(text, json_values, max_size=3)
sizes = st.integers(0, 2**63)
manifests = st.builds(
    Manifest,
    run=text,
    stage=text,
    files=st.lists(st.builds(File, text, sizes, text, st.none() | sizes, text, text), max_size=3).map(tuple),
    schema=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    settings=objects,
    code=st.dictionaries(text, text, max_size=3),
    inputs=st.lists(
        st.builds(Input, text, st.dates(), st.dates(), *[st.lists(text, max_size=3).map(tuple)] * 2), max_size=2
    ).map(tuple),
    versions=st.dictionaries(text, text, max_size=3),
    seconds=st.floats(0, 1e6),
    metrics=objects,
    digest=text,
)


@pytest.mark.slow
@given(manifests)
def test_a_manifest_survives_json(manifest: Manifest) -> None:
    assert parse(manifest.to_json(), "here") == manifest


@pytest.mark.slow
@given(manifests)
def test_a_manifest_is_ascii_json_and_always_the_same_bytes(manifest: Manifest) -> None:
    body = manifest.to_json()

    assert body.isascii()
    assert parse(body, "here").to_json() == body


def test_the_format_is_what_readers_of_other_languages_find_documented() -> None:
    document = json.loads(SOME.to_json())

    assert document == {
        "format": 1,
        "run": "0123456789abcdef",
        "stage": "FeatureEngineering",
        "files": [
            {
                "path": "run=0123456789abcdef/part-0.parquet",
                "size": 812,
                "checksum": "sha256:ab",
                "rows": 3,
                "section": "",
                "etag": "",
                "footer": "",
            }
        ],
        "sections": [""],
        "schema": [["id", "bigint"], ["score", "double"]],
        "schema_hash": schema_hash(SOME.schema),
        "settings": {"trees": 20},
        "code": {"package": "0.1.0"},
        "inputs": [
            {
                "name": "raw/applications",
                "first": "2026-01-01",
                "last": "2026-01-02",
                "ids": ["aa", "bb"],
                "digests": [],
            }
        ],
        "versions": {"pyspark": "4.1.2"},
        "seconds": 1.5,
        "metrics": {"nulls": {"age": 0}},
        "digest": "",
    }


def test_a_manifest_of_another_format_is_left_to_the_version_that_wrote_it() -> None:
    body = json.dumps(json.loads(SOME.to_json()) | {"format": 3}).encode()

    with pytest.raises(LakeError) as caught:
        parse(body, "/lake/x/features/date=2026-01-01/_SUCCESS")

    assert str(caught.value) == (
        "/lake/x/features/date=2026-01-01/_SUCCESS: wanted a manifest of format 2; found format 3. Next: read it with the Daystone that wrote it"
    )


def test_fields_of_a_later_version_are_ignored_wherever_they_stand() -> None:
    document = json.loads(SOME.to_json()) | {"sketches": "ab"}
    document["files"][0]["sketch"] = [1, 2]
    document["inputs"][0]["sections"] = ["cd"]

    assert parse(json.dumps(document).encode(), "here") == SOME


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        (b"{}", "KeyError: 'format'"),
        (b"7", "TypeError: 'int' object is not subscriptable"),
        (SOME.to_json()[:-9], None),
        (b"\xff\xfe", None),
        (b'["format"]', None),
    ],
)
def test_what_is_no_manifest_is_damage(body: bytes, found: str | None) -> None:
    with pytest.raises(DamagedPartition) as caught:
        parse(body, "/lake/x/features/date=2026-01-01/_SUCCESS")

    assert str(caught.value) == (
        f"/lake/x/features/date=2026-01-01/_SUCCESS: wanted a manifest; found {found or caught.value.found}. "
        "Next: find out what wrote it, then build the day anew (daystone rebuild features --date 2026-01-01)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"schema": [["id", "int"], ["score", "double"]]},
        {"schema_hash": "0"},
        {"files": [{"path": "a"}]},
        {"inputs": [{"name": "a", "first": "today", "last": "2026-01-01", "ids": []}]},
        {"format": "1"},
        {"run": None, "files": None},
    ],
)
def test_a_manifest_that_was_changed_by_hand_is_damage(change: dict[str, Any]) -> None:
    with pytest.raises(DamagedPartition, match="wanted a manifest; found"):
        parse(json.dumps(json.loads(SOME.to_json()) | change).encode(), "here")


@pytest.mark.slow
@given(manifests)
def test_every_manifest_cut_short_is_damage(manifest: Manifest) -> None:
    body = manifest.to_json()

    with pytest.raises(DamagedPartition):
        parse(body[: len(body) // 2], "here")


def test_rows_are_counted_by_section() -> None:
    files = (File("a", 1, "", 2, "train"), File("b", 1, "", 3, "train"), File("c", 1, "", 4), File("d", 1, "", None))
    manifest = replace(SOME, files=files)

    assert (manifest.rows(), manifest.rows("train"), manifest.rows(""), manifest.rows("none")) == (9, 5, 4, 0)


def test_the_same_work_is_the_same_after_json() -> None:
    wide = replace(SOME, settings={"bounds": (1, 2)})

    assert wide.same_work(parse(wide.to_json(), "here"))
    assert parse(wide.to_json(), "here").same_work(wide)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"run": "f", "seconds": 9.0, "metrics": {}, "versions": {}, "files": ()}, True),
        ({"settings": {"trees": 21}}, False),
        ({"code": {}}, False),
        ({"inputs": ()}, False),
    ],
)
def test_inputs_settings_and_code_decide_whether_work_is_the_same(change: dict[str, Any], same: bool) -> None:
    assert SOME.same_work(replace(SOME, **change)) == same


@given(schema=st.lists(st.tuples(text, text), min_size=2, max_size=4, unique=True))
def test_the_hash_of_a_schema_knows_its_order(schema: list[tuple[str, str]]) -> None:
    assert schema_hash(tuple(schema)) != schema_hash(tuple(reversed(schema)))


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(SOME, metrics={"auc": float("nan")}).to_json()


def test_a_manifest_with_a_section_of_other_columns_is_of_a_format_that_an_older_reader_refuses() -> None:
    rules: Schema = (("a", "string"), ("rule", "string"))
    both = replace(SOME, sections=("", "quarantine"), schemas={"quarantine": rules})

    read = parse(both.to_json(), "x")

    assert json.loads(both.to_json())["format"] == 2
    assert read == both
    assert read.schema_of("quarantine") == rules
    assert read.schema_of("") == SOME.schema


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("/lake/x/features/date=2026-01-01/_SUCCESS", "daystone rebuild features --date 2026-01-01"),
        (
            "/lake/x/clean/loans of banks/date=2026-01-01/run=1",
            "daystone rebuild 'clean/loans of banks' --date 2026-01-01",
        ),
    ],
)
def test_the_command_that_builds_a_day_again_follows_from_its_path(where: str, command: str) -> None:
    assert to_rebuild(where) == command
