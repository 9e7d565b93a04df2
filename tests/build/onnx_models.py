"""Small ONNX models of our own, written by code: what the tests of the build lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

Shape = Sequence[int | str | None]


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return make_node(op, list(inputs), list(outputs), name=f"{op}_{outputs[0]}", **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape | None],
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    graph = make_graph(
        list(nodes),
        "test",
        [make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    proto = make_model(
        graph, opset_imports=[make_opsetid("", opset)], producer_name="rtinfer tests"
    )
    proto.ir_version = 8
    onnx.helper.set_model_props(proto, dict(metadata or {}))
    return proto


def save(proto: Any, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return path


def normal(seed: int, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Numbers that do not depend on numpy's generators: the artifacts' hashes are pinned."""
    state = np.uint32(seed * 2654435761 % 2**32 or 1)
    values = np.empty(int(np.prod(shape)), np.float32)
    for index in range(values.size):
        state ^= np.uint32(state << np.uint32(13))
        state ^= np.uint32(state >> np.uint32(17))
        state ^= np.uint32(state << np.uint32(5))
        values[index] = np.float32(int(state) >> 8) / np.float32(2**23) - np.float32(1)
    return values.reshape(shape)


def policy(opset: int = 17) -> Any:
    """A policy with a normaliser, two hidden layers, and a head of which half is thrown away."""
    constants = {
        "mean": normal(1, 6),
        "scale": np.abs(normal(2, 6)) + np.float32(0.5),
        "w0": normal(3, 6, 24),
        "b0": normal(4, 24),
        "w1": normal(5, 24, 16),
        "b1": normal(6, 16),
        "w2": normal(7, 16, 10),
        "b2": normal(8, 10),
    }
    nodes = [
        node("Sub", ["obs", "mean"], ["centred"]),
        node("Mul", ["centred", "scale"], ["x"]),
        node("Gemm", ["x", "w0", "b0"], ["g0"]),
        node("Sigmoid", ["g0"], ["s0"]),
        node("Mul", ["g0", "s0"], ["h0"]),
        node("MatMul", ["h0", "w1"], ["m1"]),
        node("Add", ["m1", "b1"], ["a1"]),
        node("Elu", ["a1"], ["h1"]),
        node("Gemm", ["h1", "w2", "b2"], ["head"]),
    ]
    if opset < 13:
        nodes.append(node("Split", ["head"], ["mean_action", "spread"], axis=-1, split=[5, 5]))
    else:
        constants["parts"] = np.array([5, 5], np.int64)
        nodes.append(node("Split", ["head", "parts"], ["mean_action", "spread"], axis=-1))
    nodes.append(node("Tanh", ["mean_action"], ["action"]))
    return model(
        nodes, {"obs": ["batch", 6]}, {"action": ["batch", 5]}, constants, opset, {"robot": "none"}
    )


def recurrent(
    kind: str = "GRU",
    hidden: int = 5,
    steps: int = 1,
    direction: str = "forward",
    explicit_state: bool = True,
    opset: int = 17,
    **attributes: Any,
) -> Any:
    """obs[steps, 1, 3] through one recurrent layer to Y, with its state as inputs and outputs."""
    gates, states = (4, ["h", "c"]) if kind == "LSTM" else (3, ["h"])
    ways = 2 if direction == "bidirectional" else 1
    constants = {
        "w": normal(11, ways, gates * hidden, 3),
        "r": normal(12, ways, gates * hidden, hidden) / np.float32(np.sqrt(hidden)),
        "b": normal(13, ways, 2 * gates * hidden),
    }
    state_in = [f"{name}_in" for name in states] if explicit_state else []
    state_out = [f"{name}_out" for name in states] if explicit_state else []
    layer = node(
        kind,
        ["obs", "w", "r", "b", "", *state_in],
        ["y", *state_out],
        hidden_size=hidden,
        direction=direction,
        **attributes,
    )
    shape = [ways, 1, hidden]
    return model(
        [layer, node("Identity", ["y"], ["out"])],
        {"obs": [steps, 1, 3], **dict.fromkeys(state_in, shape)},
        {"out": [steps, ways, 1, hidden], **dict.fromkeys(state_out, shape)},
        constants,
        opset,
    )
