"""Fixing every axis of the model's inputs: a plan has no symbolic size."""

from collections.abc import Mapping
from typing import Any

from rtinfer.build.source import Model
from rtinfer.errors import CheckError, UsageError

MAX_AXIS = 2**31 - 1


def graph_inputs(model: Model) -> dict[str, Any]:
    """The inputs that a caller feeds: initialisers are listed among them in old models."""
    constants = {tensor.name for tensor in model.proto.graph.initializer}
    return {value.name: value for value in model.proto.graph.input if value.name not in constants}


def fixed_shapes(
    model: Model, dims: Mapping[str, int], needed: set[str]
) -> dict[str, tuple[int, ...]]:
    """Input shapes with `dims` applied: a symbol that leads an input is the batch and becomes 1.

    An axis without a name is called INPUT.AXIS. UsageError names what is missing or unknown.
    """
    symbols = {name: _symbols(model, value) for name, value in graph_inputs(model).items()}
    known = {axis for axes in symbols.values() for axis in axes if isinstance(axis, str)}
    _check_dims(model, dims, known)
    sizes = {axes[0]: 1 for axes in symbols.values() if axes and isinstance(axes[0], str)}
    sizes.update(dims)
    missing = {
        axis: name
        for name, axes in symbols.items()
        for axis in axes
        if name in needed and isinstance(axis, str) and axis not in sizes
    }
    if missing:
        names = ", ".join(f"{axis!r} (of input {name!r})" for axis, name in missing.items())
        option = " ".join(f"--dim {axis}=VALUE" for axis in missing)
        raise UsageError(
            f"model {model.path} leaves the size of {names} open, a plan needs it: pass {option}."
        )
    return {
        name: tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)
        for name, axes in symbols.items()
        if name in needed
    }


def _symbols(model: Model, value: Any) -> list[int | str]:
    """One entry for each axis: its size, or its name."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise CheckError(
            f"input {value.name!r} of model {model.path} is not a tensor with a known rank: "
            "export it with a shape."
        )
    axes: list[int | str] = []
    for index, axis in enumerate(kind.shape.dim):
        if axis.HasField("dim_value"):
            if not 1 <= axis.dim_value <= MAX_AXIS:
                raise CheckError(
                    f"axis {index} of input {value.name!r} has size {axis.dim_value}, "
                    "expected at least 1: export the model with another shape."
                )
            axes.append(int(axis.dim_value))
        else:
            axes.append(axis.dim_param or f"{value.name}.{index}")
    return axes


def _check_dims(model: Model, dims: Mapping[str, int], known: set[str]) -> None:
    for name, size in dims.items():
        if name not in known:
            expected = ", ".join(sorted(known)) or "none, every size is fixed"
            raise UsageError(
                f"--dim {name}={size}: model {model.path} has no open axis {name!r} "
                f"(open: {expected})."
            )
        if not 1 <= size <= MAX_AXIS:
            raise UsageError(f"--dim {name}={size}: expected a size from 1 to {MAX_AXIS}.")
