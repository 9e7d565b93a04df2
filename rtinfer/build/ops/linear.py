"""Matrix products with constant weights: Gemm and MatMul."""

import numpy as np

from rtinfer.build.ir import Constant, Graph, Value, View
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers


@lowers("Gemm")
def gemm(node: Node) -> list[Value]:
    """alpha * A . B + beta * C, with B constant; alpha and beta are folded into the constants."""
    x = node.graph.view(node.value(0))
    if node.attribute("transA", 0):
        x = x.strided(x.shape[::-1], x.strides[::-1])
    weight = node.constant(1, "matrix B")
    if len(x.shape) != 2:
        node.refuse(f"its A has shape {list(x.shape)}, expected two axes")
    weight = weight.T if node.attribute("transB", 0) else weight
    _check_product(node, x, weight)
    alpha = np.float32(node.attribute("alpha", 1.0))
    beta = np.float32(node.attribute("beta", 1.0))
    weight = weight if alpha == 1 else weight * alpha
    rows, n = x.shape[0], weight.shape[1]
    if not node.has(2) or beta == 0:
        return [node.graph.gemv(x, weight, None)]
    added = _scaled(node.graph, node.value(2), beta)
    if isinstance(added, View):
        return [node.graph.binary("add", node.graph.gemv(x, weight, None), added)]
    try:
        bias = np.broadcast_to(added, (rows, n))
    except ValueError:
        node.refuse(f"its C of shape {list(added.shape)} does not broadcast to [{rows}, {n}]")
    if np.all(bias == bias[:1]):
        return [node.graph.gemv(x, weight, bias[0])]
    return [node.graph.binary("add", node.graph.gemv(x, weight, None), bias)]


@lowers("MatMul")
def matmul(node: Node) -> list[Value]:
    """Rows of A with one constant matrix B."""
    x = node.graph.view(node.value(0))
    weight = node.constant(1, "second operand")
    shape = x.shape if len(x.shape) > 1 else (1, *x.shape)
    vector = weight.ndim == 1
    if vector:
        weight = weight[:, None]
    if weight.ndim > 2:
        if any(axis != 1 for axis in weight.shape[:-2]):
            node.refuse(f"its second operand {list(weight.shape)} is a batch of matrices")
        shape = (1,) * (weight.ndim - len(shape)) + shape
        weight = weight.reshape(weight.shape[-2:])
    x = node.graph.contiguous(x)
    _check_product(node, x.reshaped(shape), weight)
    y = node.graph.gemv(x.reshaped(shape), weight, None)
    result = y.shape[:-1] if vector else y.shape
    if len(x.shape) == 1:
        result = result[:-1] if vector else (*result[:-2], result[-1])
    return [y.reshaped(result)]


def _check_product(node: Node, x: View, weight: Constant) -> None:
    if not x.shape or weight.ndim != 2 or x.shape[-1] != weight.shape[0]:
        node.refuse(f"shapes {list(x.shape)} and {list(weight.shape)} have no matrix product")


def _scaled(graph: Graph, value: Value, beta: np.float32) -> Value:
    if beta == 1:
        return value
    if isinstance(value, View):
        return graph.binary("mul", value, np.array([beta], np.float32))
    return value * beta
