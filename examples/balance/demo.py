"""The main job from end to end: a robot that falls when its actions are late, served at 500 Hz.

Three runs of one robot with one policy: rtinfer under injected stalls, a naive Python loop without
any, and the naive loop under the same stalls. Ctrl-C ends it at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Runs the demo; 0 when rtinfer kept the robot up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="how long rtinfer serves")
    parser.add_argument(
        "--faults", type=Path, default=HERE / "faults.toml", help="the stalls (faults.toml)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the robot's noise and route")
    parser.add_argument("--record", type=Path, help="keep each tick of the robot in CSV files here")
    parser.add_argument("--only", choices=("rtinfer", "naive"), help="leave the other out")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    # Memory-backed where there is such a place: the service's files are written in each tick.
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    work = Path(tempfile.mkdtemp(prefix="rtinfer-demo-", dir=parent))
    try:
        return _run(options, work)
    except KeyboardInterrupt:
        print("\n  interrupted: everything is stopped", flush=True)
        return 0
    except Exception as error:
        # An error of rtinfer is one sentence with an exit code; so is one of the demo.
        if not isinstance(error, OSError) and not hasattr(error, "exit_code"):
            raise
        print(f"demo: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 1))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(options: argparse.Namespace, work: Path) -> int:
    # Imported here, and without interruption: a Ctrl-C now counts as soon as all is loaded.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    import runs
    from faults import load_faults
    from report import print_summary
    from screen import say

    import rtinfer

    faults = load_faults(options.faults)
    say("A two-wheeled robot drives a winding route. Left alone, it falls.", bold=True)
    say("One policy at 500 Hz, over ZeroMQ; the same stalls for rtinfer and a naive loop.")
    engine = work / "policy.engine"
    rtinfer.build(HERE / "policy.onnx", engine)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
    setting = runs.Setting(work, engine, options.faults, faults, options.seed, options.record)
    results = []
    if options.only != "naive":
        say("\nrtinfer, with stalls", bold=True)
        results.append(runs.run_served(setting, options.seconds))
    if options.only != "rtinfer":
        say("\nnaive loop, without stalls", bold=True)
        results.append(runs.run_naive(setting, min(5.0, options.seconds), stalls=False))
        say("\nnaive loop, with the same stalls", bold=True)
        results.append(runs.run_naive(setting, options.seconds, stalls=True))
    print_summary(results, faults)
    return 1 if any(r.name == runs.RTINFER and r.fell_at_s is not None for r in results) else 0


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0.0 < (value := float(text)) <= 86_400.0:
            return value
    raise argparse.ArgumentTypeError(f"{text}: expected seconds above 0, at most 86400")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
