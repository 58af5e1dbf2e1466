"""That the reference leaves nothing out: every exported name, every field of a policy."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FACADES = ["redouble", "redouble.jitters", "redouble.loops", "redouble.rules", "redouble.testing", "redouble.types"]
PUBLIC = [(facade, name) for facade in FACADES for name in importlib.import_module(facade).__all__]


def documented(facts: Any) -> Iterator[tuple[str, str]]:
    """Facade and name of all that the `{exported}` directives of the reference stand for."""
    for page in REFERENCE.rglob("*.md"):
        for prefix in re.findall(r"^```\{exported\} +(\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            for facade, _module, names in facts.beneath(prefix):
                yield from ((facade, name) for name in names)


def test_every_exported_name_is_documented_once(facts: Any) -> None:
    """Each exported name is in the reference, in one place."""
    assert sorted(documented(facts)) == sorted(PUBLIC)


@pytest.mark.parametrize(("facade", "name"), PUBLIC)
def test_every_exported_name_says_what_it_is(facts: Any, facade: str, name: str) -> None:
    """Each exported class and function has a docstring of its own, each other value a text beneath its assignment."""
    value = getattr(importlib.import_module(facade), name)
    if isinstance(value, type) or inspect.isfunction(value):
        assert value.__doc__
    else:
        (module,) = (module for module, names in facts.exported(facade).items() if name in names)
        assert facts.text_beneath(module, name)


def test_every_field_of_a_policy_has_a_meaning(facts: Any) -> None:
    """The table of defaults has a meaning for each field, taken from the docstring of RetryPolicy."""
    assert [field.name for field in facts.policy_fields() if not field.meaning] == []


def test_no_field_is_documented_that_does_not_exist(facts: Any) -> None:
    """The docstring of RetryPolicy speaks of its fields in their order, and of nothing else."""
    from redouble import RetryPolicy

    assert list(facts.meanings(RetryPolicy.__doc__)) == [field.name for field in facts.policy_fields()]


def test_defaults_are_those_that_hold(facts: Any) -> None:
    """The table shows the default limits as they hold while neither is written."""
    defaults = {field.name: field.default for field in facts.policy_fields()}
    assert (defaults["attempts"], defaults["deadline"], defaults["on"]) == ("3", "60.0", "known_errors")


def test_meanings_are_read_over_lines_and_colons(facts: Any) -> None:
    """An argument's text may go over several lines and hold colons."""
    docstring = """Something.

    Args:
        one: What it is: a number,
            of a kind.
        two: `None`: nothing.

    Raises:
        TypeError: Never.
    """
    assert facts.meanings(docstring) == {"one": "What it is: a number, of a kind.", "two": "`None`: nothing."}
