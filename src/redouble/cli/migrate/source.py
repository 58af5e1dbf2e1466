"""On top of the floors: one Python file, and the names in it that belong to another retry library.

Names are resolved by their imports and scopes: `import tenacity`, `import tenacity as t`, `from tenacity import retry
as again`. A name that the program's own modules export again is not followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import libcst as cst
from libcst.metadata import (
    MetadataWrapper,
    PositionProvider,
    QualifiedName,
    QualifiedNameSource,
    ScopeProvider,
)

from redouble.cli.migrate.draft import Cannot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIBRARIES = ("tenacity", "backoff", "stamina", "retrying")

MODULES = {
    *("wait", "stop", "nap", "before", "after", "before_sleep", "asyncio", "_asyncio", "_utils", "tornadoweb", "time"),
    *(
        "instrumentation",
        "typing",
        "types",
        "_sync",
        "_async",
        "_common",
        "_decorator",
        "_jitter",
        "_wait_gen",
        "_core",
    ),
}
"""The modules of the libraries: parts of a name's path, and no names themselves."""

_LIBRARY = "|".join(LIBRARIES).encode()
MENTIONED = re.compile(
    rb"^(\xef\xbb\xbf)?[ \t]*(from|import)[ \t]+([\w., \t]*,[ \t]*)?("
    + _LIBRARY
    + rb")\b|[\"']("
    + _LIBRARY
    + rb")\.[\w.]+[\"']",
    re.MULTILINE,
)
"""The pattern in a file that is worth parsing: an import of a library, or a string with a library's name."""

N = TypeVar("N", bound=cst.CSTNode)


class Ref(NamedTuple):
    """A use of a name of another library."""

    node: cst.BaseExpression
    library: str
    path: str
    """The library's own name for it, with its modules: `tenacity.wait.wait_fixed`."""

    @property
    def name(self) -> str:
        """The name without its modules."""
        return self.path.rpartition(".")[2]


class Source:
    """A parsed file.

    Attributes:
        path: The path of the file.
        module: Its syntax tree.
        refs: The uses of other libraries' names without the imports, in their order.
        unclear: Uses of names that are a library's in one branch only, such as after `try: import tenacity`.
        functions: The functions that are defined in the file, by name.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        wrapper = MetadataWrapper(cst.parse_module(data), unsafe_skip_copy=True)
        self.module: cst.Module = wrapper.module
        self._wrapper = wrapper
        self._scopes = wrapper.resolve(ScopeProvider)
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self.nodes: list[cst.CSTNode] = _walk(self.module, self._parents)
        self.functions: dict[str, cst.FunctionDef] = {
            node.name.value: node for node in self.nodes if isinstance(node, cst.FunctionDef)
        }
        self._constants = self._find_constants()
        self.unclear: list[Ref] = []
        self.refs: list[Ref] = list(self._find_refs())

    @property
    def is_test(self) -> bool:
        """Whether the file holds tests, by its name or its folder's."""
        name = self.path.name
        folders = {part.lower() for part in self.path.parts[:-1]}
        return (
            bool(folders & {"test", "tests", "testing"})
            or name.startswith("test_")
            or name.endswith("_test.py")
            or name in ("conftest.py", "tests.py")
        )

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node around a node."""
        return self._parents.get(node)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes around a node, inside out."""
        up = self.parent(node)
        while up is not None:
            yield up
            up = self.parent(up)

    def first_around(self, node: cst.CSTNode, kind: type[N]) -> N | None:
        """Return the innermost node of a kind around a node."""
        return next((each for each in self.around(node) if isinstance(each, kind)), None)

    def line(self, node: cst.CSTNode) -> int:
        """Return the line at which a node begins."""
        return self._wrapper.resolve(PositionProvider)[node].start.line

    def code(self, node: cst.CSTNode) -> str:
        """Return a node as it is written, with plain newlines."""
        return self.module.code_for_node(node).replace("\r\n", "\n").replace("\r", "\n")

    def full_name(self, node: cst.CSTNode) -> str | None:
        """Return the dotted name of an imported object or a builtin; `None`: the expression names none, or several."""
        known = self._known(node)
        found = {each.name for each in known if each.source is not QualifiedNameSource.LOCAL}
        return found.pop().removeprefix("builtins.") if len(found) == len(known) == 1 else None

    def constant(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """Return the value of a module's name that is assigned once; any other expression as it is."""
        seen = 0
        while isinstance(node, cst.Name) and node.value in self._constants and seen < 9:
            node, seen = self._constants[node.value], seen + 1
        return node

    def uses(self, name: str) -> list[cst.Name]:
        """Return the nodes of a name, its assignments included, attributes and keywords of calls excluded."""
        return [node for node in self.nodes if isinstance(node, cst.Name) and node.value == name and self._is_use(node)]

    def within(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """Return all nodes of a subtree."""
        return _walk(node, {})

    def _is_use(self, node: cst.Name) -> bool:
        up = self.parent(node)
        if isinstance(up, cst.Attribute):
            return up.value is node
        return not (isinstance(up, (cst.Arg, cst.Param)) and getattr(up, "keyword", None) is node)

    def _find_constants(self) -> dict[str, cst.BaseExpression]:
        found: dict[str, list[cst.BaseExpression]] = {}
        for line in self.module.body:
            for part in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                target: cst.CSTNode | None = None
                if isinstance(part, cst.Assign) and len(part.targets) == 1:
                    target = part.targets[0].target
                elif isinstance(part, cst.AnnAssign):
                    target = part.target
                if isinstance(target, cst.Name) and isinstance(part, (cst.Assign, cst.AnnAssign)) and part.value:
                    found.setdefault(target.value, []).append(part.value)
        bound = [name for node in self.nodes for name in _bound(node)]
        return {name: values[0] for name, values in found.items() if len(values) == 1 and bound.count(name) == 1}

    def _find_refs(self) -> Iterator[Ref]:
        for node in self.nodes:
            if not isinstance(node, (cst.Name, cst.Attribute)) or not self._is_loaded(node):
                continue
            path = self._path(node)
            if path is None or (isinstance(node, cst.Attribute) and self._path(node.value) is not None):
                continue
            ref = Ref(node, path.partition(".")[0], path)
            if len(self._known(node)) > 1:
                self.unclear.append(ref)
            else:
                yield ref

    def _known(self, node: cst.CSTNode) -> set[QualifiedName]:
        scope = self._scopes.get(node)
        return set() if scope is None else set(scope.get_qualified_names_for(node))

    def _path(self, node: cst.CSTNode) -> str | None:
        """Return the path of the library's object that a node names; `None` for a module, or a name of no library."""
        for each in self._known(node):
            parts = each.name.split(".")
            if each.source is not QualifiedNameSource.IMPORT or parts[0] not in LIBRARIES or len(parts) < 2:
                continue
            up = self.parent(node)
            beyond = up.attr.value if isinstance(up, cst.Attribute) and up.value is node else ""
            if parts[-1] not in MODULES and not (parts[-1] == "retry" and beyond.startswith(("retry_if", "retry_un"))):
                return each.name
        return None

    def _is_loaded(self, node: cst.CSTNode) -> bool:
        """Tell whether a node loads a name: no import, no binding, no keyword of a call."""
        up = self.parent(node)
        if isinstance(up, (cst.AssignTarget, cst.Param, cst.FunctionDef, cst.ImportAlias, cst.ImportFrom, cst.AsName)):
            return isinstance(up, cst.Param) and up.default is node
        return self._is_use(node) if isinstance(node, cst.Name) else True


def _bound(node: cst.CSTNode) -> Iterator[str]:
    """Yield the names that a node binds, in any scope."""
    if (isinstance(node, cst.AssignTarget) and isinstance(node.target, cst.Name)) or (
        isinstance(node, (cst.AnnAssign, cst.AugAssign)) and isinstance(node.target, cst.Name)
    ):
        yield node.target.value
    elif isinstance(node, cst.Param):
        yield node.name.value
    elif isinstance(node, cst.NamedExpr) and isinstance(node.target, cst.Name):
        yield node.target.value
    elif isinstance(node, cst.Global):
        yield from (item.name.value for item in node.names)


def _walk(root: cst.CSTNode, parents: dict[cst.CSTNode, cst.CSTNode]) -> list[cst.CSTNode]:
    """Return the nodes of a subtree in their order, and fill `parents` with the node around each."""
    found: list[cst.CSTNode] = []
    left = [root]
    while left:
        node = left.pop()
        found.append(node)
        inner = node.children
        for each in inner:
            parents[each] = node
        left.extend(reversed(inner))
    return found


def bind(source: Source, call: cst.Call | None, names: tuple[str, ...]) -> dict[str, cst.BaseExpression]:
    """Return the arguments of a call by name, including `**` of a dictionary that the module holds.

    Raises:
        Cannot: Where the values of unpacked arguments are not in this file, or there are more arguments than names.
    """
    found: dict[str, cst.BaseExpression] = {}
    for place, arg in enumerate(call.args if call is not None else ()):
        if arg.star == "*":
            raise Cannot("its arguments are unpacked")
        if arg.star == "**":
            found |= _unpacked(source, arg.value)
        elif arg.keyword is not None:
            found[arg.keyword.value] = arg.value
        elif place < len(names):
            found[names[place]] = arg.value
        else:
            raise Cannot("it has more positional arguments than are known")
    return found


def _unpacked(source: Source, value: cst.BaseExpression) -> dict[str, cst.BaseExpression]:
    given = source.constant(value)
    if (
        isinstance(given, cst.Call)
        and source.full_name(given.func) == "dict"
        and all(arg.keyword is not None for arg in given.args)
    ):
        return {arg.keyword.value: arg.value for arg in given.args if arg.keyword is not None}
    if isinstance(given, cst.Dict) and all(
        isinstance(item, cst.DictElement) and isinstance(item.key, cst.SimpleString) for item in given.elements
    ):
        return {
            str(item.key.evaluated_value): item.value
            for item in given.elements
            if isinstance(item, cst.DictElement) and isinstance(item.key, cst.SimpleString)
        }
    raise Cannot("its keyword arguments are unpacked")
