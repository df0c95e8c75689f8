import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mnv3prof

HOUSE = Path(mnv3prof.__file__).parent
FILES = sorted(path.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*.py"))
ROOMS = [
    "device",
    "graph",
    "registry",
    "mobilenetv3",
    "cost",
    "record",
    "space",
    "capture",
    "source",
    "analysis",
    "imports",
    "budgets",
    "workers",
    "bench",
    "estimate",
    "train",
    "render",
    "show",
    "advice",
    "page",
    "claims",
    "interface",
    "cli",
]
"""From the ground up."""
PAPER_ROOMS = ROOMS[1 : ROOMS.index("workers")]
SHOWING = ["render", "show", "advice", "page"]
MAY_SHOW = {"device", *PAPER_ROOMS, *SHOWING} - {"source"}
"""What is shown is there already: no room that shows it measures, trains or reads files."""
WITH_TORCH = (
    *(f"capture/{name}.py" for name in ("calls", "eager", "export", "module", "reference", "slices")),
    "mobilenetv3/modules.py",
    "mobilenetv3/network.py",
    "cost/counters/",
)
IMPORT_INSIDE = ("analysis/change.py", "capture/", "imports/readers/etdump.py", "space/")
"""What imports a heavy package in the functions that need it: scipy, a format's own."""
FILE_READERS = (
    "capture/",
    "mobilenetv3/files.py",
    "record/atomic.py",
    "device/",
    "source.py",
    "space/",
    "bench/",
    "workers/",
    "train/",
    "cli/",
    "interface/",
    "cost/counters/",
)
ON_PAPER = [f for f in FILES if f.startswith(tuple(PAPER_ROOMS)) and not f.startswith(WITH_TORCH)]
"""What needs no PyTorch."""
LONGEST_BODY = 40
"""Lines of a function without its signature and docstring."""
OVERRIDES = {"forward", "parse_args"}
"""Methods whose base class documents them."""
OPENERS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink"}


def _tree(file: Any) -> Any:
    return ast.parse((HOUSE / file).read_text(encoding="utf-8"))


def _room(file: Any) -> Any:
    """The folder, or the file that is a room by itself; "" for the package's own."""
    return file.split("/")[0].removesuffix(".py") if not file.startswith("__") else ""


def _modules(file: Any, node: Any) -> Any:
    """Absolute names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = ["mnv3prof", *file.split("/")[:-1]]
    base = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*base, *([node.module] if node.module else [])])  # type: ignore[assignment]
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def _imports(file: Any, nodes: Any = None) -> Any:
    nodes = ast.walk(_tree(file)) if nodes is None else nodes
    return [
        m for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for m in _modules(file, node)
    ]


def _rooms_imported(file: Any) -> Any:
    inside = [name.split(".") for name in _imports(file) if name.startswith("mnv3prof.")]
    return {parts[1] for parts in inside if parts[1] in ROOMS}


def _run_at_import(body: Any) -> Iterator[Any]:
    """Statements that an import runs: not those of functions, nor those for type checkers."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _run_at_import(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody", "handlers"):
            yield from _run_at_import(getattr(node, field, []))


def _public(body: Any) -> Iterator[Any]:
    """Functions and classes that others may call, and their methods."""
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield node.name, node
            yield from _public(node.body if isinstance(node, ast.ClassDef) else [])


def _body_lines(function: Any) -> Any:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def test_the_reader_of_imports_sees_them() -> None:
    assert _rooms_imported("mobilenetv3/expand.py") == {"graph", "mobilenetv3"}
    assert {"graph", "cost"} <= _rooms_imported("cost/counters/__init__.py")
    assert "torch" in _imports("mobilenetv3/modules.py", _run_at_import(_tree("mobilenetv3/modules.py").body))


def test_every_room_is_in_the_list() -> None:
    assert {_room(file) for file in FILES} - {""} <= set(ROOMS)


@pytest.mark.parametrize("file", [file for file in FILES if _room(file)])
def test_a_room_knows_only_those_before_it(file: str) -> None:
    room = _room(file)
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room in SHOWING:
        allowed &= MAY_SHOW
    assert _rooms_imported(file) <= allowed


@pytest.mark.parametrize("file", ON_PAPER)
def test_the_network_on_paper_needs_only_the_standard_library_and_msgspec(file: str) -> None:
    allowed = sys.stdlib_module_names | {"msgspec", "mnv3prof"}
    at_import = {name.split(".")[0] for name in _imports(file, _run_at_import(_tree(file).body))}
    assert at_import <= allowed
    if not file.startswith(IMPORT_INSIDE):
        assert {name.split(".")[0] for name in _imports(file)} <= allowed


@pytest.mark.parametrize("file", [f"{room}/__init__.py" for room in ROOMS if (HOUSE / room).is_dir()])
def test_a_rooms_front_door_imports_nothing(file: str) -> None:
    assert not list(_imports(file, _run_at_import(_tree(file).body)))


def test_importing_the_package_and_its_paper_rooms_loads_nothing_heavy() -> None:
    paper = [file.removesuffix(".py").replace("/", ".") for file in ON_PAPER]
    code = "import sys, mnv3prof, " + ", ".join(f"mnv3prof.{name}" for name in paper if "__" not in name)
    code += "; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "msgspec" in loaded.split()
    assert not {"torch", "numpy", "pandas", "plotly", "scipy", "rich", "typer"} & set(loaded.split())


def test_the_packages_names_are_there() -> None:
    assert mnv3prof.__all__ == sorted(mnv3prof.__all__)
    for name in mnv3prof.__all__:
        assert name == "__version__" or getattr(mnv3prof, name).__module__.startswith("mnv3prof.")
        assert name in dir(mnv3prof)
    with pytest.raises(AttributeError, match="exapnd"):
        _ = mnv3prof.exapnd


def test_no_file_is_called_utils() -> None:
    assert not [file for file in FILES if Path(file).stem in {"utils", "util", "helpers", "misc", "common"}]


@pytest.mark.parametrize("file", FILES)
def test_no_public_function_swallows_misspelt_arguments(file: str) -> None:
    swallowing = [
        name
        for name, function in _public(_tree(file).body)
        if isinstance(function, ast.FunctionDef) and function.args.kwarg
    ]
    assert swallowing == []


@pytest.mark.parametrize("file", [file for file in FILES if _room(file) != "cli"])
def test_only_cli_prints(file: str) -> None:
    called = [ast.unparse(node.func) for node in ast.walk(_tree(file)) if isinstance(node, ast.Call)]
    assert not {"print", "sys.stdout.write", "sys.stderr.write", "typer.echo"} & set(called)


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(FILE_READERS)])
def test_files_are_opened_in_few_places(file: str) -> None:
    called = [node.func for node in ast.walk(_tree(file)) if isinstance(node, ast.Call)]
    names = {func.attr if isinstance(func, ast.Attribute) else ast.unparse(func) for func in called}
    assert not names & OPENERS


@pytest.mark.parametrize("file", [file for file in FILES if (HOUSE / file).stat().st_size])
def test_everything_public_is_documented(file: str) -> None:
    tree = _tree(file)
    assert ast.get_docstring(tree)
    undocumented = [name for name, node in _public(tree.body) if not ast.get_docstring(node)]
    assert set(undocumented) <= OVERRIDES


@pytest.mark.parametrize("file", FILES)
def test_no_function_is_long(file: str) -> None:
    functions = [
        node for node in ast.walk(_tree(file)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert [function.name for function in functions if _body_lines(function) > LONGEST_BODY] == []
