"""manifest.json of an engine artifact: its schema, its canonical bytes, the hashes that bind it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec

from rtinfer.errors import CheckError

SCHEMA = 1
MANIFEST, PLAN, WEIGHTS, MODEL, REFERENCE = (
    "manifest.json",
    "plan.json",
    "weights.safetensors",
    "model.onnx",
    "reference.safetensors",
)
Backend = Literal["plan", "ort"]
# The files beside manifest.json. All but the last, the stored runs, are what the engine is.
FILES: dict[Backend, tuple[str, ...]] = {
    "plan": (PLAN, WEIGHTS, REFERENCE),
    "ort": (MODEL, REFERENCE),
}
HASHED_FILES = FILES["plan"]

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Axis = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


_T = TypeVar("_T")


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class TensorSpec(_Part, frozen=True):
    """One named tensor of the engine's interface."""

    name: Name
    shape: tuple[Axis, ...]
    dtype: Literal["float32"] = "float32"


class StateSpec(_Part, frozen=True):
    """A recurrent state: `output` of one run becomes `input` of the next; zeros after a reset."""

    input: Name
    output: Name
    shape: tuple[Axis, ...]
    dtype: Literal["float32"] = "float32"


class Source(_Part, frozen=True):
    """The model that the engine was built from."""

    file: str
    sha256: Sha256
    opset: int
    producer: str


class OutputParity(_Part, frozen=True):
    """How far one output was from the reference, over all cases.

    `max_rel` leaves out values below a thousandth of the largest. `max_ulp` is in units in the last
    place of the case's largest value. `max_of_bound` is the error as a fraction of what is allowed,
    `worst` the case in which that happened.
    """

    output: str
    max_abs: float
    max_rel: float
    max_ulp: float
    max_of_bound: float
    worst: str


class Parity(_Part, frozen=True):
    """Agreement with the reference that ran the source model; `bound` says what is refused."""

    reference: str
    bound: str
    cases: int
    runs: int
    outputs: tuple[OutputParity, ...]


class Manifest(_Part, frozen=True):
    """Everything about an engine but its numbers. Timings are not part of it."""

    schema: int
    name: Name
    backend: Backend
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    state: tuple[StateSpec, ...]
    source: Source
    versions: dict[str, str]
    parity: Parity
    reference_runs: int
    files: dict[str, Sha256]
    engine_hash: Sha256
    metadata: dict[str, str]
    manifest_hash: str = ""


def engine_hash(
    backend: Backend,
    contents: Mapping[str, bytes],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    state: Sequence[StateSpec],
) -> str:
    """Hex SHA-256 over what runs and its semantics: equal builds have equal hashes everywhere."""
    semantics = canonical({"inputs": inputs, "outputs": outputs, "state": state})
    digest = hashlib.sha256()
    for part in (*(contents[name] for name in FILES[backend][:-1]), semantics):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces: one value, one byte string."""
    return msgspec.json.encode(value, order="sorted")


def encode(manifest: Manifest) -> bytes:
    """The file's bytes, sealed: `manifest_hash` covers every other field."""
    sealed = msgspec.structs.replace(manifest, manifest_hash=_seal(manifest))
    return msgspec.json.format(canonical(sealed), indent=1) + b"\n"


def decode(content: bytes, label: str) -> Manifest:
    """Reads and checks manifest.json. CheckError says what differs and what to do."""
    schema = _decode(content, _Schema, label).schema
    if schema != SCHEMA:
        raise CheckError(
            f"{label} has schema {schema}, this version of rtinfer reads {SCHEMA}: "
            "rebuild the engine with `rtinfer build`."
        )
    manifest = _decode(content, Manifest, label)
    if manifest.manifest_hash != _seal(manifest) or encode(manifest) != content:
        raise CheckError(
            f"{label} was changed after the build (its own hash does not match): "
            "rebuild the engine with `rtinfer build`, or copy the artifact again."
        )
    return manifest


class _Schema(msgspec.Struct, frozen=True):
    schema: int


def _decode(content: bytes, kind: type[_T], label: str) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckError(
            f"{label} is damaged ({error}): rebuild the engine with `rtinfer build`, "
            "or copy the artifact again."
        ) from None


def _seal(manifest: Manifest) -> str:
    return sha256(canonical(msgspec.structs.replace(manifest, manifest_hash="")))


def files_of(backend: Backend, contents: Mapping[str, bytes]) -> dict[str, str]:
    """The `files` table for these file contents by name."""
    return {name: sha256(contents[name]) for name in FILES[backend]}
