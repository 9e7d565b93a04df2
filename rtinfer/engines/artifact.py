"""Reading an engine artifact from disk: every file, hash, shape and version is checked here.

An artifact of the backend `ort` is only read and hashed: what its model is, ONNX Runtime says.
"""

from dataclasses import dataclass
from pathlib import Path

from rtinfer import manifest as manifests
from rtinfer import safetensors
from rtinfer.engines import plan_file
from rtinfer.engines.plan_file import Place, PlanFile
from rtinfer.errors import CheckError, UsageError
from rtinfer.manifest import (
    FILES,
    MANIFEST,
    MODEL,
    PLAN,
    REFERENCE,
    WEIGHTS,
    Manifest,
    TensorSpec,
)
from rtinfer.safetensors import TensorFile

_AGAIN = "copy the artifact again, or rebuild it with `rtinfer build`"


@dataclass(frozen=True)
class Artifact:
    """A checked artifact of the backend `plan`: `weights` is the head of the plan's block."""

    path: Path
    manifest: Manifest
    plan: PlanFile
    weights: TensorFile
    reference: TensorFile


@dataclass(frozen=True)
class OrtArtifact:
    """A checked artifact of the backend `ort`; `model` is an ONNX file."""

    path: Path
    manifest: Manifest
    model: bytes
    reference: TensorFile


def read(path: Path) -> Artifact:
    """An artifact that runs as a plan. CheckError for another backend's, else as `read_any`."""
    found = read_any(path)
    if isinstance(found, OrtArtifact):
        raise CheckError(
            f"engine {path} runs in ONNX Runtime, expected a static plan: "
            "build one with `rtinfer build --backend plan`."
        )
    return found


def read_any(path: Path) -> Artifact | OrtArtifact:
    """Raises UsageError where there is no artifact at `path`, CheckError where it is not intact."""
    if not path.exists():
        raise UsageError(
            f"engine {path} does not exist: build one with `rtinfer build policy.onnx -o {path}`."
        )
    if not path.is_dir():
        raise UsageError(
            f"engine {path} is a file, expected an engine artifact (a directory): "
            "build one with `rtinfer build policy.onnx -o policy.engine`."
        )
    manifest = manifests.decode(_content(path, MANIFEST), f"{path}/{MANIFEST}")
    names = FILES[manifest.backend]
    if set(manifest.files) != set(names):
        raise CheckError(
            f"{path}/{MANIFEST} lists the files {sorted(manifest.files)}, "
            f"expected {sorted(names)}: {_AGAIN}."
        )
    contents = {name: _intact(path, name, manifest) for name in names}
    _check_engine_hash(path, manifest, contents)
    if manifest.backend == "ort":
        return OrtArtifact(path, manifest, contents[MODEL], _reference(path, manifest, contents))
    plan = plan_file.decode(contents[PLAN], f"{path}/{PLAN}")
    weights = safetensors.decode(contents[WEIGHTS], f"{path}/{WEIGHTS}")
    if len(weights.data) != plan.weights_bytes:
        raise CheckError(
            f"{path}/{WEIGHTS} holds {len(weights.data)} bytes, "
            f"{PLAN} expects {plan.weights_bytes}: {_AGAIN}."
        )
    _check_interface(path, manifest, plan)
    return Artifact(path, manifest, plan, weights, _reference(path, manifest, contents))


def _content(path: Path, name: str) -> bytes:
    file = path / name
    if not file.is_file():
        raise CheckError(f"engine {path} has no file {name}: {_AGAIN}.")
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckError(f"{file} cannot be read ({error.strerror}): {_AGAIN}.") from None


def _intact(path: Path, name: str, manifest: Manifest) -> bytes:
    content = _content(path, name)
    found, expected = manifests.sha256(content), manifest.files[name]
    if found != expected:
        raise CheckError(
            f"{path}/{name} has SHA-256 {found[:16]}..., {MANIFEST} expects {expected[:16]}...: "
            f"it is damaged or of another artifact; {_AGAIN}."
        )
    return content


def _check_engine_hash(path: Path, manifest: Manifest, contents: dict[str, bytes]) -> None:
    found = manifests.engine_hash(
        manifest.backend, contents, manifest.inputs, manifest.outputs, manifest.state
    )
    if found != manifest.engine_hash:
        raise CheckError(
            f"engine {path} hashes to {found[:16]}..., {MANIFEST} says "
            f"{manifest.engine_hash[:16]}...: {_AGAIN}."
        )


def _check_interface(path: Path, manifest: Manifest, plan: PlanFile) -> None:
    """The manifest and the plan name the same tensors, and the plan's lie inside its block."""
    for kind, specs, part in (
        ("inputs", manifest.inputs, plan.inputs),
        ("outputs", manifest.outputs, plan.outputs),
    ):
        if specs != tuple(TensorSpec(place.name, place.shape) for place in part):
            raise CheckError(f"{MANIFEST} and {PLAN} of {path} differ in {kind}: {_AGAIN}.")
    if [(s.input, s.output, s.shape) for s in manifest.state] != [
        (s.input, s.output, s.shape) for s in plan.state
    ]:
        raise CheckError(f"{MANIFEST} and {PLAN} of {path} differ in state: {_AGAIN}.")
    end = plan.weights_bytes + plan.arena_bytes
    places = [*plan.inputs, *plan.outputs]
    places += [Place(s.input, s.shape, s.in_offset) for s in plan.state]
    places += [Place(s.output, s.shape, s.out_offset) for s in plan.state]
    names = [place.name for place in places]
    for place in places:
        size = 4 * plan_file.count(place.shape)
        if place.offset % 4 or place.offset < plan.weights_bytes or place.offset + size > end:
            raise CheckError(
                f"{path}/{PLAN} puts {place.name!r} at byte {place.offset}, outside its arena of "
                f"bytes {plan.weights_bytes} to {end}: {_AGAIN}."
            )
        if names.count(place.name) > 1:
            raise CheckError(f"{path}/{PLAN} names {place.name!r} twice: {_AGAIN}.")


def _reference(path: Path, manifest: Manifest, contents: dict[str, bytes]) -> TensorFile:
    """The stored runs, which are those of the manifest's tensors."""
    reference = safetensors.decode(contents[REFERENCE], f"{path}/{REFERENCE}")
    runs = manifest.reference_runs
    expected = {f"inputs.{t.name}": (runs, *t.shape) for t in manifest.inputs}
    expected |= {f"outputs.{t.name}": (runs, *t.shape) for t in manifest.outputs}
    expected |= {f"state.{s.input}": (runs, *s.shape) for s in manifest.state}
    found = {name: array.shape for name, array in reference.tensors.items()}
    if found != expected or any(a.dtype != "<f4" for a in reference.tensors.values()):
        raise CheckError(
            f"{path}/{REFERENCE} does not hold {runs} runs of the tensors that {MANIFEST} names: "
            f"{_AGAIN}."
        )
    return reference
