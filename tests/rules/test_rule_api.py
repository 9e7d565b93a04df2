"""The public names of rtinfer: pinned, documented, and light to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import rtinfer

PUBLIC = {
    "ActionSubscriber",
    "Config",
    "Engine",
    "Loop",
    "ObservationPublisher",
    "RtinferError",
    "Service",
    "VirtualClock",
    "build",
    "load",
    "load_config",
}


def test_the_public_names_are_these() -> None:
    assert set(rtinfer.__all__) == PUBLIC
    assert len(rtinfer.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_has_a_docstring(name: str) -> None:
    thing = getattr(rtinfer, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    assert inspect.getdoc(thing), f"rtinfer.{name}"
    if not inspect.isclass(thing):
        return
    for member, value in vars(thing).items():
        public = not member.startswith("_") and (
            inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
        )
        assert not public or inspect.getdoc(getattr(thing, member)), f"rtinfer.{name}.{member}"


def test_importing_rtinfer_loads_neither_zmq_nor_onnx() -> None:
    code = (
        "import sys, rtinfer;"
        "print(sorted({'zmq', 'onnx', 'onnxruntime', 'torch', 'rosbags'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        getattr(rtinfer, "no_such" + "_name")
