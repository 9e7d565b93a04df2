"""The stored runs of an artifact: one sequence from a reset, with what came out of it."""

from collections.abc import Sequence

import numpy as np

from rtinfer import safetensors
from rtinfer.build.vectors import Feed
from rtinfer.engines.ort import OrtRunner
from rtinfer.engines.runner import Array, Runner


def stored_runs(runner: Runner | OrtRunner, feeds: Sequence[Feed]) -> bytes:
    """The bytes of reference.safetensors."""
    runner.reset()
    columns: dict[str, list[Array]] = {}
    for feed in feeds:
        results = runner.run(feed)
        row = {f"inputs.{name}": array for name, array in feed.items()}
        row |= {f"outputs.{name}": array for name, array in results.items()}
        row |= {f"state.{name}": array for name, array in runner.state().items()}
        for key, array in row.items():
            columns.setdefault(key, []).append(array)
    return safetensors.encode({key: np.stack(arrays) for key, arrays in columns.items()})
