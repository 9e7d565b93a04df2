"""The command `rtinfer`: one file per command, one place for errors and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata

from rtinfer.errors import RtinferError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: what was checked falls short, or failed; 2: wrong usage."""
    try:
        exit_code = _run(_parser().parse_args(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output is gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return RtinferError.exit_code
    except KeyboardInterrupt:
        return RtinferError.exit_code
    return exit_code


def _parser() -> argparse.ArgumentParser:
    from rtinfer.cli import build, ctl, inspect, run

    parser = argparse.ArgumentParser(
        prog="rtinfer",
        description="Runs a learned robot policy as a timing contract.",
        epilog="example: rtinfer build policy.onnx -o policy.engine && rtinfer run robot.toml",
    )
    version = metadata.version("rtinfer")
    parser.add_argument("--version", action="version", version=f"rtinfer {version}")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for command in (build, inspect, run, ctl):
        command.add_parser(subparsers)
    return parser


def _run(parsed: argparse.Namespace) -> int:
    try:
        exit_code: int = parsed.run(parsed)
    except RtinferError as error:
        print(f"rtinfer: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        raise
    except (OSError, MemoryError) as error:
        print(f"rtinfer: {error or 'out of memory'}", file=sys.stderr)
        return UsageError.exit_code if isinstance(error, OSError) else RtinferError.exit_code
    return exit_code
