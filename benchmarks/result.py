"""The result of a benchmark: a ratio, its goal, and the seconds that it was made of."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: The kept figures, which git tracks: ``--keep`` writes them.
KEPT = Path(__file__).with_name("results") / "latest.json"
#: The figures of this checkout, which git ignores.
LOCAL = KEPT.with_name("local.json")

VERSIONS = ("pyspark", "luigi", "pyarrow", "numba", "onnxruntime", "scikit-learn", "mlflow-skinny")


@dataclass(frozen=True)
class Result:
    """A figure, and whether it reaches its goal. Without a ``goal`` it is reported only, and ``holds`` is None.
    ``ours`` and ``other`` are the seconds of the pairs that a ratio was made of.
    """

    name: str
    ratio: float
    goal: float | None
    better: str
    holds: bool | None
    ours: tuple[float, ...] = ()
    other: tuple[float, ...] = ()


def judge(name: str, taken: Sequence[tuple[float, float]], goal: float | None = None) -> Result:
    """The median ratio of pairs of seconds, ours and the other's, printed with them."""
    ours, other = (tuple(round(pair[side], 3) for pair in taken) for side in (0, 1))
    result = judged(name, statistics.median(a / b for a, b in taken), goal, ours, other)
    print(f"{name}\n    ratio {result.ratio:.3g} ({words(result)}); {spread(ours)} against {spread(other)}", flush=True)
    return result


def judged(
    name: str, value: float, goal: float | None, ours: tuple[float, ...] = (), other: tuple[float, ...] = ()
) -> Result:
    """A figure that is to be at most the goal."""
    return Result(name, round(value, 4), goal, "lower", None if goal is None else value <= goal, ours, other)


def words(result: Result) -> str:
    if result.goal is None:
        return "reported"
    return f"goal at most {result.goal:.3g}: {'holds' if result.holds else 'MISSED'}"


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def exponent(seconds: Mapping[int, Sequence[float]]) -> float:
    """The exponent of the time in the rows: the slope, by least squares, of the logarithms of the medians."""
    sizes = [math.log(rows) for rows in seconds]
    times = [math.log(statistics.median(taken)) for taken in seconds.values()]
    return statistics.linear_regression(sizes, times).slope


def machine() -> str:
    """The machine and the versions that were measured, in a line."""
    there = []
    for name in VERSIONS:
        with suppress(PackageNotFoundError):
            there.append(f"{name} {version(name)}")
    return ", ".join(
        [
            f"{platform.machine()}, {os.cpu_count()} cores",
            f"load {os.getloadavg()[0]:.1f}",
            f"Python {platform.python_version()}",
            *there,
        ]
    )


def table(results: Sequence[Result]) -> str:
    """Results in Markdown. A ratio is our seconds over the other's, so that 0.1 is ten times as fast."""
    lines = ["| what / against what | ratio | goal, at most | | ours | the other |", "|---|---|---|---|---|---|"]
    for result in results:
        goal = "" if result.goal is None else f"{result.goal:.3g}"
        verdict = {None: "", True: "holds", False: "**missed**"}[result.holds]
        taken = [spread(seconds) if seconds else "" for seconds in (result.ours, result.other)]
        lines.append(f"| {result.name} | {result.ratio:.3g} | {goal} | {verdict} | {taken[0]} | {taken[1]} |")
    return "\n".join(lines)


def show(results: Sequence[Result]) -> None:
    """Print results as one table."""
    print(f"\n{machine()}\n\n{table(results)}")


def options(description: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark's command line, with the option that all of them have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--keep", action="store_true", help=f"write into {_shown(KEPT)}, which git tracks, and not into {LOCAL.name}"
    )
    return parser


def run(description: str | None, results: Callable[[int, int], list[Result]], pairs: int, **size: int) -> None:
    """The command line of a benchmark whose ``results`` take one size, by its name here, and a number of pairs. Both are
    options, by default as they are given."""
    ((name, usual),) = size.items()
    parser = options(description)
    parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--pairs", type=int, default=pairs)
    given = parsed(parser, **size)
    record(results(getattr(given, name), given.pairs), given.into)


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None, **sizes: int) -> argparse.Namespace:
    """The command line, with ``into``: the file for the figures, or None where a size is not the one in ``sizes``, which the
    goals are for.

    Ends the process with 2, before anything is measured, where figures of another size are to be kept, or where the file
    cannot take them.
    """
    given = parser.parse_args(arguments)
    others = [name for name, size in sizes.items() if getattr(given, name) != size]
    if given.keep and others:
        name = others[0]
        parser.error(
            f"argument --keep: wanted --{name} {sizes[name]}, which the goals are for; found {getattr(given, name)}. "
            f"Next: leave out --keep or --{name}"
        )
    given.into = None if others else KEPT if given.keep else LOCAL
    if given.into:
        try:
            _figures(given.into)
        except (OSError, ValueError, TypeError, KeyError) as error:
            parser.error(
                f"{_shown(given.into)}: wanted figures as a benchmark writes them; found {type(error).__name__}: {error}. "
                "Next: remove the file, or have git restore it"
            )
    return given


def record(results: Sequence[Result], into: Path | None) -> None:
    """Print results as one table, and write them into a file of figures, where they take the place of those of the same
    name. All other figures of the file stay. With None for the file they are printed only.
    """
    show(results)
    if into is None:
        return
    figures = _figures(into) | {result.name: asdict(result) for result in results}
    into.parent.mkdir(exist_ok=True)
    written = into.with_suffix(".tmp")
    written.write_text(json.dumps(list(figures.values()), indent=1) + "\n")
    os.replace(written, into)  # a process that is stopped leaves the old figures or the new ones
    print(f"\nwritten: {_shown(into)}")


def _figures(file: Path) -> dict[str, dict[str, Any]]:
    """The entries of a file of figures by their names; none where there is no file."""
    return {entry["name"]: entry for entry in json.loads(file.read_text())} if file.exists() else {}


def _shown(file: Path) -> Path:
    return file.relative_to(file.parents[2])
