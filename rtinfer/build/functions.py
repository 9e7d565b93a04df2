"""Codes of the scalar functions that the native kernels compute (kernels/functions.hpp)."""

UNARY: dict[str, int] = {
    "identity": 0,
    "relu": 1,
    "leaky_relu": 2,
    "elu": 3,
    "tanh": 4,
    "sigmoid": 5,
    "softplus": 6,
    "clip": 7,
    "silu": 8,
    "neg": 9,
    "abs": 10,
    "exp": 11,
    "log": 12,
    "sqrt": 13,
    "reciprocal": 14,
    "selu": 15,
    "hard_sigmoid": 16,
    "erf": 17,
    "gelu": 18,
    "floor": 19,
    "ceil": 20,
    "round": 21,
    "sign": 22,
    "sin": 23,
    "cos": 24,
}

BINARY: dict[str, int] = {"add": 0, "sub": 1, "mul": 2, "div": 3, "min": 4, "max": 5}
