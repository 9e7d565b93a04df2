"""Operators that only change a shape: they cost nothing, a view takes another shape."""

import numpy as np

from rtinfer.build.ir import Value, View
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers
from rtinfer.engines.plan_file import count


@lowers("Identity")
def identity(node: Node) -> list[Value]:
    return [node.value(0)]


@lowers("Shape")
def shape(node: Node) -> list[Value]:
    """Every shape is known at build time."""
    sizes = _input(node).shape
    rank = len(sizes)
    start, end = int(node.attribute("start", 0)), int(node.attribute("end", rank))
    return [np.array(sizes[slice(start, end)], np.int64)]


@lowers("Size")
def size(node: Node) -> list[Value]:
    return [np.array(_input(node).size, np.int64)]


@lowers("Reshape")
def reshape(node: Node) -> list[Value]:
    x, target = _input(node), node.integers(1, "shape")
    if target is None:
        node.refuse("its shape is missing")
    sizes = list(target)
    if not node.attribute("allowzero", 0):
        for axis, n in enumerate(sizes):
            if n == 0 and axis < len(x.shape):
                sizes[axis] = x.shape[axis]
    if sizes.count(-1) == 1:
        known = -count(tuple(sizes))
        sizes[sizes.index(-1)] = x.size // known if known > 0 else 0
    return [_reshaped(node, x, tuple(sizes))]


@lowers("Flatten")
def flatten(node: Node) -> list[Value]:
    x, axis = _input(node), int(node.attribute("axis", 1))
    if axis != len(x.shape):
        axis = node.axis(axis, len(x.shape))
    return [_reshaped(node, x, (count(x.shape[:axis]), count(x.shape[axis:])))]


@lowers("Squeeze")
def squeeze(node: Node) -> list[Value]:
    """Axes are an attribute up to opset 12, an input from opset 13 on."""
    x = _input(node)
    axes = node.ints("axes") if node.opset < 13 else node.integers(1, "axes")
    rank = len(x.shape)
    gone = (
        [axis for axis in range(rank) if x.shape[axis] == 1]
        if axes is None
        else node.axes(axes, rank)
    )
    if any(x.shape[axis] != 1 for axis in gone):
        node.refuse(f"its axes {axes} of shape {list(x.shape)} are not all 1")
    kept = [axis for axis in range(rank) if axis not in gone]
    return [x.strided(tuple(x.shape[a] for a in kept), tuple(x.strides[a] for a in kept))]


@lowers("Unsqueeze")
def unsqueeze(node: Node) -> list[Value]:
    x = _input(node)
    axes = node.ints("axes") if node.opset < 13 else node.integers(1, "axes")
    if axes is None:
        node.refuse("its axes are missing")
    rank = len(x.shape) + len(axes)
    new = set(node.axes(axes, rank))
    if len(new) != len(axes):
        node.refuse(f"its axes {axes} name one axis twice")
    old = iter(range(len(x.shape)))
    source = [None if axis in new else next(old) for axis in range(rank)]
    sizes = tuple(1 if a is None else x.shape[a] for a in source)
    return [x.strided(sizes, tuple(0 if a is None else x.strides[a] for a in source))]


def _input(node: Node) -> View:
    return node.graph.view(node.value(0))


def _reshaped(node: Node, x: View, sizes: tuple[int, ...]) -> View:
    if any(n < 1 for n in sizes) or count(sizes) != x.size:
        node.refuse(f"shape {list(x.shape)} cannot become {list(sizes)}")
    return node.graph.contiguous(x).reshaped(sizes)
