"""A service: the loop process, its supervisor, and what they say about a run."""
