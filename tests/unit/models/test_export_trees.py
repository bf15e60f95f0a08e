"""Thresholds and leaves of trees, as ONNX holds them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from spark_lib.errors import ModelError
from spark_lib.models.export import trees


def test_a_threshold_is_rounded_to_the_largest_float32_not_above_it() -> None:
    largest = np.finfo(np.float32).max
    thresholds = np.array([0.1, 0.3, 0.5, -0.1, 0.0, 1e300, -1e300, 1e-60, -1e-60, largest])
    found = trees.round_down(thresholds)
    assert found.dtype == np.float32
    assert (found <= thresholds).all()
    with np.errstate(over="ignore"):
        assert (np.nextafter(found, np.float32(np.inf)) > thresholds).all()
    assert (found[2], found[4], found[5], found[9]) == (0.5, 0.0, largest, largest)


def test_a_leaf_of_no_weight_is_refused() -> None:
    leaf = {"tree": 0, "node": 0, "left": -1, "right": -1, "feature": -1, "threshold": None, "categories": -1}
    with pytest.raises(ModelError) as caught:
        trees.votes(pa.Table.from_pylist([leaf | {"counts": [0.0, 0.0]}]))
    assert str(caught.value) == (
        "export to ONNX: wanted leaves that hold training rows; found 1 leaves of no weight. "
        "Next: train without rows of weight 0"
    )
