"""The parts of an error that an export to ONNX raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spark_lib.errors import ModelError

MADE_OF_THESE = "let the use case's estimator be made of these"


def refusal(action: Callable[..., Any], *arguments: Any) -> tuple[str, str, str]:
    """Run the action, which must raise, and return the error's parts: wanted, found and next step."""
    with pytest.raises(ModelError) as caught:
        action(*arguments)
    assert caught.value.where == "export to ONNX"
    return caught.value.wanted, caught.value.found, caught.value.next_step
