"""What MLflow gets of a published training."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spark_lib.lake import Lake
from spark_lib.models.card import rejected
from spark_lib.models.model import digest
from spark_lib.registry.training import Training
from tests.support import trainings
from tests.support.checkout import ROOT

DAY = date(2026, 1, 12)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "credit_risk")


def test_the_tags_of_an_approved_training_lead_back_to_its_partition(lake: Lake) -> None:
    partition = trainings.publish(lake, DAY)

    training = Training.of(partition, "production", "credit_risk")

    assert training.is_approved
    assert training.tags == {
        "daystone.lake": "production",
        "daystone.use_case": "credit_risk",
        "daystone.date": "2026-01-12",
        "daystone.run": partition.manifest.run,
        "daystone.verdict": "approved",
        "daystone.sha256": digest(partition.document("model.onnx")),
        "daystone.partition": f"{lake.root}/credit_risk/model/date=2026-01-12",
    }


def test_a_rejected_training_has_no_model_and_says_why(lake: Lake) -> None:
    partition = trainings.publish(lake, DAY, rejected("gate", "area under ROC 0.55, wanted 0.6"))

    training = Training.of(partition, "production", "credit_risk")

    assert not training.is_approved
    assert training.tags["daystone.verdict"] == "gate: area under ROC 0.55, wanted 0.6"
    assert "daystone.sha256" not in training.tags
    assert [name for name, _, _ in training.documents()] == ["card.json", "report.html"]


def test_numbers_become_metrics_and_intervals_have_two_ends(lake: Lake) -> None:
    training = Training.of(trainings.publish(lake, DAY), "production", "credit_risk")

    assert training.metrics == {
        "area_under_roc": 0.71,
        "intervals/area_under_roc/low": 0.68,
        "intervals/area_under_roc/high": 0.74,
        "out_of_time/days": 6.0,
    }


def test_settings_become_parameters(lake: Lake) -> None:
    training = Training.of(trainings.publish(lake, DAY), "production", "credit_risk")

    assert training.params == {"trees": "20", "balancing": "undersample", "raw.events.null_text": ""}


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b", "a_b"), ("größe=1", "gr__e_1"), ("..", "_"), ("", "_"), ("n" * 300, "n" * 250)],
    ids=["slash", "signs", "dots", "empty", "long"],
)
def test_a_name_that_mlflow_refuses_is_written_otherwise(
    lake: Lake, text: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "METRICS", {text: 1.0})

    training = Training.of(trainings.publish(lake, DAY), "production", "credit_risk")

    assert training.metrics == {name: 1.0}


def test_the_model_goes_into_a_directory_of_its_own(lake: Lake) -> None:
    training = Training.of(trainings.publish(lake, DAY), "production", "credit_risk")

    assert [(name, into) for name, _, into in training.documents()] == [
        ("card.json", ""),
        ("report.html", ""),
        ("model.onnx", "model"),
    ]


def test_a_training_of_the_first_version_is_tracked_as_well() -> None:
    lake = Lake(str(ROOT / "tests" / "golden" / "0.1.0"), "credit_risk")
    (partition,) = lake.require("model", date(2026, 2, 23))

    training = Training.of(partition, "production", "credit_risk")

    assert training.is_approved
    assert training.tags["daystone.sha256"] == digest(partition.document("model.onnx"))
    assert training.metrics["intervals/area_under_roc/low"] < training.metrics["area_under_roc"]
    assert training.params["balancing"] == "undersample"
