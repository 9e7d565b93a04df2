"""plan.json: the static plan as stored, and its form for the native Plan.

Offsets are bytes into one block = [weights | arena]. An op's integers cross to C++ in field order;
its lists of sizes are preceded by their common length (`rank`).
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from rtinfer.errors import CheckError
from rtinfer.manifest import Axis, Name, canonical

SCHEMA: Final = 1
# Names the summation orders of docs/numerics.md: the bytes an engine computes depend on it.
NUMERICS = "rtinfer-1"

Offset = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
OptionalOffset = Annotated[int, msgspec.Meta(ge=-1, le=2**40)]
Size = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Stride = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
Code = Annotated[int, msgspec.Meta(ge=0, le=255)]


class _Op(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    pass


class Gemv(_Op, frozen=True, tag="gemv"):
    x: Offset
    w: Offset
    b: OptionalOffset
    y: Offset
    rows: Size
    k: Size
    n: Size
    act: Code
    alpha: float
    beta: float


class Unary(_Op, frozen=True, tag="unary"):
    x: Offset
    y: Offset
    count: Size
    fn: Code
    alpha: float
    beta: float


class Binary(_Op, frozen=True, tag="binary"):
    a: Offset
    b: Offset
    y: Offset
    fn: Code
    dims: tuple[Size, ...]
    a_strides: tuple[Stride, ...]
    b_strides: tuple[Stride, ...]


class Copy(_Op, frozen=True, tag="copy"):
    x: Offset
    y: Offset
    dims: tuple[Size, ...]
    x_strides: tuple[Stride, ...]
    y_strides: tuple[Stride, ...]


class Lstm(_Op, frozen=True, tag="lstm"):
    x: Offset
    h: Offset
    c: Offset
    y: OptionalOffset
    h_out: OptionalOffset
    c_out: OptionalOffset
    w: Offset
    r: Offset
    b: Offset
    steps: Size
    input: Size
    hidden: Size
    reverse: Flag


class Gru(_Op, frozen=True, tag="gru"):
    x: Offset
    h: Offset
    y: OptionalOffset
    h_out: OptionalOffset
    w: Offset
    r: Offset
    wb: Offset
    rb: Offset
    steps: Size
    input: Size
    hidden: Size
    linear_before_reset: Flag
    reverse: Flag


PlanOp = Gemv | Unary | Binary | Copy | Lstm | Gru
NativeOp = tuple[str, list[int], list[float]]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a named tensor lies in the block."""

    name: Name
    shape: tuple[Axis, ...]
    offset: Offset


class StatePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a state is read (`in_offset`) and where a run leaves its successor (`out_offset`)."""

    input: Name
    output: Name
    shape: tuple[Axis, ...]
    in_offset: Offset
    out_offset: Offset


class PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal[1]
    numerics: str
    weights_bytes: Offset
    arena_bytes: Offset
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    state: tuple[StatePlace, ...]
    ops: tuple[PlanOp, ...]


def encode(plan: PlanFile) -> bytes:
    return canonical(plan)


def decode(content: bytes, label: str) -> PlanFile:
    """Reads and checks plan.json; offsets against the block are checked by the native Plan."""
    try:
        plan = msgspec.json.decode(content, type=PlanFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckError(
            f"{label} is not a plan that this version of rtinfer reads ({error}): "
            "rebuild the engine with `rtinfer build`."
        ) from None
    if plan.numerics != NUMERICS:
        raise CheckError(
            f"{label} was built for numerics {plan.numerics!r}, this version has {NUMERICS!r}: "
            "rebuild the engine with `rtinfer build`."
        )
    return plan


def count(shape: tuple[int, ...]) -> int:
    """Number of elements."""
    product = 1
    for axis in shape:
        product *= axis
    return product


def native_op(op: PlanOp) -> NativeOp:
    """(name, integers, floats) in the order that the native Plan expects."""
    integers: list[int] = []
    floats: list[float] = []
    ranked = False
    for field in op.__struct_fields__:
        value: Any = getattr(op, field)
        if isinstance(value, float):
            floats.append(value)
        elif isinstance(value, int):
            integers.append(value)
        else:
            if not ranked:
                integers.append(len(value))
                ranked = True
            integers.extend(value)
    return str(op.__struct_config__.tag), integers, floats


def native_state(plan: PlanFile) -> list[tuple[int, int, int]]:
    """(in offset, out offset, bytes) for each state."""
    return [(s.in_offset, s.out_offset, 4 * count(s.shape)) for s in plan.state]
