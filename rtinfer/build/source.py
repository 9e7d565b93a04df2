"""Reading an ONNX file that nobody vouches for: size, structure, opset, external data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import onnx
from onnx import checker, external_data_helper, inliner

from rtinfer.errors import CheckError, UsageError
from rtinfer.errors import first_line as first_line

MAX_MODEL_BYTES = 2**31 - 1  # the limit of a protobuf message
OPSETS = range(9, 24)


@dataclass(frozen=True)
class Model:
    """A structurally valid model; `proto` holds all its data."""

    path: Path
    proto: Any
    sha256: str
    opset: int
    metadata: dict[str, str]


def read(path: Path) -> Model:
    """Raises UsageError where there is no file, CheckError where it is no model we can read."""
    content = _content(path)
    proto = _parsed(path, content)
    opset = _opset(path, proto)
    digest = hashlib.sha256(content)
    _load_external(path, proto, len(content), digest)
    proto = _inlined(path, proto)
    _check(path, proto)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    return Model(path, proto, digest.hexdigest(), opset, metadata)


def _content(path: Path) -> bytes:
    if not path.exists():
        raise UsageError(f"model {path} does not exist: pass the path of an ONNX file.")
    if not path.is_file():
        raise UsageError(f"model {path} is not a file: pass the path of an ONNX file.")
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise CheckError(
                f"model {path} has {size} bytes, expected at most {MAX_MODEL_BYTES}: a plan serves "
                "small policies; use another backend for a model of this size."
            )
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"model {path} cannot be read: {error.strerror}.") from None
    if not content:
        raise CheckError(f"model {path} is empty (0 bytes): export it again.")
    return content


def _parsed(path: Path, content: bytes) -> Any:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, whose module has no type information
        _not_onnx(path, first_line(error))
    if not proto.HasField("graph") or not proto.opset_import or not proto.graph.output:
        _not_onnx(path, "it has no graph with outputs")
    return proto


def _opset(path: Path, proto: Any) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        _not_onnx(path, "it names no ONNX opset")
    if versions[0] not in OPSETS:
        raise CheckError(
            f"model {path} uses opset {versions[0]}, expected {OPSETS[0]} to {OPSETS[-1]}: "
            "export it again or use onnx.version_converter."
        )
    return int(versions[0])


def _load_external(path: Path, proto: Any, size: int, digest: Any) -> None:
    """Loads tensors kept in other files, which must lie in the model's folder."""
    folder = path.parent.resolve()
    for tensor in _tensors(proto.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = (folder / location).resolve()
        if not location or not file.is_relative_to(folder):
            raise CheckError(
                f"model {path} keeps tensor {tensor.name!r} in {location!r}, outside its own "
                "folder: put the data file beside the model and export again."
            )
        if not file.is_file():
            raise CheckError(
                f"model {path} keeps tensor {tensor.name!r} in {location!r}, which is missing: "
                "put the data file beside the model."
            )
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except Exception as error:  # onnx raises several unrelated types here
            raise CheckError(
                f"tensor {tensor.name!r} of model {path} cannot be read from {location!r}: "
                f"{first_line(error)}."
            ) from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
        digest.update(tensor.raw_data)
        size += len(tensor.raw_data)
        if size > MAX_MODEL_BYTES:
            raise CheckError(
                f"model {path} and its data files exceed {MAX_MODEL_BYTES} bytes: a plan serves "
                "small policies; use another backend for a model of this size."
            )


def _tensors(graph: Any) -> list[Any]:
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors.extend(attribute.tensors)
            if attribute.HasField("g"):
                tensors.extend(_tensors(attribute.g))
    return tensors


def _inlined(path: Path, proto: Any) -> Any:
    """The model with its own functions replaced by their bodies."""
    if not proto.functions:
        return proto
    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner is native code with errors of its own
        _not_onnx(path, first_line(error))


def _check(path: Path, proto: Any) -> None:
    for value in proto.graph.output:
        # The checker wants a shape, which some exporters leave out and lowering finds by itself.
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(proto)
    except Exception as error:  # ValidationError, or what broken bytes cause inside it
        reason = first_line(error)
        # An operator that ONNX does not know is named later, with all others that have no lowering.
        if "No Op registered" not in reason:
            _not_onnx(path, reason)


def _not_onnx(path: Path, reason: str) -> NoReturn:
    raise CheckError(f"{path} is not a valid ONNX model ({reason}): export it again.")
