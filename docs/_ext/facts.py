"""What the reference says about the package, read from the package itself: its exported names, its policy's fields."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

FACADES = ["redouble", "redouble.jitters", "redouble.loops", "redouble.rules", "redouble.testing", "redouble.types"]


def syntax_of(module: str) -> ast.Module:
    """The syntax tree of a module's source."""
    file = importlib.import_module(module).__file__
    assert file is not None
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def exported(facade: str) -> dict[str, list[str]]:
    """The public names of a facade, by the module that they are imported from (the facade itself for the others)."""
    public = dict.fromkeys(importlib.import_module(facade).__all__, facade)
    for node in ast.walk(syntax_of(facade)):
        if isinstance(node, ast.ImportFrom) and node.module:
            public |= {name: node.module for alias in node.names if (name := alias.asname or alias.name) in public}
    found = defaultdict(list)
    for name, module in public.items():
        found[module].append(name)
    return dict(found)


def beneath(prefix: str) -> list[tuple[str, str, list[str]]]:
    """The facade, module and names of all that is exported from the modules beneath a prefix.

    A facade other than the package itself is a prefix of its own, whatever modules its names come from.
    """
    found = [
        (facade, module, names)
        for facade in FACADES
        for module, names in exported(facade).items()
        if f"{module if facade == FACADES[0] else facade}.".startswith(f"{prefix}.")
    ]
    return sorted(found, key=lambda each: each[1])  # what two facades hand out of one module stands together


def about(module: str) -> str:
    """What a module's docstring says in its first paragraph, after the floor that it names."""
    text = ast.get_docstring(syntax_of(module)) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    said = re.sub(r"^(Floor \d|On top of the floors)[.:] ", "", first)
    return said[:1].upper() + said[1:]


def assigned(node: ast.stmt) -> set[str]:
    """The names that a statement assigns to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def text_beneath(module: str, name: str) -> str:
    """The string that stands beneath an assignment, which documents a value that has no docstring of its own."""
    for node, following in pairwise(syntax_of(module).body):
        value = following.value if name in assigned(node) and isinstance(following, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return inspect.cleandoc(value.value)
    return ""


class Field(NamedTuple):
    """A field of `RetryPolicy`."""

    name: str
    default: str
    meaning: str


def sections(docstring: str) -> dict[str, list[str]]:
    """The sections of a Google style docstring: their indented lines, by heading."""
    found: dict[str, list[str]] = defaultdict(list)
    heading = ""
    for line in inspect.cleandoc(docstring).splitlines():
        if line and not line.startswith(" "):
            heading = line
        elif heading:
            found[heading].append(line[4:])
    return found


def meanings(docstring: str) -> dict[str, str]:
    """What the section `Args:` of a docstring says of each argument, on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in sections(docstring)["Args:"]:
        if line and not line.startswith(" "):
            name, _, found[name] = line.partition(": ")
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def policy_fields() -> list[Field]:
    """The fields of `RetryPolicy` that can be written, with their defaults and what its docstring says of them."""
    from redouble import RetryPolicy

    said = meanings(RetryPolicy.__doc__ or "")
    default = RetryPolicy()
    names = [name for name in RetryPolicy.FIELDS if name != "written"]  # which of the others were written
    return [Field(name, repr(getattr(default, name)), said.get(name, "")) for name in names]


def words_of(library: str) -> dict[str, str]:
    """Return another library's words, and what to write instead of each."""
    from redouble.control.words import LIBRARIES

    return LIBRARIES[library]
