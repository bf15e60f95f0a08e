"""Measures synthetic minority rows, from Parquet to Parquet, against imbalanced-learn.

    python -m benchmarks.smote [--pairs 3] [--full] [--keep]

Ours runs in a warm session of two cores, theirs in a warm process with both cores, in turn. Each makes as many
synthetic rows as there are real ones, of 16 doubles, 2 integers and 2 booleans. SMOTENC does the same as ours, and the
goal is set against it. SMOTE takes booleans for numbers and is their fastest.

``--full`` adds SMOTENC for 10^5 rows (a quarter of an hour), and 10^6 rows with approximate neighbours, where SMOTE is
stopped when it has taken three times as long as ours. Memory is the proportional set size of a side's processes, the
JVM among them; it is sampled.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.result import Result, exponent, judge, options, parsed, record
from benchmarks.sides import Side, Work
from spark_lib.learning import neighbours, smote
from spark_lib.use_case import Feature

CORES = 2
SIZES = (20_000, 50_000, 100_000)
LARGE = 10**6
PATIENCE = 3  # theirs is stopped after so many times the seconds of ours
DOUBLES = [f"x{column}" for column in range(16)]
INTEGERS = ["n0", "n1"]
BOOLEANS = ["b0", "b1"]
FEATURES = (
    {name: Feature("DOUBLE") for name in DOUBLES}
    | {name: Feature("INT") for name in INTEGERS}
    | {name: Feature("BOOLEAN") for name in BOOLEANS}
)


def ours() -> Work:
    from spark_lib.session.session import session

    spark = session(master=f"local[{CORES}]", driver_memory="1g", conf={"spark.ui.enabled": "false"})

    def work(source: str, target: str) -> None:
        rows = spark.read.parquet(source)
        made = smote.synthesised(rows, "key", FEATURES, pq.read_metadata(source).num_rows, seed=0)
        made.write.mode("overwrite").parquet(target)

    return work


def smotenc() -> Work:
    from imblearn.over_sampling import SMOTENC

    return _theirs(lambda **named: SMOTENC(list(range(18, 20)), **named))


def plain_smote() -> Work:
    from imblearn.over_sampling import SMOTE

    return _theirs(SMOTE)


def _theirs(sampler: Callable[..., object]) -> Work:
    import warnings

    from sklearn.neighbors import NearestNeighbors

    # imbalanced-learn needs a second class, which has ten rows here, and warns of it.
    warnings.filterwarnings("ignore", "After over-sampling")

    def work(source: str, target: str) -> None:
        frame = pq.read_table(source).to_pandas()
        matrix = frame[[*FEATURES]].to_numpy(np.float64)
        matrix[:, :18] /= matrix[:, :18].std(axis=0)
        rows = np.vstack([matrix, matrix[:10]])
        labels = np.r_[np.ones(len(matrix)), np.zeros(10)]
        search = NearestNeighbors(n_neighbors=6, n_jobs=CORES)
        made = sampler(sampling_strategy={1: 2 * len(matrix)}, random_state=0, k_neighbors=search)
        synthetic = made.fit_resample(rows, labels)[0][len(rows) :]
        os.makedirs(target, exist_ok=True)
        pq.write_table(pa.table(dict(zip(FEATURES, synthetic.T, strict=True))), f"{target}/rows.parquet")

    return work


def columns(rows: int) -> dict[str, np.ndarray]:
    """Columns of doubles that depend on six numbers and noise, of skewed integers and of booleans."""
    random = np.random.default_rng(0)
    doubles = random.standard_normal((rows, 6)) @ random.standard_normal((6, 16))
    doubles += 0.5 * random.standard_normal((rows, 16))
    found = dict(zip(DOUBLES, doubles.T, strict=True))
    found |= {name: np.rint(np.exp(random.standard_normal(rows) + 2)).astype(np.int32) for name in INTEGERS}
    return found | {name: random.random(rows) < share for name, share in zip(BOOLEANS, (0.3, 0.5), strict=True)}


def written(rows: int, directory: str) -> str:
    path = f"{directory}/{rows}.parquet"
    keys = np.char.add("k", np.arange(rows).astype(str))
    pq.write_table(pa.table({"key": keys, **columns(rows)}), path, row_group_size=-(-rows // CORES))
    return path


def recall(rows: int, sample: int = 500) -> float:
    """The share of the true nearest neighbours that the approximate search finds, of a sample of rows."""
    table = pa.RecordBatch.from_pydict(columns(rows))
    points = smote._points(table, FEATURES, {name: smote._kinds(table[name]) for name in BOOLEANS})
    asked = np.random.default_rng(1).choice(rows, sample, replace=False)
    exact, found = (neighbours.nearest(points, 5, upto)(asked) for upto in (rows, 0))
    return float(np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact, found, strict=True)]))


def results(pairs: int, full: bool) -> list[Result]:
    found: list[Result] = []
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        us, them, same = sides = [Side(start) for start in (ours, plain_smote, smotenc)]
        try:
            small = written(2_000, directory)
            for side in sides:
                side.warm(small, f"{directory}/out")
            sources = {rows: written(rows, directory) for rows in SIZES}

            def against(name: str, other: Side, rows: int, times: int, goal: float | None = None) -> None:
                taken = [
                    (
                        us.run(rows, sources[rows], f"{directory}/out"),
                        other.run(rows, sources[rows], f"{directory}/their"),
                    )
                    for _ in range(times)
                ]
                found.append(
                    judge(f"synthetic rows of {rows:,} minority rows / imbalanced-learn's {name}", taken, goal)
                )
                held = [f"{side.peak[rows].total:.0f} MB ({side.idle.total:.0f} when warm)" for side in (us, other)]
                print(f"    memory: {held[0]} against {held[1]}", flush=True)

            for rows in SIZES:
                against("SMOTE", them, rows, pairs)
            for rows in SIZES if full else SIZES[:-1]:
                against("SMOTENC", same, rows, pairs if rows == SIZES[0] else 1, goal=1.15)
            print(
                f"growth of the time with the rows, as an exponent: {exponent(us.seconds):.2f}, "
                f"SMOTE {exponent(them.seconds):.2f}, SMOTENC {exponent(same.seconds):.2f}"
            )
            if full:
                found.append(_large(us, them, directory))
        finally:
            for side in sides:
                side.end()
    print(f"load {os.getloadavg()[0]:.1f} after")
    return found


def _large(us: Side, them: Side, directory: str) -> Result:
    source = written(LARGE, directory)
    seconds = us.run(LARGE, source, f"{directory}/out")
    other = them.run(LARGE, source, f"{directory}/their", PATIENCE * seconds)
    if math.isinf(other):
        print(f"imbalanced-learn's SMOTE was stopped after {PATIENCE} times as long: the ratio is at most this")
        other = PATIENCE * seconds
    print(f"{us.peak[LARGE].total:.0f} MB; of the nearest neighbours the approximate search finds {recall(LARGE):.4f}")
    return judge(
        f"synthetic rows of {LARGE:,} minority rows, approximate / imbalanced-learn's SMOTE", [(seconds, other)], 1
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--full", action="store_true")
    given = parsed(parser)
    record(results(given.pairs, given.full), given.into)


if __name__ == "__main__":
    main()
