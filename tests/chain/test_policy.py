"""The least policy of docs/operations.md, held against the requests that a run, a rebuild and gc made: each is allowed, and
nothing is allowed that nobody needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from time import sleep
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.chain.chains import MONDAY
from tests.chain.observed import Observed
from tests.support.processes import ROOT

OF_GC = "Gc"  # begins the name of each statement that only gc needs
#: An action, and what it was done to: a key, or the prefix of a listing.
Deed = tuple[str, str]


@pytest.fixture(scope="module")
def statements() -> list[dict[str, Any]]:
    """The policy of the document, for a lake at s3://BUCKET/lake."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (policy,) = re.findall(r"```json\n(.*?\"Statement\".*?)```", text, flags=re.DOTALL)
    found: list[dict[str, Any]] = json.loads(policy.replace("PREFIX", "lake"))["Statement"]
    return found


@pytest.fixture(scope="module")
def done(observed: Observed) -> dict[str, set[Deed]]:
    """What each command did: the run, a rebuild, ``status --verify``, and gc with a superseded run and a pending upload."""
    client, requests = observed.proxy.server.client(), observed.proxy.requests
    found = {"run": set(deeds(observed.requests["run"]))}
    for name, verb in {
        "rebuild": ["rebuild", "selection", "--date", MONDAY],
        "verify": ["status", "--verify", "--from", MONDAY, "--to", MONDAY],
        "gc": ["gc", "--yes", "--set", "lake.max_attempt_hours=0.0001"],
    }.items():
        if name == "gc":
            key = f"lake/credit_risk/predictions/date={MONDAY}/run={'0f' * 8}/part-0.parquet"
            client.create_multipart_upload(Bucket=observed.bucket, Key=key)
            sleep(2)  # older than two attempts of that length
        begun = len(requests)
        result = observed.daystone(*verb)
        assert result.code == 0, result.stderr
        found[name] = set(deeds(requests[begun:]))
    return found


def test_a_run_and_a_rebuild_are_allowed_all_they_ask_for(
    statements: list[dict[str, Any]], done: dict[str, set[Deed]]
) -> None:
    without_gc = [statement for statement in statements if not statement["Sid"].startswith(OF_GC)]

    refused = {deed for name in ("run", "rebuild", "verify") for deed in done[name] if not allowed(deed, without_gc)}

    assert refused == set()


def test_gc_is_allowed_all_it_asks_for_by_one_more_statement(
    statements: list[dict[str, Any]], done: dict[str, set[Deed]]
) -> None:
    without = [statement for statement in statements if not statement["Sid"].startswith(OF_GC)]

    assert {deed for deed in done["gc"] if not allowed(deed, statements)} == set()
    assert {action for action, _ in done["gc"] if not allowed_action(action, without)} == {"s3:AbortMultipartUpload"}


def test_nothing_is_allowed_that_nobody_needs(statements: list[dict[str, Any]], done: dict[str, set[Deed]]) -> None:
    every = set().union(*done.values())

    unused = [
        (statement["Sid"], action, resource)
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not any(covers(statement | {"Action": action, "Resource": resource}, deed) for deed in every)
    ]

    assert unused == []


def test_a_policy_without_a_needed_right_would_be_noticed(
    statements: list[dict[str, Any]], done: dict[str, set[Deed]]
) -> None:
    for left_out in ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"):
        less = [
            statement | {"Action": [action for action in listed(statement["Action"]) if action != left_out]}
            for statement in statements
        ]
        assert any(not allowed(deed, less) for deed in done["run"]), left_out


def deeds(requests: list[tuple[str, str, bytes]]) -> Iterator[Deed]:
    """Requests as policies name them."""
    for method, target, body in requests:
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        assert bucket, target
        if method == "POST" and "delete" in query:
            yield from (("s3:DeleteObject", name) for name in re.findall(r"<Key>(.*?)</Key>", body.decode()))
        elif not key:
            action = {("GET", True): "s3:ListBucketMultipartUploads", ("GET", False): "s3:ListBucket"}
            assert method in ("GET", "HEAD"), (method, target)
            yield action["GET", "uploads" in query], query.get("prefix", [""])[0]
        elif method == "DELETE":
            yield ("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"), key
        elif method in ("PUT", "POST"):
            yield "s3:PutObject", key
        else:
            assert method in ("GET", "HEAD"), (method, target)
            yield "s3:GetObject", key


def allowed(deed: Deed, statements: list[dict[str, Any]]) -> bool:
    effects = {statement["Effect"] for statement in statements if covers(statement, deed)}
    return effects == {"Allow"}


def allowed_action(action: str, statements: list[dict[str, Any]]) -> bool:
    return any(action in listed(each["Action"]) for each in statements if each["Effect"] == "Allow")


def covers(statement: dict[str, Any], deed: Deed) -> bool:
    """Whether a statement speaks of a deed: its action, its resource, and of a listing its prefix."""
    action, what = deed
    if action not in listed(statement["Action"]):
        return False
    of_bucket = action.startswith("s3:ListBucket")
    arn = "arn:aws:s3:::BUCKET" if of_bucket else f"arn:aws:s3:::BUCKET/{what}"
    if not any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"])):
        return False
    prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
    return not of_bucket or any(fnmatchcase(what, pattern) for pattern in listed(prefixes))


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
