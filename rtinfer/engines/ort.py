"""A model in ONNX Runtime: one thread, every buffer bound once, the state kept between runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtinfer.engines.runner import Array
from rtinfer.errors import CheckError, UsageError, first_line
from rtinfer.manifest import Manifest, TensorSpec


def session_options() -> Any:
    """What every session of ours is made with: one thread, ONNX Runtime's own optimisations."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what goes wrong is raised, and said by us
    return options


def open_session(model: bytes, label: str) -> Any:
    """A session on the CPU. UsageError without ONNX Runtime, CheckError where it refuses."""
    onnxruntime = _onnxruntime()
    _refuse_external_data(model, label)
    try:
        return onnxruntime.InferenceSession(
            model, session_options(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises several unrelated types
        raise CheckError(
            f"{label} is refused by ONNX Runtime ({first_line(error)}): "
            "export the model again and rebuild the engine with `rtinfer build`."
        ) from None


class OrtRunner:
    """The same seam as a plan's Runner: inputs in, outputs out, by name. Not thread-safe."""

    def __init__(self, model: bytes, manifest: Manifest, label: str) -> None:
        self._session = open_session(model, label)
        self._manifest = manifest
        self._label = label
        given = {value.name for value in self._session.get_inputs()}
        wanted = {t.name for t in manifest.inputs} | {s.input for s in manifest.state}
        if given != wanted:
            raise CheckError(
                f"{label} has the inputs {sorted(given)}, manifest.json names {sorted(wanted)}: "
                "rebuild the engine with `rtinfer build`."
            )
        self._state = {s.input: np.zeros(s.shape, np.float32) for s in manifest.state}
        self._next = {s.input: np.zeros(s.shape, np.float32) for s in manifest.state}
        self.bind(_zeros(manifest.inputs), _zeros(manifest.outputs))

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """From now on `step` reads and writes these arrays, which must be contiguous."""
        self._inputs, self._outputs = dict(inputs), dict(outputs)
        binding = self._session.io_binding()
        for name, array in {**self._inputs, **self._state}.items():
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        written = dict(self._outputs)
        for state in self._manifest.state:
            written[state.output] = self._next[state.input]
        for name, array in written.items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._binding = binding

    def step(self) -> None:
        """One run on the bound arrays; the state stays where it is. CheckError where it fails."""
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # ONNX Runtime raises several unrelated types
            raise CheckError(f"{self._label} failed to run: {first_line(error)}.") from None

    def accept(self) -> None:
        """The last step counts: its state is what the next one reads."""
        for name, array in self._state.items():
            array[...] = self._next[name]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One run that advances the state; outputs are copies."""
        for name, array in self._inputs.items():
            array[...] = inputs[name]
        self.step()
        self.accept()
        return {name: array.copy() for name, array in self._outputs.items()}

    def state(self) -> dict[str, Array]:
        """Copies of the states that the next run will read."""
        return {name: array.copy() for name, array in self._state.items()}

    def reset(self) -> None:
        for array in self._state.values():
            array[...] = 0.0


def _zeros(tensors: tuple[TensorSpec, ...]) -> dict[str, Array]:
    return {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in tensors}


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            f"ONNX Runtime cannot be imported ({first_line(error)}): "
            "install it with `pip install 'rtinfer[ort]'`."
        ) from None
    return onnxruntime


def _refuse_external_data(model: bytes, label: str) -> None:
    """ONNX Runtime would read the files that a model names, wherever they are."""
    if b"location" not in model:  # the key under which a tensor names its file, as plain bytes
        return
    import onnx

    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(model)
    except Exception as error:  # protobuf's DecodeError, whose module has no type information
        raise CheckError(
            f"{label} is not an ONNX model ({first_line(error)}): "
            "rebuild the engine with `rtinfer build`."
        ) from None
    if any(_keeps_data_elsewhere(message) for message in _messages(proto)):
        raise CheckError(
            f"{label} keeps tensors in other files, expected all of them in the model: "
            "rebuild the engine with `rtinfer build`."
        )


def _messages(message: Any) -> list[Any]:
    """A protobuf message and all that it holds."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            parts = value if hasattr(value, "__len__") else [value]
            for part in parts:
                found += _messages(part)
    return found


def _keeps_data_elsewhere(message: Any) -> bool:
    if message.DESCRIPTOR.name != "TensorProto":
        return False
    return bool(message.external_data) or message.data_location == message.EXTERNAL
