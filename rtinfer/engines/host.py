"""What a worker runs: an engine whose inputs and outputs are given arrays."""

from collections.abc import Mapping
from typing import Protocol

from rtinfer.engines.engine import Engine
from rtinfer.engines.ort import OrtRunner
from rtinfer.engines.plan_file import count
from rtinfer.engines.runner import Array


class Host(Protocol):
    """One run at a time, on arrays that were bound before; the state moves on only when told to."""

    def step(self) -> None:
        """Inputs to outputs. Raises where the engine fails."""

    def accept(self) -> None:
        """The last step counts: the state moves on."""

    def reset(self) -> None:
        """The state to zero."""


def host_of(engine: Engine, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Host:
    """The engine on these float32 arrays, each contiguous and of its tensor's shape."""
    if isinstance(engine.runner, OrtRunner):
        engine.runner.bind(inputs, outputs)
        return engine.runner
    return _PlanHost(engine, inputs, outputs)


class _PlanHost:
    """A static plan, whose block stays its own."""

    def __init__(
        self, engine: Engine, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> None:
        self._plan = engine.plan
        self._inputs = [
            (array, self._view(engine.input_offset(name), array)) for name, array in inputs.items()
        ]
        self._outputs = [
            (self._view(engine.output_offset(name), array), array)
            for name, array in outputs.items()
        ]

    def step(self) -> None:
        for source, target in self._inputs:
            target[...] = source
        self._plan.run()
        for source, target in self._outputs:
            target[...] = source

    def accept(self) -> None:
        self._plan.accept_state()

    def reset(self) -> None:
        self._plan.reset_state()

    def _view(self, offset: int, array: Array) -> Array:
        return self._plan.view(offset, count(array.shape)).reshape(array.shape)
