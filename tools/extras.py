"""Prints the requirements of the named extras of pyproject.toml, one a line, for pip -r."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(names: list[str]) -> int:
    """Prints the requirements of each extra in `names`; 2 when one does not exist."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    for name in names:
        if name not in extras:
            known = ", ".join(sorted(extras))
            print(f"extra {name!r} is not in pyproject.toml; it has {known}", file=sys.stderr)
            return 2
        print("\n".join(extras[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
