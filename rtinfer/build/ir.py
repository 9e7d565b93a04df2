"""The lowered graph: operations over buffers, with tensors as strided views that cost nothing."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtinfer.build.functions import BINARY, UNARY
from rtinfer.engines.plan_file import count

Constant = NDArray[Any]


@dataclass(eq=False)
class Buffer:
    """One allocation of float32 elements; a constant has `data` and lies in the weights."""

    size: int
    data: Constant | None = None


@dataclass(frozen=True)
class View:
    """A tensor inside a buffer; offset and strides count elements."""

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return count(self.shape)

    @property
    def contiguous(self) -> bool:
        expected = row_major(self.shape)
        return all(
            axis == 1 or stride == dense
            for axis, stride, dense in zip(self.shape, self.strides, expected, strict=True)
        )

    @property
    def full(self) -> bool:
        """Whether the view is its whole buffer, in order."""
        return self.contiguous and self.offset == 0 and self.size == self.buffer.size

    @property
    def span(self) -> tuple[int, int]:
        """First element and one past the last element that the view touches."""
        reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return self.offset, self.offset + reach + 1

    def reshaped(self, shape: tuple[int, ...]) -> "View":
        """The same elements under another shape; the view must be contiguous."""
        return View(self.buffer, self.offset, shape, row_major(shape))

    def strided(self, shape: tuple[int, ...], strides: tuple[int, ...], skip: int = 0) -> "View":
        return View(self.buffer, self.offset + skip, shape, strides)

    def sliced(self, axis: int, start: int, length: int, step: int = 1) -> "View":
        shape, strides = list(self.shape), list(self.strides)
        skip = start * strides[axis]
        shape[axis], strides[axis] = length, strides[axis] * step
        return self.strided(tuple(shape), tuple(strides), skip)

    def broadcast(self, shape: tuple[int, ...]) -> "View":
        """The view repeated to `shape` by strides of zero, by numpy's rules."""
        pad = len(shape) - len(self.shape)
        strides = [0] * pad
        strides += [
            0 if n == 1 else stride for n, stride in zip(self.shape, self.strides, strict=True)
        ]
        return self.strided(shape, tuple(strides))

    def values(self) -> Constant:
        """The numbers of a view of a constant."""
        assert self.buffer.data is not None
        flat = np.ascontiguousarray(self.buffer.data)[self.offset :]
        return np.lib.stride_tricks.as_strided(
            flat, self.shape, tuple(4 * stride for stride in self.strides), writeable=False
        )


Value = Constant | View


@dataclass(eq=False)
class Op:
    """One operation of plan.json before its offsets are known.

    `reads` and `writes` hold views by field name, `weights` the unpacked constants by field name.
    """

    name: str
    reads: dict[str, View]
    writes: dict[str, View]
    weights: dict[str, Constant] = field(default_factory=dict)
    ints: dict[str, int] = field(default_factory=dict)
    floats: dict[str, float] = field(default_factory=dict)


@dataclass
class Graph:
    """Operations in execution order between named inputs and outputs."""

    inputs: dict[str, View] = field(default_factory=dict)
    outputs: dict[str, View] = field(default_factory=dict)
    state: list[tuple[str, str]] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    def allocate(self, shape: tuple[int, ...]) -> View:
        return View(Buffer(count(shape)), 0, shape, row_major(shape))

    def view(self, value: Value) -> View:
        """A constant becomes a view of a constant buffer; a view stays what it is."""
        if isinstance(value, View):
            return value
        data = np.ascontiguousarray(value, dtype=np.float32)
        return View(Buffer(data.size, data.ravel()), 0, value.shape, row_major(value.shape))

    def contiguous(self, value: Value) -> View:
        """The value in row-major order, copied only where it is not."""
        view = self.view(value)
        return view if view.contiguous else self.copied(view)

    def copied(self, view: View) -> View:
        target = self.allocate(view.shape)
        self.copy(view, target)
        return target

    def copy(self, source: View, target: View) -> None:
        self.ops.append(Op("copy", {"x": source}, {"y": target}))

    def unary(self, fn: str, value: Value, alpha: float = 0.0, beta: float = 0.0) -> View:
        x = self.contiguous(value)
        y = self.allocate(x.shape)
        floats = {"alpha": alpha, "beta": beta}
        self.ops.append(Op("unary", {"x": x}, {"y": y}, ints={"fn": UNARY[fn]}, floats=floats))
        return y

    def binary(self, fn: str, a: Value, b: Value) -> View:
        shape = np.broadcast_shapes(a.shape, b.shape)
        y = self.allocate(shape)
        reads = {"a": self.view(a).broadcast(shape), "b": self.view(b).broadcast(shape)}
        self.ops.append(Op("binary", reads, {"y": y}, ints={"fn": BINARY[fn]}))
        return y

    def gemv(self, value: Value, weight: Constant, bias: Constant | None) -> View:
        """x[rows, k] . weight[k, n] + bias[n], for each row."""
        x = self.contiguous(value)
        y = self.allocate((*x.shape[:-1], weight.shape[1]))
        weights = {"w": weight} if bias is None else {"w": weight, "b": bias}
        ints = {"rows": count(x.shape[:-1]), "act": UNARY["identity"]}
        floats = {"alpha": 0.0, "beta": 0.0}
        self.ops.append(Op("gemv", {"x": x}, {"y": y}, weights, ints, floats))
        return y


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)
