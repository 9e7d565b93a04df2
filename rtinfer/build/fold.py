"""Constant folding: a node whose inputs are all known at build time runs once, here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from rtinfer.build.ir import Constant
from rtinfer.build.node import UnsupportedError


def fold(proto: Any, opset: int, inputs: Sequence[Constant | None]) -> list[Constant]:
    """The node's outputs by ONNX's reference evaluator. UnsupportedError where it has no answer."""
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
            f"its constant inputs cannot be evaluated ({type(error).__name__}: {error})"
        ) from None
    return [np.asarray(next(found)) if name else np.empty(0) for name in proto.output]
