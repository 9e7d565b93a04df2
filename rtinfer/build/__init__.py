"""Building engines. Lazy, so that reading function codes does not import onnx."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtinfer.build.builder import build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    if name == "build":
        from rtinfer.build.builder import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
