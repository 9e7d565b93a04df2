"""Reads the project's own sources for the rule tests: files, imports, includes, C++ bodies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("kernels", "graphs", "rtinfer", "latency_lab", "ros_bridge", "clients", "examples")
CHECKS = ("tests", "bench", "tools")


def files(*suffixes: str, parts: tuple[str, ...] = PARTS + CHECKS) -> list[Path]:
    """The project's files that end in one of `suffixes`, below `parts`, sorted."""
    found = [
        path
        for part in parts
        for path in (ROOT / part).rglob("*")
        if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts
    ]
    return sorted(found)


def name_of(path: Path) -> str:
    """The path as the project names it, relative to its root."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """The dotted module name of a Python file: rtinfer/build/__init__.py is rtinfer.build."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """(line, absolute module, imported names) of every import in a Python file, lazy ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, module]) if module else ".".join(base)
            yield node.lineno, module, tuple(alias.name for alias in node.names)


def includes(path: Path) -> Iterator[tuple[int, str]]:
    """(line, file) of every include of a C++ file, quoted or in angle brackets."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if match:
            yield number, match.group(1)


def bare_cpp(text: str) -> str:
    """C++ text with comments and string literals blanked, line numbers kept."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group(0))

    pattern = r'//[^\n]*|/\*.*?\*/|R"\w*\(.*?\)\w*"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def block_end(text: str, start: int) -> int:
    """The index after the brace that closes the one at `start`."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index + 1
    raise ValueError(f"the brace at {start} is never closed")
