"""What has no kernel is refused by name, with its reason, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import built
from onnx_models import model, node, normal

from rtinfer.errors import CheckError


def test_everything_that_cannot_be_lowered_is_named_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Cumsum", ["x"], ["odd"]),
        node("Relu", ["odd"], ["r"]),
        node("Einsum", ["r", "r"], ["e"], equation="ij,ij->ij"),
        node("Pow", ["x", "e5"], ["p"]),
        node("Add", ["e", "p"], ["y"]),
    ]
    proto = model(nodes, {"x": [1, 8]}, {"y": [1, 8]}, {"e5": np.float32(5)})
    with pytest.raises(CheckError) as refusal:
        built(proto, tmp_path)
    text = str(refusal.value)
    for part in ("Cumsum 'Cumsum_odd' (opset 17)", "Einsum 'Einsum_e'", "exponent 5"):
        assert part in text
    assert "Relu" not in text
    assert "Add" not in text


REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "computed matrix": ([node("MatMul", ["x", "z"], ["y"])], {}, "second operand is computed"),
    "training dropout": (
        [node("Dropout", ["x", "ratio", "mode"], ["y"])],
        {"ratio": np.float32(0.5), "mode": np.array(True)},
        "random",
    ),
    "cast": (
        [node("Cast", ["x"], ["d"], to=11), node("Cast", ["d"], ["y"], to=1)],
        {},
        "only float32 is computed",
    ),
    "several exponents": (
        [node("Pow", ["x", "e"], ["y"])],
        {"e": normal(1, 8)},
        "exponent has several values",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_without_a_kernel_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    nodes, constants, reason = REFUSED[name]
    proto = model(nodes, {"x": [8, 8], "z": [8, 8]}, {"y": [8, 8]}, constants)
    with pytest.raises(Exception, match=reason):
        built(proto, tmp_path)
    assert not (tmp_path / "model.engine").exists()
