"""The native plan from Python: equal bytes under every instruction set, and what it refuses."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from numpy.typing import NDArray

from rtinfer._native import Plan, plan_functions

Op = tuple[str, list[int], list[float]]
SILU = 8
LAYERS = ((24, 80), (80, 64), (64, 12))  # two wide layers and a narrow one


def pack(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """[k, n] as panels [ceil(n / 16)][k][16], zero padded."""
    k, n = matrix.shape
    panels = -(-n // 16)
    wide = np.zeros((k, panels * 16), np.float32)
    wide[:, :n] = matrix
    return np.ascontiguousarray(wide.reshape(k, panels, 16).transpose(1, 0, 2))


def mlp() -> tuple[bytes, int, list[Op], int, int, list[NDArray[np.float32]]]:
    """weights, arena bytes, ops, offset of the input, offset of the output, matrices"""
    random = np.random.default_rng(1)
    matrices = [random.normal(0, 0.3, shape).astype(np.float32) for shape in LAYERS]
    weights = b"".join(pack(m).tobytes() for m in matrices)
    ops: list[Op] = []
    at, x = 0, len(weights)
    for matrix in matrices:
        k, n = matrix.shape
        y = x + -(-k * 4 // 64) * 64
        ops.append(("gemv", [x, at, -1, y, 1, k, n, SILU], [0.0, 0.0]))
        at += pack(matrix).nbytes
        x = y
    return weights, 1024, ops, len(weights), x, matrices


def instruction_sets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    for isa in ("avx512", "avx2", "neon", "scalar"):
        monkeypatch.setenv("RTINFER_ISA", isa)
        try:
            assert Plan(b"", 64, [], []).isa == isa
        except ValueError:
            continue
        found.append(isa)
    return found


def test_every_instruction_set_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, arena, ops, x, y, _ = mlp()
    results = {}
    for isa in instruction_sets(monkeypatch):
        monkeypatch.setenv("RTINFER_ISA", isa)
        plan = Plan(weights, arena, ops, [])
        plan.view(x, 24)[:] = np.linspace(-3, 3, 24, dtype=np.float32)
        plan.run()
        results[isa] = plan.view(y, 12).tobytes()
    assert "scalar" in results
    assert len(set(results.values())) == 1


def test_a_multilayer_perceptron_is_close_to_numpy_in_double_precision() -> None:
    weights, arena, ops, x, y, matrices = mlp()
    plan = Plan(weights, arena, ops, [])
    values = np.random.default_rng(2).normal(size=24).astype(np.float32)
    plan.view(x, 24)[:] = values
    plan.run()
    want = values.astype(np.float64)
    for matrix in matrices:
        want = want @ matrix.astype(np.float64)
        want = want / (1 + np.exp(-want))
    np.testing.assert_allclose(plan.view(y, 12), want, rtol=2e-5, atol=2e-5)


def test_an_unknown_instruction_set_is_refused_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RTINFER_ISA", "altivec")
    with pytest.raises(ValueError, match=r"RTINFER_ISA is 'altivec'.*scalar.*unset"):
        Plan(b"", 64, [], [])


@pytest.mark.parametrize(
    ("op", "part"),
    [
        (("unary", [0, 64, 16, 1], [0.0, 0.0]), "y takes"),  # would write the weights
        (("unary", [64, 4096, 16, 1], [0.0, 0.0]), "y takes"),
        (("unary", [64, 128, 2**62, 1], [0.0, 0.0]), "expected a size"),
        (("unary", [64, 128, 16, 1000], [0.0, 0.0]), "function 1000"),
        (("unary", [64, 128, 16], [0.0, 0.0]), "integers"),
        (("softsign", [64, 128, 16], []), "unknown"),
    ],
)
def test_a_malformed_op_is_refused_with_its_place_and_name(op: Op, part: str) -> None:
    with pytest.raises(ValueError, match=rf"^plan op 0 \({op[0]}\): .*{part}.*rebuild the engine$"):
        Plan(bytes(128), 256, [op], [])


def test_state_moves_only_when_a_run_is_accepted() -> None:
    add_one: Op = ("binary", [64, 0, 128, 0, 1, 4, 1, 0], [])
    plan = Plan(np.ones(16, np.float32).tobytes(), 128, [add_one], [(64, 128, 16)])
    for _ in range(3):
        plan.run()
    assert plan.view(64, 4).tolist() == [0.0] * 4
    plan.accept_state()
    plan.run()
    plan.accept_state()
    assert plan.view(64, 4).tolist() == [2.0] * 4
    plan.reset_state()
    assert plan.view(64, 4).tolist() == [0.0] * 4


def test_a_view_keeps_its_plan_alive_and_weights_are_read_only() -> None:
    plan = Plan(np.arange(16, dtype=np.float32).tobytes(), 64, [], [])
    weights, arena = plan.view(0, 16), plan.view(64, 16)
    assert not weights.flags.writeable
    arena[:] = 5.0
    del plan
    gc.collect()
    assert weights.tolist() == list(range(16))
    assert arena.tolist() == [5.0] * 16


@pytest.mark.parametrize(("offset", "count"), [(-4, 1), (2, 1), (64, 17), (0, 2**62), (2**62, 1)])
def test_a_view_outside_of_the_block_is_refused(offset: int, count: int) -> None:
    with pytest.raises(ValueError, match="expected within the block"):
        Plan(bytes(64), 64, [], []).view(offset, count)


def test_bench_returns_a_time_for_each_run() -> None:
    weights, arena, ops, *_ = mlp()
    times = Plan(weights, arena, ops, []).bench(5)
    assert len(times) == 5
    assert all(t > 0 for t in times)


def test_function_codes_are_numbered_from_zero_without_gaps() -> None:
    for codes in plan_functions().values():
        assert sorted(codes.values()) == list(range(len(codes)))
