"""The policies that are measured: a generated Go1-shaped one, and real ones where at hand."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
OBSERVATIONS = 48
LAYERS = (512, 256, 128)
ACTIONS = 12


def _weight(name: str, values: NDArray[np.float64]) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def write_go1_shaped(path: Path) -> Path:
    """Writes an MLP 48-512-256-128-12 with swish, a normaliser and tanh, random weights."""
    rng = np.random.default_rng(7)
    weights = [
        _weight("mean", rng.normal(0, 0.1, OBSERVATIONS)),
        _weight("deviation", rng.uniform(0.5, 2, OBSERVATIONS)),
    ]
    nodes = [
        helper.make_node("Sub", ["obs", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["x0"]),
    ]
    sizes = (OBSERVATIONS, *LAYERS, ACTIONS)
    for i, (k, n) in enumerate(itertools.pairwise(sizes)):
        weights += [
            _weight(f"w{i}", rng.normal(0, 1 / np.sqrt(k), (k, n))),
            _weight(f"b{i}", rng.normal(0, 0.05, n)),
        ]
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"w{i}", f"b{i}"], [f"y{i}"]))
        if n != ACTIONS:
            nodes.append(helper.make_node("Sigmoid", [f"y{i}"], [f"s{i}"]))
            nodes.append(helper.make_node("Mul", [f"y{i}", f"s{i}"], [f"x{i + 1}"]))
    nodes.append(helper.make_node("Tanh", [f"y{len(LAYERS)}"], ["actions"]))
    graph = helper.make_graph(
        nodes,
        "go1_shaped",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, OBSERVATIONS])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, ACTIONS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def measured_policies(folder: Path) -> list[tuple[str, Path]]:
    """(name, ONNX file) of each policy to measure; the generated one is written into `folder`."""
    found = [("generated 48-512-256-128-12", write_go1_shaped(folder / "go1_shaped.onnx"))]
    found += [(path.stem, path) for path in sorted((ROOT / "examples").glob("*/*.onnx"))]
    shared = Path(os.environ.get("RTINFER_SHARED_DATA", ROOT.parent / "shared" / "data"))
    go1 = shared / "policies" / "playground_go1.onnx"
    if go1.exists():
        found.append((go1.stem, go1))
    return found
