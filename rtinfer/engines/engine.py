"""The engine that a user runs: a verified artifact around the native plan or ONNX Runtime."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtinfer import _native
from rtinfer.engines import artifact as artifacts
from rtinfer.engines.artifact import Artifact, OrtArtifact
from rtinfer.engines.ort import OrtRunner
from rtinfer.engines.plan_file import PlanFile
from rtinfer.engines.runner import Array, Runner
from rtinfer.errors import CheckError, UsageError
from rtinfer.manifest import MODEL, PLAN, Manifest

# How far ONNX Runtime may be from a stored run: a share of the tensor's largest value, plus this.
ORT_RELATIVE, ORT_ABSOLUTE = 1e-4, 1e-6


@dataclass(frozen=True)
class Tensor:
    """Shape and dtype of one named input, output or state."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.float32]


def load(path: str | os.PathLike[str]) -> "Engine":
    """Loads an engine artifact: verifies every file, then repeats its stored runs.

    A plan repeats them bit for bit, ONNX Runtime close to what the build stored.
    Raises UsageError where `path` is no artifact, CheckError where it is not intact or where this
    machine computes something else than the build did.
    """
    return verified(artifacts.read_any(Path(path)))


def verified(artifact: Artifact | OrtArtifact) -> "Engine":
    """The engine of an artifact that was read, after its stored runs."""
    engine = Engine(artifact)
    _repeat_stored_runs(engine, artifact)
    return engine


class Engine:
    """A policy with static shapes. Not thread-safe: one caller at a time.

    `inputs`, `outputs` and `state` map names to Tensor(shape, dtype). A state is an input that the
    engine feeds itself: zeros after `reset`, then what the last run left.
    """

    def __init__(self, artifact: Artifact | OrtArtifact) -> None:
        self.manifest: Manifest = artifact.manifest
        self.inputs = {t.name: tensor_of(t.shape) for t in self.manifest.inputs}
        self.outputs = {t.name: tensor_of(t.shape) for t in self.manifest.outputs}
        self.state = {s.input: tensor_of(s.shape) for s in self.manifest.state}
        self._plan_file: PlanFile | None = None
        self._runner: Runner | OrtRunner
        if isinstance(artifact, OrtArtifact):
            self._runner = OrtRunner(artifact.model, artifact.manifest, f"{artifact.path}/{MODEL}")
        else:
            self._plan_file = artifact.plan
            self._runner = Runner(
                artifact.plan, bytes(artifact.weights.data), f"{artifact.path}/{PLAN}"
            )

    @property
    def hash(self) -> str:
        """Hex SHA-256 over what runs and its semantics."""
        return self.manifest.engine_hash

    @property
    def runner(self) -> Runner | OrtRunner:
        """What runs, for the build and for a worker."""
        return self._runner

    @property
    def plan(self) -> _native.Plan:
        """The native plan, for a loop that runs it without Python. UsageError where none is."""
        if not isinstance(self._runner, Runner):
            raise self._no_plan()
        return self._runner.plan

    @property
    def plan_file(self) -> PlanFile:
        """The plan as stored. UsageError for an engine that runs in ONNX Runtime."""
        if self._plan_file is None:
            raise self._no_plan()
        return self._plan_file

    def run(self, inputs: Mapping[str, Array] | Array) -> dict[str, Array]:
        """One run: float32 inputs of exactly the declared shapes in, copies of all outputs out.

        An array alone stands for the only input. Advances the state. Raises UsageError for a
        missing or unknown name, another shape or another dtype.
        """
        given = inputs if isinstance(inputs, Mapping) else self._only_input(inputs)
        for name in given:
            if name not in self.inputs:
                raise UsageError(f"input {name!r} is unknown, expected {names_of(self.inputs)}.")
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
        return _offset({p.name: p.offset for p in self.plan_file.inputs}, name, "input")

    def output_offset(self, name: str) -> int:
        """Byte offset of an output in the plan's block. Raises UsageError for an unknown name."""
        return _offset({p.name: p.offset for p in self.plan_file.outputs}, name, "output")

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{list(t.shape)}" for name, t in self.inputs.items())
        results = ", ".join(f"{name}{list(t.shape)}" for name, t in self.outputs.items())
        return f"<Engine {self.manifest.name}: {shapes} -> {results}, {self.hash[:12]}>"

    def _no_plan(self) -> UsageError:
        return UsageError(
            f"engine {self.manifest.name} runs in ONNX Runtime, expected a static plan here: "
            "build one with `rtinfer build --backend plan`."
        )

    def _only_input(self, array: Array) -> dict[str, Array]:
        if len(self.inputs) != 1:
            raise UsageError(
                f"a single array was passed to an engine with {len(self.inputs)} inputs: "
                f"pass a dict with {names_of(self.inputs)}."
            )
        return {next(iter(self.inputs)): array}


def tensor_of(shape: tuple[int, ...]) -> Tensor:
    """A float32 tensor."""
    return Tensor(shape, np.dtype(np.float32))


def names_of(table: Mapping[str, object]) -> str:
    """The names as a sentence lists them."""
    return ", ".join(repr(name) for name in table) or "none"


def _offset(table: Mapping[str, int], name: str, kind: str) -> int:
    if name not in table:
        raise UsageError(f"{kind} {name!r} is unknown, expected {names_of(table)}.")
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


def _repeat_stored_runs(engine: Engine, artifact: Artifact | OrtArtifact) -> None:
    """Runs the stored sequence from a reset."""
    stored = artifact.reference.tensors
    engine.reset()
    for index in range(engine.manifest.reference_runs):
        results = engine.run({name: stored[f"inputs.{name}"][index] for name in engine.inputs})
        found = {f"outputs.{name}": array for name, array in results.items()}
        found |= {f"state.{name}": array for name, array in engine.read_state().items()}
        for name, array in found.items():
            if isinstance(artifact, Artifact):
                _check_bytes(engine, artifact, index, name, array)
            else:
                _check_close(artifact, index, name, array)
    engine.reset()


def _check_bytes(engine: Engine, artifact: Artifact, index: int, name: str, found: Array) -> None:
    """Bytes of a plan depend on shapes only, so they must be equal."""
    if found.tobytes() != artifact.reference.tensors[name][index].tobytes():
        raise CheckError(
            f"engine {artifact.path} computes other bytes for {name} in stored run {index} "
            f"than its build did ({engine.plan.isa} here): this version of rtinfer differs "
            "from the one that built it; rebuild it with `rtinfer build`."
        )


def _check_close(artifact: OrtArtifact, index: int, name: str, found: Array) -> None:
    """ONNX Runtime's bytes depend on its version and on the processor."""
    stored = artifact.reference.tensors[name][index]
    finite = np.isfinite(stored)
    size = np.abs(stored[finite], dtype=np.float64)
    bound = ORT_RELATIVE * float(size.max(initial=0.0)) + ORT_ABSOLUTE
    error = np.abs(found[finite].astype(np.float64) - stored[finite])
    apart = float(np.nan_to_num(error, nan=np.inf).max(initial=0.0))
    if apart > bound or not np.array_equal(np.isfinite(found), finite):
        raise CheckError(
            f"engine {artifact.path} computes {name} in stored run {index} up to {apart:.3g} away "
            f"from its build, expected at most {bound:.3g}: ONNX Runtime differs from the one that "
            f"built it ({artifact.manifest.versions.get('onnxruntime', 'unknown')}); install that "
            "one, or rebuild the engine with `rtinfer build --backend ort`."
        )
