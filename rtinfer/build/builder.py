"""rtinfer build: from an ONNX file to a verified engine artifact, step by step."""

import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx

from rtinfer import manifest as manifests
from rtinfer import safetensors
from rtinfer.build import artifact, source
from rtinfer.build.axes import fixed_shapes, graph_inputs
from rtinfer.build.emit import emit
from rtinfer.build.ir import Graph
from rtinfer.build.lower import lower
from rtinfer.build.parity import measure
from rtinfer.build.passes import simplify
from rtinfer.build.reference import Reference
from rtinfer.build.runs import stored_runs
from rtinfer.build.select import chosen_outputs, needed_names, state_candidates
from rtinfer.build.source import Model
from rtinfer.build.state import bind_state
from rtinfer.build.vectors import Shapes, stored
from rtinfer.engines import plan_file
from rtinfer.engines.engine import Engine, load
from rtinfer.engines.plan_file import PlanFile
from rtinfer.engines.runner import Runner
from rtinfer.errors import UsageError
from rtinfer.manifest import Backend, Manifest, Parity, Source, StateSpec, TensorSpec


def build(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    state: Mapping[str, str] | None = None,
    backend: Backend = "plan",
) -> Engine:
    """Builds an engine from an ONNX policy, checks it, writes the artifact, and loads it.

    backend: "plan" lowers the policy to a static plan, which runs in a loop's own thread; "ort"
    keeps the ONNX model, which ONNX Runtime runs in a worker process (`mode = "sync"`).
    `dims` fixes symbolic axes by name; `outputs` chooses what to serve, all by default; `state`
    maps an input to the output that becomes its next value. Equal models give equal engine hashes.
    Raises UsageError for a wrong request, CheckError for a model that cannot be served.
    """
    target = Path(out)
    artifact.check_target(target)
    parsed = source.read(Path(model))
    if name is not None and not name.strip():
        raise UsageError(f"--name {name!r} is empty: pass a name or leave the option out.")
    if backend == "ort":
        from rtinfer.build import ort

        contents = ort.contents_of(
            parsed, dims or {}, outputs, state or {}, name or parsed.path.stem
        )
    elif backend == "plan":
        graph = _lowered(parsed, dims or {}, outputs, state or {})
        simplify(graph)
        plan, weights = emit(graph)
        contents = _checked(parsed, graph, plan, weights, name or parsed.path.stem)
    else:
        raise UsageError(f"--backend {backend}: expected one of {', '.join(manifests.FILES)}.")
    artifact.write(target, contents)
    return load(target)


def _lowered(
    model: Model, dims: Mapping[str, int], outputs: Sequence[str] | None, state: Mapping[str, str]
) -> Graph:
    """Chosen outputs first, then those that only carry the state that they depend on."""
    chosen = chosen_outputs(model, outputs)
    declared = list(state.values())
    missing = set(declared) - {value.name for value in model.proto.graph.output}
    if missing:
        raise UsageError(f"--state: model {model.path} has no output {missing.pop()!r}.")
    declared = chosen_outputs(model, declared) if declared else []
    candidates = [name for name in state_candidates(model, chosen) if name not in declared]
    wanted = list(dict.fromkeys([*chosen, *declared, *candidates]))
    needed = needed_names(model, wanted).intersection(graph_inputs(model))
    graph = lower(model, fixed_shapes(model, dims, needed), wanted)
    bind_state(graph, state, candidates)
    return graph


def _checked(
    model: Model, graph: Graph, plan: PlanFile, weights: bytes, name: str
) -> dict[str, bytes]:
    """The artifact's files, with the parity report and the stored runs of the plan itself."""
    data = bytes(safetensors.decode(weights, "the new weights").data)
    runner = Runner(plan, data, "the new plan")
    shapes: Shapes = {name: view.shape for name, view in graph.inputs.items()}
    state = dict(graph.state)
    reference = Reference(model, shapes, list(graph.outputs), state)
    fed = {name: shape for name, shape in shapes.items() if name not in state}
    parity = measure(runner, reference, fed, state)
    runs = stored(fed)
    contents = {
        manifests.PLAN: plan_file.encode(plan),
        manifests.WEIGHTS: weights,
        manifests.REFERENCE: stored_runs(runner, runs),
    }
    manifest = _manifest(model, plan, contents, parity, len(runs), name)
    return {**contents, manifests.MANIFEST: manifests.encode(manifest)}


def _manifest(
    model: Model,
    plan: PlanFile,
    contents: Mapping[str, bytes],
    parity: Parity,
    runs: int,
    name: str,
) -> Manifest:
    inputs = tuple(TensorSpec(place.name, place.shape) for place in plan.inputs)
    outputs = tuple(TensorSpec(place.name, place.shape) for place in plan.outputs)
    state = tuple(StateSpec(s.input, s.output, s.shape) for s in plan.state)
    return Manifest(
        schema=manifests.SCHEMA,
        name=name,
        backend="plan",
        inputs=inputs,
        outputs=outputs,
        state=state,
        source=Source(model.path.name, model.sha256, model.opset, str(model.proto.producer_name)),
        versions={
            "rtinfer": metadata.version("rtinfer"),
            "onnx": onnx.__version__,
            "numpy": np.__version__,
        },
        parity=parity,
        reference_runs=runs,
        files=manifests.files_of("plan", contents),
        engine_hash=manifests.engine_hash("plan", contents, inputs, outputs, state),
        metadata=model.metadata,
    )
