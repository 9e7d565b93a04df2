"""The plan beside ONNX Runtime: one thread, one pinned core, buffers bound, alternating rounds."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import rtinfer
from bench.figures import Samples, Verdict, at_least, at_most, percentiles_us, table

Call = Callable[[], object]
BAR = "playground_go1"  # the policy that the bar of 2.5 is set for


@dataclass(frozen=True)
class Plan:
    """How engines are measured."""

    core: int
    rounds: int
    calls: int
    programs: Path


def onnxruntime_call(model: Path, inputs: dict[str, NDArray[np.float32]]) -> Call:
    """One run of ONNX Runtime with inputs and outputs bound once, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, values in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(values))
    for output in session.get_outputs():
        shape = [size if isinstance(size, int) else 1 for size in output.shape]
        empty = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32)
        binding.bind_ortvalue_output(output.name, empty)
    return lambda: session.run_with_iobinding(binding)


def timed(call: Call, calls: int) -> Samples:
    """Time of each of `calls` calls, in ns."""
    clock = time.perf_counter_ns
    spent = np.empty(calls, dtype=np.int64)
    for index in range(calls):
        start = clock()
        call()
        spent[index] = clock() - start
    return spent


def floor(plan: Plan, weights_bytes: int, folder: Path) -> Samples:
    """The time to read as many bytes as the weights have, once per run, on the same core, in ns."""
    out = folder / "floor.bin"
    words = [f"bytes={weights_bytes}", f"count={plan.rounds * plan.calls}", f"core={plan.core}"]
    subprocess.run([plan.programs / "bench_read", *words, f"out={out}"], check=True)
    return np.fromfile(out, dtype=np.int64)


def measure(plan: Plan, model: Path, folder: Path) -> dict[str, Samples]:
    """Samples in ns by side, from rounds that alternate between the sides."""
    engine = rtinfer.build(model, folder / f"{model.stem}.engine")
    rng = np.random.default_rng(3)
    inputs = {
        name: rng.standard_normal(tensor.shape).astype(np.float32)
        for name, tensor in engine.inputs.items()
    }
    engine.run(inputs)
    peer = onnxruntime_call(model, inputs)
    sides: dict[str, Callable[[int], Samples]] = {
        "ONNX Runtime, IOBinding": lambda calls: timed(peer, calls),
        "plan, bound buffers": lambda calls: timed(engine.plan.run, calls),
        "plan, Engine.run(dict)": lambda calls: timed(lambda: engine.run(inputs), calls),
        "plan, called natively": lambda calls: np.asarray(engine.plan.bench(calls), np.int64),
    }
    samples: dict[str, list[Samples]] = {side: [] for side in sides}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {plan.core})
    gc.disable()
    try:
        for index in range(-1, plan.rounds):  # the first round warms up and is dropped
            for side, run in sides.items():
                spent = run(plan.calls)
                if index >= 0:
                    samples[side].append(spent)
    finally:
        gc.enable()
        os.sched_setaffinity(0, before)
    found = {side: np.concatenate(parts) for side, parts in samples.items()}
    return {**found, "reading the weights, no more": floor(plan, engine.plan.weights_bytes, folder)}


def report(name: str, samples: dict[str, Samples]) -> tuple[str, list[Verdict], dict[str, Any]]:
    """Text, verdicts and detail of one policy. Verdicts compare calls from Python on both sides."""
    figures = {side: percentiles_us(spent) for side, spent in samples.items()}
    peer, ours = figures["ONNX Runtime, IOBinding"], figures["plan, bound buffers"]
    tails = {side: values["p99"] / values["p50"] for side, values in figures.items()}
    verdicts = []
    if name == BAR:
        verdicts = [
            at_least(f"{name}: ONNX Runtime / plan at p50", peer["p50"] / ours["p50"], 2.5),
            at_most(
                f"{name}: p99/p50 of the plan against ONNX Runtime's",
                tails["plan, bound buffers"],
                tails["ONNX Runtime, IOBinding"],
            ),
        ]
    rows = [
        (side, {**values, "p99/p50": tails[side], "x p50": peer["p50"] / values["p50"]})
        for side, values in figures.items()
    ]
    detail = {"figures": dict(rows), "verdicts": [asdict(verdict) for verdict in verdicts]}
    return table(name, rows), verdicts, detail
