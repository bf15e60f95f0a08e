"""What is declared for entities without a score: the words, and the numbers that a problem can have."""

from __future__ import annotations

from typing import Any

from spark_lib.errors import ConfigurationError, did_you_mean
from spark_lib.problems.problem import Problem

#: What the newest released model knows of a row of which nothing is known, and nothing.
PRIOR, NONE = "prior", "none"


def constant(problem: Problem, fallback: str | float, where: str) -> dict[str, Any]:
    """What is said, by columns of predictions, where a number is declared; empty for the words. Raises
    ConfigurationError, naming ``where``, for another word and for a number that the problem cannot have."""
    if fallback in (PRIOR, NONE):
        return {}
    try:
        values = problem.constant(float(fallback))
    except ValueError:
        found = f"{fallback!r}{did_you_mean(str(fallback), (PRIOR, NONE))}"
        raise ConfigurationError(where, f"{PRIOR}, {NONE} or a number", found, "correct it") from None
    if values is None:
        raise ConfigurationError(where, problem.constant_wanted, str(fallback), "correct it")
    return values
