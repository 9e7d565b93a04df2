"""Recorded logs: rosbag2 directories, MCAP files and rosbag2 SQLite files, read as streams."""

from rtinfer.logs.errors import LogError
from rtinfer.logs.log import Log, Message, Topic, open_log

__all__ = ["Log", "LogError", "Message", "Topic", "open_log"]
