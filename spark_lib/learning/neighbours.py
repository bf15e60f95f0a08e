"""Finds nearest neighbours: exactly with scikit-learn, and approximately with faiss where that would take too long.

The search runs on one thread and for a few thousand rows at a time, so that the answers depend on the points alone.
Each library is imported only where it searches.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Up to this number of rows neighbours are exact. For this many rows of 20 columns two cores need 3 minutes, and four
#: times as long for twice as many rows.
EXACT_UP_TO = 200_000
#: An approximate search divides the points into 4 sqrt(points) lists. Each row looks through this many of them.
PROBES = 64
_TRAINING_POINTS = 64  # points for each list

Search = Callable[[np.ndarray], np.ndarray]


def nearest(points: np.ndarray, k: int, exact_up_to: int) -> Search:
    """A search among ``points``, float32 [n, d]. For the numbers [m] of some rows it returns the numbers [m, k] of the
    ``k`` other points that are nearest to each row. Up to ``exact_up_to`` points it is exact."""
    from threadpoolctl import threadpool_limits

    search = _exact(points, k + 1) if len(points) <= exact_up_to else _approximate(points, k + 1)

    def others(rows: np.ndarray) -> np.ndarray:
        with threadpool_limits(1):
            found = search(rows)
        other = found != rows[:, None]
        other[other.all(axis=1), -1] = False  # among many equal points a row may not find itself
        kept: np.ndarray = found[other].reshape(len(rows), k)
        return kept

    return others


def _exact(points: np.ndarray, k: int) -> Search:
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    return lambda rows: fitted.kneighbors(points[rows], return_distance=False)


def _approximate(points: np.ndarray, k: int) -> Search:
    import faiss
    from threadpoolctl import threadpool_limits

    lists = int(4 * len(points) ** 0.5)
    quantizer = faiss.IndexFlatL2(points.shape[1])
    index = faiss.IndexIVFFlat(quantizer, points.shape[1], lists)
    sample = np.random.default_rng(0).choice(len(points), min(len(points), lists * _TRAINING_POINTS), replace=False)
    with threadpool_limits(1):  # limits only libraries that are loaded, as faiss is by now
        index.train(points[np.sort(sample)])
        index.add(points)
    index.nprobe = PROBES

    def search(rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = index.search(points[rows], k)[1]
        lacking = (found < 0).any(axis=1)  # fewer points than k in the lists that were searched
        if lacking.any():
            found[lacking] = faiss.knn(points[rows[lacking]], points, k)[1]
        return found

    return search
