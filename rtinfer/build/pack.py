"""Weights in the layout that the kernels stream: panels of 16 outputs, zero padded."""

import numpy as np

from rtinfer.build.ir import Constant, Op

PANEL = 16

_GATES = {"lstm": 4, "gru": 3}


def pack(op: Op) -> dict[str, Constant]:
    """The operation's weights by field name, each a multiple of 16 float32 values long."""
    if op.name == "gemv":
        pack_one = {"w": pack_matrix, "b": pack_vector}
        return {name: pack_one[name](array) for name, array in op.weights.items()}
    gates = _GATES.get(op.name, 0)
    return {
        name: _by_gate(array.T if array.ndim == 2 else array, gates)
        for name, array in op.weights.items()
    }


def pack_matrix(weight: Constant) -> Constant:
    """[k, n] to [ceil(n / 16), k, 16]."""
    k, n = weight.shape
    panels = -(-n // PANEL)
    padded = np.zeros((k, panels * PANEL), np.float32)
    padded[:, :n] = weight
    return np.ascontiguousarray(padded.reshape(k, panels, PANEL).transpose(1, 0, 2))


def pack_vector(values: Constant) -> Constant:
    """[n] to [ceil(n / 16) * 16]."""
    padded = np.zeros(-(-values.size // PANEL) * PANEL, np.float32)
    padded[: values.size] = values.ravel()
    return padded


def _by_gate(array: Constant, gates: int) -> Constant:
    """[k, gates * hidden] or [gates * hidden]: each gate packed on its own, one after another."""
    parts = np.split(array, gates, axis=-1)
    packed = [pack_matrix(part) if part.ndim == 2 else pack_vector(part) for part in parts]
    return np.stack(packed)
