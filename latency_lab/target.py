"""What a replay runs: one loop with the engine, as a robot's configuration or as none has it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import rtinfer
from latency_lab.recording import Recording
from rtinfer.errors import UsageError

REPLAY = "the replay of the log"
HOLD_TICKS = 1_000_000  # without a configuration, a miss repeats the last action


@dataclass(frozen=True)
class Target:
    """A configuration of one loop and one source, and the engine that it runs.

    value_names: one a value of the action. scale, offset: from the policy's output to what is
    sent, float32 [size], as the configuration has it.
    """

    config: rtinfer.Config
    engine: rtinfer.Engine
    group_sizes: list[int]
    value_names: list[str]
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]

    @property
    def source(self) -> str:
        """The name of the observation source."""
        return self.config.source[0].name

    def sent(self, action: Mapping[str, Any]) -> NDArray[np.float32]:
        """The values of a committed action of `rtinfer.Loop`, each from its own group's channel."""
        values = np.zeros(len(self.value_names), np.float32)
        at = 0
        for group, size in zip(self.config.loop[0].action, self.group_sizes, strict=True):
            values[at : at + size] = action[group.kind][at : at + size]
            at += size
        return values


def load_engine(path: Path) -> rtinfer.Engine:
    """Loads an artifact; a model in its place is told apart."""
    if path.suffix in (".onnx", ".pt", ".pt2") and path.is_file():
        raise UsageError(
            f"{path}: is a model: expected an engine; build it first with "
            f"`rtinfer build {path} -o {path.with_suffix('.engine')}`"
        )
    return rtinfer.load(path)


def bare_target(engine_path: Path, recording: Recording, speed: float) -> Target:
    """No limits, no ramp; on a miss the last action. The rate is the recording's, times `speed`."""
    engine = load_engine(engine_path)
    if len(engine.inputs) != 1 or len(engine.outputs) != 1:
        raise UsageError(
            f"{engine_path}: has the inputs {', '.join(engine.inputs)} and the outputs "
            f"{', '.join(engine.outputs)}: expected one of each beside its state; choose one with "
            "`rtinfer build --output`, or pass --config"
        )
    (input_name,), (output_name,) = engine.inputs, engine.outputs
    period_ms = recording.period_ns / speed / 1e6
    tree = {
        "schema": 1,
        "name": _service_name(),
        "supervisor": {"on_loss": "stop"},
        "source": [
            {
                "name": "log",
                "max_age_ms": 2.0 * period_ms,
                "fields": {"observation": [recording.observations.shape[1]]},
            }
        ],
        "loop": [
            {
                "name": "replay",
                "rate_hz": 1e3 / period_ms,
                "arm": "auto",
                "engine": {"path": str(engine_path.resolve())},
                "watchdog": {"blend_ms": 0.0},
                "observation": {
                    "input": input_name,
                    "terms": [{"kind": "tensor", "from": "log.observation"}],
                },
                "action": [
                    {
                        "group": "action",
                        "output": output_name,
                        "kind": "position",
                        "on_miss": [
                            {"do": "hold_last", "ticks": HOLD_TICKS},
                            {"do": "zero", "i_know": True},
                        ],
                    }
                ],
            }
        ],
        "sink": [{"name": "action", "loop": "replay", "lease_ms": max(1000.0, 10 * period_ms)}],
        "file": REPLAY,
    }
    config = msgspec.convert(tree, rtinfer.Config)
    size = math.prod(engine.outputs[output_name].shape)
    target = Target(
        config,
        engine,
        [size],
        [f"{output_name}[{index}]" for index in range(size)],
        np.ones(size, np.float32),
        np.zeros(size, np.float32),
    )
    _check_sizes(target, recording)
    return target


def robot_target(config_path: Path, engine_path: Path, recording: Recording) -> Target:
    """A robot's own limits, ramp and miss behaviour; its addresses and its engine replaced."""
    engine = load_engine(engine_path)
    config = rtinfer.load_config(config_path)
    if len(config.loop) != 1 or not config.sink:
        raise UsageError(
            f"{config_path}: has {len(config.loop)} loops and {len(config.sink)} sinks: "
            "expected one loop with a sink, which is what is replayed"
        )
    if len(config.source) != 1:
        raise UsageError(
            f"{config_path}: has {len(config.source)} sources: expected one, which is what a "
            "replay feeds"
        )
    replace = msgspec.structs.replace
    loop = config.loop[0]
    engine_config = replace(loop.engine, path=str(engine_path.resolve()))
    config = replace(
        config,
        name=_service_name(),
        supervisor=replace(config.supervisor, on_loss="stop"),
        # This sender's stamps are of this host's clock, whatever the robot's are.
        source=tuple(replace(one, endpoint="", stamp="sender") for one in config.source),
        sink=tuple(replace(sink, endpoint="") for sink in config.sink),
        loop=(replace(loop, engine=engine_config, arm="auto"),),
    )
    names: list[str] = []
    scales: list[float] = []
    offsets: list[float] = []
    sizes = _group_sizes(loop, engine)
    for group, size in zip(loop.action, sizes, strict=True):
        names += [f"{group.group}[{index}]" for index in range(size)]
        scales += _spread(group.scale, size)
        offsets += _spread(group.default_pose or 0.0, size)
    rtinfer.Loop(config, clock=rtinfer.VirtualClock(), engine=engine)  # refuses a contradiction
    target = Target(
        config,
        engine,
        sizes,
        names,
        np.asarray(scales, np.float32),
        np.asarray(offsets, np.float32),
    )
    _check_sizes(target, recording)
    return target


def _group_sizes(loop: Any, engine: rtinfer.Engine) -> list[int]:
    """The number of values of each group: as its lists have, else what the others leave."""
    outputs = [group.output or next(iter(engine.outputs)) for group in loop.action]
    listed = [max(map(len, group.lists().values()), default=0) for group in loop.action]
    sizes = []
    for output, size in zip(outputs, listed, strict=True):
        shape = engine.outputs[output].shape if output in engine.outputs else ()
        taken = sum(n for n, other in zip(listed, outputs, strict=True) if other == output)
        sizes.append(size or max(0, math.prod(shape) - taken))
    return sizes


def _spread(values: float | tuple[float, ...], size: int) -> list[float]:
    return list(values) if isinstance(values, tuple) else [values] * size


def _service_name() -> str:
    return f"replay-{os.getpid()}"


def _check_sizes(target: Target, recording: Recording) -> None:
    """The log's observations are what the source sends, its actions what the groups are."""
    source, engine = target.config.source[0], target.engine
    takes = ", ".join(f"{name} {size}" for name, size in source.sizes().items())
    expected, where = sum(source.sizes().values()), f"the fields of source {source.name} ({takes})"
    if target.config.file == REPLAY:
        name, tensor = next(iter(engine.inputs.items()))
        expected, where = math.prod(tensor.shape), f"the engine's input {name}"
    for what, found, wanted, of in (
        ("observation", recording.observations.shape[1], expected, where),
        ("action", recording.actions.shape[1], len(target.value_names), "what the loop sends"),
    ):
        if found != wanted:
            raise UsageError(
                f"the log's {what}s have {found} values: expected {wanted}, the size of {of}; "
                f"--{what}-topic chooses another topic"
            )
