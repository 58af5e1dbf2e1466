"""The architecture's guard: imports point down only, those inside functions and under TYPE_CHECKING included."""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

FLOORS = [
    "core",
    "known",
    "control",
    "wrappers",
    "loops",
    "",
    "rules",
    "testing",
    "adapters",
    "cli",
    "__main__",
]  # "": the facade
THIRD_PARTY = {"typing_extensions"}  # the floors' only one, and for type checkers alone


def floor(module: str) -> int:
    """How high a module stands: the place of its package in FLOORS."""
    return FLOORS.index(module.partition(".")[2].partition(".")[0])


def imports(path: Path, ours: Collection[str]) -> set[str]:
    """The modules that a file imports from, at any depth of its syntax tree."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}:{node.lineno}: a relative import hides where it goes"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & set(ours) or {node.module}
    return found


def modules(package: Path) -> dict[str, set[str]]:
    """Each module of a package, and what it imports."""
    paths = {path.relative_to(package.parent).with_suffix(""): path for path in package.rglob("*.py")}
    files = {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: imports(path, files) for name, path in files.items()}


def graph(package: Path) -> dict[str, set[str]]:
    """As `modules`, without what lies outside of the package."""
    found = modules(package)
    return {name: wanted & found.keys() for name, wanted in found.items()}


def upward(package: Path) -> list[str]:
    """The imports that point up."""
    return [f"{name} imports {to}" for name, all_ in graph(package).items() for to in all_ if floor(to) > floor(name)]


def foreign(package: Path) -> list[str]:
    """What the floors import that is neither Python's nor ours; all above the facade may know others."""
    known = sys.stdlib_module_names | THIRD_PARTY | {package.name}
    return [
        f"{name} imports {wanted}"
        for name, all_ in modules(package).items()
        for wanted in all_
        if floor(name) <= floor(package.name) and wanted.partition(".")[0] not in known
    ]


@pytest.fixture
def package() -> Path:
    """Where redouble is installed."""
    spec = find_spec("redouble")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def test_imports_point_down(package: Path) -> None:
    """No module imports from a floor above its own."""
    assert upward(package) == []


def test_no_module_stands_outside_of_the_floors(package: Path) -> None:
    """Every file of the package belongs to a floor that FLOORS names."""
    assert {name.partition(".")[2].partition(".")[0] for name in modules(package)} <= set(FLOORS)


def test_there_is_no_import_cycle(package: Path) -> None:
    """The imports make no circle, not even through functions."""
    TopologicalSorter(graph(package)).prepare()


def test_the_floors_import_no_third_party(package: Path) -> None:
    """Up to the facade there is only the standard library, and typing_extensions for type checkers."""
    assert foreign(package) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core/a.py", "from redouble.control import b"),
        ("core/a.py", "def f():\n    import redouble.control.b"),
        ("core/a.py", "if TYPE_CHECKING:\n    from redouble.control.b import x"),
        ("control/a.py", "import redouble"),
    ],
)
def test_the_guard_sees_an_upward_import(tmp_path: Path, name: str, source: str) -> None:
    """An upward import is found at the top of a file, in a function, under TYPE_CHECKING, and from the facade."""
    tree(tmp_path, {name: source, "control/b.py": "", "__init__.py": ""})
    assert len(upward(tmp_path / "redouble")) == 1


def test_the_guard_sees_a_cycle(tmp_path: Path) -> None:
    """Two modules that import each other are a cycle, also when one does it inside a function."""
    tree(tmp_path, {"core/a.py": "from redouble.core import b", "core/b.py": "def f():\n    import redouble.core.a"})
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path / "redouble")).prepare()


def test_the_guard_sees_a_third_party(tmp_path: Path) -> None:
    """A foreign import on a floor is found; above the facade it is allowed."""
    tree(tmp_path, {"core/a.py": "import httpx", "testing/b.py": "import hypothesis"})
    assert foreign(tmp_path / "redouble") == ["redouble.core.a imports httpx"]


def tree(root: Path, files: dict[str, str]) -> None:
    """Write a small package."""
    for name, source in files.items():
        path = root / "redouble" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
