"""What is asked of a model, and how good an answer is: one of two values, one of several classes, or a number.

Each kind of problem is a module, named by the label that declares it. Nothing here loads Spark or numpy before it is
needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_lib.problems.binary import Binary
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.problem import Problem as Problem
from spark_lib.problems.regression import Regression

if TYPE_CHECKING:
    from spark_lib.models.card import Card
    from spark_lib.use_case.labels import Outcome

_KINDS: dict[str, type[Binary] | type[Multiclass] | type[Regression]] = {
    kind.name: kind for kind in (Binary, Multiclass, Regression)
}


def of(label: Outcome) -> Problem:
    """The problem that a use case's label declares."""
    return _KINDS[label.problem].of_label(label)


def of_card(card: Card) -> Problem:
    """The problem that a model was trained for."""
    return _KINDS[card.problem].of_card(card)
