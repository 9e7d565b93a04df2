"""What a build is asked for: axes, outputs, targets and model files, wrong ones included."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from engines import built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_models import model, node, normal, policy, save

from rtinfer.build.builder import build
from rtinfer.errors import CheckError, RtinferError, UsageError


def frames(shape: list[int | str | None]) -> Any:
    """Relu over one input of any declared shape."""
    return model([node("Relu", ["x"], ["y"])], {"x": shape}, {"y": None})


# --- axes ----------------------------------------------------------------------


def test_a_leading_symbol_is_the_batch_and_becomes_1(tmp_path: Path) -> None:
    assert built(frames(["N", 3]), tmp_path).inputs["x"].shape == (1, 3)


def test_a_leading_axis_without_a_name_becomes_1(tmp_path: Path) -> None:
    assert built(frames([None, 3]), tmp_path).inputs["x"].shape == (1, 3)


def test_the_batch_symbol_is_1_wherever_it_stands(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "h"], ["y"])]
    proto = model(nodes, {"x": ["N", 3], "h": [1, "N", 3]}, {"y": None})
    assert built(proto, tmp_path).inputs["h"].shape == (1, 1, 3)


def test_any_other_symbol_needs_a_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'frames' \(of input 'x'\).*--dim frames=VALUE"):
        built(frames(["N", "frames", 3]), tmp_path)
    with pytest.raises(UsageError, match=r"--dim x\.1=VALUE"):
        built(frames(["N", None, 3]), tmp_path)


@pytest.mark.parametrize("name", ["frames", "x.1"])
def test_dim_gives_an_axis_its_size(name: str, tmp_path: Path) -> None:
    shape: list[int | str | None] = ["N", None if name == "x.1" else name, 3]
    assert built(frames(shape), tmp_path, dims={name: 5}).inputs["x"].shape == (1, 5, 3)


def test_dim_may_set_the_batch(tmp_path: Path) -> None:
    engine = built(policy(), tmp_path, dims={"batch": 4})
    assert engine.outputs["action"].shape == (4, 5)


@pytest.mark.parametrize(
    ("dims", "reason"),
    [({"M": 2}, r"no open axis 'M' \(open: N\)"), ({"N": 0}, "from 1"), ({"N": 2**40}, "from 1")],
)
def test_a_wrong_dim_is_refused(dims: dict[str, int], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        built(frames(["N", 3]), tmp_path, dims=dims)


def test_an_input_that_no_chosen_output_needs_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Conv", ["image", "k"], ["z"])]
    inputs: dict[str, Any] = {"x": [1, 3], "image": [1, 1, "rows", "columns"]}
    proto = model(nodes, inputs, {"y": None, "z": None}, {"k": normal(1, 1, 1, 2, 2)})
    assert list(built(proto, tmp_path, outputs=["y"]).inputs) == ["x"]


# --- outputs -------------------------------------------------------------------


def sampled() -> Any:
    nodes = [
        node("MatMul", ["x", "w"], ["mean"]),
        node("RandomNormalLike", ["mean"], ["noise"]),
        node("Add", ["mean", "noise"], ["action"]),
    ]
    outputs = {"action": [1, 2], "mean": [1, 2]}
    return model(nodes, {"x": [1, 3]}, outputs, {"w": normal(1, 3, 2)})


def test_a_random_op_is_refused_with_the_outputs_free_of_it(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"RandomNormalLike 'RandomNormalLike_noise'.*--output: mean"
    ):
        built(sampled(), tmp_path)


def test_an_output_free_of_chance_is_served(tmp_path: Path) -> None:
    assert list(built(sampled(), tmp_path, outputs=["mean"]).outputs) == ["mean"]


def test_an_unknown_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such output \(it has action, mean\)"):
        built(sampled(), tmp_path, outputs=["median"])


def test_another_dtype_is_refused_by_name(tmp_path: Path) -> None:
    proto = frames([1, 3])
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(CheckError, match="input 'x' is float64"):
        built(proto, tmp_path)


# --- targets -------------------------------------------------------------------


def test_an_engine_is_replaced_by_the_next_build(tmp_path: Path) -> None:
    first, second = built(policy(), tmp_path), built(policy(11), tmp_path, name="second")
    assert second.manifest.name == "second"
    assert first.hash == second.hash
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.engine", "model.onnx"]


@pytest.mark.parametrize("kind", ["file", "folder", "engine with more", "link"])
def test_what_is_no_engine_is_never_replaced(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "model.engine"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    elif kind == "link":
        target.symlink_to(tmp_path)
    else:
        built(policy(), tmp_path)
        (target / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no engine artifact"):
        built(policy(), tmp_path)
    assert target.exists()


def test_a_folder_that_is_missing_or_read_only_is_a_sentence(tmp_path: Path) -> None:
    path = save(policy(), tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="does not exist"):
        build(path, tmp_path / "none" / "m.engine")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(UsageError, match="not writable"):
            build(path, tmp_path / "locked" / "m.engine")


def test_an_artifact_is_as_readable_as_other_files(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    (tmp_path / "probe").mkdir()
    modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("model.engine", "probe")]
    assert modes[0] == modes[1]


# --- model files ----------------------------------------------------------------


def refused(content: bytes, folder: Path) -> str:
    path = folder / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(RtinferError) as refusal:
        build(path, folder / "bad.engine")
    assert not (folder / "bad.engine").exists()
    text = str(refusal.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def test_files_that_are_no_models_are_sentences(tmp_path: Path) -> None:
    assert "is empty" in refused(b"", tmp_path)
    for content in (b"\x00" * 64, b"not a model at all\n", b"PK\x03\x04zip", b"\x80\x04pickle."):
        assert "is not a valid ONNX model" in refused(content, tmp_path)


def test_a_missing_model_and_a_folder_are_usage_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(UsageError):
            build(path, tmp_path / "x.engine")


def test_a_model_over_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(CheckError, match="2147483648 bytes"):
        build(path, tmp_path / "x.engine")


@pytest.mark.parametrize("opset", [8, 24])
def test_another_opset_is_refused(opset: int, tmp_path: Path) -> None:
    proto = policy()
    proto.opset_import[0].version = opset
    assert f"opset {opset}, expected 9 to 23" in refused(proto.SerializeToString(), tmp_path)


def external(location: str) -> Any:
    proto = policy()
    tensor = proto.graph.initializer[2]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        tensor.external_data.add(key=key, value=value)
    return proto, data


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", ""])
def test_external_data_outside_the_folder_is_never_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    proto, _ = external(location)
    assert "outside its own folder" in refused(proto.SerializeToString(), folder)


def test_external_data_behind_a_link_is_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")
    proto, _ = external("weights.bin")
    assert "outside its own folder" in refused(proto.SerializeToString(), folder)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    proto, data = external("weights.bin")
    (tmp_path / "weights.bin").write_bytes(data)
    engine = build(save(proto, tmp_path / "split.onnx"), tmp_path / "split.engine")
    assert engine.hash == built(policy(), tmp_path).hash


def test_missing_and_short_external_data_are_sentences(tmp_path: Path) -> None:
    proto, data = external("weights.bin")
    assert "is missing" in refused(proto.SerializeToString(), tmp_path)
    (tmp_path / "weights.bin").write_bytes(data[:10])
    refused(proto.SerializeToString(), tmp_path)


def test_a_tensor_whose_data_does_not_fit_its_shape_is_a_sentence(tmp_path: Path) -> None:
    proto = policy()
    proto.graph.initializer[2].dims[0] = 2**40
    refused(proto.SerializeToString(), tmp_path)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_model_is_a_sentence_or_still_a_model(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = bytearray(policy().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    try:
        engine = build(path, tmp_path / "damaged.engine")
    except RtinferError as refusal:
        assert "\n" not in str(refusal)
    else:
        assert all(np.prod(t.shape) >= 1 for t in engine.outputs.values())
