"""Random small graphs: the plan agrees with ONNX Runtime, or says what it cannot lower."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from engines import built, expected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_models import model, node, normal

UNARY = ["Relu", "Tanh", "Sigmoid", "Elu", "Softplus", "LeakyRelu", "Neg", "Abs"]
BINARY = ["Add", "Sub", "Mul", "Max", "Min"]


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A chain of layers over values of two axes, each step using any value that exists."""
    rows = draw(st.integers(1, 3))
    values: dict[str, int] = {"x": draw(st.integers(1, 40))}
    width = values["x"]
    nodes: list[Any] = []
    constants: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 8))):
        name, source = f"v{index}", draw(st.sampled_from(sorted(values)))
        kind = draw(st.sampled_from(["unary", "binary", "gemm", "matmul", "concat", "slice", "t"]))
        n = values[source]
        if kind == "unary":
            nodes.append(node(draw(st.sampled_from(UNARY)), [source], [name]))
            values[name] = n
        elif kind == "binary":
            same = sorted(other for other, m in values.items() if m == n)
            constants[f"k{index}"] = normal(index + 1, *draw(st.sampled_from([(n,), (1, n), (1,)])))
            other = draw(st.sampled_from([*same, f"k{index}"]))
            pair = draw(st.permutations([source, other]))
            nodes.append(node(draw(st.sampled_from(BINARY)), pair, [name]))
            values[name] = n
        elif kind in ("gemm", "matmul"):
            m = draw(st.integers(1, 70))
            constants[f"w{index}"] = normal(index + 1, n, m) / np.float32(np.sqrt(n))
            constants[f"b{index}"] = normal(index + 2, m)
            if kind == "gemm":
                nodes.append(node("Gemm", [source, f"w{index}", f"b{index}"], [name]))
            else:
                nodes.append(node("MatMul", [source, f"w{index}"], [f"m{index}"]))
                nodes.append(node("Add", [f"b{index}", f"m{index}"], [name]))
            values[name] = m
        elif kind == "concat":
            other = draw(st.sampled_from(sorted(values)))
            nodes.append(node("Concat", [source, other], [name], axis=1))
            values[name] = n + values[other]
        elif kind == "slice":
            start = draw(st.integers(0, n - 1))
            stop = draw(st.integers(start + 1, n))
            step = draw(st.integers(1, 3))
            for key, value in (("s", start), ("e", stop), ("t", step)):
                constants[f"{key}{index}"] = np.array([value])
            constants["axis"] = np.array([1])
            cut = [source, f"s{index}", f"e{index}", "axis", f"t{index}"]
            nodes.append(node("Slice", cut, [name]))
            values[name] = len(range(start, stop, step))
        else:
            nodes.append(node("Transpose", [source], [f"t{index}"], perm=[1, 0]))
            constants[f"r{index}"] = np.array([rows, n])
            nodes.append(node("Reshape", [f"t{index}", f"r{index}"], [name]))
            values[name] = n
    made = [name for name in values if name != "x"]
    chosen = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    outputs = {name: [rows, values[name]] for name in chosen}
    return model(nodes, {"x": [rows, width]}, outputs, constants)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(proto=graphs(), seed=st.integers(1, 1000))
def test_a_random_graph_agrees_with_its_reference(proto: Any, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = built(proto, Path(folder))
        if not engine.inputs:
            return  # the slice that the outputs need may be constant
        shape = next(iter(engine.inputs.values())).shape
        x = normal(seed, *shape)
        for name, reference in zip(engine.outputs, expected(proto, {"x": x}), strict=True):
            np.testing.assert_allclose(engine.run(x)[name], reference, rtol=1e-3, atol=1e-4)
