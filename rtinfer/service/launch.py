"""What a supervisor tells its loop process: launch.msgpack in the runtime directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from rtinfer import _native
from rtinfer.config.loop import LoopConfig
from rtinfer.config.refusal import Place
from rtinfer.config.service import Config
from rtinfer.engines import Engine
from rtinfer.engines.artifact import OrtArtifact, read_any
from rtinfer.engines.engine import verified
from rtinfer.engines.hosted import Hosted, Served
from rtinfer.errors import RtinferError
from rtinfer.host import boot_id
from rtinfer.service import runtime_dir as runtime
from rtinfer.service import spec as specs


class EngineTicks(NamedTuple):
    """What an engine does wrong on purpose for `ticks` ticks.

    kind: 0 it takes `delay_ns` longer, 1 it fails, 2 it says NaN, 3 it says `value`.
    loop: index of the loop whose engine it is.
    """

    first_tick: int
    ticks: int
    delay_ns: int = 0
    kind: int = 0
    value: float = 0.0
    loop: int = 0


class Launch(msgspec.Struct, frozen=True):
    """A start of a service. `egress_spin_ns`: how long egress spins before it sleeps."""

    config: Config
    epoch: int
    faults: tuple[EngineTicks, ...] = ()
    egress_spin_ns: int = 0


def write(directory: Path, launch: Launch) -> None:
    """msgpack, since JSON has no infinity and a limit may be one."""
    (directory / runtime.LAUNCH).write_bytes(msgspec.msgpack.encode(launch))


def read(directory: Path) -> Launch:
    """The launch that the supervisor wrote."""
    return msgspec.msgpack.decode((directory / runtime.LAUNCH).read_bytes(), type=Launch)


def service_spec(
    launch: Launch, directory: Path, libzmq: str
) -> tuple[_native.ServiceSpec, list[Served], list[Engine | None]]:
    """Loads and verifies the engines, and puts everything into the core's terms.

    Returns it with the loops' engines and fallback engines, which the core runs.
    """
    config = launch.config
    places = [Place(config.file).at("loop", i) for i in range(len(config.loop))]
    engines = [open_engine(loop, at) for loop, at in zip(config.loop, places, strict=True)]
    fallbacks = [
        open_fallback(loop, at) if loop.engine.fallback else None
        for loop, at in zip(config.loop, places, strict=True)
    ]
    spec = _native.ServiceSpec()
    spec.name = config.name
    spec.runtime_dir = str(directory)
    spec.control_endpoint = f"ipc://{directory / runtime.CONTROL}"
    spec.epoch = launch.epoch
    spec.boot_id = boot_id()
    spec.libzmq = libzmq
    spec.sources = specs.source_specs(config, str(directory))
    specs.check_upstream(config, engines)
    spec.loops = [
        specs.loop_spec(config, i, engine, fallback)
        for i, (engine, fallback) in enumerate(zip(engines, fallbacks, strict=True))
    ]
    spec.sinks = specs.sink_specs(config, str(directory), spec.epoch, spec.boot_id, engines)
    spec.engine_faults = [_native.EngineFault(*fault) for fault in launch.faults]
    spec.egress_spin_ns = launch.egress_spin_ns
    spec.keep_without_supervisor = config.supervisor.on_loss == "keep"
    return spec, engines, fallbacks


def open_engine(loop: LoopConfig, place: Place) -> Served:
    """The loop's engine, loaded and verified; for one that a worker runs, its files alone."""
    artifact = read_any(Path(loop.engine.path))
    if loop.engine.mode == "sync":
        return Hosted(artifact.manifest)
    if isinstance(artifact, OrtArtifact):
        raise place.at("engine").refuse(
            "mode",
            loop.engine.mode,
            f'"sync", as {loop.engine.path} runs in ONNX Runtime, which needs a worker process '
            "(`rtinfer build --backend plan` makes an engine that runs inline)",
        )
    return verified(artifact)


def open_fallback(loop: LoopConfig, place: Place) -> Engine:
    """The engine that stands in on a miss; the watchdog's thread runs it, so it is a plan."""
    artifact = read_any(Path(loop.engine.fallback))
    if isinstance(artifact, OrtArtifact):
        expected = "an engine that runs inline (`rtinfer build --backend plan` makes one)"
        raise place.at("engine").refuse("fallback", loop.engine.fallback, expected)
    return verified(artifact)


def find_libzmq() -> str:
    """The libzmq that pyzmq loaded into this process, else the system's."""
    try:
        import zmq

        zmq.zmq_version()
    except ImportError as error:
        raise RtinferError(f"pyzmq cannot be imported ({error}): pip install pyzmq") from None
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.partition("/")[2]
        if re.search(r"libzmq[^/]*\.so[^/]*$", path):
            return "/" + path
    return "libzmq.so.5"
