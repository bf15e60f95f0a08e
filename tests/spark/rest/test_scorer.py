"""A model that Spark has trained scores rows of requests as the batch scores them."""

from __future__ import annotations

import pytest

from spark_lib.frames.reading import read_arrow
from spark_lib.models import calibration
from spark_lib.rest import scorer
from spark_lib.scoring import engine
from tests.spark.lakes import AFTER, REFERENCE, Chain


def test_rows_of_a_request_get_the_scores_of_the_batch(chain: Chain) -> None:
    pinned = chain.pinned
    features = read_arrow(chain.lake.root, REFERENCE, "features", AFTER)
    rows = features.select(list(pinned.card.features)).to_pylist()
    made = scorer.of(pinned)

    found = made.score(made.columns.checked(rows))

    (batch,) = features.combine_chunks().to_batches()
    forest = engine.of(pinned.model, engine.LEAST_ROWS)
    assert forest.name == "forest"
    given = forest.of_rows(batch, pinned.card.features)
    expected = calibration.apply(pinned.card.calibration, given.scores)
    assert [row["score"] for row in found.predictions] == pytest.approx(expected.tolist(), rel=0, abs=1e-9)
    assert len(set(expected.tolist())) > 1
