"""Measures how the library's time and memory grow with the rows of a day, in one warm session."""

from __future__ import annotations

import shutil
import statistics
from functools import partial

from benchmarks import contestants, made
from benchmarks.ready import Bench
from benchmarks.result import Result, exponent, judged, words
from benchmarks.sides import Held, Side

#: Shares of the rows of the other comparisons: 10^5 to 1.6 x 10^7 rows.
SHARES = (1 / 40, 1 / 4, 1, 4)
#: The rows of a small day. After it there is a worker, which holds next to nothing.
IDLE_ROWS = 1_000
WORKER_MEGABYTES = 400
LINEAR = 1.05


def results(bench: Bench) -> list[Result]:
    model = bench.model("forest")
    sizes = [round(bench.rows * share) for share in SHARES]
    side = Side(partial(contestants.library, model))
    target = f"{bench.directory}/target"
    try:
        side.warm(made.land(f"{bench.directory}/idle", IDLE_ROWS, model.width), target)
        idle = side.idle
        bench.warm(side, model.width)
        for rows in sizes:
            source = bench.lake(rows, model.width)
            for _ in range(bench.pairs):
                shutil.rmtree(target, ignore_errors=True)
                side.run(rows, source, target)
            made.scores(target, rows)
    finally:
        side.end()
    print(
        f"the library, {bench.pairs} runs of each size; MB above idle: driver {idle.driver:.0f}, worker {idle.worker:.0f}"
    )
    print(table(side.seconds, side.peak, idle))
    return figures(side.seconds, side.peak, idle)


def table(seconds: dict[int, list[float]], peak: dict[int, Held], idle: Held) -> str:
    """Markdown: a line for each number of rows."""
    lines = ["| rows | s | rows a second | driver and its JVM, MB above idle | largest worker, MB above idle |"]
    lines.append("|---|---|---|---|---|")
    for rows, taken in seconds.items():
        median = statistics.median(taken)
        held = [peak[rows].driver - idle.driver, peak[rows].worker - idle.worker]
        lines.append(f"| {rows:,} | {median:.2f} | {rows / median:,.0f} | {held[0]:.0f} | {held[1]:.0f} |")
    return "\n".join(lines)


def figures(seconds: dict[int, list[float]], peak: dict[int, Held], idle: Held) -> list[Result]:
    """The figures with their goals. The exponent leaves out the least number of rows, which ONNX Runtime scores."""
    least, *larger = seconds
    most = max(held.worker for held in peak.values()) - idle.worker
    found = [
        judged(
            f"exponent of the time in the rows, {larger[0]:,} to {larger[-1]:,}",
            exponent({rows: seconds[rows] for rows in larger}),
            LINEAR,
        ),
        judged(f"largest worker, above an idle one / {WORKER_MEGABYTES} MB", most / WORKER_MEGABYTES, 1),
        judged(
            f"driver's peak with {larger[-1]:,} rows / with {least:,}",
            peak[larger[-1]].driver / peak[least].driver,
            None,
        ),
    ]
    for result in found:
        print(f"{result.name}\n    {result.ratio:.3g} ({words(result)})")
    return found
