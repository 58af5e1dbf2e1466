"""On top of the floors: what several files say of one function: who catches a RetryError, who touches its retrying.

Functions are matched by name alone: two of one name are taken for one, which leaves more as it is, and never less.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from redouble.cli.migrate.draft import Cannot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redouble.cli.migrate.source import Source

TOUCHED = re.compile(
    rb"\.retry\.(sleep|wait|stop|retry|statistics|before|after|reraise|enabled)|\.retry_with\b|\.retry, ?[\"']"
)
"""What a file holds that may reach into a function that tenacity decorated."""


class Touch(NamedTuple):
    """A place that reaches into the retrying of a decorated function: `fetch.retry.sleep`, `fetch.retry_with`."""

    source: Source
    node: cst.Attribute
    function: str
    """The name of the function."""
    path: str
    """What is reached: `retry.sleep`, `retry_with`."""


class World:
    """All files that are looked at together.

    Attributes:
        sources: The files that may have to be changed.
        texts: The bytes of every file, by its path.
        refused: Why a function's decorator must stay, by the function's name.
        touches: The places that reach into decorated functions.
    """

    def __init__(self, sources: list[Source], texts: dict[Path, bytes]) -> None:
        self.sources = sources
        self.texts = texts
        self.refused: dict[str, str] = {}
        self.caught: dict[str, str] = {}
        for source in sources:
            for body, place in _catching(source):
                for name in _called(source, body):
                    self.caught.setdefault(name, place)
        names = {name for source in sources for name in _decorated_by_tenacity(source)}
        self.touches = [touch for source in sources for touch in _touches(source, names)]

    def refuse_touched(self, name: str) -> None:
        """Raise Cannot where another place reaches into the retrying of a function in a way that has no counterpart."""
        if name in self.refused:
            raise Cannot(self.refused[name])

    def refuse_caught(self, source: Source, node: cst.CSTNode, name: str) -> None:
        """Raise Cannot where the RetryError of a call site is caught, by the names of functions."""
        for up in source.around(node):
            if isinstance(up, cst.FunctionDef):
                break
            if isinstance(up, cst.Try) and any(_names_retry_error(source, each.type) for each in up.handlers):
                raise Cannot(
                    "RetryError is caught around it: pass reraise=True and catch the errors themselves,"
                    " or `with gave_up_as(MyError):`"
                )
        if name in self.caught:
            raise Cannot(
                f"its RetryError is caught in {self.caught[name]}: pass reraise=True and catch the errors themselves,"
                " or `with gave_up_as(MyError):`"
            )

    def mentions_elsewhere(self, source: Source) -> Callable[[str], bool]:
        """Return a function that tells whether another file mentions a name."""

        def mentions(name: str) -> bool:
            word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
            return any(word.search(text) for path, text in self.texts.items() if path != source.path)

        return mentions


def _catching(source: Source) -> Iterator[tuple[cst.CSTNode, str]]:
    """Yield the bodies whose RetryError is caught, and where that is."""
    for node in source.nodes:
        place = ""
        if isinstance(node, cst.Try):
            if any(_names_retry_error(source, handler.type) for handler in node.handlers):
                place = f"{source.path.name}:{source.line(node)}"
        elif isinstance(node, cst.With):
            calls = [item.item for item in node.items if isinstance(item.item, cst.Call)]
            if any(_names_retry_error(source, arg.value) for call in calls for arg in call.args):
                place = f"{source.path.name}:{source.line(node)}"
        if place:
            yield node.body, place  # type: ignore[union-attr]


def _names_retry_error(source: Source, node: cst.BaseExpression | None) -> bool:
    if node is None:
        return False
    if isinstance(node, cst.Tuple):
        return any(_names_retry_error(source, item.value) for item in node.elements)
    return source.full_name(node) in ("tenacity.RetryError", "retrying.RetryError")


def _called(source: Source, body: cst.CSTNode) -> Iterator[str]:
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


def _touches(source: Source, names: set[str]) -> Iterator[Touch]:
    for node in source.nodes:
        if not isinstance(node, cst.Attribute) or node.attr.value not in ("retry", "retry_with", "statistics"):
            continue
        function = source.code(node.value).rpartition(".")[2]
        if function not in names:
            continue
        up = source.parent(node)
        if node.attr.value == "retry" and isinstance(up, cst.Attribute) and up.value is node:
            yield Touch(source, up, function, f"retry.{up.attr.value}")
        else:
            yield Touch(source, node, function, node.attr.value)
