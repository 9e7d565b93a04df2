"""The engine that a user runs: a verified artifact around the native plan."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtinfer import _native
from rtinfer.engines import artifact as artifacts
from rtinfer.engines.artifact import Artifact
from rtinfer.engines.plan_file import PlanFile
from rtinfer.engines.runner import Array, Runner
from rtinfer.errors import CheckError, UsageError
from rtinfer.manifest import Manifest


@dataclass(frozen=True)
class Tensor:
    """Shape and dtype of one named input, output or state."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.float32]


def load(path: str | os.PathLike[str]) -> "Engine":
    """Loads an engine artifact: verifies every file, then repeats its stored runs bit for bit.

    Raises UsageError where `path` is no artifact, CheckError where it is not intact or where this
    machine computes other bytes than the build did.
    """
    artifact = artifacts.read(Path(path))
    engine = Engine(artifact)
    _repeat_stored_runs(engine, artifact)
    return engine


class Engine:
    """A policy with static shapes. Not thread-safe: one caller at a time.

    `inputs`, `outputs` and `state` map names to Tensor(shape, dtype). A state is an input that the
    engine feeds itself: zeros after `reset`, then what the last run left.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.manifest: Manifest = artifact.manifest
        self.plan_file: PlanFile = artifact.plan
        self._runner = Runner(
            artifact.plan, bytes(artifact.weights.data), f"{artifact.path}/plan.json"
        )
        places = artifact.plan
        self.inputs = {p.name: _tensor(p.shape) for p in places.inputs}
        self.outputs = {p.name: _tensor(p.shape) for p in places.outputs}
        self.state = {s.input: _tensor(s.shape) for s in places.state}
        self._input_offsets = {p.name: p.offset for p in places.inputs}
        self._output_offsets = {p.name: p.offset for p in places.outputs}

    @property
    def hash(self) -> str:
        """Hex SHA-256 over plan, weights and semantics."""
        return self.manifest.engine_hash

    @property
    def plan(self) -> _native.Plan:
        """The native plan, for a loop that runs it without Python."""
        return self._runner.plan

    def run(self, inputs: Mapping[str, Array] | Array) -> dict[str, Array]:
        """One run: float32 inputs of exactly the declared shapes in, copies of all outputs out.

        An array alone stands for the only input. Advances the state. Raises UsageError for a
        missing or unknown name, another shape or another dtype.
        """
        given = inputs if isinstance(inputs, Mapping) else self._only_input(inputs)
        for name in given:
            if name not in self.inputs:
                raise UsageError(f"input {name!r} is unknown, expected {_names(self.inputs)}.")
        for name, tensor in self.inputs.items():
            if name not in given:
                raise UsageError(f"input {name!r} is missing: pass float32 {list(tensor.shape)}.")
            _check(name, given[name], tensor)
        return self._runner.run(given)

    def reset(self) -> None:
        """Sets every state to zeros."""
        self._runner.reset()

    def read_state(self) -> dict[str, Array]:
        """Copies of the states that the next run will read."""
        return self._runner.state()

    def input_offset(self, name: str) -> int:
        """Byte offset of an input in the plan's block. Raises UsageError for an unknown name."""
        return _offset(self._input_offsets, name, "input")

    def output_offset(self, name: str) -> int:
        """Byte offset of an output in the plan's block. Raises UsageError for an unknown name."""
        return _offset(self._output_offsets, name, "output")

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{list(t.shape)}" for name, t in self.inputs.items())
        results = ", ".join(f"{name}{list(t.shape)}" for name, t in self.outputs.items())
        return f"<Engine {self.manifest.name}: {shapes} -> {results}, {self.hash[:12]}>"

    def _only_input(self, array: Array) -> dict[str, Array]:
        if len(self.inputs) != 1:
            raise UsageError(
                f"a single array was passed to an engine with {len(self.inputs)} inputs: "
                f"pass a dict with {_names(self.inputs)}."
            )
        return {next(iter(self.inputs)): array}


def _tensor(shape: tuple[int, ...]) -> Tensor:
    return Tensor(shape, np.dtype(np.float32))


def _names(table: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in table) or "none"


def _offset(table: Mapping[str, int], name: str, kind: str) -> int:
    if name not in table:
        raise UsageError(f"{kind} {name!r} is unknown, expected {_names(table)}.")
    return table[name]


def _check(name: str, array: object, tensor: Tensor) -> None:
    if not isinstance(array, np.ndarray | np.generic):
        raise UsageError(
            f"input {name!r} is a {type(array).__name__}, expected a numpy array of float32 "
            f"{list(tensor.shape)}."
        )
    if array.dtype != tensor.dtype:
        raise UsageError(
            f"input {name!r} has dtype {array.dtype}, expected float32: "
            "convert it with .astype(np.float32)."
        )
    if array.shape != tensor.shape:
        raise UsageError(
            f"input {name!r} has shape {list(array.shape)}, expected {list(tensor.shape)}: "
            "reshape it or build the engine for that shape."
        )


def _repeat_stored_runs(engine: Engine, artifact: Artifact) -> None:
    """Runs the stored sequence from a reset: bytes depend on shapes only, so they must be equal."""
    stored = artifact.reference.tensors
    engine.reset()
    for index in range(engine.manifest.reference_runs):
        results = engine.run({name: stored[f"inputs.{name}"][index] for name in engine.inputs})
        found = {f"outputs.{name}": array for name, array in results.items()}
        found |= {f"state.{name}": array for name, array in engine.read_state().items()}
        for name, array in found.items():
            if array.tobytes() != stored[name][index].tobytes():
                raise CheckError(
                    f"engine {artifact.path} computes other bytes for {name} in stored run {index} "
                    f"than its build did ({engine.plan.isa} here): this version of rtinfer differs "
                    "from the one that built it; rebuild it with `rtinfer build`."
                )
    engine.reset()
