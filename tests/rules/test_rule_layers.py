"""Who may import or include whom, read from the sources themselves."""

from __future__ import annotations

import importlib

import pytest
from sources import ROOT, files, imports, includes, module_of, name_of

# A module may import modules of its own and of lower numbers. Subpackages count as one module.
PYTHON_LAYERS = {
    "errors": 0,
    "_native": 0,
    "config": 1,
    "wire": 1,
    "manifest": 1,
    "figures": 1,
    "host": 1,
    "logs": 1,
    "records": 1,
    "safetensors": 1,
    "engines": 2,
    "build": 3,
    "service": 4,
    "loop": 5,
    "clients": 5,
    "faults": 6,
    "cli": 7,
}
CPP_LAYERS = {"kernels": 0, "graphs": 1, "rtinfer/native": 2, "bindings": 3}
EXTENSION = {"nanobind", "Python.h"}
# What is public: the facade, and these modules (their __all__ where they have one).
PUBLIC_MODULES = {
    "rtinfer",
    "rtinfer.errors",
    "rtinfer.faults",
    "rtinfer.figures",
    "rtinfer.logs",
    "rtinfer.records",
}
PUBLIC_USERS = ("latency_lab", "ros_bridge", "examples")


def python_layer(module: str) -> int | None:
    """The layer of rtinfer.X...; None for the facade `rtinfer` itself."""
    parts = module.split(".")
    if len(parts) == 1:
        return None
    return PYTHON_LAYERS.get(parts[1])


def cpp_layer(name: str) -> int | None:
    """The layer of a project file, None for one that is not the project's."""
    if name.startswith("rtinfer/native/bindings"):
        return CPP_LAYERS["bindings"]
    for folder, layer in CPP_LAYERS.items():
        if name.startswith(folder + "/"):
            return layer
    return None


def test_every_module_of_rtinfer_has_a_layer() -> None:
    modules = {
        module_of(path).split(".")[1]
        for path in files(".py", parts=("rtinfer",))
        if "." in module_of(path)
    }
    assert modules <= set(PYTHON_LAYERS), "give the new module a layer in PYTHON_LAYERS"


def test_python_imports_only_what_lies_below() -> None:
    wrong = []
    for path in files(".py", parts=("rtinfer",)):
        own = module_of(path)
        own_layer = python_layer(own)
        for line, module, names in imports(path):
            where = f"{name_of(path)}:{line} imports {module}"
            if module.split(".")[0] in ("latency_lab", "rtinfer_ros", "ros_bridge"):
                wrong.append(f"{where}: rtinfer stands without it")
            if module.split(".")[0] != "rtinfer" or own_layer is None:
                continue
            targets = [module] if module != "rtinfer" else [f"rtinfer.{name}" for name in names]
            for part in {target.split(".")[1] for target in targets}:
                if part not in PYTHON_LAYERS:
                    wrong.append(f"{where}: the facade is for users, import the module")
                elif part != own.split(".")[1] and PYTHON_LAYERS[part] >= own_layer:
                    wrong.append(f"{where}: not below {own}")
    assert not wrong, "\n".join(wrong)


def test_parts_outside_rtinfer_use_its_public_names_only() -> None:
    wrong = []
    for path in files(".py", parts=PUBLIC_USERS):
        for line, module, names in imports(path):
            where = f"{name_of(path)}:{line} imports {module}"
            if module.split(".")[0] != "rtinfer":
                continue
            if module not in PUBLIC_MODULES:
                wrong.append(f"{where}: not public, expected one of {sorted(PUBLIC_MODULES)}")
                continue
            known = getattr(importlib.import_module(module), "__all__", None)
            private = {name for name in names if name.startswith("_")}
            if known is not None:
                private |= set(names) - set(known)
            if private:
                wrong.append(f"{where}: {sorted(private)} not public there")
    assert not wrong, "\n".join(wrong)


def test_cpp_includes_only_what_lies_below() -> None:
    wrong = []
    for path in files(".cpp", ".hpp", ".h", parts=("kernels", "graphs", "rtinfer")):
        own_layer = cpp_layer(name_of(path))
        assert own_layer is not None, name_of(path)
        for line, name in includes(path):
            where = f"{name_of(path)}:{line} includes {name}"
            sibling = path.parent / name
            layer = cpp_layer(name_of(sibling) if sibling.exists() else name)
            if layer is not None and layer > own_layer:
                wrong.append(f"{where}: not below it")
            if name.split("/")[0] in EXTENSION and own_layer != CPP_LAYERS["bindings"]:
                wrong.append(f"{where}: Python is for the bindings alone")
    assert not wrong, "\n".join(wrong)


def test_kernels_know_no_threads_heap_or_streams() -> None:
    banned = {"thread", "mutex", "atomic", "vector", "string", "memory", "iostream", "functional"}
    wrong = [
        f"{name_of(path)}:{line} includes <{name}>"
        for path in files(".cpp", ".hpp", ".h", parts=("kernels",))
        for line, name in includes(path)
        if name in banned
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["kernels", "graphs"])
def test_cpp_libraries_are_no_python_packages(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert not list((ROOT / folder).rglob("__init__.py"))
