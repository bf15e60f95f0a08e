"""A lake that an earlier version wrote is read as what it is: each of its documents, and scores to the last digit.

``tests/golden/<version>`` is a part of a lake as that version wrote it: a day of the sample, and the model that scored it.
Nothing there is ever written again; a released version adds its own.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

import spark_lib
from spark_lib.lake import Lake
from spark_lib.lake.manifest import parse
from spark_lib.models import calibration
from spark_lib.models.card import APPROVED
from spark_lib.stages import inference
from spark_lib.stages.selection import pinned
from tests.support.checkout import ROOT

GOLDEN = ROOT / "tests" / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir())
DAY, MODEL_DAY = date(2026, 3, 1), date(2026, 2, 23)
DATASETS = {"features": DAY, "model": MODEL_DAY, "selection": DAY, "predictions": DAY}

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def lake(version: str) -> Lake:
    return Lake(str(GOLDEN / version), "credit_risk")


@pytest.mark.parametrize(("dataset", "day"), DATASETS.items())
def test_a_partition_of_an_earlier_version_is_complete_and_whole(version: str, dataset: str, day: date) -> None:
    assert lake(version).is_published(dataset, day)
    (partition,) = lake(version).require(dataset, day)
    assert partition.verify() == ([], 0)


def test_a_manifest_of_many_sections_says_its_rows_inputs_and_settings(version: str) -> None:
    body = (GOLDEN / version / "manifests" / "balanced.json").read_bytes()

    manifest = parse(body, "here")

    assert {name: manifest.rows(name) for name in manifest.sections} == {
        "train": 3466,
        "calibration": 1427,
        "validation/balanced": 1008,
        "validation/unbalanced": 2788,
    }
    assert [(read.name, read.first, read.last) for read in manifest.inputs][-1][0] == "raw/outcomes"
    assert manifest.settings["window_days"] == 28
    assert manifest.metrics["labelled"] == 13_960


def test_a_selection_pins_its_model_whose_card_says_what_it_needs(version: str) -> None:
    (selection,) = lake(version).require("selection", DAY)

    model = pinned(lake(version), selection)

    assert (model.date, model.digest[:16]) == (MODEL_DAY, "8408f50dc86af9d3")
    assert list(model.card.features) == [
        "nb_previous_loans", "avg_amount_loans_previous", "age", "years_on_the_job", "flag_own_car",
    ]  # fmt: skip
    assert model.card.verdict == APPROVED


def test_its_features_are_scored_as_they_were(version: str) -> None:
    root = str(GOLDEN / version)
    (selection,) = lake(version).require("selection", DAY)
    model = pinned(lake(version), selection)
    features = spark_lib.read_arrow(root, "credit_risk", "features", DAY).sort_by("loan_id")
    (rows,) = features.combine_chunks().to_batches()

    found = inference.runner(model, rows.num_rows).of_rows(rows, model.card.features).scores

    published = spark_lib.read_arrow(root, "credit_risk", "predictions", DAY).sort_by("loan_id")
    scores = calibration.apply(model.card.calibration, found)
    np.testing.assert_array_equal(scores, published["score"].to_numpy())
