"""rtinfer build: turns an ONNX policy into a verified engine artifact."""

from __future__ import annotations

import argparse
import json

from rtinfer.errors import UsageError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `build` to the command line."""
    parser = subparsers.add_parser(
        "build",
        help="turn an ONNX policy into a verified engine",
        description="Lowers an ONNX model to a static plan, compares it with ONNX Runtime (or "
        "ONNX's reference evaluator where that is not installed) and writes an engine artifact. "
        "--backend ort keeps the model for ONNX Runtime, in a worker process.",
        epilog="example: rtinfer build policy.onnx -o policy.engine --dim frames=5",
    )
    parser.add_argument("model", help="the ONNX file, opset 9 to 23")
    parser.add_argument("-o", "--out", required=True, metavar="DIR", help="the artifact to write")
    parser.add_argument(
        "--dim",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="size of a symbolic axis; a leading (batch) axis is 1 by itself; repeatable",
    )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="NAME",
        help="serve this output (default: all); repeatable",
    )
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="IN=OUT",
        help="output OUT becomes input IN of the next run; found by itself at LSTM and GRU",
    )
    parser.add_argument(
        "--backend",
        choices=["plan", "ort"],
        default="plan",
        help="what runs it: a static plan in the loop's own thread, or ONNX Runtime in a worker",
    )
    parser.add_argument("--name", metavar="NAME", help="the engine's name (default: the file's)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Builds and prints what was built. Exit code 0."""
    from rtinfer.build.builder import build
    from rtinfer.cli.inspect import describe, text

    dims = {name: _size(name, value) for name, value in _pairs("--dim", arguments.dim).items()}
    engine = build(
        arguments.model,
        arguments.out,
        dims=dims,
        outputs=arguments.output or None,
        name=arguments.name,
        state=_pairs("--state", arguments.state),
        backend=arguments.backend,
    )
    found = describe(engine, arguments.out)
    if arguments.json:
        print(json.dumps(found))
    else:
        print(text(found, brief=True))
    return 0


def _pairs(option: str, entries: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for entry in entries:
        # The last "=": tensor names may contain one, sizes and most names do not.
        name, equals, value = entry.rpartition("=")
        if not equals or not name or not value:
            raise UsageError(f"{option} {entry!r}: expected two parts joined by '='.")
        if name in pairs:
            raise UsageError(f"{option} {entry!r}: {name!r} is given twice.")
        pairs[name] = value
    return pairs


def _size(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise UsageError(f"--dim {name}={value}: expected a whole number from 1 up.")
    return int(value)
