"""The command `latency-lab`: one file a subcommand, one place for errors and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from latency_lab.interruption import Interrupted
from rtinfer.errors import RtinferError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: it falls short, failed or was interrupted; 2: wrong usage."""
    try:
        exit_code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output is gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return RtinferError.exit_code
    except (Interrupted, KeyboardInterrupt) as interrupted:
        print(f"latency-lab: {str(interrupted) or 'interrupted'}", file=sys.stderr)
        return RtinferError.exit_code
    except RtinferError as error:
        print(f"latency-lab: {error}", file=sys.stderr)
        return error.exit_code
    except (OSError, MemoryError) as error:
        print(f"latency-lab: {error or 'out of memory'}", file=sys.stderr)
        return RtinferError.exit_code
    return exit_code


def _run(arguments: Sequence[str] | None) -> int:
    import latency_lab.replay  # here, so that a Ctrl-C while it loads is a quiet one, too

    parser = argparse.ArgumentParser(
        prog="latency-lab",
        description="Measures a policy and its service on recorded input.",
        epilog="example: latency-lab replay walk_log --engine policy.engine --speed max",
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    latency_lab.replay.add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    exit_code: int = parsed.run(parsed)
    return exit_code
