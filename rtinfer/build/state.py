"""Recurrent state: which input is the successor of which output."""

from collections.abc import Mapping, Sequence

from rtinfer.build.ir import Graph, Op, View
from rtinfer.errors import UsageError

# For each recurrent operation: the field that reads a state, the one that writes its successor.
_PAIRS = {"lstm": (("h", "h_out"), ("c", "c_out")), "gru": (("h", "h_out"),)}


def bind_state(graph: Graph, declared: Mapping[str, str], candidates: Sequence[str]) -> None:
    """Sets graph.state to the declared pairs and those found at LSTM and GRU.

    Outputs in `candidates` were lowered because they may carry a state; those that do not go.
    """
    for source, target in declared.items():
        _check_declared(graph, source, target)
        graph.state.append((source, target))
    for name, view in graph.inputs.items():
        taken = {output for _, output in graph.state}
        if name in declared or not (reads := _state_reads(graph, view)):
            continue
        for output, result in graph.outputs.items():
            if (
                output not in taken
                and result.shape == view.shape
                and _carries(graph, result, reads)
            ):
                graph.state.append((name, output))
                break
    kept = {output for _, output in graph.state}
    for name in candidates:
        if name not in kept:
            del graph.outputs[name]


def _check_declared(graph: Graph, source: str, target: str) -> None:
    option = f"--state {source}={target}"
    if source not in graph.inputs:
        raise UsageError(
            f"{option}: the chosen outputs need no input {source!r} "
            f"(they need {', '.join(graph.inputs)})."
        )
    if target not in graph.outputs:
        raise UsageError(f"{option}: the model has no output {target!r}.")
    if target in {output for _, output in graph.state}:
        raise UsageError(f"{option}: output {target!r} already feeds another state.")
    shapes = graph.inputs[source].shape, graph.outputs[target].shape
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"{option}: the input has shape {list(shapes[0])}, the output {list(shapes[1])}, "
            "expected equal shapes."
        )


def _state_reads(graph: Graph, state: View) -> list[tuple[int, View]]:
    """(element offset in `state`, the successor's view) for each recurrent read that covers it."""
    reads = []
    covered = 0
    for op in graph.ops:
        for read, write in _PAIRS.get(op.name, ()):
            if op.reads[read].buffer is state.buffer:
                reads.append((op.reads[read].offset, op.writes[write]))
                covered += op.reads[read].size
    return reads if covered == state.size else []


def _carries(graph: Graph, result: View, reads: list[tuple[int, View]]) -> bool:
    """Whether each part of `result` is the successor of the same part of the state."""
    return all(
        _is_at(graph.ops, successor, result.offset + offset, result) for offset, successor in reads
    )


def _is_at(ops: list[Op], part: View, offset: int, whole: View) -> bool:
    """Whether `part` lies at `offset` of the buffer of `whole`, itself or as a copy."""
    if part.buffer is whole.buffer:
        return part.offset == offset
    return any(
        op.name == "copy"
        and op.reads["x"].buffer is part.buffer
        and op.reads["x"].offset == part.offset
        and op.writes["y"].buffer is whole.buffer
        and op.writes["y"].offset == offset
        and op.reads["x"].size == part.size
        and op.reads["x"].contiguous
        and op.writes["y"].contiguous
        for op in ops
    )
