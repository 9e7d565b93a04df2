"""Functions of one value: activations, Clip, and what a kernel computes element by element."""

import numpy as np

from rtinfer.build.ir import Value
from rtinfer.build.node import Node
from rtinfer.build.registry import lowers

_PLAIN = {
    "Abs": "abs",
    "Ceil": "ceil",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Log": "log",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Tanh": "tanh",
}


@lowers(*_PLAIN)
def plain(node: Node) -> list[Value]:
    return [node.graph.unary(_PLAIN[node.op], node.value(0))]


@lowers("LeakyRelu")
def leaky_relu(node: Node) -> list[Value]:
    return [node.graph.unary("leaky_relu", node.value(0), _float32(node, "alpha", 0.01))]


@lowers("Elu")
def elu(node: Node) -> list[Value]:
    return [node.graph.unary("elu", node.value(0), _float32(node, "alpha", 1.0))]


@lowers("Selu")
def selu(node: Node) -> list[Value]:
    alpha = _float32(node, "alpha", 1.67326319217681884765625)
    gamma = _float32(node, "gamma", 1.05070102214813232421875)
    return [node.graph.unary("selu", node.value(0), alpha, gamma)]


@lowers("HardSigmoid")
def hard_sigmoid(node: Node) -> list[Value]:
    alpha, beta = _float32(node, "alpha", 0.2), _float32(node, "beta", 0.5)
    return [node.graph.unary("hard_sigmoid", node.value(0), alpha, beta)]


@lowers("HardSwish")
def hard_swish(node: Node) -> list[Value]:
    x = node.value(0)
    gate = node.graph.unary("hard_sigmoid", x, float(np.float32(1 / 6)), 0.5)
    return [node.graph.binary("mul", x, gate)]


@lowers("Gelu")
def gelu(node: Node) -> list[Value]:
    form = node.attribute("approximate", "none")
    if form != "none":
        node.refuse(f"its approximate={form!r} has no kernel, expected 'none'")
    return [node.graph.unary("gelu", node.value(0))]


@lowers("Clip")
def clip(node: Node) -> list[Value]:
    """Attributes up to opset 10, optional scalar inputs from opset 11 on."""
    limits = np.finfo(np.float32)
    bounds = [float(limits.min), float(limits.max)]
    for position, name in enumerate(("min", "max")):
        if node.opset < 11:
            bounds[position] = _float32(node, name, bounds[position])
        elif (bound := node.optional_constant(position + 1, name)) is not None:
            if bound.size != 1:
                node.refuse(f"its {name} has {bound.size} values, expected one")
            bounds[position] = float(bound.reshape(-1)[0])
    if np.any(np.isnan(bounds)):
        node.refuse("a bound is NaN")
    if np.any(np.isinf(bounds)):
        bounds = [float(np.clip(bound, limits.min, limits.max)) for bound in bounds]
    return [node.graph.unary("clip", node.value(0), *bounds)]


@lowers("PRelu")
def prelu(node: Node) -> list[Value]:
    """With one slope for all values it is LeakyRelu."""
    slope = node.constant(1, "slope")
    if slope.size == 0 or np.any(slope != slope.reshape(-1)[0]):
        node.refuse("it has several slopes, expected one for all values")
    return [node.graph.unary("leaky_relu", node.value(0), float(slope.reshape(-1)[0]))]


@lowers("Softsign")
def softsign(node: Node) -> list[Value]:
    """x / (1 + |x|)."""
    x = node.value(0)
    below = node.graph.binary("add", node.graph.unary("abs", x), np.ones(1, np.float32))
    return [node.graph.binary("div", x, below.reshaped(x.shape))]


@lowers("Mish")
def mish(node: Node) -> list[Value]:
    """x * tanh(softplus(x))."""
    x = node.value(0)
    gate = node.graph.unary("tanh", node.graph.unary("softplus", x))
    return [node.graph.binary("mul", x, gate)]


@lowers("Dropout")
def dropout(node: Node) -> list[Value]:
    """At inference the identity; a training mode is refused as random before this."""
    if node.used(1):
        node.refuse("its mask output is boolean, only float32 is computed")
    return [node.value(0)]


@lowers("Cast", "CastLike")
def cast(node: Node) -> list[Value]:
    target = node.attribute("to", 1) if node.op == "Cast" else 1
    if target != 1:
        node.refuse("it casts computed values to another type, only float32 is computed")
    return [node.value(0)]


def _float32(node: Node, name: str, default: float) -> float:
    """An attribute as the float32 that the kernel gets."""
    return float(np.float32(node.attribute(name, default)))
