"""What a benchmark says: a ratio, what it is to be, and the seconds that it was made of."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LATEST = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True)
class Result:
    """``goal`` None: reported only. ``holds`` None then."""

    name: str
    ratio: float
    goal: float | None
    better: str
    holds: bool | None


def judge(name: str, taken: Sequence[tuple[float, float]], goal: float | None = None) -> Result:
    """The median ratio of pairs of seconds, ours and the other's, printed with them."""
    ratio = statistics.median(a / b for a, b in taken)
    holds = None if goal is None else ratio <= goal
    words = "reported" if holds is None else f"goal at most {goal:g}: {'holds' if holds else 'MISSED'}"
    print(
        f"{name}\n    ratio {ratio:.2f} ({words}); {spread([a for a, _ in taken])} against {spread([b for _, b in taken])}",
        flush=True,
    )
    return Result(name, round(ratio, 3), goal, "lower", holds)


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def keep(results: Iterable[Result]) -> None:
    """Put results into the latest ones, in place of those of the same name."""
    there = {entry["name"]: entry for entry in json.loads(LATEST.read_text())} if LATEST.exists() else {}
    there |= {result.name: asdict(result) for result in results}
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(list(there.values()), indent=1) + "\n")
    print(f"\nwritten: {LATEST.relative_to(LATEST.parents[2])}")
