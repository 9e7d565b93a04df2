"""Arithmetic of several values with broadcasting."""

import numpy as np

from rtinfer.build.ir import Value, View
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers

_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
_VARIADIC = {"Sum": "add", "Min": "min", "Max": "max"}


@lowers(*_BINARY)
def binary(node: Node) -> list[Value]:
    return [_apply(node, _BINARY[node.op], node.value(0), node.value(1))]


@lowers(*_VARIADIC)
def variadic(node: Node) -> list[Value]:
    """From left to right."""
    result = node.value(0)
    for index in range(1, len(node.inputs)):
        result = _apply(node, _VARIADIC[node.op], result, node.value(index))
    return [result]


@lowers("Pow")
def power(node: Node) -> list[Value]:
    """Small constant exponents become products, roots and reciprocals."""
    x, exponent = node.value(0), node.constant(1, "exponent")
    if exponent.size != 1:
        node.refuse("its exponent has several values, expected one")
    shape = np.broadcast_shapes(x.shape, exponent.shape)
    factor = float(exponent.reshape(-1)[0])
    if factor == 1.0:
        result = node.graph.view(x)
    elif factor == 2.0:
        result = node.graph.binary("mul", x, x)
    elif factor == 3.0:
        result = node.graph.binary("mul", node.graph.binary("mul", x, x), x)
    elif factor == 0.5:
        result = node.graph.unary("sqrt", x)
    elif factor == -1.0:
        result = node.graph.unary("reciprocal", x)
    else:
        node.refuse(f"its exponent {factor:g} has no kernel, expected 2, 3, 0.5, 1 or -1")
    return [node.graph.contiguous(result).reshaped(shape)]


def _apply(node: Node, fn: str, a: Value, b: Value) -> View:
    try:
        return node.graph.binary(fn, a, b)
    except ValueError:
        node.refuse(f"shapes {list(a.shape)} and {list(b.shape)} do not broadcast")
