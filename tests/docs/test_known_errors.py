"""That the pages of known errors say what the tables say, and where each row is written."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from redouble.known.tables import all_rows, everything

ROWS = all_rows()
EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"


@pytest.fixture(scope="module")
def generator() -> Any:
    """The module that writes the tables of the page."""
    spec = importlib.util.spec_from_file_location("known_errors_page", EXTENSIONS / "known_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_page_is_written_from_the_rows(generator: Any) -> None:
    """Whoever changes a row runs `python docs/_ext/known_errors.py`, and reads the difference."""
    page = generator.PAGE.read_text(encoding="utf-8")
    assert generator.MARK in page
    assert page == generator.page()
    written = {each.name: each.read_text(encoding="utf-8") for each in generator.FOLDER.glob("*.md")}
    assert written == generator.pages()


def test_every_row_is_on_the_page(generator: Any) -> None:
    """Rows that share a line are all named on it; each table has a page, and a line in the list."""
    lines = "\n".join(generator.pages().values())
    assert [row for row in ROWS if f"`{row.code or row.package + '.' + row.name}`" not in lines] == []
    assert len(generator.pages()) == len(list(everything()))
    assert len(list(generator.listed())) == len(list(everything())) + 2


def test_every_source_is_a_link(generator: Any) -> None:
    """Each part of each source is a link, or says that it is a choice of ours."""
    parts = {part for row in ROWS for part in row.source.split("; ")}
    assert [part for part in parts if part != "policy" and "](https://" not in generator.sources.linked(part)] == []


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ("RFC 9110 15.5.9", "[RFC 9110 15.5.9](https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.9)"),
        ("policy", "policy"),
        (
            "errno(3); policy",
            "[errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html); policy",
        ),
        (
            "requests/adapters.py, HTTPAdapter.send",
            "[requests/adapters.py](https://github.com/psf/requests/blob/main/src/requests/adapters.py),"
            " HTTPAdapter.send",
        ),
        ("nowhere/at/all.py", "nowhere/at/all.py"),
        ("openai/auth", "[openai/auth](https://github.com/openai/openai-python/tree/main/src/openai/auth)"),
    ],
)
def test_what_a_source_becomes(generator: Any, source: str, markdown: str) -> None:
    """RFCs, manual pages, files and folders of repositories; what is none of these stays text."""
    assert generator.sources.linked(source) == markdown


def test_no_link_is_left_over(generator: Any) -> None:
    """Every place that is kept for a source is that of one: what no row names any more goes."""
    everything = " ".join(generator.sources.linked(row.source) for row in ROWS)
    known = (*generator.sources.WHOLE.values(), *generator.sources.MANUAL.values())
    assert [url for url in known if f"({url})" not in everything] == []
    places = (place.replace("/blob/", "/") for place in generator.sources.REPOSITORIES.values())
    shortened = everything.replace("/blob/", "/").replace("/tree/", "/")
    assert [place for place in places if f"/{place}/" not in shortened] == []
