"""Constant folding: a node whose inputs are all known at build time runs once, here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from rtinfer.build.emit import emit
from rtinfer.build.ir import Constant, Graph, Value, View
from rtinfer.build.node import Node, UnsupportedError
from rtinfer.build.ops import LOWERINGS
from rtinfer.build.source import first_line
from rtinfer.engines.runner import Runner
from rtinfer.errors import CheckError
from rtinfer.safetensors import decode

# Families that compute; those that only move or count values give the same bytes anywhere.
_COMPUTING = ("arithmetic", "elementwise", "linear", "recurrent")


def fold(proto: Any, opset: int, inputs: Sequence[Constant | None]) -> list[Constant]:
    """The node's outputs. UnsupportedError where neither the kernels nor ONNX know it.

    float32 arithmetic runs on the plan's own kernels, so that a folded value has the bytes that it
    would have had at run time, on every machine; the rest runs in ONNX's reference evaluator.
    """
    lowering = LOWERINGS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
    computes = lowering is not None and lowering.__module__.rpartition(".")[2] in _COMPUTING
    given = [value for value in inputs if value is not None]
    if computes and given and all(v.dtype == np.float32 and v.size for v in given):
        try:
            return _by_kernels(proto, opset, inputs)
        except (UnsupportedError, CheckError):
            pass  # a form of the operator that has no kernel may still have a reference
    return _by_reference(proto, opset, inputs)


def _by_kernels(proto: Any, opset: int, inputs: Sequence[Constant | None]) -> list[Constant]:
    """A plan of this one node, its first input fed at run time."""
    graph = Graph()
    first, *rest = inputs
    if first is None:
        raise UnsupportedError("its first input is missing")
    graph.inputs["x"] = graph.allocate(first.shape)
    operands: list[Value | None] = [graph.inputs["x"], *rest]
    for index, result in enumerate(LOWERINGS[proto.op_type](Node(proto, opset, operands, graph))):
        if not isinstance(result, View):
            raise UnsupportedError("its result is no tensor of the plan")
        graph.outputs[str(index)] = graph.copied(result)
    plan, weights = emit(graph)
    runner = Runner(plan, bytes(decode(weights, "folding").data), "folding")
    return list(runner.run({"x": first}).values())


def _by_reference(proto: Any, opset: int, inputs: Sequence[Constant | None]) -> list[Constant]:
    given = {
        name: value for name, value in zip(proto.input, inputs, strict=True) if value is not None
    }
    values = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in given]
    results = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in proto.output if name]
    graph = onnx.helper.make_graph([proto], "fold", values, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        with np.errstate(all="ignore"):
            found = iter(ReferenceEvaluator(model).run(None, given))
    except Exception as error:  # the evaluator raises whatever its operator code raises
        raise UnsupportedError(
            f"its constant inputs cannot be evaluated ({first_line(error)})"
        ) from None
    return [np.asarray(next(found)) if name else np.empty(0) for name in proto.output]
