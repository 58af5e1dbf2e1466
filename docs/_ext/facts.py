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

PLUMBING = {
    "Classification": ("because", "but", "redacted"),
    "FakeClock": ("call_later", "fresh_budget", "grace", "io_grace", "joining", "patience"),
    "FleetBudget": ("ask", "fresh"),
    "LogRetries": ("hears_retries", "wants"),
    "RetryAdapter": ("send",),
    "RetryBudget": ("fresh",),
    "RetryPolicy": ("changed", "overridden", "opening"),
    "Rule": ("ask", "discard"),
    "Session": ("end", "is_entered", "take"),
    "SystemClock": ("call_later",),
    "Trap": ("catch",),
    "log_retries": ("hears_retries", "wants"),
    "override": ("clock", "outer", "over"),
}
"""The members of public classes that other parts of redouble call, and users do not; the reference leaves them out."""

ALIASES = {
    "Seconds": "`int | float | timedelta`: a duration, in seconds where it is a number.",
    "RuleLike": (
        "A :py:class:`~redouble.Rule`; or an exception type, `X | Y`, a tuple or a list of types, or a callable of the error or"
        " the result that returns an `Answer`: these stand for `transient(...)`."
    ),
    "Answer": (
        "`bool | Verdict | Classification | Seconds | None`: what a callable says of an error or a result. `None` and `False`:"
        " it does not speak; a duration: transient, with that wait at least."
    ),
    "Curve": "A :py:class:`~redouble.Backoff`, or a callable of the number of failures in a row that returns seconds.",
    "CurveLike": "The same as `Curve`.",
    "JitterLike": (
        "A :py:class:`~redouble.jitters.Jitter`, its name (`full`, `equal`, `decorrelated`, `none`), or `None`: no jitter."
    ),
    "Stop": "An event of `threading`, asyncio or trio: any object with `is_set()`. While it is set, nothing is tried again.",
    "Observer": "A callable that takes an :py:class:`~redouble.Event`; its answer is not looked at.",
    "Policy": "A :py:class:`~redouble.RetryPolicy`.",
    "Path": "`str | os.PathLike[str]`: where a file is.",
    "Group": "What :py:func:`~redouble.rules.row` returns: rows that say the same of several classes or codes.",
    "Row": "One row of a table, as an :py:class:`~redouble.types.Explanation` names it.",
    "RowLike": "The same as `Row`.",
    "Read": "A callable that finds the row of an error: what :py:func:`~redouble.rules.by` makes a word of.",
    "PolicyFields": "The keywords of :py:class:`~redouble.RetryPolicy`.",
}
"""The names of types that signatures use and that no module hands out, and what they stand for."""


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


def module_of(facade: str, name: str) -> str:
    """The module that a facade hands a name out from; the facade itself where it is made there, or is no facade."""
    if facade not in FACADES:
        return facade
    return next(module for module, names in exported(facade).items() if name in names)


def record_signature(cls: type) -> str | None:
    """How a record of ours is made, with the types and defaults of the fields that it documents; `None` for the rest."""
    from redouble import RetryPolicy

    if cls is RetryPolicy:
        kinds = policy_types()
        return f"(*, {', '.join(f'{name}: {kinds[name]} = {_code(default)}' for name, default, _ in policy_fields())})"
    fields = meanings(inspect.getdoc(cls) or "", "Fields:")
    parameters = inspect.signature(cls).parameters if fields else {}
    return (
        f"({', '.join(_parameter(parameters[field], cls.__annotations__[field]) for field in fields)})"
        if fields
        else None
    )


def _code(default: str) -> str:
    """A default as it may stand in a signature: one that is told in words is left to the docstring."""
    try:
        ast.parse(default, mode="eval")
    except SyntaxError:
        return "..."
    return default


def _parameter(parameter: inspect.Parameter, kind: str) -> str:
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {kind}{default}"


def policy_types() -> dict[str, str]:
    """The types of the fields of `RetryPolicy`, as its keywords are annotated for type checkers."""
    (fields,) = (
        node
        for node in ast.walk(syntax_of("redouble.control.policy"))
        if isinstance(node, ast.ClassDef) and node.name == "PolicyFields"
    )
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in fields.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


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


def meanings(docstring: str, section: str = "Args:") -> dict[str, str]:
    """What a section of a docstring says of each argument or field, on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in sections(docstring)[section]:
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
