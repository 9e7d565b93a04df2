"""Lowerings by operator family; importing the package registers all of them."""

from rtinfer.build.ops import arithmetic, elementwise, linear, movement, recurrent, shapes
from rtinfer.build.registry import LOWERINGS

__all__ = ["LOWERINGS", "arithmetic", "elementwise", "linear", "movement", "recurrent", "shapes"]
