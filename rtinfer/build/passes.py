"""Making a graph smaller without changing its meaning: dead code, dead columns, fusion."""

from collections.abc import Callable, Iterator

import numpy as np

from rtinfer.build.functions import BINARY, UNARY
from rtinfer.build.ir import Buffer, Graph, Op, View

_OPTIONAL_WRITES = {"lstm": ("y", "h_out", "c_out"), "gru": ("y", "h_out")}


def simplify(graph: Graph) -> None:
    """All passes, in the order in which they open the way for each other."""
    remove_dead(graph)
    fuse_bias(graph)
    fuse_silu(graph)
    shrink_to_used(graph)
    fuse_activation(graph)


def remove_dead(graph: Graph) -> None:
    """Drops operations that no output needs, and results of recurrent ones that nobody reads."""
    live = {view.buffer for view in graph.outputs.values()}
    kept: list[Op] = []
    for op in reversed(graph.ops):
        for name in _OPTIONAL_WRITES.get(op.name, ()):
            if name in op.writes and op.writes[name].buffer not in live:
                del op.writes[name]
        if any(view.buffer in live for view in op.writes.values()):
            live.update(view.buffer for view in op.reads.values())
            kept.append(op)
    graph.ops[:] = kept[::-1]


def shrink_to_used(graph: Graph) -> None:
    """Computes only the columns that are read: half of a Gemm may feed a Split that nobody uses.

    Walks backwards, so that a shrunk activation shrinks the Gemm before it.
    """
    for op in reversed(graph.ops):
        if op.name not in ("gemv", "unary") or op.ints.get("rows", 1) != 1:
            continue
        y = op.writes["y"]
        spans = [view.span for view in _reads_of(graph, y.buffer)]
        first, last = min(s[0] for s in spans), max(s[1] for s in spans)
        if not y.full or (first, last) == (0, y.size):
            continue
        smaller = graph.allocate((last - first,))
        op.writes["y"] = smaller
        if op.name == "gemv":
            for name in op.weights:
                op.weights[name] = op.weights[name][..., first:last]
        else:
            x = op.reads["x"]
            op.reads["x"] = View(x.buffer, x.offset + first, smaller.shape, smaller.strides)
        _redirect(graph, y.buffer, smaller.buffer, -first)


def fuse_bias(graph: Graph) -> None:
    """MatMul then Add of a constant row becomes one gemv with a bias."""
    for op, following in _pairs(graph, "gemv", lambda op: "b" not in op.weights):
        if following.name != "binary" or following.ints["fn"] != BINARY["add"]:
            continue
        a, b = following.reads["a"], following.reads["b"]
        product, other = (a, b) if a.buffer is op.writes["y"].buffer else (b, a)
        rows, n = op.ints["rows"], op.weights["w"].shape[1]
        if other.buffer.data is None or not product.full or product.shape[-1:] != (n,):
            continue
        bias = other.values().reshape(rows, n)
        if np.array_equal(bias, np.broadcast_to(bias[:1], bias.shape)):
            op.weights["b"] = bias[0]
            op.writes["y"] = following.writes["y"]
            graph.ops.remove(following)


def fuse_silu(graph: Graph) -> None:
    """x * sigmoid(x) becomes silu, which the kernel defines as exactly this product."""
    for op, following in _pairs(graph, "unary", lambda op: op.ints["fn"] == UNARY["sigmoid"]):
        if following.name != "binary" or following.ints["fn"] != BINARY["mul"]:
            continue
        x, views = op.reads["x"], (following.reads["a"], following.reads["b"])
        others = [view for view in views if view.buffer is not op.writes["y"].buffer]
        if len(others) != 1 or not all(v.contiguous and v.size == x.size for v in views):
            continue
        if others[0].buffer is x.buffer and others[0].offset == x.offset:
            following.name, following.reads = "unary", {"x": x}
            following.ints = {"fn": UNARY["silu"]}
            following.floats = dict(op.floats)
            graph.ops.remove(op)


def fuse_activation(graph: Graph) -> None:
    """A function of a whole gemv result is applied while the result is in registers."""
    for op, following in _pairs(graph, "gemv", lambda op: op.ints["act"] == UNARY["identity"]):
        if following.name == "unary" and following.reads["x"].size == op.writes["y"].size:
            op.ints["act"] = following.ints["fn"]
            op.floats = dict(following.floats)
            op.writes["y"] = following.writes["y"]
            graph.ops.remove(following)


def _pairs(graph: Graph, name: str, wanted: Callable[[Op], bool]) -> Iterator[tuple[Op, Op]]:
    """Operations whose result exactly one other operation reads, and no output: (op, reader)."""
    for op in list(graph.ops):
        if op.name != name or not op.writes["y"].full or not wanted(op):
            continue
        buffer = op.writes["y"].buffer
        readers = [o for o in graph.ops for view in o.reads.values() if view.buffer is buffer]
        if len(readers) == 1 and all(v.buffer is not buffer for v in graph.outputs.values()):
            yield op, readers[0]


def _reads_of(graph: Graph, buffer: Buffer) -> list[View]:
    reads = [view for op in graph.ops for view in op.reads.values()]
    return [view for view in [*reads, *graph.outputs.values()] if view.buffer is buffer]


def _redirect(graph: Graph, old: Buffer, new: Buffer, shift: int) -> None:
    for table in [graph.outputs, *(op.reads for op in graph.ops)]:
        for name, view in table.items():
            if view.buffer is old:
                table[name] = View(new, view.offset + shift, view.shape, view.strides)
