"""Which function lowers which ONNX operator."""

from collections.abc import Callable

from rtinfer.build.ir import Value
from rtinfer.build.node import Node

Lowering = Callable[[Node], list[Value]]
LOWERINGS: dict[str, Lowering] = {}


def lowers(*ops: str) -> Callable[[Lowering], Lowering]:
    """Registers a lowering: from a node with a computed input to the node's outputs."""

    def register(function: Lowering) -> Lowering:
        for op in ops:
            LOWERINGS[op] = function
        return function

    return register
