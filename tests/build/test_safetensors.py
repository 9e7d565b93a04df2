"""The safetensors reader takes what the writer writes, and refuses everything that is not whole."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtinfer.errors import CheckError
from rtinfer.safetensors import decode, encode

DTYPES = ["<f4", "<f8", "<f2", "<i8", "<i4", "|u1", "|b1"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)


@given(
    tensors=st.dictionaries(st.text(min_size=1).filter(lambda n: n != "__metadata__"), ARRAYS),
    metadata=st.dictionaries(st.text(), st.text()),
)
def test_what_is_written_is_read(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    content = encode(tensors, metadata)
    found = decode(content, "file")
    assert found.metadata == metadata
    assert set(found.tensors) == set(tensors)
    for name, array in tensors.items():
        assert found.tensors[name].dtype == array.dtype
        assert found.tensors[name].shape == array.shape
        assert found.tensors[name].tobytes() == array.tobytes()


def test_data_starts_on_a_cache_line() -> None:
    content = encode({"a": np.zeros(3, np.float32)})
    assert (8 + int.from_bytes(content[:8], "little")) % 64 == 0


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4), **more: Any) -> Any:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


FOUR = b"\0" * 4
BAD: dict[str, bytes] = {
    "empty": b"",
    "short": b"\0" * 7,
    "header longer than the file": (2**63).to_bytes(8, "little") + b"{}",
    "no JSON": file_of(b"{"),
    "no UTF-8": file_of(b'{"\xff": 1}'),
    "deep JSON": file_of(b"[" * 100_000),
    "no object": file_of([1]),
    "twice": file_of(b'{"a": 1, "a": 1}'),
    "metadata of numbers": file_of({"__metadata__": {"a": 1}}),
    "no entry": file_of({"a": 1}),
    "field too many": file_of({"a": entry(x=1)}, FOUR),
    "field too few": file_of({"a": {"dtype": "F32", "shape": [1]}}, FOUR),
    "dtype unknown": file_of({"a": entry("F31")}, FOUR),
    "dtype no string": file_of({"a": entry(["F32"])}, FOUR),
    "negative size": file_of({"a": entry(shape=(-1,))}, FOUR),
    "boolean size": file_of({"a": entry(shape=(True,))}, FOUR),
    "fractional size": file_of({"a": entry(shape=(1.0,))}, FOUR),
    "huge size": file_of({"a": entry(shape=(2**62, 2**62))}, FOUR),
    "size differs": file_of({"a": entry(shape=(2,))}, FOUR),
    "outside": file_of({"a": entry(offsets=(4, 8))}, FOUR),
    "backwards": file_of({"a": entry(shape=(0,), offsets=(4, 0))}, FOUR),
    "three offsets": file_of({"a": entry(offsets=(0, 4, 8))}, FOUR),
    "gap": file_of({"a": entry(offsets=(4, 8))}, FOUR + FOUR),
    "overlap": file_of({"a": entry(), "b": entry()}, FOUR),
    "rest": file_of({"a": entry()}, FOUR + FOUR),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(CheckError, match="the file is not a valid safetensors file"):
        decode(BAD[name], "the file")


@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused(content: bytes) -> None:
    if content != encode({}):
        with pytest.raises(CheckError):
            decode(content, "file")


@given(data=st.data())
def test_a_flipped_header_is_refused_or_describes_the_same_bytes(data: st.DataObject) -> None:
    content = bytearray(encode({"a": np.arange(4, dtype=np.float32), "b": np.ones(2, np.int64)}))
    at = data.draw(st.integers(0, len(content) - 33))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(content), "file")
    except CheckError:
        return
    assert sum(array.nbytes for array in found.tensors.values()) == len(found.data)


def test_a_dtype_without_a_code_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="complex64"):
        encode({"a": np.zeros(1, np.complex64)})
