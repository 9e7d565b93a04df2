"""Measurements beside peers in the same run: `python -m bench`, or `make bench`."""
