"""LSTM and GRU: their forms, their state, and how it is found, declared, advanced and reset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import Array, built, expected, op_names
from onnx_models import model, node, normal, recurrent, save

from rtinfer.build.builder import build
from rtinfer.engines import Engine, load
from rtinfer.errors import CheckError, UsageError


def follows(engine: Engine, proto: Any, steps: int = 30) -> None:
    """The engine's own state gives what the reference gives when its state is carried by hand."""
    state = {s.input: np.zeros(s.shape, np.float32) for s in engine.manifest.state}
    names = [value.name for value in proto.graph.output]
    engine.reset()
    for step in range(steps):
        feeds = {n: normal(100 + step, *t.shape) for n, t in engine.inputs.items()}
        found = dict(zip(names, expected(proto, feeds | state), strict=True))
        for name, value in engine.run(feeds).items():
            np.testing.assert_allclose(value, found[name], rtol=1e-4, atol=1e-5)
        state = {s.input: found[s.output] for s in engine.manifest.state}
        for name, value in engine.read_state().items():
            np.testing.assert_allclose(value, state[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("hidden", [5, 16, 33])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_recurrent_layer_follows_its_reference(
    kind: str, hidden: int, steps: int, direction: str, tmp_path: Path
) -> None:
    proto = recurrent(kind, hidden, steps, direction)
    engine = built(proto, tmp_path)
    assert list(engine.inputs) == ["obs"]
    assert list(engine.outputs) == ["out"]
    assert list(engine.state) == (["h_in", "c_in"] if kind == "LSTM" else ["h_in"])
    follows(engine, proto)


@pytest.mark.parametrize("linear_before_reset", [0, 1])
def test_both_forms_of_gru_are_computed(linear_before_reset: int, tmp_path: Path) -> None:
    proto = recurrent("GRU", 7, linear_before_reset=linear_before_reset)
    follows(built(proto, tmp_path), proto)


def test_a_layer_without_explicit_state_starts_every_run_from_zeros(tmp_path: Path) -> None:
    proto = recurrent("LSTM", 6, steps=3, explicit_state=False)
    engine = built(proto, tmp_path)
    assert engine.state == {}
    x = normal(1, 3, 1, 3)
    first = engine.run(x)["out"]
    engine.run(normal(2, 3, 1, 3))
    assert engine.run(x)["out"].tobytes() == first.tobytes()


def two_layers() -> Any:
    """As torch exports nn.GRU(num_layers=2): one stacked state, sliced and joined."""
    constants = {
        "w0": normal(1, 1, 12, 3),
        "r0": normal(2, 1, 12, 4),
        "w1": normal(3, 1, 12, 4),
        "r1": normal(4, 1, 12, 4),
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
    }
    nodes = [
        node("Slice", ["h_in", "zero", "one", "zero"], ["h0"]),
        node("Slice", ["h_in", "one", "two", "zero"], ["h1"]),
        node("GRU", ["obs", "w0", "r0", "", "", "h0"], ["y0", "n0"], hidden_size=4),
        node("Squeeze", ["y0", "one"], ["x1"]),
        node("GRU", ["x1", "w1", "r1", "", "", "h1"], ["y1", "n1"], hidden_size=4),
        node("Squeeze", ["y1", "one"], ["out"]),
        node("Concat", ["n0", "n1"], ["h_out"], axis=0),
    ]
    inputs = {"obs": [1, 1, 3], "h_in": [2, 1, 4]}
    return model(nodes, inputs, {"out": [1, 1, 4], "h_out": [2, 1, 4]}, constants)


def test_the_state_of_stacked_layers_is_found(tmp_path: Path) -> None:
    engine = built(two_layers(), tmp_path)
    assert [(s.input, s.output) for s in engine.manifest.state] == [("h_in", "h_out")]
    follows(engine, two_layers())


def test_swapped_layer_states_are_not_taken_for_a_state(tmp_path: Path) -> None:
    proto = two_layers()
    proto.graph.node[-1].input[:] = ["n1", "n0"]
    engine = built(proto, tmp_path)
    assert engine.state == {}
    assert list(engine.inputs) == ["obs", "h_in"]


def test_state_is_found_though_its_output_was_not_chosen(tmp_path: Path) -> None:
    engine = built(two_layers(), tmp_path, outputs=["out"])
    assert [(s.input, s.output) for s in engine.manifest.state] == [("h_in", "h_out")]
    assert list(engine.outputs) == ["out"]


def elman() -> Any:
    """A recurrence of plain operators, which only --state can name."""
    nodes = [
        node("MatMul", ["obs", "w"], ["a"]),
        node("MatMul", ["memory", "r"], ["b"]),
        node("Add", ["a", "b"], ["c"]),
        node("Tanh", ["c"], ["next_memory"]),
        node("MatMul", ["next_memory", "o"], ["action"]),
    ]
    constants = {"w": normal(1, 3, 4), "r": normal(2, 4, 4), "o": normal(3, 4, 2)}
    inputs, outputs = {"obs": [1, 3], "memory": [1, 4]}, {"action": [1, 2], "next_memory": [1, 4]}
    return model(nodes, inputs, outputs, constants)


@pytest.mark.parametrize("outputs", [None, ["action"]])
def test_a_declared_state_is_carried(outputs: list[str] | None, tmp_path: Path) -> None:
    engine = built(elman(), tmp_path, state={"memory": "next_memory"}, outputs=outputs)
    assert list(engine.inputs) == ["obs"]
    assert list(engine.outputs) == ["action"]
    follows(engine, elman())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"nothing": "next_memory"}, "no input 'nothing'"),
        ({"memory": "nothing"}, "no output 'nothing'"),
        ({"memory": "action"}, r"shape \[1, 4\], the output \[1, 2\]"),
        ({"memory": "next_memory", "obs": "next_memory"}, "already feeds another state"),
    ],
)
def test_a_wrong_state_is_refused(state: dict[str, str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        build(save(elman(), tmp_path / "m.onnx"), tmp_path / "m.engine", state=state)


def test_reset_starts_the_same_sequence_again(tmp_path: Path) -> None:
    engine = built(recurrent("LSTM", 8), tmp_path)

    def sequence() -> list[bytes]:
        return [engine.run(normal(i, 1, 1, 3))["out"].tobytes() for i in range(1, 6)]

    first = sequence()
    assert sequence() != first
    engine.reset()
    assert all(not value.any() for value in engine.read_state().values())
    assert sequence() == first


def test_two_engines_of_one_artifact_keep_their_own_state(tmp_path: Path) -> None:
    engine = built(recurrent("GRU", 4), tmp_path)
    other = load(tmp_path / "model.engine")
    x: Array = normal(1, 1, 1, 3)
    engine.run(x)
    assert engine.run(x)["out"].tobytes() != other.run(x)["out"].tobytes()


VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "activations": ({"activations": ["Relu", "Tanh", "Tanh"]}, "activations"),
    "clip": ({"clip": 1.0}, "clip has no kernel"),
    "input_forget": ({"input_forget": 1}, "input_forget"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_without_a_kernel_is_refused(name: str, tmp_path: Path) -> None:
    attributes, reason = VARIANTS[name]
    with pytest.raises(CheckError, match=f"LSTM 'LSTM_y' .*{reason}"):
        built(recurrent("LSTM", 4, **attributes), tmp_path)


def test_a_batch_is_refused(tmp_path: Path) -> None:
    proto = recurrent("GRU", 4, explicit_state=False)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    with pytest.raises(CheckError, match="its batch is 2, expected 1"):
        built(proto, tmp_path)


def test_a_recurrent_layer_is_one_op(tmp_path: Path) -> None:
    assert op_names(built(recurrent("LSTM", 8), tmp_path)) == ["lstm"]
