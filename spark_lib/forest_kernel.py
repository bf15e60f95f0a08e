"""The loop of ``spark_lib.forest``, which compiles it with numba.

Sixteen rows go down a tree together, their places in sixteen local variables, which the compiler keeps in registers; it
does so for no array. Unsigned numbers, for of signed ones numba asks at every access whether they count from the end.
"""

from __future__ import annotations

import numba
import numpy as np

#: Rows whose features fit into the first cache of a core.
BLOCK = 256
_U = np.uint64
_0, _1, _2 = _U(0), _U(1), _U(2)


@numba.njit(inline="always")
def _down(place, of, at, x, row):  # type: ignore[no-untyped-def]
    """The place one level below. Not ``x > at``: a comparison with NaN fails, and goes to the second child."""
    return _2 * place + (_0 if x[of[place] + row] <= at[place] else _1)


def add(columns, features, thresholds, leaves, found):  # type: ignore[no-untyped-def]
    """Add to ``found`` [n, m] the leaves that the rows of ``columns`` [k, n] come to, one tree after the other."""
    count, rows = columns.shape
    trees, sums, width = leaves.shape
    first = _U(width)
    offsets = features * _U(BLOCK)
    x = np.zeros(count * BLOCK, columns.dtype)
    total = np.zeros((sums, BLOCK), found.dtype)
    for start in range(0, rows, BLOCK):
        many = min(BLOCK, rows - start)
        for column in range(count):
            for row in range(many):
                x[column * BLOCK + row] = columns[column, start + row]
        total[:] = 0
        for tree in range(trees):
            of, at, leaf = offsets[tree], thresholds[tree], leaves[tree]
            for base in range(0, many, 16):
                r0 = _U(base)
                a = b = c = d = e = f = g = h = i = j = k = l = m = n = o = p = _1  # noqa: E741  (sixteen of a kind)
                while a < first:
                    a = _down(a, of, at, x, r0)
                    b = _down(b, of, at, x, r0 + _U(1))
                    c = _down(c, of, at, x, r0 + _U(2))
                    d = _down(d, of, at, x, r0 + _U(3))
                    e = _down(e, of, at, x, r0 + _U(4))
                    f = _down(f, of, at, x, r0 + _U(5))
                    g = _down(g, of, at, x, r0 + _U(6))
                    h = _down(h, of, at, x, r0 + _U(7))
                    i = _down(i, of, at, x, r0 + _U(8))
                    j = _down(j, of, at, x, r0 + _U(9))
                    k = _down(k, of, at, x, r0 + _U(10))
                    l = _down(l, of, at, x, r0 + _U(11))  # noqa: E741
                    m = _down(m, of, at, x, r0 + _U(12))
                    n = _down(n, of, at, x, r0 + _U(13))
                    o = _down(o, of, at, x, r0 + _U(14))
                    p = _down(p, of, at, x, r0 + _U(15))
                places = (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
                for one in range(sums):
                    for near in range(16):
                        total[one, base + near] += leaf[one, places[near] - first]
        for row in range(many):
            for one in range(sums):
                found[start + row, one] += total[one, row]
