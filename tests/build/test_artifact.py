"""An engine artifact loads only when every byte of it is what the build wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engines import built, part
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_models import policy, recurrent, save

from rtinfer import manifest as manifests
from rtinfer import safetensors
from rtinfer.build.builder import build
from rtinfer.engines import load
from rtinfer.engines import plan_file as plans
from rtinfer.errors import CheckError, RtinferError, UsageError
from rtinfer.manifest import HASHED_FILES, MANIFEST, PLAN, REFERENCE, WEIGHTS

FILES = (MANIFEST, *HASHED_FILES)
# The bytes of the committed policy's engine are the same on every machine and for every version
# that keeps numerics "rtinfer-1"; a change here makes users rebuild.
POLICY_HASH = "ba83d942a4f2eb859fddde3c6b22d06a88d5e09f66bd6583979ac4c3df9b9d27"


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intact")
    built(recurrent("LSTM", 8), folder)
    return folder / "model.engine"


@pytest.fixture
def artifact(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "copy.engine"))


def refusal(artifact: Path) -> str:
    with pytest.raises(RtinferError) as error:
        load(artifact)
    text = str(error.value)
    assert "\n" not in text
    assert "rtinfer build" in text
    return text


def test_an_intact_artifact_loads(artifact: Path) -> None:
    assert load(artifact).hash == load(str(artifact)).hash


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, artifact: Path) -> None:
    (artifact / name).unlink()
    assert f"has no file {name}" in refusal(artifact)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_named(name: str, artifact: Path) -> None:
    (artifact / name).unlink()
    (artifact / name).mkdir()
    assert f"has no file {name}" in refusal(artifact)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(name: str, keep: float, artifact: Path) -> None:
    content = (artifact / name).read_bytes()
    (artifact / name).write_bytes(content[: int(keep * len(content))])
    assert name in refusal(artifact)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file_is_named(name: str, artifact: Path) -> None:
    with (artifact / name).open("ab") as file:
        file.write(b" ")
    assert name in refusal(artifact)


@pytest.mark.parametrize("name", FILES)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_named(name: str, data: st.DataObject, artifact: Path) -> None:
    content = (artifact / name).read_bytes()
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    (artifact / name).write_bytes(flipped)
    try:
        assert name in refusal(artifact)
    finally:
        (artifact / name).write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_artifact_is_refused(name: str, artifact: Path, tmp_path: Path) -> None:
    built(policy(), tmp_path)
    shutil.copy(tmp_path / "model.engine" / name, artifact / name)
    refusal(artifact)


def test_a_path_that_is_no_artifact_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").write_bytes(b"x")
    for path in (tmp_path / "none.engine", tmp_path / "policy.onnx"):
        with pytest.raises(UsageError, match="rtinfer build"):
            load(path)


# --- forgeries: consistent hashes around a wrong content --------------------------


def forge(artifact: Path, **changes: Any) -> None:
    """Changes plan.json or other files and seals the artifact as a build would."""
    table = json.loads((artifact / MANIFEST).read_bytes())
    table.update(changes)
    contents = {name: (artifact / name).read_bytes() for name in HASHED_FILES}
    table["files"] = manifests.files_of("plan", contents)
    manifest = msgspec.convert(table | {"manifest_hash": ""}, manifests.Manifest)
    digest = manifests.engine_hash(
        "plan", contents, manifest.inputs, manifest.outputs, manifest.state
    )
    manifest = msgspec.structs.replace(manifest, engine_hash=digest)
    (artifact / MANIFEST).write_bytes(manifests.encode(manifest))


def edit_plan(artifact: Path, **changes: Any) -> None:
    table = json.loads((artifact / PLAN).read_bytes())
    table.update(changes)
    (artifact / PLAN).write_bytes(manifests.canonical(table))
    forge(artifact)


def test_the_forging_helper_makes_a_loadable_artifact(artifact: Path) -> None:
    forge(artifact, name="renamed")
    assert load(artifact).manifest.name == "renamed"


def test_an_unknown_field_is_refused_everywhere(artifact: Path) -> None:
    table = json.loads((artifact / MANIFEST).read_bytes())
    (artifact / MANIFEST).write_bytes(json.dumps(table | {"extra": 1}).encode())
    assert "extra" in refusal(artifact)


def test_an_unknown_field_of_the_plan_is_refused(artifact: Path) -> None:
    edit_plan(artifact, extra=1)
    assert "extra" in refusal(artifact)


@pytest.mark.parametrize("schema", [0, 2, 10**30, "1", None])
def test_another_schema_of_the_manifest_is_refused(schema: Any, artifact: Path) -> None:
    table = json.loads((artifact / MANIFEST).read_bytes())
    (artifact / MANIFEST).write_bytes(json.dumps(table | {"schema": schema}).encode())
    refusal(artifact)


def test_another_schema_or_numerics_of_the_plan_is_refused(artifact: Path) -> None:
    edit_plan(artifact, numerics="rtinfer-0")
    assert "numerics 'rtinfer-0'" in refusal(artifact)
    edit_plan(artifact, schema=2)
    refusal(artifact)


def test_an_unknown_op_is_refused(artifact: Path) -> None:
    edit_plan(artifact, ops=[{"op": "exec", "x": 0}])
    assert "exec" in refusal(artifact)


@pytest.mark.parametrize("field", ["inputs", "outputs"])
def test_a_tensor_outside_the_arena_is_refused(field: str, artifact: Path) -> None:
    places = json.loads((artifact / PLAN).read_bytes())[field]
    for offset in (0, 2**39, places[0]["offset"] + 2):
        edit_plan(artifact, **{field: [places[0] | {"offset": offset}]})
        assert "outside its arena" in refusal(artifact)


def test_a_plan_that_reaches_outside_its_block_is_refused(artifact: Path) -> None:
    ops = json.loads((artifact / PLAN).read_bytes())["ops"]
    edit_plan(artifact, ops=[ops[0] | {"x": 2**39}])
    assert "is refused" in refusal(artifact)


def test_weights_of_another_size_are_refused(artifact: Path) -> None:
    more = {**safetensors.decode((artifact / WEIGHTS).read_bytes(), "").tensors}
    more["zzz"] = np.zeros(16, np.float32)
    (artifact / WEIGHTS).write_bytes(safetensors.encode(more))
    forge(artifact)
    assert "plan.json expects" in refusal(artifact)


def test_manifest_and_plan_must_name_the_same_tensors(artifact: Path) -> None:
    forge(artifact, inputs=[{"name": "other", "shape": [1, 1, 3], "dtype": "float32"}])
    assert "differ in inputs" in refusal(artifact)


def test_a_stored_run_that_comes_out_otherwise_is_refused(artifact: Path) -> None:
    tensors = {**safetensors.decode((artifact / REFERENCE).read_bytes(), "").tensors}
    other = tensors["outputs.out"].copy()
    other[5] = np.nextafter(other[5], np.float32(9))
    (artifact / REFERENCE).write_bytes(safetensors.encode(tensors | {"outputs.out": other}))
    forge(artifact)
    assert "other bytes for outputs.out in stored run 5" in refusal(artifact)


def test_stored_runs_of_other_shapes_are_refused(artifact: Path) -> None:
    tensors = {**safetensors.decode((artifact / REFERENCE).read_bytes(), "").tensors}
    del tensors["state.h_in"]
    (artifact / REFERENCE).write_bytes(safetensors.encode(tensors))
    forge(artifact)
    assert "does not hold" in refusal(artifact)


# --- determinism --------------------------------------------------------------------


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        built(policy(), folder)
    for name in FILES:
        contents = {(folder / "model.engine" / name).read_bytes() for folder in folders}
        assert len(contents) == 1


def test_the_hash_leaves_out_names_and_keeps_numbers(tmp_path: Path) -> None:
    first = built(policy(), tmp_path).hash
    assert built(policy(), tmp_path, name="another").hash == first
    proto = policy()
    tensor = proto.graph.initializer[0]
    tensor.raw_data = tensor.raw_data[:-1] + bytes([tensor.raw_data[-1] ^ 1])
    assert built(proto, tmp_path).hash != first


def test_the_committed_policy_is_what_the_code_writes_and_keeps_its_hash(tmp_path: Path) -> None:
    committed = part("policy.onnx")
    assert committed.read_bytes() == save(policy(), tmp_path / "policy.onnx").read_bytes()
    assert build(committed, tmp_path / "policy.engine").hash == POLICY_HASH


def test_metadata_of_the_model_is_kept(tmp_path: Path) -> None:
    assert built(policy(), tmp_path).manifest.metadata == {"robot": "none"}


def test_nothing_half_written_is_left_when_a_write_fails(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk."""
    import resource
    import signal

    path = save(policy(), tmp_path / "m.onnx")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RtinferError, match="cannot be written"):
            build(path, tmp_path / "m.engine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


def test_a_plan_survives_its_own_encoding(intact: Path) -> None:
    content = (intact / PLAN).read_bytes()
    assert plans.encode(plans.decode(content, "plan")) == content
    with pytest.raises(CheckError):
        plans.decode(content[:-1], "plan")
