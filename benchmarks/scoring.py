"""Measures scoring from Parquet to Parquet: the library against other ways to do it, on the same model and rows, in
turn in one run.

    python -m benchmarks.scoring [--pairs 5] [--rows 4000000] [--only WORD ...] [--keep]

A model is trained on 20,000 rows. It is a forest of scikit-learn's, of 100 trees of depth 8, which the library exports,
so that scikit-learn, MLflow, ONNX Runtime and the library score by the same trees. The model that is compared with
Spark ML's transform is one of Spark's. Rows have an id, an event time and 20 float32 features, in four files of row
groups of half a million.

Every contestant is a warm process: it has scored half a million rows right before, because Spark ends workers that have
waited for a minute. All use two cores, and write id, event time and score. The library also writes the model's date and
digest, checksums and the manifest, and its time includes them. The contestants take turns: a round is one run of ours
and one of each of the others, and a ratio is the median over rounds. Files and rows are counted every time. Scores are
compared in the first round.

Not measured are starting, training, the conversion to ONNX and MLflow's packing of a model. Files are read from the
machine's memory, and what is written may still be in memory when a run ends. ``--rows`` scales everything; figures of
other numbers than the goals' are printed only, and below half a million rows the library does not use its forest.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import categories, contestants, growth, made, texts
from benchmarks.contestants import Start
from benchmarks.ready import WARM_ROWS, Bench
from benchmarks.result import Result, judge, options, parsed, record
from benchmarks.sides import Side, Work
from tests.support.s3 import versitygw

ROWS = 4_000_000
PAIRS = 5
CLOSE = 1e-6


@dataclass(frozen=True)
class Comparison:
    """The library against ``others``, by one of ``made.MODELS``, on a ``share`` of the rows. The goal is to be at least
    so many ``times`` as fast as the fastest of the others.
    """

    others: Mapping[str, Start]
    model: str
    times: float | None
    share: float = 1


PLAIN = Comparison({"pyarrow and onnxruntime in plain processes": contestants.PLAIN_ONNXRUNTIME}, "forest", 7)
MAP_IN_ARROW = Comparison({"mapInArrow with onnxruntime": contestants.map_in_arrow}, "forest", None)
MLFLOW = {
    f"MLflow's spark_udf, {flavour} flavour": partial(contestants.mlflow_udf, flavour)
    for flavour in ("scikit-learn", "onnx")
}
COMPARISONS = (
    PLAIN,
    Comparison(
        {"pyarrow and the library's forest in plain processes": contestants.PLAIN_FOREST}, "forest", 0.85, share=4
    ),
    MAP_IN_ARROW,
    Comparison(MLFLOW, "forest", 12),
    Comparison({"pandas_udf with scikit-learn": contestants.pandas_udf}, "forest", None),
    Comparison({"Spark ML's transform": contestants.spark_ml}, "spark forest", 15),
    Comparison({"Spark ML's transform": contestants.spark_ml}, "logistic regression", 3),
    Comparison({"mapInArrow with onnxruntime": contestants.map_in_arrow}, "wide forest", 3, share=1 / 4),
)
LEAN = (PLAIN, MAP_IN_ARROW)
SKEWED = (0.9, *(0.1 / 3,) * 3)


def kernel(bench: Bench, rows: int = 400_000, rounds: int = 7) -> Result:
    """The forest against ONNX Runtime on one thread each, on a matrix that is in memory."""
    return in_memory(bench, "forest", rows, rounds, goal=1 / 9)


def kernel_of_classes(bench: Bench, rows: int = 200_000, rounds: int = 5) -> Result:
    """The same with a forest that tells ten classes apart, which adds ten votes for each tree."""
    return in_memory(bench, "forest of 10 classes", rows, rounds, goal=1 / 5)


def in_memory(bench: Bench, name: str, rows: int, rounds: int, goal: float) -> Result:
    from spark_lib.models import model as models
    from spark_lib.scoring import engine

    model = bench.model(name)
    columns = np.stack(list(made.noise(rows, model.width, seed=3).values()))
    matrix = np.ascontiguousarray(columns.T)
    forest, session = engine.of(model.onnx), models.load(model.onnx)
    agree(f"the {name} alone", forest.scores(columns), models.score(session, matrix))
    taken = [
        (timed(lambda: forest.scores(columns)), timed(lambda: models.score(session, matrix))) for _ in range(rounds)
    ]
    print(f"{rows / statistics.median(ours for ours, _ in taken) / 1e3:,.0f} thousand rows a second on one thread")
    return judge(f"the {name}, {rows:,} rows in memory, one thread / onnxruntime", taken, goal)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def against(bench: Bench, comparison: Comparison) -> list[Result]:
    """The library in turn with each of the others."""
    model = bench.model(comparison.model)
    rows = round(bench.rows * comparison.share)
    source, small = bench.lake(rows, model.width), bench.lake(WARM_ROWS, model.width)
    taken = compared(bench, model, comparison.others, rows, source, small)
    name = f"{rows:,} rows of {model.width} features by a {comparison.model}"
    return versus_fastest(name, taken, comparison.times)


def of_texts(bench: Bench) -> list[Result]:
    """A pipeline of texts in turn with MLflow's spark_udf of it, where all texts differ and where half of them repeat."""
    rows = bench.rows // 10
    model = texts.fit(f"{bench.directory}/texts")
    small = texts.land(f"{bench.directory}/few-texts", rows // 40)
    others: dict[str, Start] = {"MLflow's spark_udf": partial(contestants.mlflow_udf, "scikit-learn")}
    found = []
    for repeated, words, times in ((0.0, "no text twice by intent", 1.3), (0.5, "half of them repeated", 2.2)):
        source = texts.land(f"{bench.directory}/texts-{repeated}", rows, repeated)
        taken = compared(bench, model, others, rows, source, small)
        found += versus_fastest(f"{rows:,} texts, {words}, by TF-IDF and a linear model", taken, times)
    return found


def of_categories(bench: Bench) -> Result:
    """A day of categories in turn with the same day of numbers."""
    model = categories.model(bench.directory)
    days, small = (categories.sources(bench, rows) for rows in (bench.rows, WARM_ROWS))
    with started(categories.starts(model)) as sides:
        for kind, side in sides.items():
            bench.warm_by(side, small[kind])
        runs = {
            kind: partial(bench.run_warm, side, bench.rows, days[kind], small[kind]) for kind, side in sides.items()
        }
        return categories.judged(bench.rows, in_turn(bench, bench.rows, runs))


def compared(
    bench: Bench, model: object, others: dict[str, Start], rows: int, source: str, small: str
) -> dict[str, list[float]]:
    """Seconds of the library and of the others, in turn, each warmed by a ``small`` day."""
    starts: dict[str, Start] = {"library": contestants.library, **others}
    with started({name: partial(start, model) for name, start in starts.items()}) as sides:
        for side in sides.values():
            bench.warm_by(side, small)
        runs = {name: partial(bench.run_warm, side, rows, source, small) for name, side in sides.items()}
        return in_turn(bench, rows, runs)


def versus_fastest(name: str, taken: Mapping[str, list[float]], times: float | None) -> list[Result]:
    """Judge the first against each of the others. The goal counts against the one with the least median."""
    ours, *others = taken
    fastest = min(others, key=lambda other: statistics.median(taken[other]))
    return [
        judge(
            f"{name} / {other}",
            list(zip(taken[ours], taken[other], strict=True)),
            goal=1 / times if times and other == fastest else None,
        )
        for other in others
    ]


@contextmanager
def started(starts: Mapping[str, Callable[[], Work]]) -> Iterator[dict[str, Side]]:
    sides = {name: Side(start, watched=False) for name, start in starts.items()}
    try:
        yield sides
    finally:
        for side in sides.values():
            side.end()


def in_turn(
    bench: Bench, rows: int, runs: Mapping[str, Callable[[str], float]], places: Mapping[str, str] | None = None
) -> dict[str, list[float]]:
    """The seconds of each run. A run is given the directory to write to; ``places`` has the directories of the runs
    that write elsewhere.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    expected = None
    for pair in range(bench.pairs):
        for name, run in runs.items():
            target = f"{bench.directory}/target"
            taken[name].append(run(target))
            place = (places or {}).get(name, target)
            if pair == 0:
                found = made.scores(place, rows)
                expected = found if expected is None else expected
                agree(name, found, expected)
            elif made.count(place) != rows:
                raise SystemExit(f"{name}: {made.count(place):,} scores of {rows:,} rows")
            shutil.rmtree(place)
    return taken


def agree(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(found - expected).max()
    if not difference <= CLOSE:
        raise SystemExit(f"the scores of {name} are others: they differ by up to {difference:.3g}")
    print(f"    {name}: {len(found):,} scores, {difference:.2g} at most from the library's", flush=True)


def skewed(bench: Bench) -> Result:
    """One file with nine tenths of the rows, against four even ones."""
    model = bench.model("forest")
    sources = {
        "one big file": bench.lake(bench.rows, model.width, SKEWED),
        "even files": bench.lake(bench.rows, model.width),
    }
    with started({"library": partial(contestants.library, model)}) as sides:
        bench.warm(sides["library"], model.width)
        runs = {name: partial(sides["library"].run, bench.rows, source) for name, source in sources.items()}
        taken = in_turn(bench, bench.rows, runs)
    pairs = list(zip(*taken.values(), strict=True))
    return judge(f"{bench.rows:,} rows, nine tenths of them in one of four files / even files", pairs, goal=1.15)


def on_s3(bench: Bench) -> Result:
    """A lake on a server on this machine, against the one on its disk."""
    model, rows = bench.model("forest"), bench.rows
    local = bench.lake(rows, model.width)
    server_directory = Path(bench.directory, "server")
    server_directory.mkdir()
    with versitygw(server_directory) as server, pytest.MonkeyPatch.context() as environment:
        server.reach(environment)
        bucket, targets = server.new_bucket(), server.new_bucket()
        assert server.directory is not None
        source = made.land(f"s3://{bucket}", rows, model.width)
        os.sync()
        with started({"library": partial(contestants.library, model)}) as sides:
            side = sides["library"]
            bench.warm(side, model.width)
            side.run(rows, source, f"s3://{targets}/warm")
            shutil.rmtree(server.directory / targets / "warm")
            runs: dict[str, Callable[[str], float]] = {
                "on S3": lambda _: side.run(rows, source, f"s3://{targets}/target"),
                "on disk": partial(side.run, rows, local),
            }
            taken = in_turn(bench, rows, runs, {"on S3": str(server.directory / targets / "target")})
    pairs = list(zip(*taken.values(), strict=True))
    return judge(f"{rows:,} rows of a lake on S3 (versitygw on this machine) / on disk", pairs, goal=1 / 0.6)


def results(pairs: int = PAIRS, rows: int = ROWS, only: Sequence[str] = ()) -> list[Result]:
    """Measure everything, or only what has one of these words in its name."""
    return _measured(
        pairs,
        rows,
        only,
        COMPARISONS,
        {"files": skewed, "S3": on_s3, "texts": of_texts, "categories": of_categories, "growth": growth.results},
    )


def lean_results(pairs: int = 3, rows: int = ROWS) -> list[Result]:
    """Measure the part that `make bench` runs."""
    return _measured(pairs, rows, (), LEAN, {"texts": of_texts, "categories": of_categories})


def _measured(
    pairs: int,
    rows: int,
    only: Sequence[str],
    comparisons: Sequence[Comparison],
    others: Mapping[str, Callable[[Bench], Result | list[Result]]],
) -> list[Result]:
    def wanted(*names: str) -> bool:
        return not only or any(word in name for word in only for name in names)

    measures: list[Callable[[Bench], Result | list[Result]]] = [kernel] if wanted("kernel") else []
    measures += [kernel_of_classes] if wanted("kernel", "classes") else []
    measures += [partial(against, comparison=one) for one in comparisons if wanted(*one.others, f"by a {one.model}")]
    measures += [measure for name, measure in others.items() if wanted(name)]
    if not measures:
        raise SystemExit(f"nothing has any of the words {', '.join(only)} in its name: see --help")
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        bench = Bench(directory, rows, pairs)
        for measure in measures:
            result = measure(bench)
            found += [result] if isinstance(result, Result) else result
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        help="what has such a word in its name: a contestant's, a model's, kernel, classes, files, S3, texts, categories or growth",
    )
    given = parsed(parser, rows=ROWS)
    print(
        f"load {os.getloadavg()[0]:.1f}; {given.rows:,} rows, {given.pairs} rounds; seconds are medians (least to most)\n"
    )
    found = results(given.pairs, given.rows, given.only)
    record(found, given.into)


if __name__ == "__main__":
    main()
