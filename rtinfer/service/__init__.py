"""A service: the loop process, its supervisor, and what they say about a run."""

from rtinfer.service.service import Service

__all__ = ["Service"]
