"""A canary's rows are what its model says of them, and its failure is its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from spark_lib import Feature
from spark_lib.errors import BadData, DamagedPartition
from spark_lib.lake import Attempt, Lake, tables
from spark_lib.models.selection import Beside
from spark_lib.scoring.share import Share
from spark_lib.stages import inference, selection
from spark_lib.stages.inference import Canary
from spark_lib.stages.selection import Pinned
from tests.unit.rest.served import DAY, Case, Served, _here

SALT = "2026-03-01/0001"
OLD, NEW = date(2026, 2, 2), date(2026, 2, 9)


@pytest.fixture
def world(lake: Lake) -> Served:
    """Two models, and features that the older one has scored."""
    served = Served(lake)
    served.score(DAY, served.train(OLD, seed=0))
    served.train(NEW, seed=1)
    return served


def pinned(served: Served, day: date) -> Pinned:
    return selection.approved_model(served.lake, served.lake.require("model", day)[0])


def score(served: Served, model: Pinned, canary: Canary | None) -> dict[str, Any]:
    """Score the day again, and return the figures."""
    with Attempt(served.lake, "predictions", [DAY], stage="Test", rebuild=True) as attempt:
        (features,) = served.lake.require("features", DAY)
        written = inference.build(_here, Case(), features, model, attempt, 10**6, canary)
        attempt.commit(written)
    return dict(written.metrics)


def rows(served: Served) -> dict[str, tuple[float, str]]:
    found = tables.read_arrow(served.lake, "predictions", DAY).to_pylist()
    return {row["id"]: (row["score"], row["model_digest"]) for row in found}


def canary_of(model: Pinned, share: float = 0.3) -> Canary:
    return Canary(Beside("canary", model.date, model.digest, share=share, salt=SALT), model)


def test_each_entity_has_what_its_own_model_says_of_it(world: Served) -> None:
    old, new = pinned(world, OLD), pinned(world, NEW)
    by_old = rows(world)
    score(world, new, None)
    by_new = rows(world)

    figures = score(world, old, canary_of(new))

    share = Share(("id",), SALT, 0.3)
    found = rows(world)
    assert found == {entity: (by_new if share.holds([entity]) else by_old)[entity] for entity in by_old}
    drawn = sum(share.holds([entity]) for entity in found)
    assert 0 < drawn < len(found)
    assert (figures["model_digest"], figures["canary"]["model_digest"]) == (old.digest, new.digest)
    assert (figures["canary"]["rows"], figures["canary"]["share"]) == (drawn, 0.3)
    assert figures["scores"]["mean"] != figures["canary"]["scores"]["mean"]


def test_a_canary_of_all_entities_scores_them_all(world: Served) -> None:
    new = pinned(world, NEW)

    figures = score(world, pinned(world, OLD), canary_of(new, share=1.0))

    assert {digest for _, digest in rows(world).values()} == {new.digest}
    assert figures["canary"]["rows"] == len(rows(world))


def with_card(model: Pinned, **changed: Any) -> Pinned:
    return Pinned(model.date, model.model, model.digest, replace(model.card, **changed))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"features": {"of tomorrow": Feature("DOUBLE", fill=0.0)}}, "a column 'of tomorrow' of type double"),
        ({"decision": {}}, "the columns score, prediction, as the model of 2026-02-02 writes them"),
    ],
)
def test_a_canary_that_cannot_score_the_day_fails_alone(
    world: Served, changed: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = rows(world)

    figures = score(world, pinned(world, OLD), canary_of(with_card(pinned(world, NEW), **changed)))

    assert rows(world) == before
    assert figures["canary"]["rows"] == 0
    assert why in figures["canary"]["failed"]
    assert why in caplog.text


def test_a_canary_whose_model_is_damaged_fails_alone(world: Served, caplog: pytest.LogCaptureFixture) -> None:
    before = rows(world)
    damage = DamagedPartition("model.onnx", "sha256:1", "sha256:2", "restore it")

    figures = score(world, pinned(world, OLD), replace(canary_of(pinned(world, NEW)), model=damage))

    assert rows(world) == before
    assert figures["canary"]["rows"] == 0
    assert figures["canary"]["failed"] == "model.onnx: wanted sha256:1; found sha256:2. Next: restore it"
    assert "model.onnx: wanted sha256:1" in caplog.text


def test_where_the_model_in_force_cannot_score_the_day_nothing_is_published(world: Served) -> None:
    before = rows(world)
    broken: dict[str, Any] = {"features": {"of tomorrow": Feature("DOUBLE", fill=0.0)}}

    with pytest.raises(BadData, match="a column 'of tomorrow'"):
        score(world, with_card(pinned(world, OLD), **broken), canary_of(pinned(world, NEW)))

    assert rows(world) == before
