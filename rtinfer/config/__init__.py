"""The configuration of a service: TOML decoded into frozen Structs."""

from rtinfer.config.action import GroupConfig, LimitsConfig, MissConfig
from rtinfer.config.load import load_config
from rtinfer.config.loop import EngineConfig, LoopConfig, WatchdogConfig
from rtinfer.config.observation import ObservationConfig, TermConfig
from rtinfer.config.refusal import ConfigError
from rtinfer.config.service import Config, RecordConfig, StatusConfig, SupervisorConfig
from rtinfer.config.sink import SinkConfig
from rtinfer.config.source import SourceConfig

__all__ = [
    "Config",
    "ConfigError",
    "EngineConfig",
    "GroupConfig",
    "LimitsConfig",
    "LoopConfig",
    "MissConfig",
    "ObservationConfig",
    "RecordConfig",
    "SinkConfig",
    "SourceConfig",
    "StatusConfig",
    "SupervisorConfig",
    "TermConfig",
    "WatchdogConfig",
    "load_config",
]
