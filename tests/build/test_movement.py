"""Operators that move values: the same bytes, and no cost where a view does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import agrees, built, expected
from onnx_models import model, node, normal

MOVES: dict[str, tuple[list[Any], dict[str, Any], list[int]]] = {
    "reshape": ([node("Reshape", ["x", "s"], ["y"])], {"s": np.array([0, -1])}, [2, 12]),
    "flatten": ([node("Flatten", ["x"], ["y"], axis=2)], {}, [6, 4]),
    "squeeze": (
        [node("Unsqueeze", ["x", "a"], ["u"]), node("Squeeze", ["u", "b"], ["y"])],
        {"a": np.array([0, -1]), "b": np.array([4])},
        [1, 2, 3, 4],
    ),
    "transpose": ([node("Transpose", ["x"], ["y"], perm=[2, 0, 1])], {}, [4, 2, 3]),
    "slice": (
        [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {
            "s": np.array([-3, 3]),
            "e": np.array([99, 0]),
            "a": np.array([2, 1]),
            "t": np.array([2, -1]),
        },
        [2, 2, 2],
    ),
    "reverse": (
        [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {
            "s": np.array([-1]),
            "e": np.array([np.iinfo(np.int64).min]),
            "a": np.array([2]),
            "t": np.array([-1]),
        },
        [2, 3, 4],
    ),
    "gather": (
        [node("Gather", ["x", "i"], ["y"], axis=2)],
        {"i": np.array([3, 0, 1, -1])},
        [2, 3, 4],
    ),
    "gather one": ([node("Gather", ["x", "i"], ["y"], axis=1)], {"i": np.array(2)}, [2, 4]),
    "concat": (
        [node("Concat", ["x", "k", "x"], ["y"], axis=2)],
        {"k": normal(1, 2, 3, 1)},
        [2, 3, 9],
    ),
    "expand": (
        [node("Expand", ["x", "s"], ["y"])],
        {"s": np.array([2, 2, 3, 4])},
        [2, 2, 3, 4],
    ),
    "tile": ([node("Tile", ["x", "r"], ["y"])], {"r": np.array([2, 1, 3])}, [4, 3, 12]),
    "shape": (
        [
            node("Shape", ["x"], ["s"]),
            node("Gather", ["s", "first"], ["n"], axis=0),
            node("Concat", ["n", "rest"], ["t"], axis=0),
            node("Reshape", ["x", "t"], ["y"]),
        ],
        {"first": np.array([0]), "rest": np.array([-1])},
        [2, 12],
    ),
    "identity": ([node("Identity", ["x"], ["y"])], {}, [2, 3, 4]),
    "cast": ([node("Cast", ["x"], ["y"], to=1)], {}, [2, 3, 4]),
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_values_changes_none(name: str, tmp_path: Path) -> None:
    nodes, constants, shape = MOVES[name]
    proto = model(nodes, {"x": [2, 3, 4]}, {"y": shape}, constants)
    x = normal(2, 2, 3, 4)
    result = built(proto, tmp_path).run(x)["y"]
    np.testing.assert_array_equal(result, expected(proto, {"x": x})[0])


def test_views_between_layers_cost_nothing(tmp_path: Path) -> None:
    constants = {"w": normal(1, 8, 6), "s": np.array([3, 2]), "v": normal(2, 2, 4)}
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Reshape", ["m", "s"], ["r"]),
        node("MatMul", ["r", "v"], ["y"]),
    ]
    proto = model(nodes, {"x": [1, 8]}, {"y": [3, 4]}, constants)
    assert agrees(proto, tmp_path, {"x": normal(3, 1, 8)}) == ["gemv", "gemv"]
