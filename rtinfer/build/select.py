"""Choosing outputs: only what they need is lowered, and none may depend on chance."""

from collections.abc import Iterable, Sequence
from typing import Any

import onnx

from rtinfer.build.source import Model
from rtinfer.errors import UsageError

_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
# What may stand between a recurrent layer and the output that carries its state.
_CARRIERS = {"Concat", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Constant", "Flatten"}


def chosen_outputs(model: Model, outputs: Sequence[str] | None) -> list[str]:
    """The outputs to serve, all by default. UsageError for an unknown one or one left to chance."""
    names = [value.name for value in model.proto.graph.output]
    chosen = list(dict.fromkeys(outputs if outputs else names))
    for name in chosen:
        if name not in names:
            raise UsageError(
                f"--output {name}: model {model.path} has no such output "
                f"(it has {', '.join(names)})."
            )
    random = {name: _random_nodes(model, [name]) for name in names}
    dependent = [name for name in chosen if random[name]]
    if dependent:
        free = [name for name in names if not random[name]]
        fix = (
            "choose from these with --output: " + ", ".join(free)
            if free
            else "export the policy without sampling"
        )
        raise UsageError(
            f"output {', '.join(map(repr, dependent))} of model {model.path} depends on "
            f"{', '.join(random[dependent[0]])}, which is random, and a plan gives equal actions "
            f"for equal observations: {fix}."
        )
    return chosen


def needed_nodes(model: Model, outputs: Iterable[str]) -> list[Any]:
    """The nodes that `outputs` depend on, in the model's order (which is topological)."""
    wanted = set(outputs)
    nodes = []
    for node in reversed(model.proto.graph.node):
        if wanted.intersection(node.output):
            wanted.update(_reads(node))
            nodes.append(node)
    return nodes[::-1]


def needed_names(model: Model, outputs: Iterable[str]) -> set[str]:
    """All tensor names that `outputs` depend on, themselves included."""
    wanted = set(outputs)
    for node in needed_nodes(model, wanted):
        wanted.update(_reads(node))
    return wanted


def state_candidates(model: Model, chosen: Sequence[str]) -> list[str]:
    """Outputs not chosen that may carry the state of a recurrent layer that a chosen one needs."""
    needed = needed_nodes(model, chosen)
    known = {name for node in needed for name in node.output}
    if not any(node.op_type in ("LSTM", "GRU") for node in needed):
        return []
    candidates = []
    for value in model.proto.graph.output:
        extra = [
            node
            for node in needed_nodes(model, [value.name])
            if not known.intersection(node.output)
        ]
        if value.name not in chosen and all(node.op_type in _CARRIERS for node in extra):
            candidates.append(value.name)
    return candidates


def _random_nodes(model: Model, outputs: Sequence[str]) -> list[str]:
    nodes = needed_nodes(model, outputs)
    return [
        f"{node.op_type} '{node.name or node.output[0]}'"
        for node in nodes
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and _trains(model, node))
    ]


def _trains(model: Model, node: Any) -> bool:
    """Dropout drops only when its third input is true (opset 12 on); unknown counts as true."""
    if len(node.input) < 3 or not node.input[2]:
        return False
    for tensor in model.proto.graph.initializer:
        if tensor.name == node.input[2]:
            return bool(onnx.numpy_helper.to_array(tensor).any())
    for other in model.proto.graph.node:
        if node.input[2] in other.output and other.op_type == "Constant":
            return any(bool(onnx.numpy_helper.to_array(a.t).any()) for a in other.attribute)
    return True


def _reads(node: Any) -> set[str]:
    """Input names of a node, those that its subgraphs take from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else []
        for graph in [*graphs, *attribute.graphs]:
            for inner in graph.node:
                names |= _reads(inner)
            names.update(value.name for value in graph.output)
    return names - {""}
