"""From ONNX nodes to a Graph: constants fold, the rest goes to the lowering of its operator."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from rtinfer.build.axes import graph_inputs
from rtinfer.build.fold import fold
from rtinfer.build.ir import Graph, Value, View
from rtinfer.build.node import Node, UnsupportedError
from rtinfer.build.ops import LOWERINGS
from rtinfer.build.select import needed_names, needed_nodes
from rtinfer.build.source import Model, first_line
from rtinfer.errors import CheckError

FLOAT32 = onnx.TensorProto.FLOAT


def lower(model: Model, shapes: Mapping[str, tuple[int, ...]], outputs: Sequence[str]) -> Graph:
    """Lowers what `outputs` need. CheckError names every node that cannot be lowered."""
    graph = Graph()
    values: dict[str, Value] = _initializers(model, outputs)
    refusals: list[str] = _unserved_inputs(model, shapes)
    nodes: dict[tuple[str, str], list[str]] = {}
    for name, shape in shapes.items():
        graph.inputs[name] = graph.allocate(shape)
    values.update(graph.inputs)
    for proto in needed_nodes(model, outputs):
        try:
            results = _lowered(model, graph, proto, values)
        except UnsupportedError as error:
            nodes.setdefault((proto.op_type, str(error)), []).append(proto.name or proto.output[0])
            continue
        values.update({name: v for name, v in zip(proto.output, results, strict=False) if name})
    for (op, reason), names in nodes.items():
        refusals.append(f"{op} {', '.join(map(repr, names))} (opset {model.opset}): {reason}")
    if not refusals:
        refusals += _bind_outputs(graph, values, outputs)
    if refusals:
        raise CheckError(
            f"model {model.path} cannot become a plan, export it without these: "
            f"{'; '.join(refusals)}."
        )
    return graph


def _lowered(model: Model, graph: Graph, proto: Any, values: Mapping[str, Value]) -> list[Value]:
    known = proto.domain in ("", "ai.onnx") and proto.op_type in LOWERINGS
    if any(name and name not in values for name in proto.input):
        if known:
            return []  # a node before it was refused, which is the reason to tell
        raise UnsupportedError("the operator has no lowering")
    inputs = [values[name] if name else None for name in proto.input]
    node = Node(proto, model.opset, inputs, graph)
    try:
        if proto.op_type == "Constant" or not any(isinstance(v, View) for v in inputs):
            return list(fold(proto, model.opset, [_constant(value) for value in inputs]))
        if not known:
            raise UnsupportedError("the operator has no lowering")
        return LOWERINGS[proto.op_type](node)
    except UnsupportedError:
        raise
    except Exception as error:  # a malformed node must end in a sentence as well
        raise UnsupportedError(
            f"it is malformed ({type(error).__name__}: {first_line(error)})"
        ) from None


def _constant(value: Value | None) -> Any:
    return None if value is None or isinstance(value, View) else value


def _initializers(model: Model, outputs: Sequence[str]) -> dict[str, Value]:
    needed = needed_names(model, outputs)
    values: dict[str, Value] = {}
    for tensor in model.proto.graph.initializer:
        if tensor.name in needed:
            try:
                values[tensor.name] = onnx.numpy_helper.to_array(tensor)
            except Exception as error:  # sizes that do not match the data, unknown types
                raise CheckError(
                    f"initializer {tensor.name!r} of model {model.path} is malformed "
                    f"({first_line(error)}): export the model again."
                ) from None
    return values


def _unserved_inputs(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    kinds = {n: v.type.tensor_type.elem_type for n, v in graph_inputs(model).items() if n in shapes}
    return [
        f"input '{name}' is {_dtype(kind)}, only float32 is served"
        for name, kind in kinds.items()
        if kind != FLOAT32
    ]


def _bind_outputs(graph: Graph, values: Mapping[str, Value], outputs: Sequence[str]) -> list[str]:
    """Each output gets memory of its own: never an input's, never a constant's."""
    refusals = []
    inputs = {view.buffer for view in graph.inputs.values()}
    for name in outputs:
        value = values.get(name)
        if value is None:
            refusals.append(f"output '{name}' is computed by no node")
            continue
        if not isinstance(value, View) and value.dtype != np.float32:
            refusals.append(f"output '{name}' is a constant of {value.dtype}, choose --output")
            continue
        if name in graph.inputs:
            refusals.append(f"output '{name}' is an input of the same name, choose --output")
            continue
        if not value.size or 0 in value.shape:
            refusals.append(f"output '{name}' is empty, choose --output")
            continue
        view = graph.contiguous(value)
        foreign = view.buffer in inputs or view.buffer.data is not None
        graph.outputs[name] = graph.copied(view) if foreign else view
    return refusals


def _dtype(kind: int) -> str:
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError):
        return f"of ONNX type {kind}"
