"""That the reference leaves nothing out: every exported name, every field of a policy."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import redouble

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FACADES = ["redouble", "redouble.jitters", "redouble.loops", "redouble.rules", "redouble.testing", "redouble.types"]
DEEP = re.DOTALL | re.MULTILINE
ADAPTERS = sorted((Path(redouble.__file__).parent / "adapters").glob("*.py"))
API = (Path(__file__).parents[1] / "public_api.txt").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(redouble.__file__).parent.rglob("*.py"))
BESIDES = {"Sequence"}  # a Backoff, of `sequence`; an entry of that name would be taken for the one of collections.abc
OURS = set(re.findall(r"^ *class ([A-Z]\w+)|^ *([A-Z]\w+): TypeAlias", SOURCE, re.MULTILINE))
PUBLIC = [(facade, name) for facade in FACADES for name in importlib.import_module(facade).__all__]


def documented() -> list[tuple[str, str]]:
    """Module and name of all that the `{documented}` directives of the reference list."""
    pages = (page.read_text(encoding="utf-8") for page in REFERENCE.rglob("*.md"))
    lists = [each for page in pages for each in re.findall(r"^```\{documented\} +(\S+)\n(.*?)^```$", page, DEEP)]
    return [(module, name) for module, names in lists for name in names.split()]


def test_every_exported_name_is_documented_once() -> None:
    """Each exported name is in the reference, in one place."""
    assert sorted(each for each in documented() if each[0] in FACADES) == sorted(PUBLIC)


def public_names_of(adapter: Path) -> set[str]:
    """The classes and functions of an adapter that are made there and begin with no underscore."""
    body = ast.parse(adapter.read_text(encoding="utf-8")).body
    makes = (node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    return {name for name in makes if not name.startswith("_")}


def test_every_adapter_is_documented() -> None:
    """Each adapter is in the reference, with names that it has."""
    found = {(module.rpartition(".")[2], name) for module, name in documented() if ".adapters." in module}
    adapters = {path.stem: public_names_of(path) for path in ADAPTERS if not path.stem.startswith("_")}
    assert {adapter for adapter, _ in found} == set(adapters)
    assert [(adapter, name) for adapter, name in found if name not in adapters[adapter]] == []


def test_retry_and_its_policy_come_first() -> None:
    """The reference begins with what everybody needs."""
    assert documented()[:2] == [("redouble", "retry"), ("redouble", "RetryPolicy")]


def test_signatures_name_only_types_with_an_entry(facts: Any) -> None:
    """Each type of ours in a signature that the reference shows is exported, or explained as a word of signatures."""
    left_out = "|".join(member for members in facts.PLUMBING.values() for member in members)
    hidden = re.compile(rf"^ +(async )?(__\w+|{left_out})\b|^class .*\) -> None|^[\w.]+: ")
    shown = " ".join(re.sub(r" is \w+$", "", line) for line in API.splitlines() if not hidden.search(line))
    named = set(re.findall(r"(?<![\w.'])[A-Z]\w+", shown)) & {name for each in OURS for name in each if name}
    assert sorted(named - {name for _, name in PUBLIC} - set(facts.ALIASES) - BESIDES) == []


def test_plumbing_is_there_to_be_left_out(facts: Any) -> None:
    """Each member that the reference leaves out exists: a list of exceptions must not outlive what it excepts."""
    classes = {name: getattr(importlib.import_module(facade), name) for facade, name in PUBLIC}
    gone = [
        (name, member)
        for name, members in facts.PLUMBING.items()
        if name in classes
        for member in members
        if not hasattr(classes[name], member)
    ]
    assert gone == []


def test_records_are_shown_with_types_and_defaults(facts: Any) -> None:
    """The signature of a record has the types and defaults of the fields that it documents; of a policy, of all."""
    from redouble import Classification, RetryPolicy
    from redouble.types import PreviewRow

    assert facts.record_signature(PreviewRow) == (
        "(attempt: int, earliest: float, typical: float, latest: float, cumulated: float, past_deadline: bool = False)"
    )
    of_policy = facts.record_signature(RetryPolicy)
    assert "attempts: int | None = 3, deadline: Seconds | None = 60.0" in of_policy
    ast.parse(f"def policy{of_policy}: ...")  # else Sphinx cuts it at each comma
    assert facts.record_signature(Classification).startswith("(verdict: Verdict, retry_after: float | None = None,")
    assert facts.record_signature(int) is None


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
