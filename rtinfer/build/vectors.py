"""Input sequences on which a plan is compared and which its artifact stores."""

from collections.abc import Iterator, Mapping

import numpy as np

from rtinfer.engines.plan_file import count
from rtinfer.engines.runner import Array

Feed = dict[str, Array]
Shapes = Mapping[str, tuple[int, ...]]

_SEED = 20_260_101
_LONG, _SHORT = 32, 3
_STORED_BYTES = 2**20
_EDGES = {
    "zeros": 0.0,
    "negative zeros": -0.0,
    "ones": 1.0,
    "minus ones": -1.0,
    "denormal": 1e-40,
    "large": 1e4,
}


def sequences(shapes: Shapes) -> Iterator[tuple[str, list[Feed]]]:
    """(name, inputs step by step), each to be run from a reset: random scales, then edges."""
    random = np.random.default_rng(_SEED)
    for scale, steps in ((1.0, _LONG), (0.01, _SHORT), (10.0, _LONG), (100.0, _SHORT)):
        yield f"random x{scale:g}", [_random(random, shapes, scale) for _ in range(steps)]
    for name, value in _EDGES.items():
        yield name, [_constant(shapes, value)] * _SHORT


def stored(shapes: Shapes) -> list[Feed]:
    """One sequence for the artifact: edges and random scales, at most about 1 MiB of inputs."""
    random = np.random.default_rng(_SEED + 1)
    feeds = [_constant(shapes, value) for value in _EDGES.values()]
    feeds += [_random(random, shapes, scale) for scale in (1.0, 0.01, 10.0, 1.0, 100.0, 1.0) * 2]
    step_bytes = 4 * sum(count(shape) for shape in shapes.values())
    keep = max(2, min(len(feeds), _STORED_BYTES // max(step_bytes, 1)))
    return feeds[-keep:]


def _random(random: np.random.Generator, shapes: Shapes, scale: float) -> Feed:
    return {
        name: np.asarray(scale * random.standard_normal(shape), np.float32)
        for name, shape in shapes.items()
    }


def _constant(shapes: Shapes, value: float) -> Feed:
    return {name: np.full(shape, value, np.float32) for name, shape in shapes.items()}
