"""The loop of ``spark_lib.forest``, which compiles it with numba.

The first three levels of a tree are seven comparisons of every row, whose nodes are the same for all of them: the compiler
does them for many rows at once. From there eight rows go down together, each while the others wait for memory, their places in
eight local variables, which the compiler keeps in registers; it does so for no array. Unsigned numbers, for of signed ones
numba asks at every access whether they count from the end.
"""

from __future__ import annotations

import numba
import numpy as np

#: Rows whose features fit into the first cache of a core.
BLOCK = 256
_U = np.uint64
_0, _1, _2 = _U(0), _U(1), _U(2)
_I = np.uint32
_LEFT, _RIGHT = _I(0), _I(1)


@numba.njit(inline="always")
def _down(place, of, at, x, row):  # type: ignore[no-untyped-def]
    """The place one level below. Not ``x > at``: a comparison with NaN fails, and goes to the second child."""
    return _2 * place + (_0 if x[of[place] + row] <= at[place] else _1)


@numba.njit(nogil=True, error_model="numpy")
def _three_down(of, at, x, places):  # type: ignore[no-untyped-def]
    """The places of a block's rows three levels below the root. All seven comparisons are made, for nothing may branch."""
    of1, of2, of3, of4, of5, of6, of7 = of[1], of[2], of[3], of[4], of[5], of[6], of[7]
    at1, at2, at3, at4, at5, at6, at7 = at[1], at[2], at[3], at[4], at[5], at[6], at[7]
    for number in range(BLOCK):
        row = _U(number)
        one = _LEFT if x[of1 + row] <= at1 else _RIGHT
        two = _LEFT if x[of2 + row] <= at2 else _RIGHT
        three = _LEFT if x[of3 + row] <= at3 else _RIGHT
        four = _LEFT if x[of4 + row] <= at4 else _RIGHT
        five = _LEFT if x[of5 + row] <= at5 else _RIGHT
        six = _LEFT if x[of6 + row] <= at6 else _RIGHT
        seven = _LEFT if x[of7 + row] <= at7 else _RIGHT
        second = three if one else two
        low = five if second else four
        high = seven if second else six
        places[row] = _I(8) + _I(4) * one + _I(2) * second + (high if one else low)


def add(columns, features, thresholds, leaves, found):  # type: ignore[no-untyped-def]
    """Add to ``found`` [n, m] the leaves that the rows of ``columns`` [k, n] come to, one tree after the other."""
    count, rows = columns.shape
    trees, sums, width = leaves.shape
    first = _U(width)
    offsets = features * _U(BLOCK)
    x = np.zeros(count * BLOCK, columns.dtype)
    places = np.zeros(BLOCK, np.uint32)
    total = np.zeros((sums, BLOCK), found.dtype)
    for start in range(0, rows, BLOCK):
        many = min(BLOCK, rows - start)
        for column in range(count):
            for row in range(many):
                x[column * BLOCK + row] = columns[column, start + row]
        total[:] = 0
        for tree in range(trees):
            of, at, leaf = offsets[tree], thresholds[tree], leaves[tree]
            _three_down(of, at, x, places)
            for base in range(0, many, 8):
                r0 = _U(base)
                a = _U(places[r0])
                b = _U(places[r0 + _U(1)])
                c = _U(places[r0 + _U(2)])
                d = _U(places[r0 + _U(3)])
                e = _U(places[r0 + _U(4)])
                f = _U(places[r0 + _U(5)])
                g = _U(places[r0 + _U(6)])
                h = _U(places[r0 + _U(7)])
                while a < first:
                    a = _down(a, of, at, x, r0)
                    b = _down(b, of, at, x, r0 + _U(1))
                    c = _down(c, of, at, x, r0 + _U(2))
                    d = _down(d, of, at, x, r0 + _U(3))
                    e = _down(e, of, at, x, r0 + _U(4))
                    f = _down(f, of, at, x, r0 + _U(5))
                    g = _down(g, of, at, x, r0 + _U(6))
                    h = _down(h, of, at, x, r0 + _U(7))
                for one in range(sums):
                    to, by = total[one, base : base + 8], leaf[one]
                    to[0] += by[a - first]
                    to[1] += by[b - first]
                    to[2] += by[c - first]
                    to[3] += by[d - first]
                    to[4] += by[e - first]
                    to[5] += by[f - first]
                    to[6] += by[g - first]
                    to[7] += by[h - first]
        for row in range(many):
            for one in range(sums):
                found[start + row, one] += total[one, row]
