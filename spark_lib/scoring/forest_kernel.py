"""The loop of ``spark_lib.scoring.forest``, which compiles it with numba.

The first four levels of a tree are fifteen comparisons of every row. Their nodes are the same for all rows, so the
compiler compares many rows at once. From there eight rows go down together: one moves while the others wait for memory.
Their places are in eight local variables, because the compiler puts these in registers, and does not do so for an
array. All numbers are unsigned, because for signed ones numba asks at every access whether they count from the end.
"""

from __future__ import annotations

import numba
import numpy as np

#: Rows whose features fit into the first cache of a core.
BLOCK = 256
_U = np.uint64
_0, _1, _2, _3, _4, _5, _6, _7 = (_U(number) for number in range(8))
_I = np.uint32
_LEFT, _RIGHT = _I(0), _I(1)


@numba.njit(inline="always")
def _down(place, of, at, x, row):  # type: ignore[no-untyped-def]  # numba infers the types
    """The place one level below. The comparison is not ``x > at``: a comparison with NaN is false, and so goes to the
    second child."""
    return _2 * place + (_0 if x[of[place] + row] <= at[place] else _1)


@numba.njit(inline="always")
def _side(value, at):  # type: ignore[no-untyped-def]  # numba infers the types
    return _LEFT if value <= at else _RIGHT


@numba.njit(nogil=True, error_model="numpy")
def _four_down(of, at, x, places):  # type: ignore[no-untyped-def]  # numba infers the types
    """The places of a block's rows four levels below the root. All fifteen comparisons are made, because nothing may
    branch. Then each node, from the lowest level up, says which way a row goes from there."""
    of1, of2, of3, of4, of5, of6, of7 = of[1], of[2], of[3], of[4], of[5], of[6], of[7]
    of8, of9, of10, of11, of12, of13, of14, of15 = of[8], of[9], of[10], of[11], of[12], of[13], of[14], of[15]
    at1, at2, at3, at4, at5, at6, at7 = at[1], at[2], at[3], at[4], at[5], at[6], at[7]
    at8, at9, at10, at11, at12, at13, at14, at15 = at[8], at[9], at[10], at[11], at[12], at[13], at[14], at[15]
    for number in range(BLOCK):
        row = _U(number)
        s1 = _side(x[of1 + row], at1)
        s2 = _side(x[of2 + row], at2)
        s3 = _side(x[of3 + row], at3)
        s4 = _side(x[of4 + row], at4)
        s5 = _side(x[of5 + row], at5)
        s6 = _side(x[of6 + row], at6)
        s7 = _side(x[of7 + row], at7)
        s8 = _side(x[of8 + row], at8)
        s9 = _side(x[of9 + row], at9)
        s10 = _side(x[of10 + row], at10)
        s11 = _side(x[of11 + row], at11)
        s12 = _side(x[of12 + row], at12)
        s13 = _side(x[of13 + row], at13)
        s14 = _side(x[of14 + row], at14)
        s15 = _side(x[of15 + row], at15)
        way4 = _I(2) * s4 + (s9 if s4 else s8)
        way5 = _I(2) * s5 + (s11 if s5 else s10)
        way6 = _I(2) * s6 + (s13 if s6 else s12)
        way7 = _I(2) * s7 + (s15 if s7 else s14)
        way2 = _I(4) * s2 + (way5 if s2 else way4)
        way3 = _I(4) * s3 + (way7 if s3 else way6)
        places[row] = _I(16) + _I(8) * s1 + (way3 if s1 else way2)


def add(columns, features, thresholds, leaves, found):  # type: ignore[no-untyped-def]  # numba infers the types
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
            _four_down(of, at, x, places)
            for base in range(0, many, 8):
                r0 = _U(base)
                here = x[base:]  # so the eight rows are known when this is compiled, and need no register each
                a = _U(places[r0 + _0])
                b = _U(places[r0 + _1])
                c = _U(places[r0 + _2])
                d = _U(places[r0 + _3])
                e = _U(places[r0 + _4])
                f = _U(places[r0 + _5])
                g = _U(places[r0 + _6])
                h = _U(places[r0 + _7])
                while a < first:
                    a = _down(a, of, at, here, _0)
                    b = _down(b, of, at, here, _1)
                    c = _down(c, of, at, here, _2)
                    d = _down(d, of, at, here, _3)
                    e = _down(e, of, at, here, _4)
                    f = _down(f, of, at, here, _5)
                    g = _down(g, of, at, here, _6)
                    h = _down(h, of, at, here, _7)
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
