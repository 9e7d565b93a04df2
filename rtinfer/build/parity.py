"""How far the plan is from the reference, and whether rounding alone explains it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtinfer.build.reference import Reference, disturb
from rtinfer.build.vectors import Feed, Shapes, sequences
from rtinfer.engines.ort import OrtRunner
from rtinfer.engines.runner import Array, Runner
from rtinfer.errors import CheckError
from rtinfer.manifest import OutputParity, Parity

BOUND = (
    "1e-6 of the largest reference value of the case + 16 times what the reference itself moves "
    "when its inputs and constants move by 2^-22"
)
_OF_LARGEST, _OF_SPREAD, _FLOOR = 1e-6, 16.0, 1e-30
_DISTURBED_RUNS = 3


@dataclass
class _Worst:
    """The running maxima of one output."""

    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    max_of_bound: float = -1.0
    case: str = ""
    described: str = field(default="", repr=False)


def measure(
    runner: Runner | OrtRunner,
    reference: Reference,
    shapes: Shapes,
    state: dict[str, str],
    measured: str = "the plan",
) -> Parity:
    """Compares outputs and states over all sequences. CheckError beyond BOUND.

    `shapes` are those of the inputs that a caller feeds; `measured` is what runs, in an error.
    """
    others = [reference.disturbed(seed) for seed in range(_DISTURBED_RUNS)]
    worst: dict[str, _Worst] = {}
    cases = runs = 0
    for name, feeds in sequences(shapes):
        expected = reference.run(feeds)
        moved = [
            other.run([_disturbed(feed, seed) for feed in feeds])
            for seed, other in enumerate(others)
        ]
        found = _run(runner, feeds, state)
        for output in found[0]:
            _judge(
                worst.setdefault(output, _Worst()),
                name,
                _stack(found, output),
                _stack(expected, output),
                [_stack(run, output) for run in moved],
            )
        cases, runs = cases + 1, runs + len(feeds)
    for output, figures in worst.items():
        if figures.max_of_bound > 1.0:
            raise CheckError(
                f"output {output!r} of {measured} differs from {reference.label} in case "
                f"{figures.case!r}: {figures.described}. The engine is not written; this is a flaw "
                "of one of the two, please report it with the model."
            )
    return Parity(
        reference.label,
        BOUND,
        cases,
        runs,
        tuple(
            OutputParity(o, w.max_abs, w.max_rel, w.max_ulp, w.max_of_bound, w.case)
            for o, w in worst.items()
        ),
    )


def _run(runner: Runner | OrtRunner, feeds: Sequence[Feed], state: dict[str, str]) -> list[Feed]:
    runner.reset()
    results = []
    for feed in feeds:
        outputs = runner.run(feed)
        results.append(outputs | {state[name]: array for name, array in runner.state().items()})
    return results


def _disturbed(feed: Feed, seed: int) -> Feed:
    random = np.random.default_rng(seed)
    return {name: disturb(array, random) for name, array in feed.items()}


def _stack(results: Sequence[Feed], output: str) -> Array:
    return np.stack([result[output] for result in results])


def _judge(worst: _Worst, case: str, found: Array, expected: Array, moved: Sequence[Array]) -> None:
    with np.errstate(all="ignore"):
        finite = np.isfinite(expected)
        # Where a disturbance decides between a number and an overflow, neither answer is wrong.
        settled = np.all([np.isfinite(other) == finite for other in moved], axis=0)
        same = np.where(finite, np.isfinite(found), _alike(found, expected))
        error = np.abs(found.astype(np.float64) - expected)
        usable = finite & settled
        error = error[usable & np.isfinite(found)]
        size = np.abs(expected[usable], dtype=np.float64)
        largest = float(size.max(initial=0.0))
        spread = max(
            float(np.abs(other.astype(np.float64) - expected)[usable].max(initial=0.0))
            for other in moved
        )
        largest_error = float(error.max(initial=0.0))
    allowed = _FLOOR + _OF_LARGEST * largest + _OF_SPREAD * spread
    of_bound = largest_error / allowed
    described = f"{largest_error:.3g} apart, {allowed:.3g} allowed"
    if not np.all(same | ~settled):
        of_bound, described = np.finfo(np.float64).max, "one is finite where the other is not"
    worst.max_abs = max(worst.max_abs, largest_error)
    worst.max_ulp = max(worst.max_ulp, largest_error / float(np.spacing(np.float32(largest))))
    compared = usable & np.isfinite(found)
    visible = np.abs(expected[compared]) > 1e-3 * largest
    if np.any(visible):
        relative = error[visible] / np.abs(expected[compared][visible])
        worst.max_rel = max(worst.max_rel, float(relative.max()))
    if of_bound > worst.max_of_bound:
        worst.max_of_bound, worst.case, worst.described = of_bound, case, described


def _alike(found: Array, expected: Array) -> Array:
    """Both NaN, or the same infinity."""
    return np.asarray((np.isnan(found) & np.isnan(expected)) | (found == expected))
