"""The committed stub of the extension says what the built extension has, name by name."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterable

from sources import ROOT

from rtinfer import _native

STUB = ROOT / "rtinfer" / "_native.pyi"
SIMPLE = {"None", "int", "str", "bool", "float", "bytes"}
Shape = dict[str, str]


def _parameters(node: ast.FunctionDef) -> str:
    """`name, name=..., -> type` of a function; the type only where it is a simple one."""
    arguments = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
    arguments = arguments[arguments[:1] == ["self"] :]
    optional = len(node.args.defaults)
    shown = [
        f"{name}=..." if index >= len(arguments) - optional else name
        for index, name in enumerate(arguments)
    ]
    returns = ast.unparse(node.returns) if node.returns else ""
    return ", ".join(shown) + (f" -> {returns}" if returns in SIMPLE else "")


def _is_property(node: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)


def declared(body: Iterable[ast.stmt], owner: str = "") -> Shape:
    """What the stub declares: dotted name -> kind and parameters."""
    shape: Shape = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            shape[node.name] = "class"
            shape |= declared(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            kind = "property" if _is_property(node) else f"({_parameters(node)})"
            shape[owner + node.name] = kind
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            shape[owner + node.target.id] = "attribute"
    return shape


def _called(function: object) -> str:
    """The parameters of a bound function, from the signature that nanobind keeps."""
    ((signature, *_),) = operator.attrgetter("__nb_signature__")(function)
    text = re.sub(
        r"\[[a-z]+=[^\[\]]*\]", "", re.sub(r"\\\d+", "...", signature)
    )  # ndarray[dtype=...]
    node = ast.parse(f"{text}: ...").body[0]
    assert isinstance(node, ast.FunctionDef)
    return f"({_parameters(node)})"


def built() -> Shape:
    """What the extension has, in the same words."""
    shape: Shape = {}
    for name, thing in vars(_native).items():
        if name.startswith("__"):
            continue
        if not isinstance(thing, type):
            shape[name] = _called(thing)
            continue
        shape[name] = "class"
        for member, value in vars(thing).items():
            if isinstance(value, property):
                kind = "property" if value.fset is None else "attribute"
                shape[f"{name}.{member}"] = kind
            elif not member.startswith("_") or member == "__init__":
                shape[f"{name}.{member}"] = _called(value)
    return shape


def test_the_stub_of_the_extension_is_current() -> None:
    stub = declared(ast.parse(STUB.read_text(encoding="utf-8")).body)
    module = built()
    only = [f"only in the stub: {name}" for name in sorted(stub.keys() - module.keys())]
    only += [f"not in the stub: {name}" for name in sorted(module.keys() - stub.keys())]
    only += [
        f"{name}: {stub[name]} in the stub, {module[name]} in the extension"
        for name in sorted(stub.keys() & module.keys())
        if stub[name] != module[name]
    ]
    assert not only, "\n".join(only)
