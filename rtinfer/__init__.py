"""rtinfer: deterministic, low-latency inference for robot control."""
