"""The public API is a reviewed file: every change of a public signature shows up as a difference in public_api.txt.

Written anew by `python tests/test_public_api.py`, with redouble installed; then read the difference.
"""

from __future__ import annotations

import importlib
import inspect
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

API = Path(__file__).with_name("public_api.txt")
MODULES = ["redouble", "redouble.jitters", "redouble.loops", "redouble.rules", "redouble.testing", "redouble.types"]
SPECIAL = {"__call__", "__iter__", "__aiter__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__or__", "__ror__"}
INNER = {"FIELDS"}  # what a record is made of shows in its annotations


class Bare(str):
    """An annotation that a signature shows as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def bare(annotation: Any) -> Any:
    """An annotation as it is shown."""
    return Bare(annotation) if isinstance(annotation, str) else annotation


def signature(function: Any) -> str:
    """A signature with its annotations as they are written."""
    if inspect.isbuiltin(function):  # newer Pythons know more of these signatures than older ones
        return "(...)"
    found = inspect.signature(function)
    parameters = [each.replace(annotation=bare(each.annotation)) for each in found.parameters.values()]
    return str(found.replace(parameters=parameters, return_annotation=bare(found.return_annotation)))


def ours(cls: type) -> list[type]:
    """The classes of an MRO that this project wrote, the most general first."""
    return [base for base in reversed(cls.__mro__) if base.__module__.partition(".")[0] == "redouble"]


def is_public(name: str) -> bool:
    """Whether a member of this name is part of the API."""
    return name in SPECIAL or not (name.startswith("_") or name in INNER)


def member(name: str, value: Any) -> str | None:
    """One line about a member of a class; None for what is no part of the API."""
    if isinstance(value, (staticmethod, classmethod)):
        return f"{name}{signature(value.__func__)}  [{type(value).__name__}]"
    if isinstance(value, property):
        return f"{name} -> {bare(inspect.get_annotations(value.fget).get('return', '?'))}  [property]"
    if inspect.isfunction(value):
        return f"{'async ' if inspect.iscoroutinefunction(value) else ''}{name}{signature(value)}"
    if inspect.isdatadescriptor(value) or inspect.ismethoddescriptor(value):
        return name
    return None if callable(value) else f"{name} = {value!r}"


def members(cls: type) -> Iterator[str]:
    """The public members of a class, those of its bases included; of an enum, its values."""
    if issubclass(cls, Enum):
        yield from (f"{each.name} = {each.value!r}" for each in cls)
        return
    found: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for base in ours(cls):
        found |= {name: value for name, value in vars(base).items() if is_public(name)}
        annotations |= {name: hint for name, hint in inspect.get_annotations(base).items() if is_public(name)}
    for name in sorted(found.keys() | annotations.keys()):
        line = member(name, found[name]) if name in found else name
        if line is not None:
            yield f"{line}: {bare(annotations[name])}" if name in annotations else line


def described(name: str, value: Any) -> Iterator[str]:
    """The lines about one public name."""
    if isinstance(value, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        own_init = any("__init__" in vars(base) or "__new__" in vars(base) for base in ours(value))
        made = signature(value) if own_init and not issubclass(value, Enum) else ""
        yield f"class {name}{made}{f' is {bases}' if bases else ''}"
        yield from (f"    {line}" for line in members(value))
    elif inspect.isfunction(value):
        yield f"{'async ' if inspect.iscoroutinefunction(value) else ''}def {name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def public_api() -> str:
    """Every public signature, one after the other."""
    lines = []
    for module in MODULES:
        names = importlib.import_module(module)
        for name in names.__all__:
            lines += [*described(f"{module}.{name}", getattr(names, name)), ""]
    return "\n".join(lines)


def test_public_signatures_are_as_reviewed() -> None:
    """No public signature differs from the reviewed file."""
    reviewed = API.read_text(encoding="utf-8") if API.exists() else "missing: run `python tests/test_public_api.py`"
    differences = unified_diff(reviewed.splitlines(), public_api().splitlines(), "reviewed", "now", lineterm="", n=0)
    assert "\n".join(differences) == ""


@pytest.mark.parametrize("module", MODULES)
def test_all_is_sorted(module: str) -> None:
    """`__all__` names constants, then classes, then functions, each in order (as `ruff check --fix` sorts), none twice."""
    names = importlib.import_module(module).__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name[0].islower(), name))


@pytest.mark.parametrize("module", MODULES)
def test_all_is_all(module: str) -> None:
    """What a public module holds beyond `__all__` is private, a submodule, or a switch of type checkers."""
    names = vars(importlib.import_module(module))
    public = {name for name, value in names.items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public - {"annotations", "TYPE_CHECKING"} == set(names["__all__"])


@pytest.mark.parametrize("module", MODULES)
def test_names_read_as_they_are_imported(module: str) -> None:
    """Reprs and tracebacks name classes by the module that they are imported from: `redouble.StillPending`."""
    names = importlib.import_module(module)
    values = {name: getattr(names, name) for name in names.__all__}
    named = {name: value.__module__ for name, value in values.items() if isinstance(value, type)}
    assert named == dict.fromkeys(named, module)


if __name__ == "__main__":
    API.write_text(public_api(), encoding="utf-8")
