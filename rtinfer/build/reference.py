"""The source model under another implementation: ONNX Runtime, or ONNX's reference evaluator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from rtinfer.build.select import needed_names, needed_nodes
from rtinfer.build.source import Model, first_line
from rtinfer.build.vectors import Feed, Shapes
from rtinfer.engines.ort import session_options
from rtinfer.errors import CheckError

# Relative size of a disturbance: two units in the last place of a float32.
DISTURBANCE = 2.0**-22
_EVALUATOR_BYTES = 2**24  # the reference evaluator is Python: larger models would take minutes
Opener = Callable[[Any], tuple[str, Any]]


class Reference:
    """Runs the nodes that `outputs` need, with the shapes of the plan."""

    def __init__(
        self,
        model: Model,
        shapes: Shapes,
        outputs: Sequence[str],
        state: Mapping[str, str],
        open_session: "Opener | None" = None,
    ) -> None:
        self._outputs = list(outputs)
        self._state = dict(state)
        self._state_shapes = {name: shapes[name] for name in state}
        self._proto = needed_part(model, shapes, self._outputs)
        self._open = open_session or _session
        self.label, self._run = self._open(self._proto)

    def run(self, feeds: Sequence[Feed]) -> list[Feed]:
        """All outputs, those that carry a state included, for a sequence that starts at zeros."""
        state = {name: np.zeros(shape, np.float32) for name, shape in self._state_shapes.items()}
        results = []
        for feed in feeds:
            try:
                values = self._run(self._outputs, feed | state)
            except Exception as error:  # each implementation has errors of its own
                raise CheckError(
                    f"the model cannot be run by {self.label} ({first_line(error)}), so its plan "
                    "cannot be checked: export it again."
                ) from None
            found = dict(zip(self._outputs, values, strict=True))
            state = {name: found[output] for name, output in self._state.items()}
            results.append(found)
        return results

    def disturbed(self, seed: int) -> "Reference":
        """The same model with each of its constants moved by about one unit in the last place.

        Scalars stay: an exponent or an epsilon is exact.
        """
        other = object.__new__(Reference)
        other.__dict__.update(self.__dict__)
        other._proto = onnx.ModelProto()
        other._proto.CopyFrom(self._proto)
        random = np.random.default_rng(seed)
        constants = [a.t for n in other._proto.graph.node for a in n.attribute if a.HasField("t")]
        for tensor in [*other._proto.graph.initializer, *constants]:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                values = onnx.numpy_helper.to_array(tensor)
                if values.size > 1:
                    moved = onnx.numpy_helper.from_array(disturb(values, random), tensor.name)
                    tensor.CopyFrom(moved)
        other.label, other._run = self._open(other._proto)
        return other


def disturb(values: Any, random: np.random.Generator) -> Any:
    """float32 values, each moved up or down by DISTURBANCE relative to its size."""
    signs = random.choice((-1.0, 1.0), size=values.shape)
    return np.asarray(values * (1.0 + DISTURBANCE * signs), np.float32)


def needed_part(model: Model, shapes: Shapes, outputs: Sequence[str]) -> Any:
    """A model of the nodes that `outputs` need, its inputs of exactly these shapes."""
    names = needed_names(model, outputs)
    graph = model.proto.graph
    known = {value.name: value for value in graph.output}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    results = []
    for name in outputs:
        kind = known[name].type.tensor_type.elem_type
        results.append(onnx.helper.make_tensor_value_info(name, kind, None))
    part = onnx.helper.make_graph(
        [_named(node, index) for index, node in enumerate(needed_nodes(model, outputs))],
        "policy",
        inputs,
        results,
        [tensor for tensor in graph.initializer if tensor.name in names],
    )
    proto = onnx.helper.make_model(part, opset_imports=model.proto.opset_import)
    proto.ir_version = max(4, min(model.proto.ir_version, 10))
    return proto


def _named(node: Any, index: int) -> Any:
    """The node with all its outputs named: ONNX Runtime crashes on a Split with one left out."""
    named = onnx.NodeProto()
    named.CopyFrom(node)
    for position, name in enumerate(node.output):
        named.output[position] = name or f"unused/{index}/{position}"
    return named


def independent_session(proto: Any) -> tuple[str, Any]:
    """What to compare ONNX Runtime with: ONNX's reference evaluator, where it can run the model.

    Else ONNX Runtime without any of its optimisations, which the label says.
    """
    if sum(tensor.ByteSize() for tensor in proto.graph.initializer) <= _EVALUATOR_BYTES:
        try:
            label, run = _evaluator(proto)
            run(None, {value.name: _zeros(value) for value in proto.graph.input})
            return label, run
        except Exception:  # it knows fewer operators, and has errors of its own
            pass
    import onnxruntime

    options = session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return f"onnxruntime {onnxruntime.__version__} without its optimisations", session.run


def _zeros(value: Any) -> Any:
    return np.zeros([axis.dim_value for axis in value.type.tensor_type.shape.dim], np.float32)


def _session(proto: Any) -> tuple[str, Any]:
    """(who runs it, the function that does). ONNX Runtime also refuses models that are valid."""
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return f"onnxruntime {onnxruntime.__version__}", session.run
    except Exception:
        return _evaluator(proto)


def _evaluator(proto: Any) -> tuple[str, Any]:
    try:
        evaluator = ReferenceEvaluator(proto)
    except Exception as error:
        raise CheckError(
            f"the model cannot be run by ONNX's reference evaluator ({first_line(error)}), so its "
            "plan cannot be checked: export it again."
        ) from None
    # Edge inputs overflow inside numpy, which would warn a user about nothing wrong.
    return f"onnx.reference {onnx.__version__}", np.errstate(all="ignore")(evaluator.run)
