"""Engines: verified artifacts that run a policy."""

from rtinfer.engines.engine import Engine, Tensor, load

__all__ = ["Engine", "Tensor", "load"]
