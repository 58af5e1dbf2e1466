"""A Sphinx extension that writes what the package itself knows: `{documented}`, `{policy-defaults}`, `{words-of}`, `{picture}`.

At the end of the build it warns of every exported name that no page documents.
"""

from __future__ import annotations

import importlib
import inspect
from enum import Enum
from typing import TYPE_CHECKING, Any

import facts
import pictures
from docutils import nodes
from sphinx.ext.autodoc.mock import mock
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import signature, stringify_signature

from redouble import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

MOST_OVERLOADS = 3
"""How many signatures of one function a reader is shown at most."""


class Written(SphinxDirective):
    """A directive that stands for the Markdown that it writes."""

    def written(self) -> Iterator[str]:
        """The lines that stand in its place."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.written()))


class Documented(Written):
    """Document some names, in their order: `{documented} redouble.testing`, and a line for each name."""

    required_arguments = 1
    has_content = True

    def written(self) -> Iterator[str]:
        """Return the reStructuredText of each name."""
        facade = self.arguments[0]
        with mock(self.config.autodoc_mock_imports):
            module = importlib.import_module(facade)
        yield "```{eval-rst}"
        for name in self.content:
            if not hasattr(module, name):
                raise self.error(f"{facade} has no {name}")
            yield from documented(facade, name)
        yield "```"


def documented(facade: str, name: str) -> Iterator[str]:
    """The reStructuredText that documents one name."""
    value = getattr(importlib.import_module(facade), name)
    module = facts.module_of(facade, name)
    if isinstance(value, type):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        yield f".. {kind}:: {facade}.{name}"
        yield "   :undoc-members:" if issubclass(value, Enum) else "   :members:"
        yield f"   :inherited-members: {', '.join(foreign_bases(value))}"
        yield f"   :exclude-members: {', '.join(facts.PLUMBING.get(name, ()))}"
        for method in vars(value):
            show_one_signature(module, f"{name}.{method}")
    elif inspect.isfunction(value):
        show_one_signature(module, name)
        yield f".. autofunction:: {facade}.{name}"
    else:
        yield f".. py:data:: {facade}.{name}"
        if isinstance(value, RetryPolicy):
            yield "   :type: RetryPolicy"
        yield ""
        yield from (f"   {line}" for line in facts.text_beneath(module, name).splitlines())
    yield ""


def show_one_signature(module: str, name: str) -> None:
    """Show the signature that a function is written with, where its overloads are too many to read."""
    analyzer = ModuleAnalyzer.for_module(module)
    analyzer.analyze()
    if len(analyzer.overloads.get(name, ())) > MOST_OVERLOADS:
        del analyzer.overloads[name]


class Aliases(Written):
    """The names of unions of types that signatures use: each as an entry that they link to."""

    def written(self) -> Iterator[str]:
        """Return the reStructuredText of each alias."""
        yield "```{eval-rst}"
        for name, meaning in facts.ALIASES.items():
            yield from [f".. py:type:: {name}", "", f"   {meaning}", ""]
        yield "```"


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


class Picture(SphinxDirective):
    """A picture that is drawn from redouble itself, with its caption: `{picture} timeline`."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture as it stands in HTML; its words are left out of the search."""
        draw = pictures.PICTURES.get(self.arguments[0])
        if draw is None:
            raise self.error(f"there is no picture {self.arguments[0]!r}: {', '.join(pictures.PICTURES)}")
        begin = nodes.raw(
            "", f'<figure class="picture"><div class="drawings">{draw()}</div><figcaption>', format="html"
        )
        end = nodes.raw("", "</figcaption></figure>", format="html")
        for each in (begin, end):
            each["classes"].append("no-search")
        return [begin, *self.parse_content_to_nodes(), end]


def show_constructor(
    app: Sphinx, what: str, name: str, value: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Give the fields of a record their types, and leave out how to make an object that only the library makes."""
    if arguments is None or what not in {"class", "exception"}:
        return None
    written = facts.record_signature(value)
    if written is not None:
        return (written, None)
    if "*args: Any" in arguments and "__init__" in vars(
        value
    ):  # its base is a stand-in for a library that is not there
        return (stringify_signature(signature(value.__init__, bound_method=True)), None)
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
    app.add_directive("aliases", Aliases)
    app.add_directive("documented", Documented)
    app.add_directive("picture", Picture)
    app.add_directive("policy-defaults", PolicyDefaults)
    app.add_directive("words-of", WordsOf)
    app.connect("autodoc-process-signature", show_constructor)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # Napoleon has 500
    app.connect("env-check-consistency", warn_of_undocumented_names)
    return {"parallel_read_safe": True}
