"""`rtinfer build` and `rtinfer inspect` as a user runs them: text, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engines import part
from onnx_models import model, node, policy, recurrent, save

from rtinfer.cli import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy in it, which is the working directory."""
    (tmp_path / "policy.onnx").write_bytes(part("policy.onnx").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(words)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_build_and_inspect_show_one_engine(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, built, _ = run(capsys, "build", "policy.onnx", "-o", "policy.engine")
    assert code == 0
    code, shown, _ = run(capsys, "inspect", "policy.engine")
    assert code == 0
    assert set(built.splitlines()) <= set(shown.splitlines())
    for words in ("obs [1, 6] float32", "action [1, 5] float32", "metadata", "robot = none"):
        assert words in shown
    assert sum(line.startswith("op ") for line in shown.splitlines()) == 5
    assert (files / "policy.engine").is_dir()


def test_json_is_the_same_for_machines(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, built, _ = run(capsys, "build", "policy.onnx", "-o", "policy.engine", "--json")
    _, shown, _ = run(capsys, "inspect", "policy.engine", "--json")
    found = json.loads(shown)
    assert json.loads(built) == found
    assert found["inputs"] == [{"name": "obs", "shape": [1, 6], "dtype": "float32"}]
    assert found["block_bytes"] == found["weights_bytes"] + found["arena_bytes"]
    layers = 2 * (6 * 24 + 24 * 16 + 16 * 5)
    assert layers < found["flops_per_run"] < layers + 200
    assert found["parity"]["outputs"][0]["max_of_bound"] < 1
    assert set(found["files"]) == {"plan.json", "weights.safetensors", "reference.safetensors"}
    assert files.name


def test_options_reach_the_build(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Add", ["x", "memory"], ["next"]), node("Relu", ["next"], ["y"])]
    shapes = {"x": ["N", "frames"], "memory": ["N", "frames"]}
    save(model(nodes, shapes, {"next": ["N", "frames"], "y": ["N", "frames"]}), files / "m.onnx")
    words = "build m.onnx -o m.engine --dim frames=3 --output y --state memory=next --name sum"
    code, out, _ = run(capsys, *words.split(), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["name"] == "sum"
    assert [t["name"] for t in found["inputs"]] == ["x"]
    assert [t["name"] for t in found["outputs"]] == ["y"]
    assert [(s["input"], s["output"], s["shape"]) for s in found["state"]] == [
        ("memory", "next", [1, 3])
    ]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ("build none.onnx -o x.engine", 2, "does not exist"),
        ("build policy.onnx", 2, "required: -o"),
        ("build policy.onnx -o none/x.engine", 2, "does not exist"),
        ("build policy.onnx -o policy.onnx", 2, "no engine artifact"),
        ("build policy.onnx -o x.engine --dim batch", 2, "joined by '='"),
        ("build policy.onnx -o x.engine --dim batch=two", 2, "expected a whole number"),
        ("build policy.onnx -o x.engine --dim batch=1 --dim batch=2", 2, "given twice"),
        ("build policy.onnx -o x.engine --output nothing", 2, "no such output"),
        ("build odd.onnx -o x.engine", 1, "Einsum 'Einsum_y' (opset 17)"),
        ("build bad.onnx -o x.engine", 1, "not a valid ONNX model"),
        ("inspect none.engine", 2, "does not exist"),
        ("inspect policy.onnx", 2, "is a file"),
        ("inspect .", 1, "has no file manifest.json"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: str, code: int, reason: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "bad.onnx").write_bytes(b"\x08\x01garbage")
    odd = model([node("Einsum", ["x"], ["y"], equation="ij->ji")], {"x": [1, 2]}, {"y": [2, 1]})
    save(odd, files / "odd.onnx")
    found, out, err = run(capsys, *words.split())
    assert found == code
    assert out == ""
    assert reason in err
    assert not (files / "x.engine").exists()


def test_inspect_shows_state(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(recurrent("LSTM", 8), files / "r.onnx")
    assert run(capsys, "build", "r.onnx", "-o", "r.engine")[0] == 0
    _, out, _ = run(capsys, "inspect", "r.engine")
    assert "h_in <- h_out [1, 1, 8] float32" in out
    assert "1 x 3 -> 8" in out


@pytest.mark.parametrize("command", ["build", "inspect"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"example: rtinfer {command} " in out


def test_the_policy_of_these_tests_is_the_committed_one(files: Path) -> None:
    assert (files / "policy.onnx").read_bytes() == policy().SerializeToString(deterministic=True)
