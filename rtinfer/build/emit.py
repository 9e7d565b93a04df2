"""From a simplified graph to plan.json and weights.safetensors: views become byte offsets."""

from typing import Any

import msgspec

from rtinfer import safetensors
from rtinfer.build.ir import Buffer, Constant, Graph, Op, View
from rtinfer.build.memory import plan_arena
from rtinfer.build.pack import pack, pack_vector
from rtinfer.engines import plan_file
from rtinfer.engines.plan_file import NUMERICS, SCHEMA, Place, PlanFile, PlanOp, StatePlace
from rtinfer.errors import CheckError

MAX_RANK = 8
MAX_BLOCK_BYTES = 2**30  # no larger arena is taken by the native Plan
_OPTIONAL = {
    "gemv": ("b",),
    "lstm": ("y", "h_out", "c_out"),
    "gru": ("y", "h_out"),
}


def emit(graph: Graph) -> tuple[PlanFile, bytes]:
    """The plan and the bytes of weights.safetensors, whose data section heads the plan's block."""
    weights = _Weights()
    packed: list[dict[str, int]] = []
    constants: dict[Buffer, int] = {}
    for index, op in enumerate(graph.ops):
        arrays = pack(op).items()
        packed.append({name: weights.add(f"{index:04}.{name}", array) for name, array in arrays})
        for name, view in op.reads.items():
            if view.buffer.data is not None and view.buffer not in constants:
                data = pack_vector(view.buffer.data)
                constants[view.buffer] = weights.add(f"{index:04}.{name}", data)
    arena, arena_bytes = plan_arena(graph)
    if weights.size + arena_bytes > MAX_BLOCK_BYTES:
        raise CheckError(
            f"the plan needs {weights.size + arena_bytes} bytes, at most {MAX_BLOCK_BYTES} are "
            "served: build it for smaller axes or use another backend."
        )
    offsets = constants | {buffer: weights.size + at for buffer, at in arena.items()}
    state_inputs = {name for name, _ in graph.state}
    state_outputs = {name for _, name in graph.state}
    plan = PlanFile(
        schema=SCHEMA,
        numerics=NUMERICS,
        weights_bytes=weights.size,
        arena_bytes=arena_bytes,
        inputs=_places(graph.inputs, offsets, state_inputs),
        outputs=_places(graph.outputs, offsets, state_outputs),
        state=tuple(
            StatePlace(
                name,
                output,
                graph.inputs[name].shape,
                _at(graph.inputs[name], offsets),
                _at(graph.outputs[output], offsets),
            )
            for name, output in graph.state
        ),
        ops=tuple(_op(op, p, offsets) for op, p in zip(graph.ops, packed, strict=True)),
    )
    # What was written must be what a loader accepts.
    plan_file.decode(plan_file.encode(plan), "the new plan.json")
    return plan, safetensors.encode(weights.tensors)


class _Weights:
    """The constants in the order in which a run reads them; equal ones are stored once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Constant] = {}
        self.size = 0
        self._known: dict[bytes, int] = {}

    def add(self, name: str, array: Constant) -> int:
        content = array.tobytes()
        if content not in self._known:
            self._known[content] = self.size
            self.tensors[name] = array
            self.size += len(content)
        return self._known[content]


def _places(
    views: dict[str, View], offsets: dict[Buffer, int], state: set[str]
) -> tuple[Place, ...]:
    return tuple(
        Place(name, view.shape, _at(view, offsets))
        for name, view in views.items()
        if name not in state
    )


def _at(view: View, offsets: dict[Buffer, int]) -> int:
    return offsets[view.buffer] + 4 * view.offset


def _op(op: Op, packed: dict[str, int], offsets: dict[Buffer, int]) -> PlanOp:
    fields: dict[str, Any] = {"op": op.name, **dict.fromkeys(_OPTIONAL.get(op.name, ()), -1)}
    fields |= packed | op.ints | op.floats
    fields |= {n: _at(view, offsets) for n, view in (op.reads | op.writes).items()}
    if op.name == "gemv":
        fields["k"], fields["n"] = op.weights["w"].shape
    elif op.name == "unary":
        fields["count"] = op.writes["y"].size
    elif op.name == "binary":
        a, b = op.reads["a"], op.reads["b"]
        fields["dims"], (fields["a_strides"], fields["b_strides"], _) = _collapsed(
            [a, b, op.writes["y"]]
        )
    elif op.name == "copy":
        x, y = op.reads["x"], op.writes["y"]
        fields["dims"], (fields["x_strides"], fields["y_strides"]) = _collapsed([x, y])
    kinds: Any = PlanOp
    converted: PlanOp = msgspec.convert(fields, kinds)
    return converted


def _collapsed(views: list[View]) -> tuple[list[int], list[list[int]]]:
    """One shape with the strides of each view, in as few axes as describe them all."""
    dims: list[int] = []
    strides: list[list[int]] = [[] for _ in views]
    for axis, n in enumerate(views[0].shape):
        if n == 1:
            continue
        steps = [view.strides[axis] for view in views]
        if dims and all(s[-1] == step * n for s, step in zip(strides, steps, strict=True)):
            dims[-1] *= n
            for s, step in zip(strides, steps, strict=True):
                s[-1] = step
        else:
            dims.append(n)
            for s, step in zip(strides, steps, strict=True):
                s.append(step)
    if len(dims) > MAX_RANK:
        raise CheckError(
            f"an operation has {len(dims)} axes of its own, the kernels take {MAX_RANK}: "
            "export the model with fewer axes."
        )
    if not dims:
        dims, strides = [1], [[1] for _ in views]
    return dims, strides
