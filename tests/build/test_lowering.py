"""Every operator family lowers to a plan that agrees with ONNX Runtime, ONNX and plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from engines import agrees, built, expected, op_names
from onnx_models import model, node, normal, policy

from rtinfer.engines.plan_file import Gemv

X: dict[str, Any] = {"x": [1, 8]}
ACTIVATIONS: dict[str, dict[str, float]] = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.3},
    "Elu": {"alpha": 0.7},
    "Selu": {},
    "Tanh": {},
    "Sigmoid": {},
    "Softplus": {},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "Softsign": {},
    "Neg": {},
    "Abs": {},
    "Exp": {},
    "Erf": {},
    "Floor": {},
    "Ceil": {},
    "Round": {},
    "Sign": {},
    "Sin": {},
    "Cos": {},
    "Reciprocal": {},
    "Sqrt": {},
    "Log": {},
}


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_an_activation_is_one_op(op: str, tmp_path: Path) -> None:
    if op in ("Log", "Sqrt"):
        nodes = [node("Abs", ["x"], ["a"]), node(op, ["a"], ["y"])]
    else:
        nodes = [node(op, ["x"], ["y"], **ACTIVATIONS[op])]
    names = agrees(model(nodes, X, {"y": [1, 8]}, opset=17), tmp_path, {"x": normal(1, 1, 8) * 3})
    composed = {"HardSwish": 2, "Softsign": 3, "Log": 2, "Sqrt": 2}
    assert len(names) == composed.get(op, 1)


def test_gelu_and_mish_lower(tmp_path: Path) -> None:
    nodes = [node("Gelu", ["x"], ["g"]), node("Mish", ["g"], ["y"])]
    agrees(model(nodes, X, {"y": [1, 8]}, opset=20), tmp_path, {"x": normal(1, 1, 8) * 3})


@pytest.mark.parametrize("opset", [9, 10])
def test_clip_reads_its_bounds_from_attributes(opset: int, tmp_path: Path) -> None:
    proto = model([node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], X, {"y": [1, 8]}, opset=opset)
    engine = built(proto, tmp_path)
    x = normal(1, 1, 8)
    np.testing.assert_array_equal(engine.run(x)["y"], np.clip(x, -0.5, 0.25))


@pytest.mark.parametrize("bounds", [["low", "high"], ["low"], ["", "high"], []])
def test_clip_reads_its_bounds_from_inputs(bounds: list[str], tmp_path: Path) -> None:
    limits = {"low": np.float32(-0.5), "high": np.float32(0.25)}
    proto = model([node("Clip", ["x", *bounds], ["y"])], X, {"y": [1, 8]}, limits, 13)
    x = normal(1, 1, 8)
    low, high = ("low" in bounds, "high" in bounds)
    clipped = np.clip(x, -0.5 if low else -np.inf, 0.25 if high else np.inf)
    np.testing.assert_array_equal(built(proto, tmp_path).run(x)["y"], clipped)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum"])
@pytest.mark.parametrize(
    ("a", "b"), [((1, 8), (8,)), ((3, 1), (1, 4)), ((2, 3, 4), (3, 1)), ((1,), (2, 2)), ((), (5,))]
)
def test_arithmetic_broadcasts(
    op: str, a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path
) -> None:
    shape = np.broadcast_shapes(a, b)
    proto = model([node(op, ["a", "b"], ["y"])], {"a": a, "b": b}, {"y": shape})
    agrees(proto, tmp_path, {"a": normal(1, *a), "b": normal(2, *b) + np.float32(2)})


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, 1.0, -1.0])
def test_small_constant_powers_lower(exponent: float, tmp_path: Path) -> None:
    constants = {"e": np.float32(exponent)}
    nodes = [node("Abs", ["x"], ["a"]), node("Pow", ["a", "e"], ["y"])]
    x = normal(1, 1, 8) + np.float32(2)
    agrees(model(nodes, X, {"y": [1, 8]}, constants), tmp_path, {"x": x})


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("bias", ["none", "row", "scalar", "matrix", "computed"])
@pytest.mark.parametrize("rows", [1, 3])
def test_gemm_forms(trans_b: int, alpha: float, bias: str, rows: int, tmp_path: Path) -> None:
    weight = normal(1, 20, 8) if trans_b else normal(1, 8, 20)
    shapes = {"row": (20,), "scalar": (1,), "matrix": (rows, 20), "computed": (rows, 20)}
    constants: dict[str, Any] = {"w": weight}
    if bias != "none":
        constants["c"] = normal(2, *shapes[bias])
    inputs = ["x", "w", *(["c"] if bias != "none" else [])]
    nodes = [node("Gemm", inputs, ["y"], transB=trans_b, alpha=alpha, beta=0.25)]
    feeds, given = {"x": normal(3, rows, 8)}, {"x": [rows, 8]}
    if bias == "computed":
        feeds["c"], given["c"] = constants.pop("c"), [rows, 20]
    names = agrees(model(nodes, given, {"y": [rows, 20]}, constants), tmp_path, feeds)
    if bias in ("none", "row", "scalar"):
        assert names == ["gemv"]


def test_gemm_of_a_transposed_input(tmp_path: Path) -> None:
    proto = model(
        [node("Gemm", ["x", "w"], ["y"], transA=1)],
        {"x": [8, 3]},
        {"y": [3, 5]},
        {"w": normal(1, 8, 5)},
    )
    agrees(proto, tmp_path, {"x": normal(2, 8, 3)})


@pytest.mark.parametrize(
    ("x", "w", "y"),
    [
        ((1, 8), (8, 5), (1, 5)),
        ((8,), (8, 5), (5,)),
        ((2, 3, 8), (8, 5), (2, 3, 5)),
        ((2, 8), (8,), (2,)),
        ((8,), (8,), ()),
        ((2, 8), (1, 8, 5), (1, 2, 5)),
    ],
)
def test_matmul_forms(
    x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], tmp_path: Path
) -> None:
    proto = model([node("MatMul", ["x", "w"], ["y"])], {"x": x}, {"y": y}, {"w": normal(1, *w)})
    agrees(proto, tmp_path, {"x": normal(2, *x)})


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 23])
def test_a_policy_becomes_one_op_a_layer(opset: int, tmp_path: Path) -> None:
    """Bias and activation are fused, and the unused half of the head is not computed."""
    engine = built(policy(opset), tmp_path)
    assert op_names(engine) == ["binary", "binary", "gemv", "gemv", "gemv"]
    head = engine.plan_file.ops[-1]
    assert isinstance(head, Gemv)
    assert (head.k, head.n) == (16, 5)
    x = normal(9, 1, 6)
    np.testing.assert_allclose(
        engine.run(x)["action"], expected(policy(opset), {"obs": x})[0], rtol=1e-5, atol=1e-6
    )


def test_both_halves_of_a_used_head_are_kept(tmp_path: Path) -> None:
    constants = {"w": normal(1, 8, 6), "parts": np.array([4, 2], np.int64)}
    nodes = [
        node("MatMul", ["x", "w"], ["head"]),
        node("Split", ["head", "parts"], ["a", "b"], axis=1),
        node("Tanh", ["b"], ["c"]),
    ]
    proto = model(nodes, X, {"a": [1, 4], "c": [1, 2]}, constants)
    assert agrees(proto, tmp_path, {"x": normal(2, 1, 8)}) == ["gemv", "unary"]


def test_a_value_that_is_also_an_output_is_not_fused_away(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Relu", ["m"], ["y"])]
    proto = model(nodes, X, {"m": [1, 4], "y": [1, 4]}, {"w": normal(1, 8, 4)})
    assert agrees(proto, tmp_path, {"x": normal(2, 1, 8)}) == ["gemv", "unary"]


def test_constants_are_folded_by_the_kernels_that_would_have_run(tmp_path: Path) -> None:
    """Folding tanh(c) gives the bytes of running it."""
    c = normal(1, 1, 8)
    folded = model(
        [node("Tanh", ["c"], ["t"]), node("Add", ["x", "t"], ["y"])], X, {"y": [1, 8]}, {"c": c}
    )
    engine = built(folded, tmp_path)
    assert op_names(engine) == ["binary"]
    (tmp_path / "run").mkdir()
    ran = built(model([node("Tanh", ["x"], ["y"])], X, {"y": [1, 8]}), tmp_path / "run")
    zeros = np.zeros((1, 8), np.float32)
    np.testing.assert_array_equal(engine.run(zeros)["y"], ran.run(c)["y"])


def test_a_constant_output_is_served(tmp_path: Path) -> None:
    nodes = [node("Identity", ["c"], ["fixed"]), node("Relu", ["x"], ["y"])]
    proto = model(nodes, X, {"fixed": [3], "y": [1, 8]}, {"c": normal(1, 3)})
    agrees(proto, tmp_path, {"x": normal(2, 1, 8)})


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "w"], ["y"])]
    engine = built(model(nodes, X, {"y": [1, 8]}, {"w": normal(1, 8, 8)}), tmp_path)
    assert engine.plan_file.weights_bytes == 8 * 16 * 4


def test_functions_of_the_model_itself_are_inlined(tmp_path: Path) -> None:
    swish = onnx.helper.make_function(
        "own",
        "Swish",
        ["v"],
        ["w"],
        [node("Sigmoid", ["v"], ["s"]), node("Mul", ["v", "s"], ["w"])],
        [onnx.helper.make_opsetid("", 17)],
    )
    call = node("Swish", ["m"], ["y"])
    call.domain = "own"
    constants = {"w0": normal(1, 8, 4)}
    proto = model([node("MatMul", ["x", "w0"], ["m"]), call], X, {"y": [1, 4]}, constants)
    proto.functions.append(swish)
    proto.opset_import.append(onnx.helper.make_opsetid("own", 1))
    assert agrees(proto, tmp_path, {"x": normal(2, 1, 8)}) == ["gemv"]
