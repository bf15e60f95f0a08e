"""What the service answers: to good rows, to bad ones, without a model, and to whoever has no token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from spark_lib.errors import DamagedPartition
from spark_lib.lake import Lake
from spark_lib.rest.app import Limits
from spark_lib.rest.current import Current, Slot
from tests.unit.rest.conftest import Service
from tests.unit.rest.served import DAY, NEXT_DAY, Served, drawn

TOKEN = "a-token-of-some-length"
ROW = {
    "amount": 12.5,
    "rate": "1.250",
    "months": 12,
    "customer no": 7,
    "is_new": True,
    "share": 0.5,
    "kind": "repair",
}
NO_MODEL = {"status": "no model", "detail": "no released day yet, or its model cannot be loaded"}


def faults(service: Service, served: Served, body: Any, **more: Any) -> list[dict[str, Any]]:
    """What is wrong with a body, which is answered by 422."""
    headers = {"content-type": "application/json"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = service(served, **more).post("/predictions", content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    found: list[dict[str, Any]] = answer.json()["detail"]
    return found


WHOLE = "a whole number from -2147483648 to 2147483647"


@pytest.mark.parametrize(
    ("column", "value", "wanted", "found"),
    [
        ("months", None, WHOLE, "null"),
        ("months", 1.5, WHOLE, "1.5"),
        ("months", 1.0, WHOLE, "1.0"),
        ("months", 2**31, WHOLE, "2147483648"),
        ("months", "12", WHOLE, "a text"),
        ("months", True, WHOLE, "true"),
        ("months", [], WHOLE, "an array"),
        ("months", {}, WHOLE, "an object"),
        ("months", 10**400, WHOLE, "a number that is too large"),
        ("amount", "1", "a number, or null", "a text"),
        ("amount", False, "a number, or null", "false"),
        ("amount", 10**400, "a number, or null", "a number that no double holds"),
        ("share", 1e39, "a number that a FLOAT holds, or null", "a number that is too large"),
        ("is_new", 1, "true or false, or null", "1"),
        ("kind", 3, "a text, or null", "3"),
        ("rate", "1,5", "a number of at most 3 digits before the point and 3 behind it, or null", "a text"),
        ("rate", 1.2345, "a number of at most 3 digits before the point and 3 behind it, or null", "1.2345"),
        ("rate", 1000, "a number of at most 3 digits before the point and 3 behind it, or null", "1000"),
        ("rate", "NaN", "a number of at most 3 digits before the point and 3 behind it, or null", "a text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_row_and_column(
    served: Served, service: Service, column: str, value: Any, wanted: str, found: str
) -> None:
    assert faults(service, served, [ROW, ROW | {column: value}]) == [
        {"row": 1, "column": column, "wanted": wanted, "found": found}
    ]


def test_missing_and_unknown_columns_are_named(served: Served, service: Service) -> None:
    row = {name: value for name, value in ROW.items() if name != "months"} | {"month": 12}

    assert faults(service, served, row) == [
        {"row": 0, "column": "months", "wanted": WHOLE, "found": "no such column"},
        {
            "row": 0,
            "column": "month",
            "wanted": "one of amount, rate, months, customer no, is_new, share, kind",
            "found": "another column (did you mean 'months'?)",
        },
    ]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "text that is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{", "text that is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"amount": NaN}', "text that is not JSON: NaN is no number of JSON"),
        (b'{"amount": -Infinity}', "text that is not JSON: -Infinity is no number of JSON"),
        (b'{"amount": 1, "amount": 2}', "text that is not JSON: the name 'amount' twice in an object"),
        (b"[" * 100_000, "objects that are nested too deep"),
        (b'{"amount":' * 50_000, "objects that are nested too deep"),
        (b"\xff\xfe\x00", "bytes that are not UTF-8"),
        (b"12", "12"),
        (b"null", "null"),
        (b'"a"', "a text"),
    ],
)
def test_a_body_that_is_no_object_or_array_is_refused(
    served: Served, service: Service, body: bytes, found: str
) -> None:
    assert faults(service, served, body) == [{"wanted": "a JSON object, or an array of objects", "found": found}]


def test_a_number_of_thousands_of_digits_is_refused(served: Served, service: Service) -> None:
    (fault,) = faults(service, served, b'{"amount": ' + b"9" * 10_000 + b"}")

    assert fault["found"].startswith("text that is not JSON: Exceeds the limit")


def test_infinite_numbers_are_refused_however_they_are_written(served: Served, service: Service) -> None:
    body = json.dumps(ROW).replace("12.5", "1e999").encode()

    assert faults(service, served, body) == [
        {"row": 0, "column": "amount", "wanted": "a number, or null", "found": "a number that is too large"}
    ]


def test_rows_that_are_no_objects_are_refused(served: Served, service: Service) -> None:
    assert faults(service, served, [ROW, 3]) == [
        {"row": 1, "wanted": "a JSON object with a value for each feature", "found": "3"}
    ]


def test_half_of_a_sign_is_no_text(served: Served, service: Service) -> None:
    body = json.dumps(ROW | {"kind": "\ud800"}).encode()

    assert faults(service, served, body) == [
        {"row": 0, "column": "kind", "wanted": "a text, or null", "found": "a text with half of a sign"}
    ]


def test_an_answer_lists_few_of_many_faults(served: Served, service: Service) -> None:
    assert len(faults(service, served, [{}] * 30)) == 20


def test_nulls_are_filled_and_unknown_categories_are_counted_as_in_the_batch(served: Served, service: Service) -> None:
    client = service(served)
    nulls = dict.fromkeys(ROW) | {"months": 12}

    answer = client.post("/predictions", json=[nulls, ROW | {"kind": "unheard of"}, ROW])

    assert answer.status_code == 200
    assert answer.json()["unseen_categories"] == {"kind": 1}
    assert 'daystone_unseen_categories_total{feature="kind"} 1\n' in client.get("/metrics").text


def test_no_rows_get_no_predictions(served: Served, service: Service) -> None:
    answer = service(served).post("/predictions", json=[])

    assert (answer.status_code, answer.json()["predictions"]) == (200, [])


def test_more_rows_than_are_allowed_are_refused(served: Served, service: Service) -> None:
    client = service(served, Limits(max_rows=2))

    answer = client.post("/predictions", json=[ROW] * 3)

    assert (answer.status_code, answer.json()) == (413, {"detail": "wanted at most 2 rows; found 3"})
    assert client.post("/predictions", json=[ROW] * 2).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_more_bytes_than_are_allowed_are_refused(served: Served, service: Service, chunked: bool) -> None:
    client = service(served, Limits(max_body_bytes=200))
    body = json.dumps([ROW] * 9).encode()
    content = iter([body[:150], body[150:]]) if chunked else body

    answer = client.post("/predictions", content=content, headers={"content-type": "application/json"})

    found = "more" if chunked else str(len(body))
    assert answer.status_code == 413
    assert answer.json() == {"detail": f"wanted a body of at most 200 bytes; found {found}"}


def test_another_type_of_body_is_refused(served: Served, service: Service) -> None:
    answer = service(served).post("/predictions", data={"amount": "1"})

    assert (answer.status_code, answer.json()) == (415, {"detail": "wanted a body of the type application/json"})


def test_without_a_released_day_the_service_is_not_ready(lake: Lake, service: Service) -> None:
    served = Served(lake)
    served.release(served.score(DAY, served.train(DAY)), held=True)
    client = service(served, Limits(poll_seconds=7))

    for answer in (client.get("/health"), client.get("/model"), client.post("/predictions", json=ROW)):
        assert (answer.status_code, answer.json()) == (503, NO_MODEL)
        assert answer.headers["retry-after"] == "7"
    assert client.get("/openapi.json").status_code == client.get("/metrics").status_code == 200


def test_health_and_model_say_which_model_answers(served: Served, service: Service) -> None:
    client = service(served)
    manifest = served.lake.require("predictions", DAY)[0].manifest

    health, model = client.get("/health").json(), client.get("/model").json()

    identity = {
        "model_date": str(DAY),
        "model_digest": manifest.metrics["model_digest"],
        "released": str(DAY),
    }
    assert health == {"status": "ok"} | identity
    assert model["card"]["features"][2] == {
        "name": "months",
        "type": "INT",
        "fill": None,
        "nominal": False,
        "text": False,
        "categories": None,
    }
    assert "reference" not in model["card"]
    assert {name: model[name] for name in identity} == identity


def test_metrics_count_requests_rows_and_times(served: Served, service: Service) -> None:
    client = service(served)
    client.post("/predictions", json=[ROW, ROW])
    client.post("/predictions", json={})
    client.get("/nowhere")
    client.get("/elsewhere")

    lines = client.get("/metrics").text.splitlines()

    assert 'daystone_requests_total{route="/predictions",status="200"} 1' in lines
    assert 'daystone_requests_total{route="/predictions",status="422"} 1' in lines
    assert 'daystone_requests_total{route="other",status="404"} 2' in lines
    assert 'daystone_request_seconds_bucket{route="/predictions",le="+Inf"} 2' in lines
    assert 'daystone_request_seconds_count{route="/predictions"} 2' in lines
    assert "daystone_rows_scored_total 2" in lines
    assert "daystone_model_date_seconds 1772323200" in lines
    of_buckets = [int(line.rpartition(" ")[2]) for line in lines if 'bucket{route="/predictions"' in line]
    assert of_buckets == sorted(of_buckets)


def test_the_description_has_the_names_and_types_of_the_card_and_an_example_that_is_answered(
    served: Served, service: Service
) -> None:
    client = service(served)

    post = client.get("/openapi.json").json()["paths"]["/predictions"]["post"]

    body = post["requestBody"]["content"]["application/json"]
    row = body["schema"]["oneOf"][0]
    assert row["required"] == list(ROW)
    assert row["properties"]["months"] == {"type": "integer", "description": f"int: {WHOLE}"}
    assert row["properties"]["kind"]["examples"] == ["purchase", "repair", "study"]
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["predictions"]["items"]
    assert answer["properties"] == {"score": {"type": "number"}, "prediction": {"type": "boolean"}}
    assert client.post("/predictions", json=body["example"]).status_code == 200


@pytest.mark.parametrize("path", ["/model", "/metrics", "/openapi.json", "/nowhere", "/health/", "//health"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Authorization": "Bearer another-token-of-some-length"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
    ],
)
def test_with_a_token_nothing_but_health_is_told_without_it(
    served: Served, service: Service, path: str, given: dict[str, str]
) -> None:
    client = service(served, token=TOKEN)

    answer = client.get(path, headers=given)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert client.get("/health").status_code == 200


def test_with_its_token_everything_is_answered(served: Served, service: Service) -> None:
    client = service(served, token=TOKEN)
    client.headers["Authorization"] = f"Bearer {TOKEN}"

    assert client.post("/predictions", json=ROW).status_code == 200
    described = client.get("/openapi.json")
    assert described.json()["security"] == [{"token": []}]
    assert TOKEN not in described.text + client.get("/metrics").text + client.get("/model").text


def test_a_token_of_other_signs_than_ascii_is_refused_and_no_failure(served: Served, service: Service) -> None:
    client = service(served, token=TOKEN)

    assert client.get("/model", headers={"Authorization": b"Bearer \xff\xfe"}).status_code == 401


@dataclass
class Known:
    """Scores that are in memory."""

    scores: Mapping[str, Mapping[str, Any]]

    def of(self, entity: str) -> Mapping[str, Any] | None:
        return self.scores.get(entity)


def test_scores_are_looked_up_where_there_is_a_place_for_them(served: Served, service: Service) -> None:
    client = service(served, scores=Known({"C 1/2": {"score": 0.25}}))

    assert client.get("/scores/C%201%2F2").json() == {"score": 0.25}
    assert client.get("/scores/nobody").json() == {"detail": "no score of this entity"}
    assert service(served).get("/scores/nobody").json() == {"detail": "Not Found"}


def test_a_newer_released_day_changes_the_model_and_a_held_one_does_not(served: Served, service: Service) -> None:
    client = service(served)
    slot: Slot = client.app.state.slot  # type: ignore[attr-defined]  # it is a FastAPI
    before = client.post("/predictions", json=ROW).json()

    newer = served.score(NEXT_DAY, served.train(NEXT_DAY, seed=1))
    served.release(newer, held=True)
    slot.refresh()
    assert client.post("/predictions", json=ROW).json() == before

    served.release(newer, rebuild=True)
    slot.refresh()
    after = client.post("/predictions", json=ROW).json()
    assert (after["released"], after["model_date"]) == (str(NEXT_DAY), str(NEXT_DAY))
    assert after["predictions"] != before["predictions"]

    served.release(newer, held=True, rebuild=True)
    slot.refresh()
    assert client.post("/predictions", json=ROW).json() == before


def test_a_day_that_the_same_model_scored_loads_nothing_again(served: Served, service: Service) -> None:
    slot: Slot = service(served).app.state.slot  # type: ignore[attr-defined]  # it is a FastAPI
    before = slot.current

    served.release(served.score(NEXT_DAY, served.lake.require("model", DAY)[0]))
    slot.refresh()

    assert before is not None and slot.current is not None
    assert slot.current.scorer is before.scorer
    assert slot.current.released == NEXT_DAY


def test_a_model_that_is_superseded_is_found_by_the_selection_of_its_day(served: Served, service: Service) -> None:
    body = served.lake.require("model", DAY)[0].manifest.metrics["model_digest"]
    # Trained again, with another result; the selection pins the files of the run before.
    with_another = Served(served.lake)
    from spark_lib.lake import Attempt, Documents

    with Attempt(served.lake, "model", [DAY], stage="Test", rebuild=True) as attempt:
        attempt.commit(Documents({"card.json": b"{}"}, {"model_digest": "0" * 64}))

    assert service(with_another).get("/health").json()["model_digest"] == body


def test_a_look_that_fails_is_counted_and_the_model_stays(served: Served, service: Service) -> None:
    client = service(served)
    slot: Slot = client.app.state.slot  # type: ignore[attr-defined]  # it is a FastAPI
    newer = served.score(NEXT_DAY, served.train(NEXT_DAY, seed=1))
    served.release(newer)
    manifest = served.lake.require("model", NEXT_DAY)[0]
    (path,) = (file for file in manifest.files() if file.endswith(".onnx"))
    with open(path, "r+b") as file:
        file.write(b"spoilt")

    slot.refresh()

    assert client.get("/health").json()["released"] == str(DAY)
    assert "daystone_refresh_failures_total 1\n" in client.get("/metrics").text
    assert path in slot.fault


def test_a_model_of_other_bytes_than_its_card_says_is_not_loaded(served: Served) -> None:
    def damaged(current: Current | None) -> Current | None:
        raise DamagedPartition("model", "this", "that", "restore it")

    slot = Slot(damaged)
    slot.refresh()

    assert (slot.current, slot.failures, slot.fault) == (None, 1, "model: wanted this; found that. Next: restore it")


def test_rows_that_are_drawn_are_all_answered(served: Served, service: Service) -> None:
    answer = service(served).post("/predictions", json=drawn(served.problem.features, 200, seed=9))

    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 200
