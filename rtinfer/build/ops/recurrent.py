"""LSTM and GRU with constant weights and batch 1; each direction becomes one operation."""

from typing import Any

import numpy as np

from rtinfer.build.ir import Constant, Op, Value, View
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers


@lowers("LSTM")
def lstm(node: Node) -> list[Value]:
    x, directions, hidden = _sequence(node, gates=4, activations=["Sigmoid", "Tanh", "Tanh"])
    if node.attribute("input_forget", 0):
        node.refuse("input_forget=1 has no kernel")
    peepholes = node.optional_constant(7, "peephole weights P")
    if peepholes is not None and np.any(peepholes != 0):
        node.refuse("peephole connections (input P) have no kernel")
    w, r, b = _weights(node, 4, hidden, len(directions), x.shape[-1])
    h, c = (_initial(node, index, len(directions), hidden) for index in (5, 6))
    frame = _Outputs(node, x, len(directions), hidden, states=2)
    for index, reverse in enumerate(directions):
        reads = {"x": x, "h": h.sliced(0, index, 1), "c": c.sliced(0, index, 1)}
        writes = frame.writes(index, ["h_out", "c_out"])
        weights = {"w": w[index], "r": r[index], "b": b[index, 0] + b[index, 1]}
        ints = {"steps": x.shape[0], "input": x.shape[-1], "hidden": hidden, "reverse": reverse}
        node.graph.ops.append(Op("lstm", reads, writes, weights, ints))
    return frame.results()


@lowers("GRU")
def gru(node: Node) -> list[Value]:
    x, directions, hidden = _sequence(node, gates=3, activations=["Sigmoid", "Tanh"])
    w, r, b = _weights(node, 3, hidden, len(directions), x.shape[-1])
    h = _initial(node, 5, len(directions), hidden)
    frame = _Outputs(node, x, len(directions), hidden, states=1)
    for index, reverse in enumerate(directions):
        reads = {"x": x, "h": h.sliced(0, index, 1)}
        writes = frame.writes(index, ["h_out"])
        weights = {"w": w[index], "r": r[index], "wb": b[index, 0], "rb": b[index, 1]}
        ints = {"steps": x.shape[0], "input": x.shape[-1], "hidden": hidden, "reverse": reverse}
        ints["linear_before_reset"] = int(node.attribute("linear_before_reset", 0))
        node.graph.ops.append(Op("gru", reads, writes, weights, ints))
    return frame.results()


class _Outputs:
    """Y and the final states of all directions; with one step and direction Y is the final h."""

    def __init__(self, node: Node, x: View, directions: int, hidden: int, states: int) -> None:
        graph, steps = node.graph, x.shape[0]
        self._node, self._hidden, self._directions, self._steps = node, hidden, directions, steps
        self._batch_first = bool(node.attribute("layout", 0))
        self._finals = [graph.allocate((directions, 1, hidden)) for _ in range(states)]
        self._whole = steps == 1 and directions == 1
        self._parts = [graph.allocate((steps, hidden)) for _ in range(directions)]

    def writes(self, direction: int, names: list[str]) -> dict[str, View]:
        finals = {
            name: final.sliced(0, direction, 1)
            for name, final in zip(names, self._finals, strict=True)
        }
        return finals if self._whole else {"y": self._parts[direction], **finals}

    def results(self) -> list[Value]:
        steps, directions, hidden = self._steps, self._directions, self._hidden
        graph = self._node.graph
        if self._whole:
            y = self._finals[0]
        elif directions == 1:
            y = self._parts[0]
        else:
            y = graph.allocate((steps, directions, hidden))
            for index, part in enumerate(self._parts):
                graph.copy(part.reshaped((steps, 1, hidden)), y.sliced(1, index, 1))
        first = (1, steps, directions) if self._batch_first else (steps, directions, 1)
        state = (1, directions, hidden) if self._batch_first else (directions, 1, hidden)
        return [y.reshaped((*first, hidden)), *(final.reshaped(state) for final in self._finals)]


def _sequence(node: Node, gates: int, activations: list[str]) -> tuple[View, list[int], int]:
    """x[steps, input], a reverse flag for each direction, and the hidden size."""
    x = node.graph.contiguous(node.value(0))
    if len(x.shape) != 3:
        node.refuse(f"its input has shape {list(x.shape)}, expected three axes")
    steps, batch, width = x.shape
    if node.attribute("layout", 0):
        steps, batch = batch, steps
    if batch != 1:
        node.refuse(f"its batch is {batch}, expected 1")
    direction = node.attribute("direction", "forward")
    flags = {"forward": [0], "reverse": [1], "bidirectional": [0, 1]}.get(direction)
    if flags is None:
        node.refuse(f"its direction {direction!r} is unknown")
    _check_variant(node, activations * len(flags))
    lengths = node.integers(4, "sequence_lens")
    if lengths is not None and lengths != [steps]:
        node.refuse(f"its sequence_lens {lengths} are not the whole sequence of {steps}")
    recurrence = node.constant(2, "recurrence weights R")
    hidden = int(recurrence.shape[-1])
    if node.attribute("hidden_size", hidden) != hidden:
        node.refuse(f"its hidden_size is not that of R, {hidden}")
    if recurrence.shape != (len(flags), gates * hidden, hidden):
        node.refuse(f"its R has shape {list(recurrence.shape)}")
    return x.reshaped((steps, width)), flags, hidden


def _check_variant(node: Node, activations: list[str]) -> None:
    given: Any = node.attribute("activations")
    if given is not None:
        names = [a.decode() if isinstance(a, bytes) else str(a) for a in given]
        if [name.lower() for name in names] != [name.lower() for name in activations]:
            node.refuse(f"its activations {names} have no kernel, expected {activations}")
    if node.attribute("clip") is not None:
        node.refuse("its clip has no kernel")


def _weights(
    node: Node, gates: int, hidden: int, directions: int, width: int
) -> tuple[Constant, Constant, Constant]:
    """W[directions, gates*hidden, input], R over hidden, B[directions, 2, gates*hidden]."""
    w, r = node.constant(1, "weights W"), node.constant(2, "recurrence weights R")
    if w.shape != (directions, gates * hidden, width):
        node.refuse(f"its W has shape {list(w.shape)}")
    b = node.optional_constant(3, "biases B")
    if b is None:
        b = np.zeros((directions, 2 * gates * hidden), np.float32)
    if b.shape != (directions, 2 * gates * hidden):
        node.refuse(f"its B has shape {list(b.shape)}")
    return w, r, b.reshape(directions, 2, gates * hidden)


def _initial(node: Node, index: int, directions: int, hidden: int) -> View:
    """The initial state as [directions, 1, hidden]; zeros when it is left out."""
    if not node.has(index):
        return node.graph.view(np.zeros((directions, 1, hidden), np.float32))
    state = node.graph.contiguous(node.value(index))
    if state.size != directions * hidden:
        node.refuse(f"its initial state has shape {list(state.shape)}")
    return state.reshaped((directions, 1, hidden))
