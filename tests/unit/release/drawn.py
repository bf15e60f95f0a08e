"""Days of predictions that are drawn: the figures that scoring would have counted, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from spark_lib.release import counting
from spark_lib.release.figures import Figures
from spark_lib.release.sketch import Column, Cut, Reference, Sketch, Sketches

MONDAY = date(2026, 3, 2)
#: The last one is what training did not see.
CATEGORIES = Cut(values=("car", "house", "other"), is_category=True)
USUAL_SHARES = (0.5, 0.3, 0.2, 0.0)


@dataclass(frozen=True)
class Drawn:
    """Rows with three features that are normal, one that is a category, and a score that depends on the first."""

    normal: np.ndarray
    category: np.ndarray
    scores: np.ndarray

    def figures(self, day: date, reference: Reference, run: str = "run", model: str = "m") -> Figures:
        of = reference.features
        features = {
            name: counting.sketch(counting.count_numbers(of[name].cut, self.normal[:, place]))
            for place, name in enumerate(("a", "b", "c"))
        }
        features["purpose"] = counting.sketch(counting.count_places(CATEGORIES, self.category))
        score = counting.sketch(counting.count_numbers(reference.scores["score"].cut, self.scores))
        least, greatest, mean = self.scores.min(), self.scores.max(), self.scores.mean()
        return Figures(
            day,
            run,
            len(self.scores),
            model,
            {"least": float(least), "greatest": float(greatest), "mean": float(mean)},
            Sketches({"score": score}, features),
        )


def rows(
    random: np.random.Generator,
    count: int,
    shift: float = 0.0,
    shares: tuple[float, ...] = USUAL_SHARES,
    prevalence: float = 0.01,
) -> Drawn:
    """``shift`` is added to the first feature, in its standard deviations."""
    normal = random.standard_normal((count, 3))
    normal[:, 0] += shift
    category = random.choice(len(shares), count, p=shares).astype(np.float32)
    odds = np.log(prevalence / (1 - prevalence)) - 0.25 + 0.7 * normal[:, 0]
    return Drawn(normal, category, 1 / (1 + np.exp(-odds)))


def reference(drawn: Drawn) -> Reference:
    """What a training would keep of these validation rows."""
    category = Column(CATEGORIES, counting.sketch(counting.count_places(CATEGORIES, drawn.category)))
    features = {name: counting.of_numbers(drawn.normal[:, place]) for place, name in enumerate(("a", "b", "c"))}
    return Reference({"score": counting.of_numbers(drawn.scores, moments=True)}, features | {"purpose": category})


def with_nulls(figures: Figures, name: str, nulls: int) -> Figures:
    """The same day, with nulls in a feature."""
    assert figures.sketches is not None
    sketch = figures.sketches.features[name]
    features = dict(figures.sketches.features) | {name: Sketch(sketch.counts, nulls, sketch.rows)}
    return Figures(
        figures.date,
        figures.run,
        figures.rows,
        figures.model,
        figures.scores,
        Sketches(figures.sketches.scores, features),
    )
