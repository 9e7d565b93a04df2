"""Rules on the text of the sources: first lines, sizes, no pickle, partners of atomics, RT_TICK."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sources import ROOT, bare_cpp, block_end, files, imports, name_of

PYTHON = files(".py", ".pyi")
CPP = files(".cpp", ".hpp", ".h")
NATIVE = files(".cpp", ".hpp", ".h", parts=("rtinfer",))
IN_TICK = files(".cpp", ".hpp", ".h", parts=("kernels", "graphs", "rtinfer"))
MAX_LINES = 350
# One extension, one bindings file, one stub of it.
LONG = {"rtinfer/native/bindings.cpp", "rtinfer/_native.pyi"}

# A pointer or reference to an atomic is no declaration of one.
ATOMIC = re.compile(
    r"\bstd::atomic\s*<[^<>]*>(?!\s*[*&])|\bstd::atomic_\w+|\batomic_ref\b|\b__atomic_\w+"
)
NOT_IN_TICK = re.compile(
    r"\bnew\b|\bdelete\b|\b(?:m|c|re)alloc\s*\(|\bfree\s*\(|\bthrow\b|\btry\b|\w*printf\s*\("
    r"|\bstd::(?:string|to_string|vector|function|map|unordered_map|make_unique|make_shared|cout"
    r"|cerr|format|mutex|lock_guard|unique_lock|scoped_lock|condition_variable)\b"
    r"|\bpthread_mutex_\w+|\bPy_?[A-Z]\w+|\bnb::|\bzmq_\w+"
)


def test_a_python_file_says_its_purpose_first() -> None:
    for path in PYTHON:
        text = path.read_text(encoding="utf-8")
        docstring = ast.get_docstring(ast.parse(text)) or ""
        assert text.startswith(('"""', 'r"""', "#!")), f"{name_of(path)}: no docstring at the top"
        assert re.match(r"\S.{10,}", docstring), f"{name_of(path)}: {docstring!r}"


def test_a_cpp_file_says_its_purpose_first() -> None:
    for path in CPP:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert re.match(r"// \w.{10,}", first), f"{name_of(path)}: {first!r}"


def test_a_file_has_one_purpose_and_stays_short() -> None:
    lengths = {name_of(path): path.read_text("utf-8").count("\n") for path in PYTHON + CPP}
    long = {
        name: lines for name, lines in lengths.items() if lines > MAX_LINES and name not in LONG
    }
    assert not long, f"over {MAX_LINES} lines, so usually with two purposes: {long}"


def test_nothing_is_pickled() -> None:
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    for path in files(".py"):
        for line, module, _ in imports(path):
            assert module.split(".")[0] not in banned, f"{name_of(path)}:{line} imports {module}"
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"allow_pickle\s*=\s*True", text), name_of(path)


def test_no_process_is_forked() -> None:
    for path in files(".py", parts=("rtinfer", "latency_lab")):
        for line, module, _ in imports(path):
            assert module.split(".")[0] != "multiprocessing", f"{name_of(path)}:{line}"
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bpreexec_fn\s*=|\bos\.fork\b", text), name_of(path)


def test_every_atomic_names_its_partner() -> None:
    bare = []
    for path in NATIVE:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for number, line in enumerate(bare_cpp(text).splitlines()):
            near = lines[max(0, number - 3) : number + 1]
            if ATOMIC.search(line) and not any("partner:" in one for one in near):
                bare.append(f"{name_of(path)}:{number + 1}: {line.strip()}")
    assert not bare, "no comment says 'partner: who, and why this order':\n" + "\n".join(bare)


def marked_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each body that RT_TICK marks; start == end for a declaration."""
    for mark in re.finditer(r"\bRT_TICK\b(?!\s*$)", text, flags=re.MULTILINE):
        head = re.compile(r"[{;]").search(text, mark.end())
        assert head is not None
        names: list[str] = re.findall(r"([\w~]+)\s*\(", text[mark.end() : head.start()])
        names = [name for name in names if name not in ("noexcept", "requires", "alignas")]
        name = names[0] if names else "?"
        if head.group() == ";":
            yield name, head.end(), head.end()
        else:
            yield name, head.start(), block_end(text, head.start())


def bodies_in_tick(path: Path) -> Iterator[tuple[str, str]]:
    """(name, body) of each function of `path` that carries RT_TICK, here or at its declaration."""
    text = bare_cpp(path.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    for name, start, end in marked_functions(text):
        yield name, text[start:end]
    header = path.with_suffix(".hpp")
    if path.suffix != ".cpp" or not header.exists():
        return
    declarations = bare_cpp(header.read_text(encoding="utf-8"))
    declarations = re.sub(r"(?m)^\s*#.*$", "", declarations)
    for name, start, end in marked_functions(declarations):
        if start != end:
            continue
        for match in re.finditer(rf"\b{re.escape(name)}\s*\([^;{{}}]*\)[^;{{}}()]*\{{", text):
            yield name, text[match.end() - 1 : block_end(text, match.end() - 1)]


def test_what_runs_in_a_tick_never_allocates_throws_formats_or_locks() -> None:
    wrong = [
        f"{name_of(path)}: {name}() is marked RT_TICK and has {found.group()!r}"
        for path in IN_TICK
        for name, body in bodies_in_tick(path)
        if (found := NOT_IN_TICK.search(body))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_mark_is_used() -> None:
    marked = [name for path in IN_TICK for name, body in bodies_in_tick(path) if body]
    assert len(marked) >= 10, marked


def test_the_checks_of_this_file_see_what_they_look_for(tmp_path: Path) -> None:
    source = tmp_path / "bad.hpp"
    source.write_text(
        "// Bad on purpose.\nRT_TICK inline int f() noexcept {\n  return *new int;\n}\n"
    )
    ((name, body),) = bodies_in_tick(source)
    assert name == "f"
    assert NOT_IN_TICK.search(body)
    assert not NOT_IN_TICK.search(bare_cpp('x("new"); // throw\nstd::string_view y; renew(1);'))
    assert ATOMIC.search("std::atomic<int> x;")


def test_the_design_folders_exist() -> None:
    for part in ("kernels", "graphs", "rtinfer/native", "latency_lab", "examples", "docs"):
        assert (ROOT / part).is_dir(), part
