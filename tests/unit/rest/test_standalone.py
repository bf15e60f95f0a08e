"""The service of an image answers by the model beside it, without a lake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spark_lib.errors import ConfigurationError, DamagedPartition, ModelError
from spark_lib.models.card import CARD
from spark_lib.rest import app, standalone
from spark_lib.rest.current import Slot
from spark_lib.stages import selection
from tests.unit.rest.served import DAY, Served
from tests.unit.rest.test_parity import check


@pytest.fixture
def carried(served: Served, tmp_path: Path) -> Path:
    """The directory of a model, as an image has it."""
    (chosen,) = served.lake.require("selection", DAY)
    model = selection.pinned(served.lake, chosen)
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / CARD).write_bytes(model.card.to_json())
    (directory / "model.onnx").write_bytes(model.model)
    identity = {"model_date": str(model.date), "model_digest": model.digest, "model_run": "0123456789abcdef"}
    (directory / standalone.IDENTITY).write_text(json.dumps(identity))
    return directory


def client_of(directory: Path) -> TestClient:
    found = standalone.model_in(directory)
    slot = Slot(lambda _: found)
    slot.refresh()
    return TestClient(app.create(slot, app.Limits()))


def test_the_model_scores_as_the_batch_did(served: Served, carried: Path) -> None:
    answer = client_of(carried).post("/predictions", json=served.features_of(DAY))

    assert answer.status_code == 200
    check(answer.json()["predictions"], served.predictions_of(DAY))


def test_no_released_day_is_told_and_no_score_is_looked_up(carried: Path) -> None:
    client = client_of(carried)

    health, model, metrics = (client.get(path) for path in ("/health", "/model", "/metrics"))

    assert health.json().keys() == {"status", "model_date", "model_digest"}
    assert model.json().keys() == {"model_date", "model_digest", "card"}
    assert 'daystone_model_info{model_date="2026-03-01"' in metrics.text and "released" not in metrics.text
    assert client.get("/scores/0001").status_code == 404
    assert client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("name", [standalone.IDENTITY, CARD, "model.onnx"])
def test_a_directory_that_lacks_a_file_is_refused(carried: Path, name: str) -> None:
    (carried / name).unlink()

    with pytest.raises(DamagedPartition) as refused:
        standalone.model_in(carried)

    assert str(refused.value).startswith(
        f"{carried}: wanted model.json, card.json and the file of a model; found FileNotFoundError: "
    )


def test_a_model_of_other_bytes_is_refused(carried: Path) -> None:
    (carried / "model.onnx").write_bytes(b"other bytes")

    with pytest.raises(ModelError, match="wanted the SHA-256 of its card"):
        standalone.model_in(carried)


def test_another_address_than_loopback_needs_a_token(carried: Path) -> None:
    environment = {standalone.HOST: "0.0.0.0", standalone.MODEL: str(carried)}

    with pytest.raises(ConfigurationError, match=r"DAYSTONE_SERVE_HOST: wanted 127\.0\.0\.1, or a token"):
        standalone.serve(environment)


@pytest.mark.parametrize("port", ["65536", "-1", "eight", "٨", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        standalone.port_of({standalone.PORT: port})

    assert str(refused.value) == (
        f"DAYSTONE_SERVE_PORT: wanted a number from 0 to 65535; found {port!r}. Next: correct it"
    )


def test_an_error_is_said_in_one_line_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(standalone.MODEL, str(tmp_path))

    assert standalone.main() == DamagedPartition.exit_code
    assert capsys.readouterr().err.count("\n") == 1
