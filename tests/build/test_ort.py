"""Engines of the backend `ort`: what they compute, keep and refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import model, node, normal, policy, recurrent, save

from rtinfer import manifest as manifests
from rtinfer.build.builder import build
from rtinfer.cli import main
from rtinfer.engines import load
from rtinfer.engines.hosted import Hosted
from rtinfer.engines.ort import session_options
from rtinfer.errors import CheckError, RtinferError, UsageError
from rtinfer.manifest import MANIFEST, MODEL, REFERENCE


def built(proto: Any, folder: Path, **options: Any) -> Any:
    path = save(proto, folder / "model.onnx")
    return build(path, folder / "model.engine", backend="ort", **options)


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(
        str(path), session_options(), providers=["CPUExecutionProvider"]
    )


def test_an_engine_gives_the_bytes_of_onnx_runtime(tmp_path: Path) -> None:
    engine = built(policy(), tmp_path)
    own = session(tmp_path / "model.onnx")
    for seed in range(20):
        obs = normal(100 + seed, 1, 6)
        (expected,) = own.run(None, {"obs": obs})
        assert engine.run(obs)["action"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_state_of_a_recurrent_layer_is_found_kept_and_reset(kind: str, tmp_path: Path) -> None:
    engine = built(recurrent(kind), tmp_path)
    assert list(engine.inputs) == ["obs"]
    assert list(engine.outputs) == ["out"]
    own = session(tmp_path / "model.onnx")
    names = list(engine.state)
    for _ in range(2):
        state = {name: np.zeros((1, 1, 5), np.float32) for name in names}
        for seed in range(5):
            obs = normal(200 + seed, 1, 1, 3)
            expected, *after = own.run(None, {"obs": obs} | state)
            assert engine.run(obs)["out"].tobytes() == expected.tobytes()
            state = dict(zip(names, after, strict=True))
            for name, array in engine.read_state().items():
                assert array.tobytes() == state[name].tobytes()
        engine.reset()


def test_what_a_plan_cannot_lower_runs(tmp_path: Path) -> None:
    nodes = [node("TopK", ["x", "two"], ["y", "rank"])]
    proto = model(nodes, {"x": [1, 4]}, {"y": [1, 2]}, {"two": np.array([2], np.int64)})
    path = save(proto, tmp_path / "m.onnx")
    with pytest.raises(CheckError, match="TopK"):
        build(path, tmp_path / "m.engine")
    engine = build(path, tmp_path / "m.engine", backend="ort")
    np.testing.assert_array_equal(
        engine.run(np.array([[3, 1, 4, 2]], np.float32))["y"], np.array([[4, 3]], np.float32)
    )
    assert engine.manifest.parity.reference.startswith("onnx.reference")


def test_equal_models_give_equal_hashes_and_another_weight_another(tmp_path: Path) -> None:
    first = built(policy(), tmp_path).hash
    assert built(policy(), tmp_path, name="another").hash == first
    assert build(tmp_path / "model.onnx", tmp_path / "plan.engine").hash != first
    proto = policy()
    tensor = proto.graph.initializer[0]
    tensor.raw_data = tensor.raw_data[:-1] + bytes([tensor.raw_data[-1] ^ 1])
    assert built(proto, tmp_path).hash != first


def test_an_artifact_replaces_one_of_another_backend(tmp_path: Path) -> None:
    path = save(policy(), tmp_path / "m.onnx")
    build(path, tmp_path / "m.engine")
    build(path, tmp_path / "m.engine", backend="ort")
    assert {entry.name for entry in (tmp_path / "m.engine").iterdir()} == {
        MANIFEST,
        MODEL,
        REFERENCE,
    }


def test_each_byte_of_the_artifact_is_guarded(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    for name in (MANIFEST, MODEL, REFERENCE):
        content = (tmp_path / "model.engine" / name).read_bytes()
        for at in (0, len(content) // 2, len(content) - 1):
            spoilt = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            (tmp_path / "model.engine" / name).write_bytes(spoilt)
            with pytest.raises(RtinferError, match="rtinfer build"):
                load(tmp_path / "model.engine")
        (tmp_path / "model.engine" / name).write_bytes(content)
    load(tmp_path / "model.engine")


def forge(artifact: Path, **files: bytes) -> None:
    """Replaces files and seals the artifact as a build would."""
    table = json.loads((artifact / MANIFEST).read_bytes())
    contents = {name: (artifact / name).read_bytes() for name in manifests.FILES["ort"]} | {
        name.replace("_", "."): content for name, content in files.items()
    }
    table["files"] = manifests.files_of("ort", contents)
    manifest = msgspec.convert(table | {"manifest_hash": ""}, manifests.Manifest)
    digest = manifests.engine_hash(
        "ort", contents, manifest.inputs, manifest.outputs, manifest.state
    )
    manifest = msgspec.structs.replace(manifest, engine_hash=digest)
    for name, content in contents.items():
        (artifact / name).write_bytes(content)
    (artifact / MANIFEST).write_bytes(manifests.encode(manifest))


def test_a_forged_model_that_names_other_files_is_refused(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    artifact = tmp_path / "model.engine"
    proto = onnx.load(artifact / MODEL)
    (tmp_path / "elsewhere").write_bytes(proto.graph.initializer[0].raw_data)
    tensor = proto.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, str(tmp_path / "elsewhere"))
    tensor.ClearField("raw_data")
    forge(artifact, model_onnx=proto.SerializeToString())
    with pytest.raises(CheckError, match="in other files"):
        load(artifact)


def test_a_forged_model_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    artifact = tmp_path / "model.engine"
    proto = onnx.load(artifact / MODEL)
    values = onnx.numpy_helper.to_array(proto.graph.initializer[2]) * np.float32(1.01)
    proto.graph.initializer[2].CopyFrom(
        onnx.numpy_helper.from_array(values, proto.graph.initializer[2].name)
    )
    forge(artifact, model_onnx=proto.SerializeToString())
    with pytest.raises(CheckError, match=r"up to .* away from its build"):
        load(artifact)
    forge(artifact, model_onnx=b"no model")
    with pytest.raises(CheckError, match="refused by ONNX Runtime"):
        load(artifact)


def test_a_plan_is_asked_of_an_ort_engine_in_vain(tmp_path: Path) -> None:
    engine = built(policy(), tmp_path)
    for name in ("plan", "plan_file"):
        with pytest.raises(UsageError, match="--backend plan"):
            getattr(engine, name)
    with pytest.raises(UsageError, match="--backend plan"):
        engine.input_offset("obs")


def test_without_onnx_runtime_one_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(policy(), tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'rtinfer\[ort\]'"):
        load(tmp_path / "model.engine")
    with pytest.raises(UsageError, match=r"pip install 'rtinfer\[ort\]'"):
        built(policy(), tmp_path)


def test_tensors_that_are_not_float32_are_refused(tmp_path: Path) -> None:
    proto = model([node("Cast", ["x"], ["y"], to=7)], {"x": [1, 4]}, {"y": [1, 4]})
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.raises(CheckError, match=r"'y' .* is INT64"):
        built(proto, tmp_path)


def test_a_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    nodes = [node("Concat", ["x", "m"], ["y"], axis=1), node("Identity", ["y"], ["z"])]
    proto = model(nodes, {"x": [1, 2], "m": [1, 2]}, {"y": [1, 4], "z": [1, 4]})
    with pytest.raises(UsageError, match="expected equal shapes"):
        built(proto, tmp_path, state={"m": "z"})


def test_places_in_a_workers_block_start_on_cache_lines(tmp_path: Path) -> None:
    nodes = [node("Add", ["a", "b"], ["y"]), node("Sub", ["a", "b"], ["z"])]
    shapes = {"a": [1, 5], "b": [1, 5]}
    built(model(nodes, shapes, {"y": [1, 5], "z": [1, 5]}), tmp_path)
    hosted = Hosted(load(tmp_path / "model.engine").manifest)
    assert (hosted.input_floats, hosted.output_floats) == (32, 32)
    assert [hosted.input_offset(name) for name in "ab"] == [0, 64]
    assert [hosted.output_offset(name) for name in "yz"] == [128, 192]
    with pytest.raises(UsageError, match="'a', 'b'"):
        hosted.input_offset("c")


def test_the_commands_build_and_show_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(policy(), tmp_path / "policy.onnx")
    monkeypatch.chdir(tmp_path)
    assert main(["build", "policy.onnx", "-o", "p.engine", "--backend", "ort"]) == 0
    capsys.readouterr()
    assert main(["inspect", "p.engine"]) == 0
    shown = capsys.readouterr().out
    assert "ONNX Runtime in a worker" in shown
    assert main(["inspect", "p.engine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == "ort"
