"""What one run of a plan costs: floating-point operations and bytes moved, counted from its ops."""

from dataclasses import dataclass

from rtinfer.engines.plan_file import Binary, Copy, Gemv, Gru, Lstm, PlanFile, PlanOp, Unary, count

PANEL = 16


@dataclass(frozen=True)
class Cost:
    """flops: a multiply-add is 2, a function of one value is 1. bytes: each operand read or written
    once, weights included; a padded weight counts in full."""

    flops: int
    weight_bytes: int
    activation_bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.flops + other.flops,
            self.weight_bytes + other.weight_bytes,
            self.activation_bytes + other.activation_bytes,
        )


def cost_of(plan: PlanFile) -> Cost:
    """The sum over all ops."""
    return sum((cost_of_op(op) for op in plan.ops), Cost(0, 0, 0))


def cost_of_op(op: PlanOp) -> Cost:
    if isinstance(op, Gemv):
        wide = -(-op.n // PANEL) * PANEL
        weights = op.rows * (op.k + (op.b >= 0)) * wide
        flops = op.rows * op.n * (2 * op.k + (op.b >= 0) + (op.act != 0))
        return Cost(flops, 4 * weights, 4 * op.rows * (op.k + op.n))
    if isinstance(op, Unary):
        return Cost(op.count, 0, 8 * op.count)
    if isinstance(op, Binary):
        size = count(op.dims)
        return Cost(size, 0, 12 * size)
    if isinstance(op, Copy):
        return Cost(0, 0, 8 * count(op.dims))
    return _recurrent(op)


def summary(op: PlanOp) -> str:
    """The op's sizes in a few characters."""
    if isinstance(op, Gemv):
        return f"{op.rows} x {op.k} -> {op.n}"
    if isinstance(op, Lstm | Gru):
        return f"{op.steps} x {op.input} -> {op.hidden}"
    if isinstance(op, Unary):
        return str(op.count)
    return " x ".join(map(str, op.dims))


def _recurrent(op: Lstm | Gru) -> Cost:
    gates, states = (4, 2) if isinstance(op, Lstm) else (3, 1)
    wide = -(-op.hidden // PANEL) * PANEL
    biases = 1 if isinstance(op, Lstm) else 2
    weights = op.steps * gates * wide * (op.input + op.hidden + biases)
    # Per hidden value: the gates' functions and the products that make the next state.
    flops = op.steps * op.hidden * (gates * 2 * (op.input + op.hidden) + 3 * gates)
    moved = op.steps * (op.input + op.hidden) + 2 * states * op.hidden
    return Cost(flops, 4 * weights, 4 * moved)
