"""latency_lab: replay, measure and prove."""
