"""The engine in a user's hands: shapes, dtypes, names, copies, offsets, imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import built, op_names
from onnx_models import model, node, normal, policy, recurrent

import rtinfer
from rtinfer.build.functions import BINARY, UNARY
from rtinfer.engines import Engine
from rtinfer.errors import UsageError


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return built(policy(), tmp_path_factory.mktemp("engine"))


def test_tensors_have_shape_and_dtype(engine: Engine) -> None:
    assert engine.inputs["obs"].shape == (1, 6)
    assert engine.outputs["action"].shape == (1, 5)
    assert engine.inputs["obs"].dtype == np.float32
    assert engine.state == {}
    assert "obs[1, 6] -> action[1, 5]" in repr(engine)


def test_an_array_alone_is_the_only_input(engine: Engine) -> None:
    x = normal(1, 1, 6)
    assert engine.run(x)["action"].tobytes() == engine.run({"obs": x})["action"].tobytes()


def test_outputs_are_copies(engine: Engine) -> None:
    first = engine.run(normal(1, 1, 6))["action"]
    kept = first.copy()
    engine.run(normal(2, 1, 6))
    np.testing.assert_array_equal(first, kept)


def test_any_memory_layout_of_an_input_is_read(engine: Engine) -> None:
    x = normal(1, 1, 12)
    expected = engine.run(np.ascontiguousarray(x[:, ::2]))["action"]
    assert engine.run(x[:, ::2])["action"].tobytes() == expected.tobytes()


WRONG: dict[str, tuple[Any, str]] = {
    "shape": (np.zeros(6, np.float32), r"has shape \[6\], expected \[1, 6\]"),
    "dtype": (np.zeros((1, 6)), r"float64, expected float32.*astype"),
    "list": ([[0.0] * 6], "is a list, expected a numpy array"),
    "unknown": ({"x": np.zeros((1, 6), np.float32)}, "'x' is unknown, expected 'obs'"),
    "missing": ({}, r"'obs' is missing: pass float32 \[1, 6\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_input_is_a_sentence(name: str, engine: Engine) -> None:
    value, reason = WRONG[name]
    with pytest.raises(UsageError, match=reason):
        engine.run(value)


def test_an_array_alone_is_refused_where_there_are_two_inputs(tmp_path: Path) -> None:
    proto = model([node("Add", ["a", "b"], ["y"])], {"a": [1, 2], "b": [1, 2]}, {"y": [1, 2]})
    with pytest.raises(UsageError, match="2 inputs: pass a dict with 'a', 'b'"):
        built(proto, tmp_path).run(np.zeros((1, 2), np.float32))


def test_a_state_is_no_input_of_run(tmp_path: Path) -> None:
    two = built(recurrent("GRU", 4), tmp_path)
    with pytest.raises(UsageError, match="'h_in' is unknown"):
        two.run({"obs": normal(1, 1, 1, 3), "h_in": np.zeros((1, 1, 4), np.float32)})


def test_offsets_point_at_the_tensors_in_the_block(engine: Engine) -> None:
    x = normal(3, 1, 6)
    expected = engine.run(x)["action"]
    engine.plan.view(engine.output_offset("action"), 5)[:] = 0
    engine.plan.view(engine.input_offset("obs"), 6)[:] = x.ravel()
    engine.plan.run()
    found = engine.plan.view(engine.output_offset("action"), 5)
    assert found.tobytes() == expected.tobytes()
    with pytest.raises(UsageError, match="output 'obs' is unknown"):
        engine.output_offset("obs")


@pytest.mark.parametrize("isa", ["reference", "scalar", "avx2", "avx512", "neon"])
def test_every_instruction_set_gives_the_stored_bytes(
    isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading repeats the stored runs, here with other kernels than those that stored them."""
    monkeypatch.setenv("RTINFER_ISA", "scalar")
    folders = [tmp_path / "layers", tmp_path / "recurrent"]
    for folder, proto in zip(folders, (policy(), recurrent("LSTM", 33, 3)), strict=True):
        folder.mkdir()
        built(proto, folder)
    monkeypatch.setenv("RTINFER_ISA", isa)
    for folder in folders:
        try:
            assert rtinfer.load(folder / "model.engine").plan.isa == isa
        except UsageError as lacking:
            pytest.skip(str(lacking))


def test_an_unknown_instruction_set_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(policy(), tmp_path)
    monkeypatch.setenv("RTINFER_ISA", "mmx")
    with pytest.raises(UsageError, match=r"RTINFER_ISA is 'mmx'.*unset it"):
        rtinfer.load(tmp_path / "model.engine")


def test_the_weights_cannot_be_written(engine: Engine) -> None:
    assert not engine.plan.view(0, 4).flags.writeable


def test_loading_an_engine_does_not_import_onnx(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    code = (
        "import sys, rtinfer; e = rtinfer.load(sys.argv[1]); assert e.outputs;"
        "print(sorted({'onnx', 'onnxruntime', 'zmq'} & set(sys.modules)))"
    )
    path = str(tmp_path / "model.engine")
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_facade_builds_and_loads(tmp_path: Path) -> None:
    built(policy(), tmp_path)
    engine = rtinfer.build(tmp_path / "model.onnx", tmp_path / "facade.engine", name="facade")
    assert isinstance(engine, rtinfer.Engine)
    assert rtinfer.load(tmp_path / "facade.engine").manifest.name == "facade"


def test_function_codes_are_those_of_the_kernels() -> None:
    from rtinfer._native import plan_functions

    native = plan_functions()
    assert UNARY.items() <= native["unary"].items()
    assert BINARY.items() <= native["binary"].items()


def test_temporaries_share_memory_and_interfaces_do_not(tmp_path: Path) -> None:
    """A deep chain needs room for two values at a time; `built` compares it with numpy."""
    nodes = [
        node("Add", [f"v{i}" if i else "x", f"k{i}"], [f"v{i + 1}"] if i < 19 else ["y"])
        for i in range(20)
    ]
    constants = {f"k{i}": normal(i + 1, 1, 64) for i in range(20)}
    deep = built(model(nodes, {"x": [1, 64]}, {"y": [1, 64]}, constants), tmp_path)
    assert op_names(deep) == ["binary"] * 20
    assert deep.plan_file.arena_bytes == 4 * 256
