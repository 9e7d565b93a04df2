"""Building a model in a test and comparing its engine with two other implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx_models import save
from plan_interpreter import Plan

from rtinfer.build.builder import build
from rtinfer.engines import Engine
from rtinfer.engines import artifact as artifacts
from rtinfer.engines.plan_file import PlanOp, count, native_op, native_state

Array = NDArray[np.float32]


def built(proto: Any, folder: Path, **options: Any) -> Engine:
    """The engine of a model, which the build itself compared with ONNX Runtime."""
    path = save(proto, folder / "model.onnx")
    engine = build(path, folder / "model.engine", **options)
    assert_interpreter_agrees(engine, folder / "model.engine")
    return engine


def assert_interpreter_agrees(engine: Engine, path: Path) -> None:
    """plan.json read by numpy gives what the native plan stored."""
    artifact = artifacts.read(path)
    plan = artifact.plan
    other = Plan(
        bytes(artifact.weights.data),
        plan.arena_bytes,
        [native_op(op) for op in plan.ops],
        native_state(plan),
    )
    stored = artifact.reference.tensors
    for run in range(engine.manifest.reference_runs):
        for place in plan.inputs:
            other.view(place.offset, count(place.shape))[:] = stored[f"inputs.{place.name}"][
                run
            ].ravel()
        other.run()
        for place in plan.outputs:
            found = other.view(place.offset, count(place.shape))
            expected = stored[f"outputs.{place.name}"][run].ravel()
            scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4 * scale)
        other.accept_state()


def expected(proto: Any, feeds: dict[str, Array]) -> list[Array]:
    """What ONNX's reference evaluator computes."""
    with np.errstate(all="ignore"):
        results: list[Array] = ReferenceEvaluator(proto).run(None, feeds)
    return results


def agrees(proto: Any, folder: Path, feeds: dict[str, Array], **options: Any) -> list[str]:
    """Builds, runs, compares with ONNX's reference evaluator; the plan's operations."""
    engine = built(proto, folder, **options)
    results = engine.run(feeds)
    for value, reference in zip(results.values(), expected(proto, feeds), strict=True):
        assert value.shape == reference.shape
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)
    return op_names(engine)


def op_names(engine: Engine) -> list[str]:
    """The operations of the plan, in order."""
    return [tag(op) for op in engine.plan_file.ops]


def tag(op: PlanOp) -> str:
    return str(op.__struct_config__.tag)


def part(name: str) -> Path:
    """A file beside this one."""
    return Path(__file__).with_name(name)
