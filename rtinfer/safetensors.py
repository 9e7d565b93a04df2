"""The safetensors file format, read with every field checked and written in one canonical form.

Layout: u64 little-endian header length, JSON {name: {dtype, shape, data_offsets}}, then the data.
Format: https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rtinfer.errors import CheckError

MAX_HEADER_BYTES = 100_000_000  # the limit of the format's own implementation
_ALIGNMENT = 64  # the data section starts on a cache line, so that a mapped file is aligned

_DTYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class TensorFile:
    """A decoded file: arrays by name in data order (read-only views), the whole data section."""

    tensors: dict[str, NDArray[Any]]
    data: memoryview
    metadata: dict[str, str]


def encode(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """One file: the data in the mapping's order without gaps; equal input gives equal bytes."""
    header: dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    parts: list[bytes] = []
    offset = 0
    for name, array in tensors.items():
        code = _CODES.get(array.dtype.newbyteorder("<").str)
        if code is None or name == "__metadata__":
            raise ValueError(f"tensor {name!r} of dtype {array.dtype} has no place in safetensors")
        data = np.ascontiguousarray(array, dtype=_DTYPES[code]).tobytes()
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def decode(content: bytes, label: str) -> TensorFile:
    """Checks the whole file, then returns views of it. CheckError names `label` and the flaw."""
    header, data = _split(content, label)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse(label, "its __metadata__ is not a table of strings")
    spans: list[tuple[int, int, str, NDArray[Any]]] = []
    for name, entry in header.items():
        begin, end, array = _tensor(entry, data, label, name)
        spans.append((begin, end, name, array))
    spans.sort(key=lambda span: span[:2])
    at = 0
    for begin, end, name, _ in spans:
        if begin != at:
            _refuse(label, f"tensor {name!r} starts at byte {begin} of the data, expected {at}")
        at = end
    if at != len(data):
        _refuse(label, f"its tensors cover {at} bytes of data, expected {len(data)}")
    return TensorFile({name: array for _, _, name, array in spans}, data, metadata)


def _split(content: bytes, label: str) -> tuple[dict[str, Any], memoryview]:
    if len(content) < 8:
        _refuse(label, f"it is {len(content)} bytes long, expected at least 8")
    length = int.from_bytes(content[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(content) - 8):
        _refuse(label, f"its header claims {length} bytes, the file has {len(content) - 8} left")
    try:
        header = json.loads(content[8 : 8 + length].decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        _refuse(label, f"its header is not valid JSON ({error})")
    if not isinstance(header, dict):
        _refuse(label, "its header is not a JSON object")
    return header, memoryview(content)[8 + length :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _tensor(entry: Any, data: memoryview, label: str, name: str) -> tuple[int, int, NDArray[Any]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(label, f"tensor {name!r}: it needs exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _refuse(
            label,
            f"tensor {name!r}: dtype {dtype!r} is unknown, expected one of {', '.join(_DTYPES)}",
        )
    if not _naturals(shape):
        _refuse(label, f"tensor {name!r}: shape {shape!r} is not a list of sizes")
    if not _naturals(offsets) or len(offsets) != 2:
        _refuse(label, f"tensor {name!r}: data_offsets {offsets!r} is not a pair of offsets")
    begin, end = offsets
    size = np.dtype(_DTYPES[dtype]).itemsize
    for axis in shape:
        size *= axis
    if not begin <= end <= len(data):
        _refuse(
            label,
            f"tensor {name!r}: data_offsets {offsets!r} lie outside its {len(data)} bytes of data",
        )
    if end - begin != size:
        _refuse(
            label,
            f"tensor {name!r}: shape {shape!r} needs {size} bytes, data_offsets hold {end - begin}",
        )
    array: NDArray[Any] = np.frombuffer(data[begin:end], dtype=_DTYPES[dtype]).reshape(shape)
    return begin, end, array


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**63 for item in value
    )


def _refuse(label: str, reason: str) -> NoReturn:
    raise CheckError(f"{label} is not a valid safetensors file: {reason}.")
