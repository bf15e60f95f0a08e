"""A row that is posted gets what the batch has published for it, whatever the problem and the number of rows."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from spark_lib.lake import Lake
from tests.unit.rest.conftest import Service
from tests.unit.rest.served import DAY, PROBLEMS, Served, Values

KINDS = [pytest.param(kind, marks=[pytest.mark.processes] if kind == "texts" else []) for kind in PROBLEMS]


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return math.isclose(found, expected, rel_tol=0, abs_tol=1e-9) if isinstance(expected, float) else found == expected


def check(found: list[Values], expected: list[Values]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert all(same(one[name], other[name]) for name in other), (one, other)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_posted_rows_get_the_predictions_that_the_batch_published(lake: Lake, service: Service, kind: str) -> None:
    served = Served(lake, kind)
    published = served.released()
    client, rows = service(served), served.features_of(DAY)

    answer = client.post("/predictions", json=rows)

    assert answer.status_code == 200, answer.text
    expected = served.predictions_of(DAY)
    check(answer.json()["predictions"], expected)
    for row, prediction in list(zip(rows, expected, strict=True))[:10]:
        check(client.post("/predictions", json=row).json()["predictions"], [prediction])
    metrics = published.manifest.metrics
    assert answer.json()["unseen_categories"] == metrics.get("unseen_categories", {})
    assert (answer.json()["model_date"], answer.json()["model_digest"], answer.json()["released"]) == (
        metrics["model_date"],
        metrics["model_digest"],
        str(DAY),
    )


def test_many_rows_get_what_each_gets_alone(served: Served, service: Service) -> None:
    """More rows than are scored on the thread of the event loop."""
    client, rows = service(served), served.features_of(DAY) * 2

    found = client.post("/predictions", json=rows).json()["predictions"]

    check(found, [client.post("/predictions", json=row).json()["predictions"][0] for row in rows[:50]] * 2)


def test_the_order_of_columns_does_not_matter(served: Served, service: Service) -> None:
    client, row = service(served), served.features_of(DAY)[0]

    turned = dict(reversed(row.items()))

    assert client.post("/predictions", json=turned).content == client.post("/predictions", json=row).content
    assert json.dumps(turned) != json.dumps(row)
