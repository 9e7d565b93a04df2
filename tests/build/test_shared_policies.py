"""Real policies from other projects: served faithfully, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engines import assert_interpreter_agrees, op_names

from rtinfer.build.builder import build
from rtinfer.engines import Engine
from rtinfer.errors import CheckError, UsageError


def built(shared_data: Path, name: str, folder: Path, outputs: list[str] | None = None) -> Engine:
    path = folder / "policy.engine"
    engine = build(shared_data / "policies" / name, path, outputs=outputs)
    assert_interpreter_agrees(engine, path)
    return engine


def test_the_go1_policy_is_one_op_a_layer(shared_data: Path, tmp_path: Path) -> None:
    engine = built(shared_data, "playground_go1.onnx", tmp_path)
    assert op_names(engine) == ["binary", "binary", "gemv", "gemv", "gemv", "gemv"]
    assert engine.outputs["continuous_actions"].shape == (1, 12)
    # Half of the head is the spread of a distribution: its columns are not computed.
    assert max(p.max_of_bound for p in engine.manifest.parity.outputs) < 1


def test_the_five_frame_policy_is_one_op_a_layer(shared_data: Path, tmp_path: Path) -> None:
    engine = built(shared_data, "unitree_rl_lab_g1_hist5.onnx", tmp_path)
    assert op_names(engine) == ["gemv"] * 4
    assert engine.inputs["obs"].shape == (1, 480)


def test_the_lstm_policy_carries_its_state(shared_data: Path, tmp_path: Path) -> None:
    engine = built(shared_data, "derived_unitree_g1_lstm64.onnx", tmp_path)
    assert op_names(engine) == ["lstm", "gemv", "gemv"]
    assert list(engine.inputs) == ["obs"]
    assert list(engine.outputs) == ["actions"]
    pairs = [(s.input, s.output) for s in engine.manifest.state]
    assert pairs == [("h_in", "h_out"), ("c_in", "c_out")]


def test_the_gru_policy_gives_its_published_actions(shared_data: Path, tmp_path: Path) -> None:
    """Upstream's golden sequences: 500 steps of two robots, each from a zero state."""
    engine = built(shared_data, "derived_raptor_gru16.onnx", tmp_path)
    golden = np.load(shared_data / "policies" / "raptor_golden.npz")
    inputs, outputs = (golden[name].astype(np.float32) for name in ("input", "output"))
    assert inputs.shape == (500, 2, 22)
    for robot in range(2):
        engine.reset()
        found = [engine.run(inputs[step, robot][None])["actions"][0] for step in range(500)]
        np.testing.assert_allclose(found, outputs[:, robot], rtol=0, atol=2e-5)


def test_a_symbolic_batch_is_1(shared_data: Path, tmp_path: Path) -> None:
    engine = built(shared_data, "fknetwork.dynamic.onnx", tmp_path)
    assert engine.inputs["input"].shape == (1, 7)
    # Five layers share one matrix, which is stored once.
    assert engine.plan_file.weights_bytes < 90_000


@pytest.mark.parametrize(
    ("name", "outputs", "named"),
    [
        ("fastsac_g1_29dof.onnx", None, ["ReduceMean '/actor/net/net.1/ReduceMean'", "opset 13"]),
        ("fknetwork_int8.onnx", None, ["QuantizeLinear 'input_QuantizeLinear'", "opset 18"]),
        (
            "mlagents_visual3dball_cnn.onnx",
            ["deterministic_continuous_actions"],
            ["Conv 'Conv_0', 'Conv_2' (opset 9)"],
        ),
    ],
)
def test_what_cannot_be_lowered_is_named(
    name: str, outputs: list[str] | None, named: list[str], shared_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckError) as refusal:
        built(shared_data, name, tmp_path, outputs)
    for words in named:
        assert words in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_sampling_inside_the_graph_is_refused(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        built(shared_data, "mlagents_visual3dball_cnn.onnx", tmp_path)
    assert "RandomNormalLike 'RandomNormalLike_20'" in str(refusal.value)
    assert "deterministic_continuous_actions" in str(refusal.value)


@pytest.mark.parametrize("name", ["raptor_golden.npz", "unitree_g1_motion.pt"])
def test_files_of_other_formats_are_refused(name: str, shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="is not a valid ONNX model"):
        built(shared_data, name, tmp_path)
