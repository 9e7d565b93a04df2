"""The fixtures of a served policy, here in a worker."""

from serving import config_file, echo_engine, home, robot

__all__ = ["config_file", "echo_engine", "home", "robot"]
