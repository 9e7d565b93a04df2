"""A plan in memory with its named views: what a loaded engine and a build both run."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtinfer import _native
from rtinfer.engines.plan_file import PlanFile, count, native_op, native_state
from rtinfer.errors import CheckError, UsageError

Array = NDArray[np.float32]


class Runner:
    """Inputs in, outputs out, by name; shapes are taken as checked. Not thread-safe."""

    def __init__(self, plan_file: PlanFile, weights: bytes, label: str) -> None:
        """`weights` is the head of the plan's block. CheckError where the native check refuses."""
        ops = [native_op(op) for op in plan_file.ops]
        try:
            self.plan = _native.Plan(weights, plan_file.arena_bytes, ops, native_state(plan_file))
        except (ValueError, MemoryError) as error:
            if "RTINFER_ISA" in str(error):  # the environment is wrong, not the plan
                raise UsageError(f"{error}.") from None
            raise CheckError(
                f"{label} is refused ({error}): rebuild the engine with `rtinfer build`."
            ) from None
        self._inputs = {p.name: self._view(p.offset, p.shape) for p in plan_file.inputs}
        self._outputs = {p.name: self._view(p.offset, p.shape) for p in plan_file.outputs}
        self._state = {s.input: self._view(s.in_offset, s.shape) for s in plan_file.state}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One run that advances the state; outputs are copies."""
        for name, view in self._inputs.items():
            view[...] = inputs[name]
        self.plan.run()
        self.plan.accept_state()
        return {name: view.copy() for name, view in self._outputs.items()}

    def state(self) -> dict[str, Array]:
        """Copies of the states that the next run will read."""
        return {name: view.copy() for name, view in self._state.items()}

    def reset(self) -> None:
        self.plan.reset_state()

    def _view(self, offset: int, shape: tuple[int, ...]) -> Array:
        return self.plan.view(offset, count(shape)).reshape(shape)
