"""The architecture's guard, by syntax trees: imports point down, floor 1 is pure, and only drivers call and sleep."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FLOORS = [
    "core",
    "known",
    "control",
    "calls",
    "ways",
    "loops",
    "jitters",
    "types",
    "",
    "rules",
    "testing",
    "adapters",
    "cli",
    "__main__",
    "examples",
]  # "": the facade; "jitters" and "types" hand out names as it does
THIRD_PARTY = {"typing_extensions"}  # the floors' only one, and for type checkers alone
NEWER = {"annotationlib"}  # in the standard library from Python 3.14 on

IMPURE = {"time", "monotonic", "perf_counter", "random", "urandom", "gmtime", "localtime", "open", "print", "environ", "getenv",
          "cache", "lru_cache", "cached_property", "ContextVar", "local", "getLogger"}  # fmt: skip
CONTAINERS = {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "count", "WeakSet",
              "WeakKeyDictionary", "WeakValueDictionary"}  # fmt: skip
CHANGING = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}

OPERATIONS = {
    "redouble.calls.hosts.threads": 1,
    "redouble.calls.hosts.coroutines": 1,
    "redouble.ways.wrap": 1,  # the first attempt of a decorated function, which is to cost next to nothing
    "redouble.ways.wrap_async": 1,
}
SLEEPERS = (
    "redouble.calls.hosts.",
    "redouble.control.clock",  # the system's clock, by which the drivers wait
    "redouble.calls.pause",  # several events as one: its `wait` is what a clock calls
)


def floor(module: str) -> int:
    """How high a module stands: the place of its package in FLOORS."""
    return FLOORS.index(module.partition(".")[2].partition(".")[0])


@cache
def syntax(source: bytes) -> ast.Module:
    """Return the syntax tree of a module's source."""
    return ast.parse(source)


def imports(path: Path, ours: Collection[str]) -> set[str]:
    """The modules that a file imports from, at any depth of its syntax tree."""
    found = set()
    for node in ast.walk(syntax(path.read_bytes())):
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
    known = sys.stdlib_module_names | NEWER | THIRD_PARTY | {package.name}
    return [
        f"{name} imports {wanted}"
        for name, all_ in modules(package).items()
        for wanted in all_
        if floor(name) <= floor(package.name) and wanted.partition(".")[0] not in known
    ]


def trees(package: Path) -> dict[str, ast.Module]:
    """The syntax tree of each module of a package."""
    paths = {path.relative_to(package.parent).with_suffix(""): path for path in package.rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): syntax(path.read_bytes()) for name, path in paths.items()}


def impurities(package: Path) -> list[str]:
    """What makes floor 1 impure: its clocks, randomness, I/O and caches, and the state that its modules keep."""
    found = []
    for name, tree in trees(package).items():
        if name.startswith("redouble.core."):
            found += [f"{name}: {what}" for what in (*names_of_the_world(tree), *state(tree))]
    return found


def names_of_the_world(tree: ast.Module) -> Iterator[str]:
    """The names in a module that tell the time, draw, read or write, or keep what was computed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from IMPURE & {str(node.module).partition(".")[0]}
        elif isinstance(node, ast.alias):
            yield from IMPURE & {node.name.partition(".")[0]}
        elif isinstance(node, ast.Name):
            yield from IMPURE & {node.id}
        elif isinstance(node, ast.Attribute):
            yield from (IMPURE | {"now", "today"}) & {node.attr}


def state(tree: ast.Module) -> Iterator[str]:
    """The state that a module keeps: globals that functions set, and containers that begin empty or are changed."""
    kept = {}
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and is_container(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            kept |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
    yield from (name for name, value in kept.items() if is_empty(value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"global {', '.join(node.names)}"
        elif changed(node) in kept:
            yield f"{changed(node)} is changed"


def is_container(value: ast.expr | None) -> bool:
    """Whether a value can be changed in place."""
    if isinstance(value, ast.Call):
        return getattr(value.func, "id", getattr(value.func, "attr", None)) in CONTAINERS
    return isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp))


def is_empty(value: ast.expr) -> bool:
    """Whether a container begins empty, so that it can only be meant to be filled."""
    return not any(ast.iter_child_nodes(value)) or (isinstance(value, ast.Call) and not value.args)


def changed(node: ast.AST) -> str | None:
    """The name of the container that a piece of syntax changes in place."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        owner: ast.expr = node.func.value
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        owner = node.value
    elif isinstance(node, ast.AugAssign):
        owner = node.target
    else:
        return None
    return getattr(owner, "id", None)


def called(package: Path, *names: str) -> dict[str, int]:
    """How often each module from `control` to `loops` calls a function, or a method, of one of these names."""
    counts: dict[str, int] = {}
    for module, tree in trees(package).items():
        if FLOORS.index("control") <= floor(module) <= FLOORS.index("loops"):
            functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            times = sum(getattr(each, "id", getattr(each, "attr", None)) in names for each in functions)
            counts |= {module: times} if times else {}
    return counts


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


def test_floor_1_is_pure(package: Path) -> None:
    """The core knows no clock, randomness, I/O or cache, and none of its modules keeps any state."""
    assert impurities(package) == []


def test_nothing_but_the_drivers_calls_an_operation(package: Path) -> None:
    """A host has one place where operations are called; decorated functions have another for their first attempt."""
    assert called(package, "fn") == OPERATIONS


def test_nothing_but_the_drivers_sleeps(package: Path) -> None:
    """Scripts say how long to wait; the drivers do, by a clock."""
    sleepers = called(package, "sleep", "sleep_async")
    assert [module for module in sleepers if not module.startswith(SLEEPERS)] == []
    assert all(any(module.startswith(each) for module in sleepers) for each in SLEEPERS)


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


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "def f():\n    from time import monotonic",
        "from datetime import datetime\nstamp = lambda: datetime.now()",
        "def f(path):\n    return open(path)",
        "import functools\n@functools.cache\ndef f(): ...",
        "seen = {}",
        "seen: set[str] = set()",
        "seen = {'a': 1}\ndef f(key):\n    seen[key] = 1",
        "seen = [1]\ndef f(key):\n    seen.append(key)",
        "seen = [1]\ndef f(key):\n    del seen[key]",
        "total = 0\ndef f():\n    global total\n    total += 1",
    ],
)
def test_the_guard_sees_what_is_impure(tmp_path: Path, source: str) -> None:
    """A clock, a file, a cache and state are found; the same on a higher floor is no concern."""
    tree(tmp_path, {"core/a.py": source, "known/a.py": source})
    assert impurities(tmp_path / "redouble")


def test_the_guard_lets_tables_be(tmp_path: Path) -> None:
    """A table that is written once, and local state, are pure."""
    source = "TABLE = {'a': 1}\nWORDS = ('a',)\ndef f(key):\n    seen = {}\n    seen[key] = TABLE[key]\n    return seen"
    tree(tmp_path, {"core/a.py": source})
    assert impurities(tmp_path / "redouble") == []


def test_the_guard_sees_a_call_of_an_operation(tmp_path: Path) -> None:
    """A call by either spelling is found on the floors that run something, and counted."""
    source = "def f(call, fn):\n    call.fn(*call.args)\n    return fn()"
    tree(tmp_path, {"loops/a.py": source, "core/a.py": source, "testing/a.py": source})
    assert called(tmp_path / "redouble", "fn") == {"redouble.loops.a": 2}


def tree(root: Path, files: dict[str, str]) -> None:
    """Write a small package."""
    for name, source in files.items():
        path = root / "redouble" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
