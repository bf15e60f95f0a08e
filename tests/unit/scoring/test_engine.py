"""Forests against ONNX Runtime, on the values where comparisons differ, and what does not fit a forest."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import re
import zipfile
import zipimport
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import onnx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

from spark_lib import scoring
from spark_lib.models import export, matrix, model
from spark_lib.models.export import trees as exported_trees
from spark_lib.scoring import engine, forest, forest_kernel
from spark_lib.scoring.forest import Forest, Unfit
from spark_lib.use_case import Feature

FEATURES = 5


@pytest.mark.slow
def test_probabilities_of_a_forest_are_those_of_onnx_runtime_to_the_last_bit() -> None:
    trees = Trees(seed=1, trees=30, depth=7)
    bytes_ = of(classifier(trees))

    made = engine.of(bytes_)

    assert (made.why, made.rest) == ("", b"")
    columns = awkward(trees)
    np.testing.assert_array_equal(made.scores(columns), by_onnx_runtime(bytes_, columns))


def test_a_category_is_encoded_once_and_the_texts_that_training_did_not_see_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded, places = [], matrix._places
    monkeypatch.setattr(matrix, "_places", lambda rows, name, *more: encoded.append(name) or places(rows, name, *more))
    features = {"kind": Feature("STRING", categories=("soup", "stew"))} | dict.fromkeys("abcd", Feature("DOUBLE"))
    kinds = ["stew", "pie", None, "soup", "cake"]
    rows = pa.record_batch({"kind": kinds, **{name: np.arange(5.0) for name in "abcd"}})
    bytes_ = of(classifier(Trees(seed=1, trees=3, depth=3)))

    found = engine.of(bytes_, rows=5).of_rows(rows, features)

    assert (encoded, found.unseen, found.missing, found.repeated) == (["kind"], {"kind": 2}, {}, 0)
    of_kinds = np.array([[1, 2, 3, 0, 2], *[np.arange(5.0)] * 4], np.float32)
    np.testing.assert_array_equal(found.scores, by_onnx_runtime(bytes_, of_kinds))


@pytest.mark.slow
def test_trees_of_doubles_add_up_in_doubles() -> None:
    trees = Trees(seed=2, trees=120, depth=5)
    bytes_ = of(
        helper.make_node("Cast", [model.INPUT], ["wide"], to=TensorProto.DOUBLE),
        classifier(trees, given="wide", doubles=True),
    )

    made = engine.of(bytes_)

    assert made.forest is not None
    assert made.forest.leaves.dtype == np.float64
    columns = awkward(trees)
    np.testing.assert_array_equal(made.scores(columns), by_onnx_runtime(bytes_, columns))


def test_what_follows_the_sums_is_run_by_onnx_runtime() -> None:
    trees = Trees(seed=3, trees=20, depth=4)
    bytes_ = of(
        regressor(trees),
        helper.make_node("Sigmoid", ["margin"], ["positive"]),
        helper.make_node("Sub", ["one", "positive"], ["negative"]),
        helper.make_node("Concat", ["negative", "positive"], [model.OUTPUT], axis=1),
    )

    made = engine.of(bytes_)

    assert made.rest
    columns = awkward(trees)
    np.testing.assert_array_equal(made.scores(columns), by_onnx_runtime(bytes_, columns))


@pytest.mark.parametrize("targets", [1, 3])
def test_sums_of_several_classes_and_targets_are_those_of_onnx_runtime(targets: int) -> None:
    trees = Trees(seed=4, trees=11, depth=6, targets=targets)
    node = classifier(trees) if targets > 1 else regressor(trees)

    found = forest_of(node).sums(awkward(trees))

    np.testing.assert_array_equal(found, sums_by_onnx_runtime(node, awkward(trees)))


@pytest.mark.parametrize("doubles", [False, True])
def test_probabilities_of_ten_classes_are_those_of_onnx_runtime_to_the_last_bit(doubles: bool) -> None:
    trees = Trees(seed=10, trees=30, depth=6, targets=10)
    node = classifier(trees, given="wide" if doubles else model.INPUT, doubles=doubles)
    bytes_ = of(*WIDE[:doubles], node, width=10)

    made = engine.of(bytes_)

    assert (made.why, made.rest, made.classes) == ("", b"", 10)
    columns = awkward(trees)
    found = made.scores(columns)
    assert (found.shape, found.dtype) == ((columns.shape[1], 10), np.float32)
    np.testing.assert_array_equal(found, by_onnx_runtime(bytes_, columns))


@pytest.mark.parametrize("doubles", [False, True])
def test_a_number_is_that_of_onnx_runtime_to_the_last_bit(doubles: bool) -> None:
    nodes = grown(30, depth=4, seed=3)
    scaled = exported_trees.predictions(nodes, np.full(30, 1e5), np.array([1e6]))
    attributes = exported_trees.typed(exported_trees.tree_attributes(nodes) | scaled, doubles)
    given = "wide" if doubles else model.INPUT
    kind = "TreeEnsembleRegressor"
    node = helper.make_node(kind, [given], [model.PREDICTION], domain="ai.onnx.ml", n_targets=1, **attributes)
    bytes_ = of(*WIDE[:doubles], node, output=model.PREDICTION, width=1)
    columns = np.random.default_rng(0).standard_normal((FEATURES, 500)).astype(np.float32)

    made = engine.of(bytes_)

    assert (made.why, made.rest, made.classes) == ("", b"", 0)
    found = made.scores(columns)
    assert found.shape == (500,) and np.ptp(found) > 1e5
    np.testing.assert_array_equal(found, by_onnx_runtime(bytes_, columns))


def test_a_number_a_little_outside_of_0_and_1_stays_there() -> None:
    bytes_ = of(
        helper.make_node(
            "TreeEnsembleRegressor",
            [model.INPUT],
            [model.PREDICTION],
            domain="ai.onnx.ml",
            n_targets=1,
            nodes_treeids=[0, 0, 0],
            nodes_nodeids=[0, 1, 2],
            nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
            nodes_featureids=[0, 0, 0],
            nodes_values=[0.0, 0.0, 0.0],
            nodes_truenodeids=[1, 0, 0],
            nodes_falsenodeids=[2, 0, 0],
            target_treeids=[0, 0],
            target_nodeids=[1, 2],
            target_ids=[0, 0],
            target_weights=[1.0000001, -1e-7],
        ),
        output=model.PREDICTION,
        width=1,
    )
    columns = np.array([[-1.0, 1.0]] * FEATURES, np.float32)

    made = engine.of(bytes_)

    assert made.forest is not None
    np.testing.assert_array_equal(made.scores(columns), np.array([1.0000001, -1e-7], np.float32))


@pytest.mark.parametrize("doubles", [False, True])
def test_trees_that_belong_to_one_class_each_are_summed_class_by_class(doubles: bool) -> None:
    nodes = grown(21, depth=4, seed=5)
    of_classes = exported_trees.predictions(nodes, np.full(21, 0.3), np.array([-1.5, 0.5, 0.25]))
    attributes = exported_trees.typed(exported_trees.tree_attributes(nodes) | of_classes, doubles)
    given, kind = "wide" if doubles else model.INPUT, "TreeEnsembleRegressor"
    bytes_ = of(
        *WIDE[:doubles],
        helper.make_node(kind, [given], ["margins"], domain="ai.onnx.ml", n_targets=3, **attributes),
        helper.make_node("Softmax", ["margins"], [model.OUTPUT], axis=1),
        width=3,
    )
    columns = np.random.default_rng(0).standard_normal((FEATURES, 500)).astype(np.float32)

    made = engine.of(bytes_)

    assert made.forest is not None and made.forest.leaves.shape[:2] == (21, 1)
    assert [trees.tolist() for trees in made.forest.trees_of] == [list(range(one, 21, 3)) for one in range(3)]
    np.testing.assert_array_equal(made.scores(columns), by_onnx_runtime(bytes_, columns))
    np.testing.assert_array_equal(made.forest.only(1).sums(columns)[:, 0], made.forest.sums(columns)[:, 1])


def test_leaves_that_add_too_many_numbers_are_left_to_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "MOST_VALUES", 3 * 2**4 * 5 - 1)
    with pytest.raises(Unfit) as unfit:
        forest_of(classifier(Trees(seed=11, trees=3, depth=4, targets=5)))
    assert str(unfit.value) == "3 trees of depth 4 for 5 sums each"


def test_trees_with_too_many_leaves_are_left_to_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    node = regressor(Trees(seed=11, trees=3, depth=4))
    monkeypatch.setattr(forest, "MOST_LEAVES", 3 * 2**4)
    assert forest_of(node).width == 1

    monkeypatch.setattr(forest, "MOST_LEAVES", 3 * 2**4 - 1)
    with pytest.raises(Unfit) as unfit:
        forest_of(node)

    assert str(unfit.value) == "3 trees of depth 4"


def test_a_classifier_whose_leaves_vote_for_one_class_alone_is_left_to_onnx_runtime() -> None:
    given = attributes(classifier(Trees(seed=11, trees=3, depth=3)))

    with pytest.raises(Unfit) as unfit:
        forest.of_node("TreeEnsembleClassifier", given | {"class_ids": [1] * len(given["class_ids"])}, doubles=False)

    assert str(unfit.value) == "votes for 1 of 2 classes"


@pytest.mark.parametrize("change", [{"post_transform": 1}, {"aggregate_function": 0}])
def test_trees_of_operator_version_5_that_are_not_just_summed_are_left_to_onnx_runtime(change: dict[str, int]) -> None:
    given = attributes(ensemble(Trees(seed=5, trees=3, depth=3)))

    with pytest.raises(Unfit) as unfit:
        forest.of_node("TreeEnsemble", given | change, doubles=False)

    assert str(unfit.value) == "a transformation after the sum, or an aggregate that is none"


def test_the_trees_of_operator_version_5_are_read_too() -> None:
    trees = Trees(seed=5, trees=9, depth=5)
    node = ensemble(trees)

    found = forest_of(node).sums(awkward(trees))

    np.testing.assert_array_equal(found, sums_by_onnx_runtime(node, awkward(trees), version=5))


def test_a_node_that_asks_for_less_sends_a_value_on_the_threshold_to_the_other_side() -> None:
    trees = Trees(seed=6, trees=9, depth=5, mode="BRANCH_LT")
    node = regressor(trees)

    found = forest_of(node).sums(awkward(trees))

    np.testing.assert_array_equal(found, sums_by_onnx_runtime(node, awkward(trees)))


@pytest.mark.slow
def test_more_rows_than_a_block_and_fewer_than_sixteen_are_summed_alike() -> None:
    trees = Trees(seed=7, trees=5, depth=3)
    made = forest_of(regressor(trees))
    columns = np.tile(awkward(trees), 20)

    whole = made.sums(columns)

    assert columns.shape[1] > 2 * 256
    for rows in (0, 1, 15, 16, 17, 255, 256, 257):
        np.testing.assert_array_equal(made.sums(columns[:, :rows]), whole[:rows])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"nodes_modes": b"BRANCH_GT"}, "nodes of the kind BRANCH_GT"),
        ({"post_transform": b"LOGISTIC"}, "the transformation b'LOGISTIC' after the sum"),
        ({"aggregate_function": b"AVERAGE"}, "the aggregate b'AVERAGE'"),
        ({"base_values": [0.5]}, "base values"),
    ],
)
def test_what_a_forest_has_not_is_left_to_onnx_runtime_by_name(change: Mapping[str, Any], why: str) -> None:
    given = attributes(regressor(Trees(seed=8, trees=3, depth=3)))
    (name,) = change
    if name.startswith("nodes_"):
        change = {name: [change[name]] * len(given["nodes_nodeids"])}

    with pytest.raises(Unfit) as unfit:
        forest.of_node("TreeEnsembleRegressor", given | dict(change), doubles=False)

    assert str(unfit.value) == why


@pytest.mark.parametrize("with_nan", [False, True])
def test_a_forest_of_scikit_learn_scores_as_in_onnx_runtime_with_missing_values_or_none(with_nan: bool) -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((2_000, FEATURES), np.float32)
    fitted = RandomForestClassifier(10, max_depth=6, random_state=1).fit(matrix, matrix[:, 0] + matrix[:, 1] > 0)
    bytes_ = export.export_sklearn(fitted, FEATURES)
    if with_nan:
        matrix[random.random(matrix.shape) < 0.1] = np.nan

    made = engine.of(bytes_)

    assert made.forest is not None
    assert made.forest.sends_nan_left
    np.testing.assert_array_equal(made.scores(np.ascontiguousarray(matrix.T)), by_onnx_runtime(bytes_, matrix.T))


def test_a_tree_too_deep_is_left_to_onnx_runtime() -> None:
    with pytest.raises(Unfit, match="a tree of more than 12 levels"):
        forest_of(regressor(Trees(seed=9, trees=1, depth=13, full=False)))


def test_a_model_without_trees_is_run_by_onnx_runtime() -> None:
    bytes_ = of(
        helper.make_node("ReduceMean", [model.INPUT], ["positive"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "positive"], ["negative"]),
        helper.make_node("Concat", ["negative", "positive"], [model.OUTPUT], axis=1),
    )

    made = engine.of(bytes_)

    assert (made.forest, made.why) == (None, "0 ensembles of trees")
    columns = np.ones((FEATURES, 3), np.float32)
    np.testing.assert_array_equal(made.scores(columns), [1, 1, 1])


def test_a_few_rows_are_scored_by_onnx_runtime_without_numba() -> None:
    few = engine.of(of(classifier(Trees(seed=1, trees=3, depth=3))), rows=499_999)

    assert (few.forest, few.why) == (None, "fewer than 500,000 rows")


def test_where_nothing_can_be_compiled_onnx_runtime_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(seed=1, trees=3, depth=3)
    made = engine.of(of(classifier(trees)))
    compiled = made.scores(awkward(trees))
    monkeypatch.setattr(Forest, "why_not_compiled", lambda _: "ImportError: No module named 'numba'")

    np.testing.assert_array_equal(made.scores(awkward(trees)), compiled)


def marks(columns, features, thresholds, leaves, found):
    found[0, 0] = 1


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_what_numba_kept_and_cannot_read_is_compiled_again(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forest_kernel, "add", marks)
    monkeypatch.setattr(forest, "user_directory", lambda: tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "compiled"))
    forest._loop.__wrapped__("<f4")
    (kept,) = tmp_path.rglob(f"*.{suffix}")
    kept.write_bytes(kept.read_bytes()[:40])

    forest._loop.__wrapped__("<f4")

    (anew,) = tmp_path.rglob(f"*.{suffix}")
    assert anew.stat().st_size > 40


def test_the_loop_is_compiled_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere: dict[str, Any] = {}
    exec(inspect.getsource(marks), nowhere)  # numba keeps nothing of a function that is in no file
    monkeypatch.setattr(forest_kernel, "add", nowhere["marks"])
    monkeypatch.setattr(forest, "user_directory", lambda: tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "compiled"))

    loop = forest._loop.__wrapped__("<f4")

    found = np.zeros((1, 1), np.float32)
    loop(found, np.zeros((1, 16), np.uint64), found, np.zeros((1, 1, 16), np.float32), found)
    assert found.tolist() == [[1.0]]
    assert list(tmp_path.rglob("*.nb?")) == []


def test_the_loop_of_a_package_in_a_zip_file_is_compiled_from_one_copy_for_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(forest_kernel.__file__).read_text()
    loops = []
    for run in ("1", "2"):
        archive = tmp_path / f"run {run}.zip"
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("forest_kernel.py", source)
        finder = zipimport.zipimporter(str(archive))
        spec = finder.find_spec("forest_kernel")
        assert spec is not None
        zipped = importlib.util.module_from_spec(spec)
        finder.exec_module(zipped)
        monkeypatch.setattr(scoring, "forest_kernel", zipped)
        loops.append(forest._kernel(tmp_path / "compiled"))

    (copy,) = (tmp_path / "compiled").iterdir()
    assert re.fullmatch(r"kernel_[0-9a-f]{16}\.py", copy.name)
    assert copy.read_text() == source
    assert [loop.__code__.co_filename for loop in loops] == [str(copy)] * 2
    assert [loop.__code__.co_code for loop in loops] == [forest_kernel.add.__code__.co_code] * 2


def test_a_loop_that_python_would_run_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setattr(forest, "_loop", forest._loop.__wrapped__)

    assert forest._why_not_compiled.__wrapped__("<f4") == "RuntimeError: NUMBA_DISABLE_JIT is set"


# -- probabilities


@pytest.mark.slow
def test_rows_of_which_all_of_1_to_200_trees_are_certain_have_a_probability() -> None:
    """75 of these sums of float32 are above 1."""
    rows = np.zeros((FEATURES, 2), np.float32)
    rows[0] = [SURE_OF_NEGATIVE, SURE_OF_POSITIVE]
    for trees, doubles in itertools.product(range(1, 201), (False, True)):
        bytes_ = of(*exported_forest(grown(trees, depth=1, seed=0), doubles))

        by_kernel = engine.of(bytes_).scores(rows)

        negative, positive = by_kernel.tolist()
        assert negative == 0 and 1 - model.ROUNDING < positive <= 1, (trees, doubles)
        np.testing.assert_array_equal(by_kernel, by_onnx_runtime(bytes_, rows))
        forget(bytes_)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    trees=st.integers(1, 200),
    depth=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    doubles=st.booleans(),
    end=st.sampled_from(["alone", "with a rest", "boosted"]),
    drawn=st.lists(
        st.lists(st.floats(width=32, allow_nan=False), min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=40
    ),
)
def test_no_score_of_any_forest_lies_outside_of_0_and_1_and_onnx_runtime_has_the_same(
    trees: int, depth: int, seed: int, doubles: bool, end: str, drawn: list[list[float]]
) -> None:
    nodes = grown(trees, depth, seed)
    made = {"alone": exported_forest, "with a rest": forest_with_a_rest, "boosted": boosted_trees}[end]
    bytes_ = of(*made(nodes, doubles))
    rows = np.array([*drawn, *drawn, *drawn], np.float32).T.copy()
    rows[0, len(drawn) :] = SURE_OF_NEGATIVE
    rows[0, 2 * len(drawn) :] = SURE_OF_POSITIVE

    found = engine.of(bytes_)
    by_kernel, by_runtime = found.scores(rows), by_onnx_runtime(bytes_, rows)

    forget(bytes_, found.rest)
    assert (found.forest is not None, bool(found.rest)) == (True, end != "alone")
    assert by_kernel.dtype == by_runtime.dtype == np.float32
    assert by_kernel.tobytes() == by_runtime.tobytes()
    assert model.is_probability(by_kernel).all()
    if end != "boosted":
        sure = by_kernel.reshape(3, -1)[1:]
        assert sure[0].max() < model.ROUNDING and sure[1].min() > 1 - model.ROUNDING


#: Values of the first feature that every tree of ``grown`` is certain of.
SURE_OF_NEGATIVE, SURE_OF_POSITIVE = np.float32(-1e30), np.float32(1e30)


def grown(trees: int, depth: int, seed: int) -> pa.Table:
    """Drawn trees as a node table of ``spark_lib.models.export.trees``: the first two nodes of each send far values of the first
    feature to leaves of one class, the rest is split and votes as it comes."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []

    def leaf(tree: int, number: int, negatives: float, positives: float) -> None:
        rows[number] = node(tree, number) | {"counts": [negatives, positives]}
        rows[number]["prediction"] = (positives - negatives) / (positives + negatives)

    def node(tree: int, number: int) -> dict[str, Any]:
        own = {"tree": tree, "node": number - first, "left": -1, "right": -1, "feature": -1, "threshold": 0.0}
        return own | {"categories": -1, "prediction": 0.0, "counts": [1.0, 1.0]}

    def split(tree: int, number: int, feature: int, threshold: float) -> tuple[int, int]:
        left, right = len(rows), len(rows) + 1
        rows.extend([{}, {}])
        inner = {"feature": feature, "threshold": threshold, "left": left - first, "right": right - first}
        rows[number] = node(tree, number) | inner
        return left, right

    def grow(tree: int, number: int, level: int) -> None:
        if level == depth or random.random() < 0.1:
            leaf(tree, number, *random.choice([(0, 3), (5, 0), (1, 2), (7, 6)]).tolist())
            return
        for child in split(tree, number, int(random.integers(FEATURES)), float(random.normal())):
            grow(tree, child, level + 1)

    for tree in range(trees):
        first = len(rows)
        rows.append({})
        low, other = split(tree, first, 0, -1e20)
        leaf(tree, low, float(random.integers(1, 50)), 0.0)
        middle, high = split(tree, other, 0, 1e20)
        leaf(tree, high, 0.0, float(random.integers(1, 50)))
        grow(tree, middle, 1)
    return pa.Table.from_pylist(rows)


def exported_forest(nodes: pa.Table, doubles: bool, output: str = model.OUTPUT) -> list[onnx.NodeProto]:
    """As the exports lay it out."""
    attributes = exported_trees.typed(exported_trees.tree_attributes(nodes) | exported_trees.votes(nodes), doubles)
    made = helper.make_node(
        "TreeEnsembleClassifier",
        ["wide" if doubles else model.INPUT],
        ["label", output],
        domain="ai.onnx.ml",
        classlabels_int64s=[0, 1],
        post_transform="NONE",
        **attributes,
    )
    return [*WIDE[:doubles], made]


def forest_with_a_rest(nodes: pa.Table, doubles: bool) -> list[onnx.NodeProto]:
    """A forest behind which the classes are taken apart and put together."""
    return [
        *exported_forest(nodes, doubles, output="votes"),
        helper.make_node("Gather", ["votes", "first"], ["negative"], axis=1),
        helper.make_node("Sub", ["one", "negative"], ["positive"]),
        helper.make_node("Concat", ["negative", "positive"], [model.OUTPUT], axis=1),
    ]


def boosted_trees(nodes: pa.Table, doubles: bool) -> list[onnx.NodeProto]:
    """As the exports lay them out, in doubles or in float32, with and without a start."""
    weights = np.full(len(nodes["tree"].unique()), 0.3)
    attributes = exported_trees.typed(
        exported_trees.tree_attributes(nodes) | exported_trees.predictions(nodes, weights), doubles
    )
    given = "wide" if doubles else model.INPUT
    kind = "TreeEnsembleRegressor"
    return [
        *WIDE[:doubles],
        helper.make_node(kind, [given], ["margin"], domain="ai.onnx.ml", n_targets=1, **attributes),
        helper.make_node("Cast", ["margin"], ["wide margin"], to=TensorProto.DOUBLE),
        helper.make_node("Sigmoid", ["wide margin"], ["wide positive"]),
        helper.make_node("Sub", ["wide one", "wide positive"], ["wide negative"]),
        helper.make_node("Concat", ["wide negative", "wide positive"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], [model.OUTPUT], to=TensorProto.FLOAT),
    ]


CONSTANTS = {"one": np.ones(1, np.float32), "wide one": np.ones(1), "first": np.zeros(1, np.int64)}
WIDE = [helper.make_node("Cast", [model.INPUT], ["wide"], to=TensorProto.DOUBLE)]


def forget(*models: bytes) -> None:
    """Sessions of models that nobody asks for again."""
    for made in models:
        model._sessions.pop(model.digest(made), None)
        engine._for_many_rows.cache_clear()


class Trees:
    """Random trees, some of their leaves above the last level, as nodes in the order of a walk."""

    def __init__(
        self, seed: int, trees: int, depth: int, targets: int = 2, mode: str = "BRANCH_LEQ", full: bool = True
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.targets, self.mode = targets, mode
        self.nodes: list[dict[str, Any]] = []
        for tree in range(trees):
            self._first = len(self.nodes)
            self._grow(tree, depth, full)

    def _grow(self, tree: int, depth: int, full: bool) -> int:
        node: dict[str, Any] = {"tree": tree, "id": len(self.nodes) - self._first, "leaf": True}
        self.nodes.append(node)
        if depth and (full or depth > 0) and (not full or self.random.random() > 0.05 or node["id"] == 0):
            node |= {"leaf": False, "feature": int(self.random.integers(FEATURES))}
            node["threshold"] = float(np.float32(self.random.choice([0.0, 1e-42, self.random.normal()])))
            node["left"] = self._grow(tree, depth - 1 if full else 0, full)
            node["right"] = self._grow(tree, depth - 1, full)
        else:
            node["weights"] = self.random.random(self.targets).astype(np.float32).tolist()
        return int(node["id"])


def awkward(trees: Trees) -> np.ndarray:
    """Columns [k, n] of what comparisons trip over: thresholds, one step beside them, NaN, infinities, zeros, denormals."""
    at = np.array([node["threshold"] for node in trees.nodes if not node["leaf"]], np.float32)
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-42, 3e38], np.float32)
    pool = np.concatenate([at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf)), odd])
    return np.random.default_rng(0).choice(pool, (FEATURES, 300)).astype(np.float32)


def classifier(trees: Trees, given: str = model.INPUT, doubles: bool = False) -> onnx.NodeProto:
    leaves = [node for node in trees.nodes if node["leaf"]]
    classes = range(trees.targets)
    votes = {
        "class_treeids": [node["tree"] for node in leaves for _ in classes],
        "class_nodeids": [node["id"] for node in leaves for _ in classes],
        "class_ids": [one for _ in leaves for one in classes],
        "class_weights": [weight for node in leaves for weight in node["weights"]],
    }
    return helper.make_node(
        "TreeEnsembleClassifier",
        [given],
        ["label", model.OUTPUT],
        domain="ai.onnx.ml",
        classlabels_int64s=list(classes),
        **typed(nodes_of(trees) | votes, doubles),
    )


def regressor(trees: Trees) -> onnx.NodeProto:
    leaves = [node for node in trees.nodes if node["leaf"]]
    targets = {
        "target_treeids": [node["tree"] for node in leaves],
        "target_nodeids": [node["id"] for node in leaves],
        "target_ids": [0] * len(leaves),
        "target_weights": [node["weights"][0] for node in leaves],
    }
    return helper.make_node(
        "TreeEnsembleRegressor",
        [model.INPUT],
        ["margin"],
        domain="ai.onnx.ml",
        n_targets=1,
        **nodes_of(trees),
        **targets,
    )


def ensemble(trees: Trees) -> onnx.NodeProto:
    """The one operator of ai.onnx.ml 5, whose leaves are lists of their own."""
    inner = [node for node in trees.nodes if not node["leaf"]]
    leaves = [node for node in trees.nodes if node["leaf"]]
    place = {(n["tree"], n["id"]): i for part in (inner, leaves) for i, n in enumerate(part)}
    is_leaf = {(n["tree"], n["id"]): n["leaf"] for n in trees.nodes}

    def children(side: str, what: Mapping[tuple[int, int], Any]) -> list[int]:
        return [int(what[node["tree"], node[side]]) for node in inner]

    return helper.make_node(
        "TreeEnsemble",
        [model.INPUT],
        ["margin"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=[place[node["tree"], 0] for node in inner if node["id"] == 0],
        nodes_featureids=[node["feature"] for node in inner],
        nodes_splits=numpy_helper.from_array(np.array([node["threshold"] for node in inner], np.float32)),
        nodes_modes=numpy_helper.from_array(np.zeros(len(inner), np.uint8)),
        nodes_truenodeids=children("left", place),
        nodes_falsenodeids=children("right", place),
        nodes_trueleafs=children("left", is_leaf),
        nodes_falseleafs=children("right", is_leaf),
        leaf_targetids=[0] * len(leaves),
        leaf_weights=numpy_helper.from_array(np.array([node["weights"][0] for node in leaves], np.float32)),
    )


def nodes_of(trees: Trees) -> dict[str, Any]:
    nodes = trees.nodes
    return {
        "nodes_treeids": [node["tree"] for node in nodes],
        "nodes_nodeids": [node["id"] for node in nodes],
        "nodes_modes": ["LEAF" if node["leaf"] else trees.mode for node in nodes],
        "nodes_featureids": [node.get("feature", 0) for node in nodes],
        "nodes_values": [node.get("threshold", 0.0) for node in nodes],
        "nodes_truenodeids": [node.get("left", 0) for node in nodes],
        "nodes_falsenodeids": [node.get("right", 0) for node in nodes],
    }


def typed(given: Mapping[str, Any], doubles: bool) -> dict[str, Any]:
    if not doubles:
        return dict(given)
    wide = {"nodes_values", "class_weights"}
    return {name: values for name, values in given.items() if name not in wide} | {
        f"{name}_as_tensor": numpy_helper.from_array(np.array(given[name], np.float64), name) for name in wide
    }


def of(*nodes: onnx.NodeProto, output: str = model.OUTPUT, width: int = 2, version: int = 3) -> bytes:
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info(model.INPUT, TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, width])],
        [numpy_helper.from_array(values, name) for name, values in CONSTANTS.items() if name in read],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", version)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(made.SerializeToString())


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: engine._plain(helper.get_attribute_value(one), numpy_helper) for one in node.attribute}


def forest_of(node: onnx.NodeProto) -> forest.Forest:
    return forest.of_node(node.op_type, attributes(node), doubles=False)


def by_onnx_runtime(bytes_: bytes, columns: np.ndarray) -> np.ndarray:
    return model.score(model.load(bytes_), np.ascontiguousarray(columns.T))


def sums_by_onnx_runtime(node: onnx.NodeProto, columns: np.ndarray, version: int = 3) -> np.ndarray:
    output = node.output[-1]
    width = len(helper.get_node_attr_value(node, "classlabels_int64s")) if len(node.output) == 2 else 1
    session = model.load(of(node, output=output, width=width, version=version))
    return np.asarray(session.run([output], {model.INPUT: np.ascontiguousarray(columns.T)})[0])
