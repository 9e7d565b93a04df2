"""The parity check: rounding passes at any scale, a wrong operation never does."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from engines import built
from onnx_models import model, node, normal, policy, recurrent

from rtinfer.build.ops import LOWERINGS
from rtinfer.errors import CheckError


def wrong(op: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers `op` as if it were `other`."""
    lowering = LOWERINGS[op]

    def swapped(node: Any) -> Any:
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        proto.op_type = other
        return lowering(replace(node, proto=proto))

    monkeypatch.setitem(LOWERINGS, op, swapped)


@pytest.mark.parametrize(("op", "other"), [("Tanh", "Sin"), ("Elu", "Selu"), ("Sub", "Add")])
def test_a_wrong_operation_is_refused_and_nothing_written(
    op: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if op == "Elu":
        monkeypatch.setitem(LOWERINGS, "Elu", LOWERINGS["Selu"])
    else:
        wrong(op, other, monkeypatch)
    with pytest.raises(CheckError, match=r"'action' of the plan differs from .* allowed"):
        built(policy(), tmp_path)
    assert not (tmp_path / "model.engine").exists()


def test_a_wrong_recurrence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lowering = LOWERINGS["GRU"]

    def without_second_bias(node: Any) -> Any:
        results = lowering(node)
        node.graph.ops[-1].weights["rb"] = np.zeros_like(node.graph.ops[-1].weights["rb"])
        return results

    monkeypatch.setitem(LOWERINGS, "GRU", without_second_bias)
    with pytest.raises(CheckError, match="differs from"):
        built(recurrent("GRU", 6), tmp_path)


def test_a_small_error_in_one_weight_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowering = LOWERINGS["Gemm"]

    def off_by_a_little(node: Any) -> Any:
        results = lowering(node)
        weight = node.graph.ops[-1].weights["w"] = node.graph.ops[-1].weights["w"].copy()
        weight[0, 0] *= np.float32(1.001)
        return results

    monkeypatch.setitem(LOWERINGS, "Gemm", off_by_a_little)
    with pytest.raises(CheckError, match="differs from"):
        built(policy(), tmp_path)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rounding_passes_at_any_scale(scale: float, tmp_path: Path) -> None:
    constants = {"w": normal(1, 64, 64) * np.float32(scale), "v": normal(2, 64, 3)}
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Tanh", ["a"], ["b"]),
        node("MatMul", ["b", "v"], ["y"]),
    ]
    built(model(nodes, {"x": [1, 64]}, {"y": [1, 3]}, constants), tmp_path)


def test_non_finite_results_must_agree_in_kind(tmp_path: Path) -> None:
    nodes = [node("Log", ["x"], ["l"]), node("Reciprocal", ["x"], ["r"])]
    engine = built(model(nodes, {"x": [1, 4]}, {"l": [1, 4], "r": [1, 4]}), tmp_path)
    x = np.array([[-1, 0, -0.0, 1]], np.float32)
    found = engine.run(x)
    np.testing.assert_array_equal(found["l"], [[np.nan, -np.inf, -np.inf, 0]])
    np.testing.assert_array_equal(found["r"], [[-1, np.inf, -np.inf, 1]])


def test_the_report_tells_reference_cases_and_figures(tmp_path: Path) -> None:
    parity = built(policy(), tmp_path).manifest.parity
    assert parity.reference.startswith("onnxruntime ")
    assert parity.cases >= 10
    assert parity.runs >= 60
    (figures,) = parity.outputs
    assert figures.output == "action"
    assert 0 <= figures.max_abs < 1e-4
    assert 0 <= figures.max_of_bound < 1
    assert figures.worst


def test_without_onnx_runtime_the_reference_evaluator_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert built(policy(), tmp_path).manifest.parity.reference.startswith("onnx.reference ")
    with_runtime = built(recurrent("LSTM", 5, steps=2), tmp_path)
    assert with_runtime.manifest.parity.reference.startswith("onnx.reference ")
