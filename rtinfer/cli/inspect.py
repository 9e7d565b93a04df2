"""rtinfer inspect: what is in an engine artifact, after it was verified."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtinfer.engines import Engine
    from rtinfer.engines.plan_file import PlanOp

Row = tuple[str, str]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `inspect` to the command line."""
    parser = subparsers.add_parser(
        "inspect",
        help="show what is in an engine",
        description="Verifies an engine artifact, repeats its stored runs bit for bit, and shows "
        "its tensors, memory, cost, parity report, hashes and metadata.",
        epilog="example: rtinfer inspect policy.engine",
    )
    parser.add_argument("engine", help="the artifact (a directory)")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 for an intact engine."""
    from rtinfer.engines import load

    found = describe(load(arguments.engine), arguments.engine)
    print(json.dumps(found) if arguments.json else text(found))
    return 0


def describe(engine: Engine, path: str) -> dict[str, Any]:
    """Everything that `inspect` shows, as JSON values."""
    import msgspec

    from rtinfer.engines.cost import cost_of

    found: dict[str, Any] = {"path": str(path), **msgspec.to_builtins(engine.manifest)}
    if engine.manifest.backend == "ort":
        return found
    plan, cost = engine.plan_file, cost_of(engine.plan_file)
    return {
        **found,
        "isa": engine.plan.isa,
        "numerics": plan.numerics,
        "weights_bytes": plan.weights_bytes,
        "arena_bytes": plan.arena_bytes,
        "block_bytes": engine.plan.block_bytes,
        "flops_per_run": cost.flops,
        "weight_bytes_per_run": cost.weight_bytes,
        "activation_bytes_per_run": cost.activation_bytes,
        "ops": [_op(op) for op in plan.ops],
    }


def text(found: dict[str, Any], brief: bool = False) -> str:
    """The same as an aligned table; `brief` leaves out operations, files and metadata."""
    parity = found["parity"]
    rows: list[Row] = [
        ("engine", f"{found['name']} ({found['path']})"),
        ("hash", found["engine_hash"]),
        ("source", f"{found['source']['file']}, opset {found['source']['opset']}"),
    ]
    rows += _tensors("input", found["inputs"])
    rows += _tensors("output", found["outputs"])
    rows += [
        ("state", f"{s['input']} <- {s['output']} {list(s['shape'])} {s['dtype']}")
        for s in found["state"]
    ]
    rows += _plan_rows(found) if found["backend"] == "plan" else _ort_rows(found)
    rows.append(
        ("parity", f"{parity['reference']}, {parity['cases']} cases, {parity['runs']} runs")
    )
    rows += [("", _parity(output)) for output in parity["outputs"]]
    how = "bit for bit" if found["backend"] == "plan" else "close to the build's"
    rows.append(("stored runs", f"{found['reference_runs']}, repeated {how}"))
    if brief:
        return _aligned(rows)
    rows += [(f"op {i}", _op_line(op)) for i, op in enumerate(found.get("ops", ()))]
    rows += [("file", f"{digest}  {name}") for name, digest in found["files"].items()]
    rows.append(("model hash", found["source"]["sha256"]))
    rows += [("version", f"{name} {version}") for name, version in found["versions"].items()]
    rows += [("metadata", f"{key} = {_short(v)}") for key, v in found["metadata"].items()]
    return _aligned(rows)


def _ort_rows(found: dict[str, Any]) -> list[Row]:
    built = found["versions"]["onnxruntime"]
    return [("runs on", f'ONNX Runtime in a worker (mode = "sync"), built with {built}')]


def _plan_rows(found: dict[str, Any]) -> list[Row]:
    return [
        ("memory", f"{found['weights_bytes']:,} B weights + {found['arena_bytes']:,} B arena"),
        (
            "one run",
            f"{found['flops_per_run']:,} flop, {found['weight_bytes_per_run']:,} B of weights, "
            f"{found['activation_bytes_per_run']:,} B of values",
        ),
        ("ops", _counts(op["op"] for op in found["ops"])),
        ("runs on", f"{found['isa']}, numerics {found['numerics']}"),
    ]


def _op(op: PlanOp) -> dict[str, Any]:
    from rtinfer.build.functions import BINARY, UNARY
    from rtinfer.engines.cost import cost_of_op, summary
    from rtinfer.engines.plan_file import Binary, Gemv, Unary

    names = {code: name for name, code in (BINARY if isinstance(op, Binary) else UNARY).items()}
    code = op.act if isinstance(op, Gemv) else op.fn if isinstance(op, Unary | Binary) else 0
    function = names.get(code, str(code)) if isinstance(op, Gemv | Unary | Binary) else ""
    return {
        "op": str(op.__struct_config__.tag),
        "function": "" if function == "identity" else function,
        "sizes": summary(op),
        "flops": cost_of_op(op).flops,
    }


def _op_line(op: dict[str, Any]) -> str:
    return f"{op['op']:<7}{op['function']:<13}{op['sizes']:<20}{op['flops']:>12,} flop"


def _tensors(label: str, tensors: Sequence[dict[str, Any]]) -> list[Row]:
    return [(label, f"{t['name']} {list(t['shape'])} {t['dtype']}") for t in tensors]


def _parity(output: dict[str, Any]) -> str:
    return (
        f"{output['output']}: max abs {output['max_abs']:.2e}, rel {output['max_rel']:.2e}, "
        f"{output['max_ulp']:.1f} ulp, {100 * output['max_of_bound']:.0f} % of the bound "
        f"({output['worst']})"
    )


def _counts(names: Iterable[str]) -> str:
    counts = Counter(names)
    return f"{counts.total()} (" + ", ".join(f"{n} {name}" for name, n in counts.items()) + ")"


def _short(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= 80 else line[:77] + "..."


def _aligned(rows: Sequence[Row]) -> str:
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}".rstrip() for label, value in rows)
