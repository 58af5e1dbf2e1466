"""docs/llms.txt, which assistants read, says nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import redouble

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "llms.txt").read_text(encoding="utf-8")


def test_it_names_every_field() -> None:
    """The list of fields is that of the policy, in its order."""
    (line,) = re.findall(r"^- Fields: (.*?)\. Writing", TEXT, re.MULTILINE)
    written = set(redouble.RetryPolicy.FIELDS) - {"written"}
    assert {re.split(r"=", field)[0] for field in line.split(", ")} == written


@pytest.mark.parametrize("link", re.findall(r"\]\((.*?)\)", TEXT))
def test_its_pages_are_there(link: str) -> None:
    """Each link leads to a page."""
    assert (DOCS / link).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`redouble\.(\w+)", TEXT)) - {"testing"}))
def test_its_names_are_public(name: str) -> None:
    """Each name that it takes from the top is there."""
    assert name in redouble.__all__
