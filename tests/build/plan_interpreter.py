"""An independent reading of plan.json: every operation in plain numpy, to check the native plan.

It takes what the native Plan takes and offers what the tests need of it. Sums run in float64, so
its results are close to, not equal to, those of the native plan.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
NativeOp = tuple[str, Sequence[int], Sequence[float]]

_UNARY: dict[int, Callable[[Array, float, float], Any]] = {
    0: lambda x, _a, _b: x,
    1: lambda x, _a, _b: np.where(x > 0, x, np.float32(0)),
    2: lambda x, a, _b: np.where(x >= 0, x, x * np.float32(a)),
    3: lambda x, a, _b: np.where(x >= 0, x, np.float32(a) * np.expm1(np.minimum(x, 0))),
    4: lambda x, _a, _b: np.tanh(x),
    5: lambda x, _a, _b: _sigmoid(x),
    6: lambda x, _a, _b: np.logaddexp(x, np.float32(0)),
    7: lambda x, a, b: np.minimum(np.maximum(x, np.float32(a)), np.float32(b)),
    8: lambda x, _a, _b: x * _sigmoid(x),
    9: lambda x, _a, _b: -x,
    10: lambda x, _a, _b: np.abs(x),
    11: lambda x, _a, _b: np.exp(x),
    12: lambda x, _a, _b: np.log(x),
    13: lambda x, _a, _b: np.sqrt(x),
    14: lambda x, _a, _b: 1 / x,
    15: lambda x, a, b: (
        np.float32(b) * np.where(x >= 0, x, np.float32(a) * np.expm1(np.minimum(x, 0)))
    ),
    16: lambda x, a, b: np.clip(np.float32(a) * x + np.float32(b), 0, 1),
    17: lambda x, _a, _b: _erf(x),
    18: lambda x, _a, _b: 0.5 * x * (1 + _erf(x / np.float32(math.sqrt(2)))),
    19: lambda x, _a, _b: np.floor(x),
    20: lambda x, _a, _b: np.ceil(x),
    21: lambda x, _a, _b: np.round(x),
    22: lambda x, _a, _b: np.sign(x),
    23: lambda x, _a, _b: np.sin(x),
    24: lambda x, _a, _b: np.cos(x),
}
_BINARY: dict[int, Callable[[Array, Array], Array]] = {
    0: np.add,
    1: np.subtract,
    2: np.multiply,
    3: np.divide,
    4: np.minimum,
    5: np.maximum,
}


class Plan:
    """Same constructor, `view`, `run`, `accept_state` and `reset_state` as rtinfer._native.Plan."""

    isa = "numpy"

    def __init__(
        self,
        weights: bytes,
        arena_bytes: int,
        ops: Sequence[NativeOp],
        state: Sequence[tuple[int, int, int]],
    ) -> None:
        self.weights_bytes = len(weights)
        self.block_bytes = len(weights) + arena_bytes
        self._block = np.zeros(self.block_bytes // 4, np.float32)
        self._block[: len(weights) // 4] = np.frombuffer(weights, np.float32)
        self._ops, self._state = list(ops), list(state)

    def view(self, offset: int, count: int) -> Array:
        return self._block[offset // 4 : offset // 4 + count]

    def run(self) -> None:
        with np.errstate(all="ignore"):
            for name, ints, floats in self._ops:
                getattr(self, f"_{name}")(iter(ints), *floats)

    def accept_state(self) -> None:
        for source, target, size in self._state:
            values = self.view(target, size // 4)
            self.view(source, size // 4)[:] = np.where(np.abs(values) < 2.0**-100, 0, values)

    def reset_state(self) -> None:
        for source, _, size in self._state:
            self.view(source, size // 4)[:] = 0

    def _gemv(self, ints: Iterator[int], alpha: float, beta: float) -> None:
        x, w, b, y, rows, k, n, act = ints
        sums = self.view(x, rows * k).reshape(rows, k).astype(np.float64) @ self._matrix(w, k, n)
        if b != -1:
            sums = sums + self.view(b, n)
        self._write(y, _UNARY[act](sums.astype(np.float32), alpha, beta))

    def _unary(self, ints: Iterator[int], alpha: float, beta: float) -> None:
        x, y, count, fn = ints
        self._write(y, _UNARY[fn](self.view(x, count), alpha, beta))

    def _binary(self, ints: Iterator[int]) -> None:
        a, b, y, fn, rank = (next(ints) for _ in range(5))
        dims, a_strides, b_strides = (tuple(next(ints) for _ in range(rank)) for _ in range(3))
        first, second = self._strided(a, dims, a_strides), self._strided(b, dims, b_strides)
        self._write(y, _BINARY[fn](first, second))

    def _copy(self, ints: Iterator[int]) -> None:
        x, y, rank = (next(ints) for _ in range(3))
        dims, x_strides, y_strides = (tuple(next(ints) for _ in range(rank)) for _ in range(3))
        self._strided(y, dims, y_strides)[...] = self._strided(x, dims, x_strides)

    def _lstm(self, ints: Iterator[int]) -> None:
        x, h, c, y, h_out, c_out, w, r, b, steps, width, hidden, reverse = ints
        hidden_state, cell = self.view(h, hidden), self.view(c, hidden)
        for step in range(steps)[:: -1 if reverse else 1]:
            row = self.view(x + 4 * step * width, width)
            gates = [
                self._gate(row, w, width, hidden, gate)
                + self._gate(hidden_state, r, hidden, hidden, gate)
                + self._gate_bias(b, hidden, gate)
                for gate in range(4)
            ]
            i, o, f = (_sigmoid(gate) for gate in gates[:3])
            cell = f * cell + i * np.tanh(gates[3])
            hidden_state = o * np.tanh(cell)
            if y != -1:
                self._write(y + 4 * step * hidden, hidden_state)
        self._write(h_out, hidden_state)
        self._write(c_out, cell)

    def _gru(self, ints: Iterator[int]) -> None:
        x, h, y, h_out, w, r, wb, rb, steps, width, hidden, linear_first, reverse = ints
        state = self.view(h, hidden)
        for step in range(steps)[:: -1 if reverse else 1]:
            row = self.view(x + 4 * step * width, width)
            given = [
                self._gate(row, w, width, hidden, gate) + self._gate_bias(wb, hidden, gate)
                for gate in range(3)
            ]
            bias = [self._gate_bias(rb, hidden, gate) for gate in range(3)]
            z = _sigmoid(given[0] + self._gate(state, r, hidden, hidden, 0) + bias[0])
            reset = _sigmoid(given[1] + self._gate(state, r, hidden, hidden, 1) + bias[1])
            if linear_first:
                carried = reset * (self._gate(state, r, hidden, hidden, 2) + bias[2])
            else:
                carried = self._gate(reset * state, r, hidden, hidden, 2) + bias[2]
            state = (1 - z) * np.tanh(given[2] + carried) + z * state
            if y != -1:
                self._write(y + 4 * step * hidden, state)
        self._write(h_out, state)

    def _matrix(self, offset: int, k: int, n: int) -> NDArray[np.float64]:
        panels = -(-n // 16)
        packed = self.view(offset, panels * k * 16).reshape(panels, k, 16)
        rows = packed.transpose(1, 0, 2).reshape(k, panels * 16)
        return np.asarray(rows[:, :n], np.float64)

    def _gate(self, x: Array, offset: int, k: int, hidden: int, gate: int) -> Array:
        block = -(-hidden // 16) * k * 16 * 4
        return (x.astype(np.float64) @ self._matrix(offset + gate * block, k, hidden)).astype(
            np.float32
        )

    def _gate_bias(self, offset: int, hidden: int, gate: int) -> Array:
        return self.view(offset + gate * -(-hidden // 16) * 64, hidden)

    def _strided(self, offset: int, dims: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        reach = 1 + sum((n - 1) * stride for n, stride in zip(dims, strides, strict=True))
        assert offset // 4 + reach <= self._block.size
        return np.lib.stride_tricks.as_strided(
            self._block[offset // 4 :], dims, tuple(4 * stride for stride in strides)
        )

    def _write(self, offset: int, values: Array) -> None:
        if offset != -1:
            assert offset >= self.weights_bytes
            self.view(offset, values.size)[:] = values.ravel()


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))), np.float32)


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), np.float32)
