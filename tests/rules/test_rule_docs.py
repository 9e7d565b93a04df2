"""Every command, make target and Python example that the documents show exists as shown."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT
from test_rule_layers import PUBLIC_MODULES

import rtinfer

DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")])
COMMANDS = ("rtinfer", "latency-lab")
# What the command line offers; a new command is added here and in the documents.
SUBCOMMANDS = [
    ("rtinfer", "build"),
    ("rtinfer", "inspect"),
    ("rtinfer", "run"),
    ("rtinfer", "ctl"),
    ("latency-lab", "replay"),
]


def blocks(language: str) -> list[tuple[str, str]]:
    """(document:line, text) of each fenced block in `language`."""
    found = []
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S):
            line = text.count("\n", 0, match.start()) + 2
            found.append((f"{path.relative_to(ROOT)}:{line}", match.group(1)))
    return found


def shown_commands() -> list[tuple[str, list[str]]]:
    """(where, words) of each `$ command` line in console blocks, continuation lines joined."""
    found = []
    for where, text in blocks("console"):
        for line in re.sub(r"\\\n", " ", text).splitlines():
            if line.startswith("$ "):
                for part in re.split(r"\s(?:&&|\|\||\||;|&)(?=\s|$)", line[2:]):
                    words = shlex.split(part, comments=True)
                    while words and re.fullmatch(r"\w+=\S*", words[0]):
                        words.pop(0)
                    if words:
                        found.append((where, [Path(words[0]).name, *words[1:]]))
    return found


@functools.cache
def help_text(command: str, *words: str) -> str:
    """What `command words... --help` prints."""
    program = Path(sys.executable).parent / command
    out = subprocess.run(
        [program, *words, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert out.returncode == 0, f"{command} {' '.join(words)} --help: {out.stderr}"
    return out.stdout


def make_targets() -> set[str]:
    """The targets that the Makefile names."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.M))


@pytest.mark.parametrize(("command", "subcommand"), SUBCOMMANDS)
def test_every_command_has_help_with_an_example_and_json(command: str, subcommand: str) -> None:
    text = help_text(command, subcommand)
    assert re.search(r"example", text, flags=re.IGNORECASE), text
    assert re.search(rf"{command} {subcommand} ", text), "its example is missing"
    assert "--json" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_lists_are_complete(command: str) -> None:
    known = {name for owner, name in SUBCOMMANDS if owner == command}
    match = re.search(r"\{([a-z,-]+)\}", help_text(command))
    assert match is not None, help_text(command)
    assert set(match.group(1).split(",")) == known


def test_every_documented_command_exists_with_its_flags() -> None:
    for where, words in shown_commands():
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(targets) <= make_targets(), f"{where}: {' '.join(words)}"
        if words[0] not in COMMANDS:
            continue
        subcommand = [word for word in words[1:2] if not word.startswith("-")]
        text = help_text(words[0], *subcommand)
        for word in words[1:]:
            flag = word.split("=")[0]
            if re.fullmatch(r"--?[a-z][\w-]*", flag):
                assert re.search(rf"(?<![\w-]){flag}(?![\w-])", text), f"{where}: no {flag}"


def test_the_readme_shows_each_command() -> None:
    shown = {tuple(words[:2]) for _, words in shown_commands()}
    assert {("rtinfer", "build"), ("rtinfer", "run"), ("latency-lab", "replay")} <= shown
    assert ("make", "demo") in shown
    assert ("make", "test") in shown


@pytest.mark.parametrize(("where", "text"), blocks("python"), ids=[w for w, _ in blocks("python")])
def test_every_python_example_parses_and_uses_public_names(where: str, text: str) -> None:
    tree = ast.parse(text, filename=where)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "rtinfer":
                assert node.attr in rtinfer.__all__, f"{where}: rtinfer.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rtinfer":
            assert node.module in PUBLIC_MODULES, f"{where}: {node.module} is not public"
            module = importlib.import_module(node.module)
            known = set(getattr(module, "__all__", dir(module)))
            assert {alias.name for alias in node.names} <= known, where


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"
