"""The memory plan: where each buffer of the arena lies, reusing what is no longer read."""

from dataclasses import dataclass

from rtinfer.build.ir import Buffer, Graph

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register


@dataclass(frozen=True)
class _Lifetime:
    """A buffer of `size` bytes is in use from operation `first` to operation `last`, inclusive."""

    buffer: Buffer
    size: int
    first: int
    last: int


def aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def plan_arena(graph: Graph) -> tuple[dict[Buffer, int], int]:
    """Byte offset of each computed buffer in the arena, and the arena's size.

    Inputs, outputs and states are written and read between runs, so they never share memory. The
    rest is placed largest first at the lowest offset that is free for its whole lifetime.
    """
    placed: list[tuple[int, _Lifetime]] = []
    lifetimes = _lifetimes(graph)
    end = len(graph.ops)
    lasting = [life for life in lifetimes if life.first == 0 and life.last == end]
    passing = [life for life in lifetimes if not (life.first == 0 and life.last == end)]
    for life in [*lasting, *sorted(passing, key=lambda life: -life.size)]:
        placed.append((_lowest_free(placed, life), life))
    offsets = {life.buffer: offset for offset, life in placed}
    return offsets, max((offset + life.size for offset, life in placed), default=0)


def _lowest_free(placed: list[tuple[int, _Lifetime]], life: _Lifetime) -> int:
    taken = sorted(
        (offset, offset + other.size)
        for offset, other in placed
        if other.first <= life.last and life.first <= other.last
    )
    at = 0
    for begin, end in taken:
        if begin - at >= life.size:
            break
        at = max(at, end)
    return at


def _lifetimes(graph: Graph) -> list[_Lifetime]:
    """In order of first appearance, so that equal models give equal plans."""
    end = len(graph.ops)
    spans: dict[Buffer, tuple[int, int]] = {}
    for view in [*graph.inputs.values(), *graph.outputs.values()]:
        spans[view.buffer] = (0, end)
    for index, op in enumerate(graph.ops):
        for view in [*op.writes.values(), *op.reads.values()]:
            if view.buffer.data is None:
                first, last = spans.get(view.buffer, (index, index))
                spans[view.buffer] = (first, max(last, index))
    return [
        _Lifetime(buffer, aligned(4 * buffer.size), first, last)
        for buffer, (first, last) in spans.items()
    ]
