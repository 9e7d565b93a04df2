"""Engines of our own and logs that they recorded: what a replay has to reproduce bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bag_writer import Track, array_track, write_mcap
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import rtinfer
from latency_lab.cli import main

Array = NDArray[np.float32]
INPUTS, OUTPUTS = 5, 3
ANSWER_NS = 200_000  # from an observation to its action, as a robot logs them


def mlp(folder: Path) -> Path:
    """A policy without state: obs[1,5] -> action[1,3]."""
    random = np.random.default_rng(1)
    constants = {
        "w0": random.standard_normal((INPUTS, 8)),
        "b0": random.standard_normal(8),
        "w1": random.standard_normal((8, OUTPUTS)),
        "b1": random.standard_normal(OUTPUTS),
    }
    nodes = [
        helper.make_node("Gemm", ["obs", "w0", "b0"], ["g0"]),
        helper.make_node("Tanh", ["g0"], ["h0"]),
        helper.make_node("Gemm", ["h0", "w1", "b1"], ["action"]),
    ]
    return _built(folder, nodes, {"obs": [1, INPUTS]}, {"action": [1, OUTPUTS]}, constants)


def gru(folder: Path) -> Path:
    """A policy with state: obs[1,5], h_in[1,1,3] -> action[1,3], h_out."""
    random = np.random.default_rng(2)
    hidden = OUTPUTS
    constants = {
        "shape_in": np.array([1, 1, INPUTS]),
        "shape_out": np.array([1, OUTPUTS]),
        "w": random.standard_normal((1, 3 * hidden, INPUTS)),
        "r": random.standard_normal((1, 3 * hidden, hidden)),
    }
    nodes = [
        helper.make_node("Reshape", ["obs", "shape_in"], ["x"]),
        helper.make_node("GRU", ["x", "w", "r", "", "", "h_in"], ["", "h_out"], hidden_size=hidden),
        helper.make_node("Reshape", ["h_out", "shape_out"], ["action"]),
    ]
    state = [1, 1, hidden]
    return _built(
        folder,
        nodes,
        {"obs": [1, INPUTS], "h_in": state},
        {"action": [1, OUTPUTS], "h_out": state},
        constants,
    )


def observations(count: int) -> Array:
    """Rows that differ from each other."""
    rows: Array = np.random.default_rng(3).standard_normal((count, INPUTS)).astype(np.float32)
    return rows


def answers(engine_path: Path, rows: Array) -> Array:
    """What the engine says to each row, one after another from a reset."""
    engine = rtinfer.load(engine_path)
    engine.reset()
    name = next(iter(engine.inputs))
    return np.stack([engine.run({name: row.reshape(1, -1)})["action"][0] for row in rows])


def recorded(path: Path, rows: Array, actions: Array, rate_hz: float = 50.0) -> Path:
    """A log of a robot that answered `rows` with `actions`."""
    period_ns = round(1e9 / rate_hz)
    tracks: dict[str, Track] = {
        "/policy/obs": array_track(rows, period_ns),
        "/policy/action": array_track(actions, period_ns, ANSWER_NS),
    }
    return write_mcap(path, tracks)


def robot_config(path: Path, **loop: Any) -> Path:
    """A robot.toml of 50 Hz for the engines above, at addresses that a replay must not use."""
    path.write_text(
        f"""
schema = 1
name = "robot"
[[source]]
name = "robot"
endpoint = "tcp://127.0.0.1:1"
fields = {{ obs = [{INPUTS}] }}
max_age_ms = 50
[[loop]]
name = "walk"
rate_hz = 50
engine = {{ path = "elsewhere.engine" }}
watchdog = {{ blend_ms = {loop.get("blend_ms", 0)} }}
observation = {{ {loop.get("measured", "")} terms = [{{ kind = "tensor", from = "robot.obs" }}] }}
[[loop.action]]
group = "legs"
output = "action"
kind = "position"
scale = 0.5
default_pose = [0.25, 0.5, -0.25]
limits = {{ {loop.get("limits", "")} }}
on_miss = [{{ do = "hold_last", ticks = 5 }}, {{ do = "default_pose", rate = 0.5 }}]
[[sink]]
name = "motors"
loop = "walk"
endpoint = "tcp://127.0.0.1:2"
"""
    )
    return path


def replayed(capsys: Any, log: Path, engine: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """The document of a replay through the command line."""
    assert main(["replay", str(log), "--engine", str(engine), "--json", *options]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _built(
    folder: Path,
    nodes: list[Any],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    constants: dict[str, Any],
) -> Path:
    values = {
        name: array if array.dtype == np.int64 else array.astype(np.float32)
        for name, array in ((name, np.asarray(value)) for name, value in constants.items())
    }
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "policy.onnx")
    rtinfer.build(folder / "policy.onnx", folder / "policy.engine")
    return folder / "policy.engine"
