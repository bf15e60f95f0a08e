"""A model's bytes: checked before they are parsed and before they are scored with, loaded once, compared with Spark."""

from __future__ import annotations

import pickle
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from spark_lib.errors import ModelError
from spark_lib.models import model
from tests.support.onnx_models import PROBABILITIES, WEIGHTS, K, linear, of_columns


@pytest.fixture(scope="module")
def exported() -> bytes:
    return linear().SerializeToString()


def message(caught: pytest.ExceptionInfo[ModelError]) -> str:
    return str(caught.value)


# -- untrusted bytes


def refusal(untrusted: bytes | onnx.ModelProto) -> tuple[str, str]:
    """What was wanted and what was found, of the error that the bytes meet."""
    content = untrusted if isinstance(untrusted, bytes) else untrusted.SerializeToString()
    with pytest.raises(ModelError) as caught:
        model.check_safe(content)
    error = caught.value
    assert (error.where, error.next_step) == (
        "model.onnx",
        "score only with a model that a training of yours published; do not load this one",
    )
    return error.wanted, error.found


def external(tensor: onnx.TensorProto, location: str) -> onnx.TensorProto:
    """The tensor, its data in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_a_model_of_operators_alone_is_safe(exported: bytes) -> None:
    model.check_safe(exported)


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_is_refused_by_name(protocol: int) -> None:
    assert refusal(pickle.dumps({"coef": WEIGHTS}, protocol=protocol)) == (
        "an ONNX model",
        "a Python pickle, as joblib writes them, which runs code when it is loaded",
    )


def test_a_joblib_file_is_refused_as_the_pickle_that_it_is(tmp_path: Any) -> None:
    joblib.dump({"coef": WEIGHTS}, tmp_path / "model.joblib")
    assert refusal((tmp_path / "model.joblib").read_bytes())[1].startswith("a Python pickle")


def test_no_truncation_of_a_model_is_safe(exported: bytes) -> None:
    for length in range(len(exported)):
        with pytest.raises(ModelError):
            model.check_safe(exported[:length])


def test_half_a_model_is_refused_in_words(exported: bytes) -> None:
    assert refusal(exported[:100]) == ("an ONNX model", "100 bytes that are none, or a part of one")


def test_text_is_refused_in_words() -> None:
    assert refusal(b"#!/bin/sh\nrm -rf /\n") == ("an ONNX model", "19 bytes that are none, or a part of one")


def test_data_in_another_file_is_refused_with_its_place() -> None:
    weights = external(onnx.numpy_helper.from_array(WEIGHTS, "weights"), "/etc/passwd")
    assert refusal(linear(initializer=[weights])) == (
        "all data inside the file",
        "data of 'weights' in /etc/passwd",
    )


def test_data_in_another_file_is_refused_in_a_graph_within_a_graph_too() -> None:
    weights = external(onnx.numpy_helper.from_array(WEIGHTS, "secret"), "../secret")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["chosen"], value=weights)],
        "branch",
        [],
        [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [K, 2])],
    )
    nodes = [
        helper.make_node("If", ["always"], ["weights"], then_branch=branch, else_branch=branch),
        helper.make_node("MatMul", ["features", "weights"], ["probabilities"]),
    ]
    always = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    assert refusal(linear(nodes=nodes, initializer=[always])) == (
        "all data inside the file",
        "data of 'secret' in ../secret",
    )


def test_an_operator_of_another_domain_is_refused_by_name() -> None:
    nodes = [helper.make_node("Shell", ["features"], ["probabilities"], domain="com.example")]
    assert refusal(linear(nodes=nodes, initializer=[])) == (
        "operators of ONNX and ai.onnx.ml alone",
        "Shell of the domain 'com.example'",
    )


def test_a_function_is_refused() -> None:
    with_function = linear()
    with_function.functions.append(
        helper.make_function(
            "com.example",
            "Same",
            ["x"],
            ["y"],
            [helper.make_node("Identity", ["x"], ["y"])],
            [helper.make_opsetid("", 15)],
        )
    )
    assert refusal(with_function) == ("a graph of operators alone", "functions or training graphs")


def test_a_graph_that_does_not_hang_together_is_refused_with_what_the_checker_says() -> None:
    wanted, found = refusal(linear(initializer=[]))
    assert wanted == "a valid ONNX model"
    assert "weights" in found


def ends(**changes: Any) -> tuple[str, str]:
    return refusal(linear(**changes))


def test_other_ends_than_features_and_probabilities_are_refused() -> None:
    wanted = "one input, float32 'features' [n, k], and one output, float32 'probabilities' [n, 2 or more] or 'prediction' [n, 1]"
    double = helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, K])
    cast = [
        helper.make_node("Cast", ["features"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["single", "weights"], ["probabilities"]),
    ]
    assert ends(inputs=[double], nodes=cast) == (
        wanted,
        "another type 'features' [n, 4] to float32 'probabilities' [n, 2]",
    )
    margins = helper.make_tensor_value_info("margins", TensorProto.FLOAT, [None, 2])
    assert ends(outputs=[PROBABILITIES, margins]) == (
        wanted,
        "float32 'features' [n, 4] to float32 'probabilities' [n, 2] and float32 'margins' [n, 2]",
    )
    fixed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, K])
    assert ends(inputs=[fixed])[1] == "float32 'features' [1, 4] to float32 'probabilities' [n, 2]"


@pytest.mark.parametrize(("name", "width"), [("probabilities", 3), ("prediction", 1)])
def test_probabilities_of_more_classes_and_a_number_are_ends_too(name: str, width: int) -> None:
    model.check_safe(of_columns(name, width))


@pytest.mark.parametrize(("name", "width"), [("probabilities", 1), ("prediction", 2)])
def test_one_probability_and_two_numbers_are_refused(name: str, width: int) -> None:
    found = f"float32 'features' [n, 4] to float32 '{name}' [n, {width}]"
    assert refusal(of_columns(name, width))[1] == found


# -- loading


def test_one_process_loads_a_model_once_and_on_one_thread(exported: bytes) -> None:
    session = model.load(exported)
    assert model.load(bytes(bytearray(exported)), model.digest(exported)) is session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_a_walk_past_many_models_keeps_the_last_few(exported: bytes) -> None:
    variant = onnx.load_from_string(exported)
    first = model.load(exported)
    for version in range(1, 5):
        variant.model_version = version
        model.load(variant.SerializeToString())
    assert model.load(exported) is not first


def test_bytes_that_differ_from_their_digest_are_not_loaded() -> None:
    wanted, found = model.digest(b"trained"), model.digest(b"damaged")
    with pytest.raises(ModelError) as caught:
        model.load(b"damaged", wanted)
    assert message(caught) == (
        f"model.onnx: wanted the SHA-256 of its card, {wanted}; found {found}. "
        "Next: restore the file that was trained, or train again; do not score with this one"
    )


def test_bytes_that_are_no_model_are_an_error_of_the_model() -> None:
    with pytest.raises(ModelError, match=r"wanted an ONNX model that onnxruntime \S+ loads; found .*protobuf.*\. Next"):
        model.load(b"not a model")


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        (np.zeros((2, 3), np.float32), "float32 [2, 3]"),
        (np.zeros((2, K)), "float64 [2, 4]"),
        (np.zeros(K, np.float32), "float32 [4]"),
    ],
)
def test_a_matrix_of_another_type_or_width_is_refused(exported: bytes, matrix: np.ndarray, found: str) -> None:
    with pytest.raises(ModelError) as caught:
        model.score(model.load(exported), matrix)
    assert message(caught) == (
        f"scoring: wanted a float32 matrix [n, 4]; found {found}. "
        "Next: make the matrix with spark_lib.models.matrix, from the features of the model's card"
    )


def test_no_rows_get_no_scores(exported: bytes) -> None:
    scores = model.score(model.load(exported), np.zeros((0, K), np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


def test_a_disagreement_with_spark_names_its_rows_and_size(exported: bytes) -> None:
    matrix = np.random.default_rng(4).random((10, K), dtype=np.float32)
    probabilities = model.score(model.load(exported), matrix).astype(np.float64)
    probabilities[[2, 5]] += [0.25, -1e-5]
    with pytest.raises(ModelError) as caught:
        model.check_parity(exported, matrix, probabilities)
    assert message(caught) == (
        "parity of model.onnx with its estimator: wanted probabilities that differ by at most 1e-06; "
        "found 2 of 10 rows beyond it, the largest difference 0.25. "
        "Next: do not publish this model; report the estimator's kind as a bug of spark_lib.models.export"
    )
    probabilities[2] = np.nan
    with pytest.raises(ModelError, match="found 2 of 10 rows beyond it, the largest difference nan"):
        model.check_parity(exported, matrix, probabilities)


def test_parity_on_no_rows_or_of_other_rows_is_refused(exported: bytes) -> None:
    for rows, shape in ((0, (0,)), (3, (1,)), (3, (3, 1))):
        with pytest.raises(ModelError) as caught:
            model.check_parity(exported, np.zeros((rows, K), np.float32), np.zeros(shape))
        assert message(caught) == (
            "parity of model.onnx with its estimator: wanted at least one row, and one probability of the estimator for each; "
            f"found {rows} rows and probabilities {list(shape)}. Next: compare on the rows of the validation split"
        )


def test_what_rounding_put_outside_of_0_and_1_is_brought_back() -> None:
    votes = np.float32(0)
    for _ in range(20):
        votes += np.float32(1 / 20)
    assert votes > 1

    found = model.within_rounding(np.array([votes, 1 - votes, 1 + 2.0**-15, -(2.0**-15)], np.float32))

    assert (found.dtype, found.tolist()) == (np.float32, [1.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("senseless", [np.nan, np.inf, -np.inf, 1.5, -0.2, 1.001, -0.001, 1 + 2.0**-14, -(2.0**-14)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_no_probability_stays_as_it_is(senseless: float, kind: type) -> None:
    scores = np.array([0.5, senseless, 1.0], kind)

    np.testing.assert_array_equal(model.within_rounding(scores), scores)
    assert model.is_probability(scores).tolist() == [True, False, True]


@given(st.lists(st.floats(0, 1, width=32)))
def test_a_probability_stays_the_same_to_the_bit(scores: list[float]) -> None:
    probabilities = np.array(scores, np.float32)

    assert model.within_rounding(probabilities).tobytes() == probabilities.tobytes()


def test_a_score_is_brought_back_behind_onnx_runtime() -> None:
    votes = np.array([[1.0000001, 0, 0, 0], [1.5, 0, 0, 0], [-0.2, 0, 0, 0], [0.25, 0, 0, 0]], np.float32)
    weights = np.zeros((K, 2), np.float32)
    weights[0, 1] = 1
    product = linear(
        nodes=[helper.make_node("MatMul", ["features", "weights"], ["probabilities"])],
        initializer=[onnx.numpy_helper.from_array(weights, "weights")],
    ).SerializeToString()

    found = model.score(model.load(product), votes)

    np.testing.assert_array_equal(found, np.array([1.0, 1.5, -0.2, 0.25], np.float32))


def test_of_three_classes_each_probability_is_brought_back_and_all_are_returned() -> None:
    three = of_columns("probabilities", 3)
    rows = np.array([[1.0000001, -1e-8, 0, 9], [0.25, 0.25, 0.5, 9], [1.5, np.nan, -0.2, 9]], np.float32)

    session = model.load(three)
    found = model.score(session, rows)

    assert (model.classes_of(session), found.dtype) == (3, np.float32)
    brought_back = [[1, 0, 0], [0.25, 0.25, 0.5], [1.5, np.nan, -0.2]]
    np.testing.assert_array_equal(found, np.array(brought_back, np.float32))


def test_a_number_stays_as_it_is() -> None:
    rows = np.array([[1.0000001, 9, 9, 9], [-1e-8, 9, 9, 9], [-3e38, 9, 9, 9]], np.float32)

    session = model.load(of_columns("prediction", 1))
    found = model.score(session, rows)

    assert (model.classes_of(session), found.dtype, found.shape) == (0, np.float32, (3,))
    np.testing.assert_array_equal(found, rows[:, 0])


def test_no_rows_get_no_scores_of_classes_and_no_numbers() -> None:
    none = np.zeros((0, K), np.float32)
    assert model.score(model.load(of_columns("probabilities", 3)), none).shape == (0, 3)
    assert model.score(model.load(of_columns("prediction", 1)), none).shape == (0,)


def test_parity_of_classes_counts_rows_and_names_the_largest_difference() -> None:
    rows = np.full((4, K), 0.25, np.float32)
    expected = np.full((4, 3), 0.25)
    model.check_parity(of_columns("probabilities", 3), rows, expected)

    expected[1] += [0.125, -0.25, 0]
    with pytest.raises(ModelError) as caught:
        model.check_parity(of_columns("probabilities", 3), rows, expected)

    assert message(caught) == (
        "parity of model.onnx with its estimator: wanted probabilities that differ by at most 1e-06; "
        "found 1 of 4 rows beyond it, the largest difference 0.25. "
        "Next: do not publish this model; report the estimator's kind as a bug of spark_lib.models.export"
    )


def test_parity_of_a_number_is_relative_to_a_great_number_and_absolute_of_a_small_one() -> None:
    rows = np.zeros((4, K), np.float32)
    rows[:, 0] = [2e6, -2e6, 0.5, 0]
    model.check_parity(of_columns("prediction", 1), rows, rows[:, 0] + np.array([1.9, -1.9, 9e-7, -9e-7]))

    with pytest.raises(ModelError) as caught:
        model.check_parity(of_columns("prediction", 1), rows, rows[:, 0] + np.array([2.2, -1.9, 9e-7, -1.1e-6]))

    assert message(caught) == (
        "parity of model.onnx with its estimator: wanted predictions that differ by at most 1e-06 of "
        "max(1, |prediction|), because a float32 has 24 bits; "
        "found 2 of 4 rows beyond it, the largest difference 1.1e-06. "
        "Next: do not publish this model; report the estimator's kind as a bug of spark_lib.models.export"
    )


@pytest.mark.parametrize(
    ("name", "width", "wanted", "found"),
    [
        ("probabilities", 3, "3 probabilities", "probabilities"),
        ("prediction", 1, "one prediction", "predictions"),
    ],
)
def test_parity_with_another_shape_is_refused(name: str, width: int, wanted: str, found: str) -> None:
    with pytest.raises(ModelError) as caught:
        model.check_parity(of_columns(name, width), np.zeros((3, K), np.float32), np.zeros((3, 2)))
    assert message(caught) == (
        f"parity of model.onnx with its estimator: wanted at least one row, and {wanted} of the estimator for each; "
        f"found 3 rows and {found} [3, 2]. Next: compare on the rows of the validation split"
    )


def test_parity_is_that_of_scores_as_they_are_used(exported: bytes) -> None:
    matrix = np.full((3, K), 100, np.float32)  # the softmax is certain
    assert set(model.score(model.load(exported), matrix)) == {1.0}

    model.check_parity(exported, matrix, np.full(3, 1 + 2e-6))
    with pytest.raises(ModelError, match="3 of 3 rows beyond it"):
        model.check_parity(exported, matrix, np.full(3, 1.1))
