"""rtinfer: deterministic, low-latency inference for robot control, as a timing contract.

    engine = rtinfer.build("policy.onnx", "policy.engine")
    config = rtinfer.load_config("robot.toml")
    with rtinfer.Service(config) as service: ...

Names are imported when they are first used: `import rtinfer` loads neither onnx nor zmq.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtinfer.build import build as build
    from rtinfer.clients import ActionSubscriber as ActionSubscriber
    from rtinfer.clients import ObservationPublisher as ObservationPublisher
    from rtinfer.config import Config as Config
    from rtinfer.config import load_config as load_config
    from rtinfer.engines import Engine as Engine
    from rtinfer.engines import load as load
    from rtinfer.errors import RtinferError as RtinferError
    from rtinfer.loop import Loop as Loop
    from rtinfer.loop import VirtualClock as VirtualClock
    from rtinfer.service.service import Service as Service

__all__ = [
    "ActionSubscriber",
    "Config",
    "Engine",
    "Loop",
    "ObservationPublisher",
    "RtinferError",
    "Service",
    "VirtualClock",
    "build",
    "load",
    "load_config",
]

_HOMES = {
    "ActionSubscriber": "rtinfer.clients",
    "Config": "rtinfer.config",
    "Engine": "rtinfer.engines",
    "Loop": "rtinfer.loop",
    "ObservationPublisher": "rtinfer.clients",
    "RtinferError": "rtinfer.errors",
    "Service": "rtinfer.service.service",
    "VirtualClock": "rtinfer.loop",
    "load": "rtinfer.engines",
    "load_config": "rtinfer.config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Facade(ModuleType):
    """Keeps `rtinfer.build` the function, also once the package of that name was imported."""

    @property
    def build(self) -> Any:
        return importlib.import_module("rtinfer.build").build

    @build.setter
    def build(self, module: ModuleType) -> None:
        """The import system's notice of the package; there is nothing to keep."""


sys.modules[__name__].__class__ = _Facade
