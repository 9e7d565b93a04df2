"""Two loops, a policy under a tracker ten times its rate, and the tracker's engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import rtinfer

TWO_LOOPS = """\
schema = 1
name = "echo"

[[source]]
name = "robot"
fields = { obs = [3], q = [3] }
max_age_ms = 200

[[source]]
name = "plan"
transport = "loop"
loop = "policy"
fields = { q = [3] }
max_age_ms = 60

[[loop]]
name = "policy"
rate_hz = 50
arm = "manual"
engine = { path = "ECHO" }
watchdog = { blend_ms = 0, recovery_ticks = 5 }

[loop.observation]
terms = [{ kind = "tensor", from = "robot.obs" }]

[[loop.action]]
group = "goal"
kind = "position"
limits = { min = -10, max = 10, over = "refuse" }
on_miss = [{ do = "hold_last", ticks = 1000 }, { do = "zero", i_know = true }]

[[loop]]
name = "track"
rate_hz = 500
arm = "auto"
engine = { path = "sum.engine" }
watchdog = { blend_ms = 0, recovery_ticks = 5 }

[loop.observation]
measured = "robot.q"
terms = [{ kind = "tensor", from = "robot.q" }, { kind = "tensor", from = "plan.q" }]

[[loop.action]]
group = "joints"
kind = "position"
on_miss = [{ do = "hold_last", ticks = 5 }, { do = "hold_measured" }]

[[sink]]
name = "goals"
loop = "policy"
lease_ms = 1000

[[sink]]
name = "motors"
loop = "track"
lease_ms = 1000
"""


def sum_engine(folder: Path, factor: float, size: int = 6, name: str = "sum") -> Path:
    """actions[1, 3] = factor * obs[1, :3], plus obs[1, 3:] where `size` is 6."""
    weights = np.concatenate([factor * np.eye(3), np.eye(3)])[:size]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        name,
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor("w", TensorProto.FLOAT, [size, 3], weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{name}.onnx")
    rtinfer.build(folder / f"{name}.onnx", folder / f"{name}.engine")
    return folder / f"{name}.engine"
