"""Operators that move values: strided views where possible, copies where not."""

from itertools import pairwise

import numpy as np

from rtinfer.build.ir import Value, View
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers


@lowers("Transpose")
def transpose(node: Node) -> list[Value]:
    x = node.graph.view(node.value(0))
    order = node.ints("perm") or list(reversed(range(len(x.shape))))
    if sorted(order) != list(range(len(x.shape))):
        node.refuse(f"its perm {order} does not order {len(x.shape)} axes")
    return [x.strided(tuple(x.shape[a] for a in order), tuple(x.strides[a] for a in order))]


@lowers("Concat")
def concat(node: Node) -> list[Value]:
    parts = [node.graph.view(node.value(index)) for index in range(len(node.inputs))]
    axis = node.axis(int(node.attribute("axis", 1)), len(parts[0].shape))
    rests = {part.shape[:axis] + part.shape[axis + 1 :] for part in parts}
    if len(rests) != 1 or len({len(part.shape) for part in parts}) != 1:
        node.refuse(f"shapes {[list(part.shape) for part in parts]} do not join on axis {axis}")
    return [_joined(node, parts, axis)]


@lowers("Split")
def split(node: Node) -> list[Value]:
    """Sizes are an attribute up to opset 12, an input from 13 on; else equal, the last smaller."""
    x = node.graph.view(node.value(0))
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    sizes = node.ints("split") if node.opset < 13 else node.integers(1, "split")
    if sizes is None:
        parts = int(node.attribute("num_outputs", len(node.proto.output)))
        each = -(-x.shape[axis] // parts)
        sizes = [each] * (parts - 1) + [x.shape[axis] - each * (parts - 1)]
    if sum(sizes) != x.shape[axis] or any(n < 1 for n in sizes):
        node.refuse(f"its sizes {sizes} do not split an axis of {x.shape[axis]}")
    starts = np.cumsum([0, *sizes])
    return [x.sliced(axis, int(start), n) for start, n in zip(starts[:-1], sizes, strict=True)]


@lowers("Slice")
def slice_(node: Node) -> list[Value]:
    """Attributes up to opset 9, inputs from 10 on."""
    x = node.graph.view(node.value(0))
    if node.opset < 10:
        starts, ends, axes = node.ints("starts"), node.ints("ends"), node.ints("axes")
        steps = None
    else:
        starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
        axes, steps = node.integers(3, "axes"), node.integers(4, "steps")
    if starts is None or ends is None:
        node.refuse("its starts or ends are missing")
    axes = axes if axes is not None else list(range(len(starts)))
    steps = steps if steps is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        node.refuse(f"its starts {starts}, ends {ends}, axes {axes}, steps {steps} do not fit")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = node.axis(axis, len(x.shape))
        # ONNX clamps a backward end of "minus infinity" to -1, which Python writes as None.
        stop = None if step < 0 and end < -x.shape[at] else end
        picked = range(x.shape[at])[start:stop:step]
        if not picked:
            node.refuse(f"it leaves nothing of axis {at} of shape {list(x.shape)}")
        x = _picked(node, x, at, list(picked))
    return [x]


@lowers("Gather")
def gather(node: Node) -> list[Value]:
    """Constant indices along one axis."""
    x = node.graph.view(node.value(0))
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    indices, shape = node.integers(1, "indices"), node.inputs[1]
    if indices is None or shape is None:
        node.refuse("its indices are missing")
    n = x.shape[axis]
    if not indices or not all(-n <= index < n for index in indices):
        node.refuse(f"its indices {indices} are outside an axis of {n}")
    result = _picked(node, x, axis, [index % n for index in indices])
    if len(shape.shape) == 1:
        return [result]
    sizes = (*x.shape[:axis], *shape.shape, *x.shape[axis + 1 :])
    return [node.graph.contiguous(result).reshaped(sizes)]


@lowers("Expand")
def expand(node: Node) -> list[Value]:
    x, target = node.graph.view(node.value(0)), node.integers(1, "shape")
    try:
        return [x.broadcast(np.broadcast_shapes(x.shape, tuple(target or ())))]
    except ValueError:
        node.refuse(f"shape {list(x.shape)} does not expand to {target}")


@lowers("Tile")
def tile(node: Node) -> list[Value]:
    """Each axis n becomes (repeats, n) with a stride of zero in front."""
    x, repeats = node.graph.view(node.value(0)), node.integers(1, "repeats")
    if repeats is None or len(repeats) != len(x.shape) or any(r < 1 for r in repeats):
        node.refuse(f"its repeats {repeats} do not fit shape {list(x.shape)}")
    sizes, strides = [], []
    for n, stride, times in zip(x.shape, x.strides, repeats, strict=True):
        sizes += [times, n]
        strides += [0, stride]
    spread = node.graph.contiguous(x.strided(tuple(sizes), tuple(strides)))
    final = tuple(n * times for n, times in zip(x.shape, repeats, strict=True))
    return [spread.reshaped(final)]


def _picked(node: Node, x: View, axis: int, indices: list[int]) -> View:
    """The given positions of one axis: one strided view where their step is even, else copies."""
    steps = {b - a for a, b in pairwise(indices)}
    if not steps:
        return x.sliced(axis, indices[0], 1)
    if len(steps) == 1 and (step := next(iter(steps))) > 0:
        return x.sliced(axis, indices[0], len(indices), step)
    runs = [[indices[0]]]
    for index in indices[1:]:
        if index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return _joined(node, [x.sliced(axis, run[0], len(run)) for run in runs], axis)


def _joined(node: Node, parts: list[View], axis: int) -> View:
    if len(parts) == 1:
        return parts[0]
    sizes = [part.shape[axis] for part in parts]
    first = parts[0].shape
    result = node.graph.allocate((*first[:axis], sum(sizes), *first[axis + 1 :]))
    start = 0
    for part, n in zip(parts, sizes, strict=True):
        node.graph.copy(part, result.sliced(axis, start, n))
        start += n
    return result
