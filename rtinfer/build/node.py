"""One ONNX node as its lowering sees it: resolved inputs, attributes, and how to refuse it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import onnx

from rtinfer.build.ir import Constant, Graph, Value, View


class UnsupportedError(Exception):
    """Why one node cannot be lowered; the caller adds which node it is."""


@dataclass
class Node:
    """`inputs` holds None for an optional input that was left out."""

    proto: Any
    opset: int
    inputs: list[Value | None]
    graph: Graph

    @property
    def op(self) -> str:
        return str(self.proto.op_type)

    @property
    def label(self) -> str:
        name = self.proto.name or "/".join(self.proto.output)
        return f"{self.op} '{name}'"

    def refuse(self, reason: str) -> NoReturn:
        raise UnsupportedError(reason)

    def attribute(self, name: str, default: Any = None) -> Any:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def ints(self, name: str) -> list[int] | None:
        value = self.attribute(name)
        return None if value is None else [int(item) for item in value]

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        """The input, which must be given; a constant must be float32 to meet computed values."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            self.refuse(f"its input {index} is missing")
        if not isinstance(value, View) and value.dtype != np.float32:
            self.refuse(f"its constant input {index} is {value.dtype}, only float32 is computed")
        return value

    def constant(self, index: int, what: str) -> Constant:
        """A float32 input that must be known at build time."""
        value = self.value(index)
        if isinstance(value, View):
            self.refuse(f"its {what} is computed at run time, expected a constant")
        return value

    def optional_constant(self, index: int, what: str) -> Constant | None:
        return self.constant(index, what) if self.has(index) else None

    def integers(self, index: int, what: str) -> list[int] | None:
        """An integer input that must be known at build time; None when left out."""
        if not self.has(index):
            return None
        value = self.inputs[index]
        if value is None or isinstance(value, View):
            self.refuse(f"its {what} is computed at run time, expected a constant")
        return [int(item) for item in np.atleast_1d(value).ravel()]

    def axis(self, axis: int, rank: int) -> int:
        if not -rank <= axis < rank:
            self.refuse(f"its axis {axis} is outside a tensor of rank {rank}")
        return axis % rank

    def axes(self, axes: Sequence[int], rank: int) -> list[int]:
        return [self.axis(axis, rank) for axis in axes]

    def used(self, index: int) -> bool:
        """Whether the node's output `index` is named at all."""
        return index < len(self.proto.output) and self.proto.output[index] != ""
