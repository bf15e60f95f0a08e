"""No secret leaves the environment that it came in: a run with marked credentials, searched in every place that shows."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from tests.chain.observed import Observed
from tests.support import s3

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
WRONG = "daystone-wrong-secret-5e1b/+="


@pytest.fixture(scope="module")
def places(observed: Observed) -> list[tuple[str, bytes]]:
    return list(observed.everything())


def test_the_secret_of_a_run_is_nowhere(places: list[tuple[str, bytes]]) -> None:
    assert holding(s3.SECRET_KEY, places) == []


def test_the_access_key_of_a_run_is_nowhere_either(places: list[tuple[str, bytes]]) -> None:
    assert holding(s3.ACCESS_KEY, places) == []


def test_a_refused_secret_is_in_no_message_and_no_log(observed: Observed) -> None:
    refused = observed.chain.luigi("BatchInference", "--date", "2026-01-27", env={"AWS_SECRET_ACCESS_KEY": WRONG})

    assert refused.code == 35
    assert "SignatureDoesNotMatch" in refused.stderr
    assert holding(WRONG, observed.everything()) == []


def test_the_search_looked_at_every_place(observed: Observed, places: list[tuple[str, bytes]]) -> None:
    """That a page, a log or an object holds what it is known to hold: nothing was found because nothing is there."""
    pages = {
        f"Spark of {case} {page}"
        for case in ("credit_risk", "churn:Churn")
        for page in ("/environment/", "environment")
    }
    assert pages <= set(holding("spark.app.name", places))
    assert any("/events/" in place for place in holding("fs.s3a.committer.name", places))
    assert "luigid task_list" in holding(observed.chain.url, places)
    for asked in ("Everything", "BatchInference"):
        assert any(place.startswith("command ") for place in holding(asked, places))
    manifests = holding("FeatureEngineering", places)
    assert any(place.startswith("object ") and place.endswith("/_SUCCESS") for place in manifests)
    assert any(place.endswith(".log") for place, _ in places)
    assert any(place.endswith("luigid/log") for place, _ in places)


def test_a_secret_that_is_planted_is_found(observed: Observed) -> None:
    client, logs = observed.proxy.server.client(), observed.chain.scratch / "state"
    client.put_object(
        Bucket=observed.bucket, Key="lake/credit_risk/planted", Body=b"{'secret': 'planted-in-an-object'}"
    )
    client.put_object(Bucket=observed.bucket, Key="lake/credit_risk/planted-in-a-key", Body=b"")
    (logs / "planted.log").write_text("INFO planted-in-a-log\n")
    (logs / "planted-in-a-path").touch()
    told = {"secret": "planted-in-a-parameter"}
    observed.luigid.ask("add_task", task_id="Planted", worker="test", status="DONE", family="Planted", params=told)

    places = list(observed.everything())
    for key in ("planted", "planted-in-a-key"):
        client.delete_object(Bucket=observed.bucket, Key=f"lake/credit_risk/{key}")

    assert holding("planted-in-an-object", places) == ["object lake/credit_risk/planted"]
    assert "key lake/credit_risk/planted-in-a-key" in holding("planted-in-a-key", places)
    assert holding("planted-in-a-log", places) == [f"{logs}/planted.log"]
    assert f"path {logs}/planted-in-a-path" in holding("planted-in-a-path", places)
    assert "luigid task_list" in holding("planted-in-a-parameter", places)


@pytest.mark.parametrize("form", [b"a/s+cret=", base64.b64encode(b"a/s+cret="), b"a/s%2Bcret%3D", b"a%2Fs%2Bcret%3D"])
def test_a_secret_is_found_in_every_form(form: bytes) -> None:
    assert holding("a/s+cret=", [("here", b"<td>" + form + b"</td>"), ("there", b"nothing")]) == ["here"]


def test_every_process_of_a_run_listens_on_this_machine_only(observed: Observed) -> None:
    assert observed.addresses
    assert observed.addresses <= LOOPBACK


def holding(secret: str, places: Iterable[tuple[str, bytes]]) -> list[str]:
    """The places in which a secret is, as it is, in base64 or escaped for a url."""
    forms = {secret.encode(), quote(secret).encode(), quote(secret, safe="").encode()}
    forms |= {base64.b64encode(secret.encode())}
    return [place for place, content in places if any(form in content for form in forms)]
