"""Building an engine that runs in ONNX Runtime: the chosen part of the model with fixed shapes."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import onnx

from rtinfer import manifest as manifests
from rtinfer.build.axes import fixed_shapes, graph_inputs
from rtinfer.build.parity import measure
from rtinfer.build.reference import Reference, independent_session, needed_part
from rtinfer.build.runs import stored_runs
from rtinfer.build.select import chosen_outputs, needed_names, needed_nodes
from rtinfer.build.source import Model
from rtinfer.build.vectors import Shapes, stored
from rtinfer.engines.ort import OrtRunner, open_session
from rtinfer.errors import CheckError, UsageError, first_line
from rtinfer.manifest import Manifest, Parity, Source, StateSpec, TensorSpec

# For a recurrent layer, where a state goes in and where its successor comes out.
_STATES = {"GRU": ((5, 1),), "RNN": ((5, 1),), "LSTM": ((5, 1), (6, 2))}
# What only gives a state another shape on its way in or out.
_SHAPERS = {"Identity", "Reshape", "Squeeze", "Unsqueeze"}


def contents_of(
    model: Model,
    dims: Mapping[str, int],
    outputs: Sequence[str] | None,
    state: Mapping[str, str],
    name: str,
) -> dict[str, bytes]:
    """The artifact's files, with the parity report and the runs that ONNX Runtime made.

    A state is what `state` declares, and what a recurrent layer takes from an input and gives to an
    output; unlike a plan's it is not found behind a Concat or a Slice.
    """
    chosen = chosen_outputs(model, outputs)
    declared = list(chosen_outputs(model, list(state.values()))) if state else []
    pairs = dict(state) | _found_states(model, chosen, state)
    wanted = list(dict.fromkeys([*chosen, *declared, *pairs.values()]))
    shapes = _shapes(model, dims, wanted)
    _check_states(model, pairs, shapes)
    content = needed_part(model, shapes, wanted).SerializeToString(deterministic=True)
    results = _result_shapes(content, model, shapes, wanted)
    for source, target in pairs.items():
        if shapes[source] != results[target]:
            raise UsageError(
                f"--state {source}={target}: the input has shape {list(shapes[source])}, the "
                f"output {list(results[target])}, expected equal shapes."
            )
    draft = _manifest(model, shapes, results, pairs, name)
    return _checked(model, draft, content, wanted, pairs)


def _shapes(
    model: Model, dims: Mapping[str, int], wanted: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    needed = needed_names(model, wanted).intersection(graph_inputs(model))
    values = [value for name, value in graph_inputs(model).items() if name in needed]
    values += [value for value in model.proto.graph.output if value.name in wanted]
    for value in values:
        kind = value.type.tensor_type.elem_type
        if kind not in (onnx.TensorProto.FLOAT, onnx.TensorProto.UNDEFINED):
            raise CheckError(
                f"{value.name!r} of model {model.path} is {onnx.TensorProto.DataType.Name(kind)}, "
                "expected float32: export the model with float32 inputs and outputs."
            )
    return fixed_shapes(model, dims, needed)


def _found_states(
    model: Model, chosen: Sequence[str], declared: Mapping[str, str]
) -> dict[str, str]:
    """Input -> output of each recurrent layer whose state is an input and an output."""
    producers = {name: node for node in model.proto.graph.node for name in node.output}
    # Back to where each output's value comes from, through nodes that only shape it.
    origins = {_origin(v.name, producers): v.name for v in model.proto.graph.output}
    found = {}
    for node in needed_nodes(model, chosen):
        for read, write in _STATES.get(node.op_type, ()):
            if len(node.input) <= read or len(node.output) <= write:
                continue
            source, target = _origin(node.input[read], producers), origins.get(node.output[write])
            if source in graph_inputs(model) and target and source not in declared:
                found[source] = target
    return found


def _origin(name: str, producers: Mapping[str, Any]) -> str:
    while name in producers and producers[name].op_type in _SHAPERS:
        name = producers[name].input[0]
    return name


def _check_states(model: Model, pairs: Mapping[str, str], shapes: Shapes) -> None:
    for source, target in pairs.items():
        if source not in shapes:
            raise UsageError(
                f"--state {source}={target}: the chosen outputs need no input {source!r} "
                f"(they need {', '.join(shapes)})."
            )
    if len(set(pairs.values())) != len(pairs):
        raise UsageError(f"--state: an output of model {model.path} feeds two states.")


def _result_shapes(
    content: bytes, model: Model, shapes: Shapes, wanted: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """The shapes that come out of one run on zeros."""
    session = open_session(content, f"model {model.path}")
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    try:
        results = session.run(list(wanted), zeros)
    except Exception as error:  # ONNX Runtime raises several unrelated types
        raise CheckError(
            f"model {model.path} cannot be run by ONNX Runtime ({first_line(error)}): "
            "export it again."
        ) from None
    for name, result in zip(wanted, results, strict=True):
        if not isinstance(result, np.ndarray) or result.dtype != np.float32 or not result.size:
            raise CheckError(
                f"output {name!r} of model {model.path} is no float32 tensor with values: "
                "choose others with --output, or export the model with float32 outputs."
            )
    return {name: tuple(r.shape) for name, r in zip(wanted, results, strict=True)}


def _manifest(
    model: Model, shapes: Shapes, results: Shapes, pairs: Mapping[str, str], name: str
) -> Manifest:
    """Everything but what the finished files say."""
    return Manifest(
        schema=manifests.SCHEMA,
        name=name,
        backend="ort",
        inputs=tuple(TensorSpec(n, tuple(s)) for n, s in shapes.items() if n not in pairs),
        outputs=tuple(
            TensorSpec(n, tuple(s)) for n, s in results.items() if n not in pairs.values()
        ),
        state=tuple(StateSpec(s, t, tuple(shapes[s])) for s, t in pairs.items()),
        source=Source(model.path.name, model.sha256, model.opset, str(model.proto.producer_name)),
        versions={
            "rtinfer": metadata.version("rtinfer"),
            "onnx": onnx.__version__,
            "numpy": np.__version__,
            "onnxruntime": metadata.version("onnxruntime"),
        },
        parity=Parity("", "", 0, 0, ()),
        reference_runs=0,
        files={},
        engine_hash="0" * 64,
        metadata=model.metadata,
    )


def _checked(
    model: Model,
    draft: Manifest,
    content: bytes,
    wanted: Sequence[str],
    pairs: Mapping[str, str],
) -> dict[str, bytes]:
    runner = OrtRunner(content, draft, f"model {model.path}")
    fed: Shapes = {tensor.name: tensor.shape for tensor in draft.inputs}
    if not fed or not draft.outputs:
        raise CheckError(
            f"model {model.path} has no input or no output beside its state: nothing to serve."
        )
    shapes: Shapes = {**fed, **{state.input: state.shape for state in draft.state}}
    reference = Reference(model, shapes, wanted, pairs, independent_session)
    parity = measure(runner, reference, fed, dict(pairs), "ONNX Runtime")
    runs = stored(fed)
    contents = {
        manifests.MODEL: content,
        manifests.REFERENCE: stored_runs(runner, runs),
    }
    manifest = Manifest(
        **{
            **{field: getattr(draft, field) for field in draft.__struct_fields__},
            "parity": parity,
            "reference_runs": len(runs),
            "files": manifests.files_of("ort", contents),
            "engine_hash": manifests.engine_hash(
                "ort", contents, draft.inputs, draft.outputs, draft.state
            ),
        }
    )
    return {**contents, manifests.MANIFEST: manifests.encode(manifest)}
