"""An engine as its loop sees it when a worker process runs it: names, shapes, places in a block."""

from rtinfer.engines.engine import Engine, Tensor, names_of, tensor_of
from rtinfer.engines.plan_file import count
from rtinfer.engines.runner import Array
from rtinfer.errors import UsageError
from rtinfer.manifest import Manifest

LINE = 16  # floats: each tensor starts on a cache line


class Hosted:
    """The interface of an artifact that is not loaded here.

    Its block is [inputs | outputs], of `input_floats` and `output_floats` float32, each tensor in
    the manifest's order. `inputs`, `outputs` and `state` are those of the engine.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.inputs = {t.name: tensor_of(t.shape) for t in self.manifest.inputs}
        self.outputs = {t.name: tensor_of(t.shape) for t in self.manifest.outputs}
        self.state = {s.input: tensor_of(s.shape) for s in self.manifest.state}
        self._input_starts, self.input_floats = _places(self.inputs)
        self._output_starts, self.output_floats = _places(self.outputs)

    @property
    def hash(self) -> str:
        """Hex SHA-256 over what runs and its semantics."""
        return self.manifest.engine_hash

    def input_offset(self, name: str) -> int:
        """Byte offset of an input in the block. Raises UsageError for an unknown name."""
        return 4 * _start(self._input_starts, name, "input")

    def output_offset(self, name: str) -> int:
        """Byte offset of an output in the block. Raises UsageError for an unknown name."""
        return 4 * (self.input_floats + _start(self._output_starts, name, "output"))

    def views(self, inputs: Array, outputs: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """The two halves of a block as named tensors."""
        return (
            _views(inputs, self.inputs, self._input_starts),
            _views(outputs, self.outputs, self._output_starts),
        )


Served = Engine | Hosted


def _places(tensors: dict[str, Tensor]) -> tuple[dict[str, int], int]:
    """(first float of each tensor, floats of all)."""
    starts, end = {}, 0
    for name, tensor in tensors.items():
        starts[name] = end
        end += -(-count(tensor.shape) // LINE) * LINE
    return starts, end


def _start(starts: dict[str, int], name: str, kind: str) -> int:
    if name not in starts:
        raise UsageError(f"{kind} {name!r} is unknown, expected {names_of(starts)}.")
    return starts[name]


def _views(flat: Array, tensors: dict[str, Tensor], starts: dict[str, int]) -> dict[str, Array]:
    return {
        name: flat[starts[name] : starts[name] + count(tensor.shape)].reshape(tensor.shape)
        for name, tensor in tensors.items()
    }
