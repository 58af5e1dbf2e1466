"""A Sphinx extension that writes what the package itself knows: `{exported}`, `{policy-defaults}` and `{words-of}`.

At the end of the build it warns of every exported name that no page documents.
"""

from __future__ import annotations

import importlib
import inspect
from enum import Enum
from typing import TYPE_CHECKING, Any

import facts
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)


class Written(SphinxDirective):
    """A directive that stands for the Markdown that it writes."""

    def written(self) -> Iterator[str]:
        """The lines that stand in its place."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.written()))


class Exported(Written):
    """Document every name that is exported from the modules beneath a prefix: `{exported} redouble.core`."""

    required_arguments = 1
    option_spec = {"quiet": directives.flag}  # noqa: RUF012  # Sphinx wants it on the class

    def written(self) -> Iterator[str]:
        found = facts.beneath(self.arguments[0])
        if not found:
            raise self.error(f"nothing is exported from {self.arguments[0]}")
        above = None
        for facade, module, names in found:
            if "quiet" not in self.options and module != above:
                yield from [f"**`{module}`** {facts.about(module)}", ""]
            above = module
            yield "```{eval-rst}"
            for name in names:
                yield from documented(facade, module, name)
            yield "```"


def documented(facade: str, module: str, name: str) -> Iterator[str]:
    """The reStructuredText that documents one name."""
    value = getattr(importlib.import_module(facade), name)
    if isinstance(value, type):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        yield f".. {kind}:: {facade}.{name}"
        yield "   :undoc-members:" if issubclass(value, Enum) else "   :members:"
        yield f"   :inherited-members: {', '.join(foreign_bases(value))}"
    elif inspect.isfunction(value):
        yield f".. autofunction:: {facade}.{name}"
    else:
        yield f".. py:data:: {facade}.{name}"
        yield ""
        yield from (f"   {line}" for line in facts.text_beneath(module, name).splitlines())
    yield ""


def foreign_bases(cls: type) -> list[str]:
    """The classes of an MRO that are not ours, whose members are not documented here."""
    return [base.__name__ for base in cls.__mro__ if base.__module__.partition(".")[0] != "redouble"]


class PolicyDefaults(Written):
    """The table of `RetryPolicy`'s fields: their defaults, and what its docstring says of them."""

    def written(self) -> Iterator[str]:
        yield from ["| field | default | meaning |", "| --- | --- | --- |"]
        for name, default, meaning in facts.policy_fields():
            safe = meaning.replace("|", "\\|")
            yield f"| `{name}` | `{default}` | {safe} |"


class WordsOf(Written):
    """The table of another library's words, as redouble's own errors answer them: `{words-of} tenacity`."""

    required_arguments = 1

    def written(self) -> Iterator[str]:
        yield from ["| you wrote | write |", "| --- | --- |"]
        for word, ours in facts.words_of(self.arguments[0]).items():
            safe = ours.replace("|", "\\|")
            yield f"| `{word}=` | {safe} |"


def hide_inner_constructor(
    app: Sphinx, what: str, name: str, value: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Leave out how to make an object that only the library makes: its docstring speaks of no arguments."""
    if arguments is None or what not in {"class", "exception"}:
        return None
    makeable = {"Args:", "Fields:"} & facts.sections(inspect.getdoc(value) or "").keys()
    return None if makeable else ("", None)


def keep_colons(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Keep Napoleon from taking a property's first words, up to a colon, for its type."""
    if what in {"attribute", "property"}:
        lines[:0] = ["..", ""]  # an empty comment, which has no colon


def warn_of_undocumented_names(app: Sphinx, env: BuildEnvironment) -> None:
    """Hold the reference to documenting every exported name."""
    known = env.get_domain("py").objects  # type: ignore[attr-defined]  # the Python domain's own
    for facade in facts.FACADES:
        for name in importlib.import_module(facade).__all__:
            if f"{facade}.{name}" not in known:
                logger.warning("%s.%s is exported, but no page documents it", facade, name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("exported", Exported)
    app.add_directive("policy-defaults", PolicyDefaults)
    app.add_directive("words-of", WordsOf)
    app.connect("autodoc-process-signature", hide_inner_constructor)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # Napoleon has 500
    app.connect("env-check-consistency", warn_of_undocumented_names)
    return {"parallel_read_safe": True}
