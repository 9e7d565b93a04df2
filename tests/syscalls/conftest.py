"""The fixtures of a served echo policy."""

from serving import config_file, echo_engine, home

__all__ = ["config_file", "echo_engine", "home"]
