"""Lays out tree ensembles of ONNX as arrays that run several times as fast as ONNX Runtime, on one thread, with the
same sums.

Every tree becomes a complete one, in heap order with its root at 1: one step down is ``2 * place`` or
``2 * place + 1``, so that the code never branches. `of_node` reads an ensemble of ONNX, or raises Unfit.
`spark_lib.scoring.forest_kernel` has the loop. Workers import this module, so numba is imported only where something is
summed up.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spark_lib.caches import user_directory
from spark_lib.models.matrix import round_down

#: A complete tree of depth d has 2^d leaves. A deeper one would be mostly padding, and all leaves should fit into the
#: caches of a core.
MOST_DEPTH = 12
MOST_LEAVES = 2**21
#: What all leaves add to all sums, in numbers. An engine is sent to every worker.
MOST_VALUES = 2**23
#: The levels that `spark_lib.scoring.forest_kernel` goes down at once.
LEAST_DEPTH = 4
_LEAF, _AT_MOST, _BELOW = "LEAF", "BRANCH_LEQ", "BRANCH_LT"
#: The kinds of nodes in version 5 of ai.onnx.ml, by number.
_MODES = [_AT_MOST, _BELOW, "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"]


class Unfit(Exception):
    """A model has something that a `Forest` cannot have; the message says what."""


@dataclass(frozen=True)
class Forest:
    """Complete trees of one depth. Places of inner nodes are in heap order; place 0 is not used.

    ``features`` are the features that nodes compare, uint64 [trees, 2^depth], and ``thresholds`` what they compare
    with, float32 [trees, 2^depth]. ``leaves`` [trees, m, 2^depth] is what each leaf adds to each of the m sums, float32
    or float64 as the sums are. Where a node ``sends_nan_left``, as in trees of scikit-learn, the sums of rows with NaN
    differ from those of ONNX.

    Where every tree adds to just one of several sums, as boosted trees of several classes do, ``trees_of`` has the numbers
    of the trees of each sum, and m is 1 in ``leaves``.
    """

    features: np.ndarray
    thresholds: np.ndarray
    leaves: np.ndarray
    sends_nan_left: bool = False
    trees_of: tuple[np.ndarray, ...] = ()

    @property
    def width(self) -> int:
        """The number of sums."""
        return len(self.trees_of) or self.leaves.shape[1]

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """The sums, float [n, width], for the features of n rows by column, float32 [k, n]."""
        if self.trees_of:
            return np.concatenate([self.only(one).sums(columns) for one in range(self.width)], axis=1)
        found = np.zeros((columns.shape[1], self.leaves.shape[1]), self.leaves.dtype)
        _loop(self.leaves.dtype.str)(columns, self.features, self.thresholds, self.leaves, found)
        return found

    def why_not_compiled(self) -> str:
        """The reason why this process cannot run it; empty where it can."""
        return _why_not_compiled(self.leaves.dtype.str)

    def only(self, one: int) -> Forest:
        """The forest that gives just one of the sums."""
        if self.trees_of:
            trees = self.trees_of[one]
            parts = {name: getattr(self, name)[trees] for name in ("features", "thresholds", "leaves")}
            return replace(self, **parts, trees_of=())
        return replace(self, leaves=np.ascontiguousarray(self.leaves[:, one : one + 1]))


@cache
def _why_not_compiled(sums: str) -> str:
    try:
        _loop(sums)
    except Exception as error:  # an error of numba or LLVM: whatever it is, ONNX Runtime scores
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return ""


@cache
def _loop(sums: str) -> Any:
    """The loop for sums of this type, compiled once on each machine.

    What numba compiled is stored below the user's cache, where nobody else writes. Where it cannot be read again, it is
    compiled again. Where it cannot be stored, it is compiled in every process.
    """
    kept = user_directory() / "compiled"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kept))
    import numba

    if getattr(numba.config, "DISABLE_JIT", 0):  # numba would run the loop in Python, a thousand times slower
        raise RuntimeError("NUMBA_DISABLE_JIT is set")
    for _ in range(2):
        try:
            return _tried(numba.njit(nogil=True, error_model="numpy", cache=True)(_kernel(kept)), sums)
        except Exception:  # errors of numba, of pickle and of the disk
            shutil.rmtree(kept, ignore_errors=True)
    return _tried(numba.njit(nogil=True, error_model="numpy")(_kernel(kept)), sums)


def _kernel(kept: Path) -> Any:
    """The loop that is to be compiled.

    numba finds what it has compiled by the path of the source. Executors may have this package from a zip file, whose
    path is another one in each run: a copy of the source then lies below ``kept``, by the digest of its content.
    """
    from spark_lib.scoring import forest_kernel

    if os.path.isfile(forest_kernel.__file__):
        return forest_kernel.add
    source = inspect.getsource(forest_kernel)
    copy = kept / f"kernel_{hashlib.sha256(source.encode()).hexdigest()[:16]}.py"
    if not copy.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        new = copy.with_name(f".{copy.name}-{secrets.token_hex(8)}")
        new.write_text(source, encoding="utf-8")
        os.replace(new, copy)
    spec = importlib.util.spec_from_file_location(copy.stem, copy)
    assert spec is not None and spec.loader is not None  # it is a file of Python
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.add


def _tried(loop: Any, sums: str) -> Any:
    """Run the loop once, and return it."""
    none = np.zeros((1, 2**LEAST_DEPTH))
    loop(
        np.zeros((1, 1), np.float32),
        none.astype(np.uint64),
        none.astype(np.float32),
        none[:, None].astype(sums),
        np.zeros((1, 1), sums),
    )
    return loop


def of_node(kind: str, attributes: Mapping[str, Any], doubles: bool) -> Forest:
    """The forest of a node ``TreeEnsembleClassifier``, ``TreeEnsembleRegressor`` or ``TreeEnsemble`` of ONNX, whose
    input is ``doubles`` or float32. Raises Unfit for a node that does not fit."""
    read = _classic if kind != "TreeEnsemble" else _of_version_5
    nodes = read(attributes)
    if nodes.trees * 2**nodes.depth > MOST_LEAVES:
        raise Unfit(f"{nodes.trees:,} trees of depth {nodes.depth}")
    width = nodes.weights.shape[1] if nodes.target_of_tree is None else 1
    if nodes.trees * 2**nodes.depth * width > MOST_VALUES:
        raise Unfit(f"{nodes.trees:,} trees of depth {nodes.depth} for {width} sums each")
    sends_nan_left = bool(np.any(attributes.get("nodes_missing_value_tracks_true", 0)))
    return replace(nodes.completed(np.float64 if doubles else np.float32), sends_nan_left=sends_nan_left)


@dataclass(frozen=True)
class _Nodes:
    """All nodes of all trees. ``feature`` and ``threshold`` are what a node compares. ``left`` and ``right`` are its
    children as rows of this table; a leaf has itself as both. ``weights`` [rows, m] are those of leaves. ``roots``
    [trees] are rows of this table, too."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    weights: np.ndarray
    roots: np.ndarray

    @property
    def trees(self) -> int:
        return len(self.roots)

    @cached_property
    def depth(self) -> int:
        """The number of levels below the roots, at least ``LEAST_DEPTH``. Raises Unfit for a tree that is too deep."""
        found, level = 0, self.roots
        while found < LEAST_DEPTH or (self.left[level] != level).any():
            level = np.unique(np.concatenate([self.left[level], self.right[level]]))
            found += 1
            if found > MOST_DEPTH:
                raise Unfit(f"a tree of more than {MOST_DEPTH} levels")
        return found

    @cached_property
    def target_of_tree(self) -> np.ndarray | None:
        """The one sum that each tree adds to, intp [trees]. None where a tree adds to several, or where there are fewer
        than three."""
        if self.weights.shape[1] < 3:
            return None
        tree, level = np.zeros(len(self.left), np.intp), self.roots[:, None]
        for _ in range(self.depth + 1):
            tree[level] = np.arange(self.trees)[:, None]
            level = np.stack([self.left[level], self.right[level]], axis=2).reshape(self.trees, -1)
        added = np.zeros((self.trees, self.weights.shape[1]), bool)
        rows, targets = np.nonzero(self.weights)
        added[tree[rows], targets] = True
        return added.argmax(axis=1) if (added.sum(axis=1) <= 1).all() else None

    def completed(self, sums: type) -> Forest:
        levels = [np.zeros((self.trees, 1), np.intp)]  # the unused place 0
        level = self.roots[:, None]
        for _ in range(self.depth):
            levels.append(level)
            level = np.stack([self.left[level], self.right[level]], axis=2).reshape(self.trees, -1)
        inner = np.concatenate(levels, axis=1)
        target = self.target_of_tree
        trees_of: tuple[np.ndarray, ...] = ()
        if target is None:
            leaves = self.weights[level].transpose(0, 2, 1)
        else:
            leaves = self.weights[level, target[:, None]][:, None]
            trees_of = tuple(np.flatnonzero(target == one) for one in range(self.weights.shape[1]))
        return Forest(
            self.feature[inner].astype(np.uint64),
            np.ascontiguousarray(self.threshold[inner]),
            np.ascontiguousarray(leaves.astype(sums)),
            trees_of=trees_of,
        )


def _classic(given: Mapping[str, Any]) -> _Nodes:
    """Classifiers and regressors: lists of nodes that refer to each other by tree and number."""
    modes = np.array([mode.decode() if isinstance(mode, bytes) else mode for mode in given["nodes_modes"]])
    _refuse_others(modes)
    if given.get("post_transform", b"NONE") not in (b"NONE", "NONE"):
        raise Unfit(f"the transformation {given['post_transform']!r} after the sum")
    if given.get("aggregate_function", b"SUM") not in (b"SUM", "SUM"):
        raise Unfit(f"the aggregate {given['aggregate_function']!r}")
    if np.any(_values(given, "base_values")):
        raise Unfit("base values")
    tree, number = (np.asarray(given[f"nodes_{name}"], np.int64) for name in ("treeids", "nodeids"))
    place = _Places(tree, number)
    rows, leaf = np.arange(len(tree)), modes == _LEAF
    left, right = (
        np.where(leaf, rows, place.of(tree, np.where(leaf, number, np.asarray(given[f"nodes_{name}nodeids"]))))
        for name in ("true", "false")
    )
    of = "class" if "class_ids" in given else "target"
    targets = np.asarray(given[f"{of}_ids"], np.int64)
    count = len(np.unique(targets)) if of == "class" else int(given.get("n_targets", 1))
    if of == "class" and count != _classes(given):
        raise Unfit(f"votes for {count} of {_classes(given)} classes")
    weights = np.zeros((len(tree), count))
    added = place.of(np.asarray(given[f"{of}_treeids"]), np.asarray(given[f"{of}_nodeids"]))
    np.add.at(weights, (added, targets), _values(given, f"{of}_weights"))
    roots = np.setdiff1d(rows, np.concatenate([left[~leaf], right[~leaf]]))
    roots = roots[np.argsort(tree[roots], kind="stable")]
    feature = np.asarray(given["nodes_featureids"], np.int64)
    return _Nodes(feature, _thresholds(_values(given, "nodes_values"), modes), left, right, weights, roots)


def _of_version_5(given: Mapping[str, Any]) -> _Nodes:
    """Inner nodes and leaves come in lists of their own. Here the leaves are put after the inner nodes."""
    modes = np.array([_MODES[mode] for mode in given["nodes_modes"]])
    _refuse_others(modes)
    if given.get("post_transform", 0) != 0 or given.get("aggregate_function", 1) != 1:
        raise Unfit("a transformation after the sum, or an aggregate that is none")
    inner, targets = len(modes), np.asarray(given["leaf_targetids"], np.int64)
    leaves = inner + np.arange(len(targets))

    def children(side: str) -> np.ndarray:
        of = np.asarray(given[f"nodes_{side}nodeids"], np.int64)
        return np.concatenate([np.where(np.asarray(given[f"nodes_{side}leafs"], bool), inner + of, of), leaves])

    weights = np.zeros((inner + len(leaves), int(given.get("n_targets", 1))))
    weights[leaves, targets] = given["leaf_weights"]
    padding = np.zeros(len(leaves))
    feature = np.concatenate([np.asarray(given["nodes_featureids"], np.int64), padding.astype(np.int64)])
    threshold = np.concatenate([_thresholds(np.asarray(given["nodes_splits"], np.float64), modes), padding])
    roots = np.asarray(given["tree_roots"], np.int64)
    return _Nodes(feature, threshold.astype(np.float32), children("true"), children("false"), weights, roots)


class _Places:
    """The rows of nodes by tree and number."""

    def __init__(self, tree: np.ndarray, number: np.ndarray) -> None:
        self._span = int(number.max()) + 1
        keys = tree * self._span + number
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def of(self, tree: np.ndarray, number: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._order[np.searchsorted(self._keys, tree * self._span + number)]
        return found


def _refuse_others(modes: np.ndarray) -> None:
    others = sorted(set(modes.tolist()) - {_LEAF, _AT_MOST, _BELOW})
    if others:
        raise Unfit(f"nodes of the kind {', '.join(others)}")


def _thresholds(values: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Thresholds by which ``x <= threshold`` decides as the node does, for every float32 x. ``x < t`` becomes ``x <=``
    the greatest float32 below t."""
    found = round_down(values.astype(np.float64))
    before = np.nextafter(found, np.float32(-np.inf))
    below = np.where(found.astype(np.float64) < values, found, before)
    return np.where(modes == _BELOW, below, found).astype(np.float32)


def _values(given: Mapping[str, Any], name: str) -> np.ndarray:
    """Floats, or the doubles of a tensor."""
    return np.asarray(given.get(f"{name}_as_tensor", given.get(name, [])), np.float64)


def _classes(given: Mapping[str, Any]) -> int:
    return len(given.get("classlabels_int64s") or given.get("classlabels_strings") or ())
