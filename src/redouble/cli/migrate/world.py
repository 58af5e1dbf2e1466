"""On top of the floors: facts from several files about one function: handlers of its RetryError, uses of its retrying.

Functions are matched by name alone. Two functions of one name count as one; then more code is marked, never less.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from redouble.cli.migrate.draft import Cannot
from redouble.cli.migrate.source import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from redouble.cli.migrate.source import Source

TOUCHED = re.compile(
    rb"\.retry\.(sleep|wait|stop|retry|statistics|before|after|reraise|enabled)|\.retry_with\b|\.retry, ?[\"']"
)
"""The pattern in a file that may reach into a function decorated by tenacity."""


_TRY_AGAIN = re.compile(rb"\bTryAgain\b")

REACHED = {"sleep", "wait", "stop", "statistics", "before_sleep", "retry_error_callback", "reraise"}
"""The attributes of `.retry` that suggest tenacity where the decorator of a function is not known."""


class Touch(NamedTuple):
    """A place that reaches into the retrying of a decorated function: `fetch.retry.sleep`, `fetch.retry_with`."""

    source: Source
    node: cst.Attribute
    function: str
    """The name of the function."""
    path: str
    """The attributes reached: `retry.sleep`, `retry_with`."""


class Catch(NamedTuple):
    """A place that catches RetryError."""

    source: Source
    node: cst.Try | cst.With
    named: str
    """The code that names the class there."""
    asks: bool
    """Whether the code there reads the error, and does not only catch it."""

    @property
    def place(self) -> str:
        """The name of the file; without the line, which a mark above it would move."""
        return self.source.path.name


class World:
    """All files that are looked at together.

    Attributes:
        sources: The files that may have to be changed.
        texts: The bytes of every file, by its path.
        refused: The reason why a function's decorator must stay, by the function's name.
        touches: The places that reach into decorated functions.
        patched: The files that put stand-ins into a library itself, by `module.library`.
        strange: The places that reach into functions whose decorator is not known.
    """

    def __init__(self, sources: list[Source], texts: dict[Path, bytes]) -> None:
        self.sources = sources
        self.texts = texts
        self.refused: dict[str, str] = {}
        self.caught: dict[str, list[Catch]] = {}
        self.catches: list[Catch] = [catch for source in sources for catch in _catching(source)]
        for catch in self.catches:
            for name in set(called(catch.source, catch.node.body)):
                self.caught.setdefault(name, []).append(catch)
        self.patched: dict[str, str] = {library: source.path.name for source in sources for library in _patched(source)}
        names = {name for source in sources for name in _decorated_by_tenacity(source)}
        self.touches: list[Touch] = [touch for source in sources for touch in _touches(source, names)]
        self.strange: list[Touch] = [
            touch for source in sources for touch in _touches(source, None) if touch.function not in names
        ]

    def refuse_patched(self, source: Source, node: cst.CSTNode, library: str) -> None:
        """Raise Cannot where tests patch a library that a function looks up at each call."""
        place = self.patched.get(f".{library}") or self.patched.get(f"{source.path.stem}.{library}")
        if place is not None and source.first_around(_decorated_or(source, node), cst.FunctionDef) is not None:
            raise Cannot(f"{place} patches {library} itself")

    def refuse_stand_ins(self, source: Source, swapped: Iterable[cst.CSTNode]) -> None:
        """Raise Cannot where a test patches a name in a module that the rewritten module would lack."""
        inside = [node for each in swapped for node in source.within(each)]
        names = {source.code(ref.node).partition(".")[0] for ref in source.refs if ref.node in inside}
        for name in sorted(names):
            word = re.compile(rf"[\"'][\w.]*\b{source.path.stem}\.{name}\b[\w.]*[\"']".encode())
            place = next((path for path, text in self.texts.items() if word.search(text)), None)
            if place is not None:
                raise Cannot(f"{place.name} patches {source.path.stem}.{name}")

    def decorated_by(self, name: str) -> set[str]:
        """Return the names of all functions, in all files, under a decorator of that name."""
        word = re.compile(
            rb"^[ \t]*@(?:\w+\.)*" + re.escape(name.encode()) + rb"\b.*?\bdef (\w+)", re.MULTILINE | re.DOTALL
        )
        return {found.decode() for text in self.texts.values() for found in word.findall(text)}

    def refuse_strange(self) -> None:
        """Raise Cannot where a place reaches into a function whose unknown decorator may be the one at hand."""
        if self.strange:
            touch = self.strange[0]
            raise Cannot(f"{touch.source.path.name} uses {touch.function}.{touch.path}, which it may have made")

    def refuse_try_again(self, source: Source) -> None:
        """Raise Cannot in a file that names TryAgain, which tenacity retries under every `retry=`."""
        if _TRY_AGAIN.search(self.texts.get(source.path, b"")):
            raise Cannot("the file names TryAgain: write an error of your own, and name it in on=")

    def refuse_touched(self, name: str) -> None:
        """Raise Cannot where another place uses the retrying of a function in a way that has no counterpart."""
        if name in self.refused:
            raise Cannot(self.refused[name])

    def caught_at(self, source: Source, node: cst.CSTNode, name: str) -> list[Catch]:
        """Return the places that catch the RetryError of a call site: around it, or around calls of its function.

        Raises:
            Cannot: Where a place reads the RetryError, and does not only catch it.
        """
        inside = list(source.around(node))
        found = [catch for catch in self.catches if catch.source is source and _is_body_of(catch, inside)]
        found += [catch for catch in self.caught.get(name, []) if catch not in found]
        for catch in found:
            if catch.asks:
                raise Cannot(
                    f"its RetryError is looked into ({catch.place}): pass reraise=True and catch the errors themselves,"
                    " or `with gave_up_as(MyError):`"
                )
        return found

    def mentions_elsewhere(self, source: Source) -> Callable[[str], bool]:
        """Return a function that tells whether another file mentions a name."""

        def mentions(name: str) -> bool:
            word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
            return any(word.search(text) for path, text in self.texts.items() if path != source.path)

        return mentions


def _decorated_or(source: Source, node: cst.CSTNode) -> cst.CSTNode:
    """Return the function that an expression decorates; else the expression."""
    decorator = next((up for up in (node, *source.around(node)) if isinstance(up, cst.Decorator)), None)
    function = None if decorator is None else source.parent(decorator)
    return node if function is None else function


def _patched(source: Source) -> Iterator[str]:
    """Yield `module.library` for each library under `patch.object(tenacity, ...)` or `setattr(tenacity, ...)`."""
    for node in source.nodes:
        if isinstance(node, cst.Call) and len(node.args) > 1:
            path = source.code(node.args[0].value)
            holder, _, library = path.rpartition(".")  # perhaps a module's import of the library
            if library in LIBRARIES and source.code(node.func).rpartition(".")[2] in ("object", "setattr", "patch"):
                yield f"{holder.rpartition('.')[2]}.{library}"


def _is_body_of(catch: Catch, inside: list[cst.CSTNode]) -> bool:
    """Tell whether a node is in the body of a `try` or `with`, and in no function within that body."""
    for up in inside:
        if up is catch.node.body:
            return True
        if isinstance(up, cst.FunctionDef):
            return False
    return False


def _catching(source: Source) -> Iterator[Catch]:
    for node in source.nodes:
        if isinstance(node, cst.Try):
            for handler in node.handlers:
                named = _retry_error(source, handler.type)
                if named is not None:
                    yield Catch(source, node, source.code(named), _looks_into(source, handler))
        elif isinstance(node, cst.With):
            calls = [item.item for item in node.items if isinstance(item.item, cst.Call)]
            named = next((_retry_error(source, arg.value) for call in calls for arg in call.args), None)
            if named is not None and source.code(calls[0].func).rpartition(".")[2] != "gave_up_as":
                yield Catch(source, node, source.code(named), any(item.asname for item in node.items))


def _looks_into(source: Source, handler: cst.ExceptHandler) -> bool:
    """Tell whether a handler reads attributes of its error."""
    if handler.name is None or not isinstance(handler.name.name, cst.Name):
        return False
    uses = [
        each
        for each in source.within(handler.body)
        if isinstance(each, cst.Name) and each.value == handler.name.name.value
    ]
    return any(isinstance(source.parent(each), cst.Attribute) for each in uses)


def _retry_error(source: Source, node: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """Return the expression for RetryError in the type of a handler; `None`: the type has none."""
    if isinstance(node, cst.Tuple):
        return next((item.value for item in node.elements if _retry_error(source, item.value)), None)
    if node is not None and source.full_name(node) in ("tenacity.RetryError", "retrying.RetryError"):
        return node
    return None


def called(source: Source, body: cst.CSTNode) -> Iterator[str]:
    """Yield the names of the functions that a body calls."""
    for node in source.within(body):
        if isinstance(node, cst.Call):
            yield source.code(node.func).rpartition(".")[2]


def _decorated_by_tenacity(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if not isinstance(node, cst.FunctionDef):
            continue
        for each in node.decorators:
            named = each.decorator.func if isinstance(each.decorator, cst.Call) else each.decorator
            path = source.full_name(named) or ""
            if path == "tenacity.retry" or path.startswith("tenacity.Retrying"):
                yield node.name.value


def _touches(source: Source, names: set[str] | None) -> Iterator[Touch]:
    """Yield the places that reach into functions of these names; for `None`, of any name with a telling attribute."""
    for node in source.nodes:
        if not isinstance(node, cst.Attribute) or node.attr.value not in ("retry", "retry_with", "statistics"):
            continue
        function = source.code(node.value).rpartition(".")[2]
        up = source.parent(node)
        if names is None:
            told = isinstance(up, cst.Attribute) and up.value is node and up.attr.value in REACHED
            if node.attr.value == "statistics" or (node.attr.value == "retry" and not told):
                continue
        elif function not in names:
            continue
        if node.attr.value == "retry" and isinstance(up, cst.Attribute) and up.value is node:
            yield Touch(source, up, function, f"retry.{up.attr.value}")
        else:
            yield Touch(source, node, function, node.attr.value)
