"""A small robot for fault scenarios: one source, one position group; and an engine that counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import rtinfer

SCENARIOS = Path(__file__).with_name("scenarios")
SIZE = 3
RATE_HZ = 500

CONFIG = """\
schema = 1
name = "ROBOT"

[[source]]
name = "robot"
fields = { obs = [3], q = [3] }
max_age_ms = 10

[[loop]]
name = "walk"
rate_hz = 500
arm = "auto"
engine = { path = "ENGINE" }
watchdog = { guard_us = 200, blend_ms = 40, recovery_ticks = 20 }

[loop.observation]
measured = "robot.q"
terms = [{ kind = "tensor", from = "robot.obs" }]

[[loop.action]]
group = "legs"
kind = "position"
kp = 20
default_pose = 0.1
limits = { min = -1.5, max = 1.5, rate = 50 }
on_miss = [{ do = "hold_last", ticks = 5 }, { do = "default_pose", rate = 2 }]

[[sink]]
name = "motors"
loop = "walk"
lease_ms = 20
"""


def save_echo(path: Path) -> None:
    """actions[1, 3] = obs[1, 3]."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [SIZE, SIZE], np.eye(SIZE).ravel())
    _save(path, [helper.make_node("MatMul", ["obs", "w"], ["actions"])], [weights], [])


def save_sum(path: Path) -> None:
    """h_out = h + obs, actions = 2 h_out: an action tells which observations its state has seen."""
    nodes = [
        helper.make_node("Add", ["h", "obs"], ["h_out"]),
        helper.make_node("Add", ["h_out", "h_out"], ["actions"]),
    ]
    _save(path, nodes, [], ["h"])


def _save(
    path: Path, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], state: list[str]
) -> None:
    def tensor(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIZE])

    graph = helper.make_graph(
        nodes,
        "policy",
        [tensor(name) for name in ("obs", *state)],
        [tensor(name) for name in ("actions", *(f"{name}_out" for name in state))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def robot(folder: Path, *changes: str, name: str = "robot") -> rtinfer.Config:
    """The echo robot of CONFIG, built below `folder`, with each `old` replaced by its `new`."""
    engine = folder / "echo.engine"
    if not engine.exists():
        save_echo(folder / "echo.onnx")
        rtinfer.build(folder / "echo.onnx", engine)
    text = CONFIG.replace("ENGINE", str(engine)).replace("ROBOT", name)
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "robot.toml").write_text(text, encoding="utf-8")
    return rtinfer.load_config(folder / "robot.toml")


def paths(*kinds: str) -> list[Path]:
    """The scenario files, in order."""
    found = sorted(SCENARIOS.glob("*.toml"))
    return [path for path in found if not kinds or path.stem in kinds]
